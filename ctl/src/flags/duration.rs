//! Durations as Docker's flags write them (`1h30m`, `250ms`, `0`), held as nanoseconds, the API's unit.
//!
//! Owns parsing and printing; what a duration means is the caller's business.

use std::fmt;
use std::str::FromStr;

/// A signed length of time in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Nanoseconds(pub(crate) i64);

/// A length of time that a flag does not accept below zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PositiveNanoseconds(pub(crate) i64);

#[derive(Debug, thiserror::Error)]
pub(crate) enum DurationError {
    #[error("no number where one was expected")]
    NoNumber,
    #[error("a unit is missing: write for example 500ms, 5s, 1m30s or 2h")]
    NoUnit,
    #[error("unknown unit {0:?}: use ns, us, ms, s, m or h")]
    Unit(String),
    #[error("longer than 292 years, the longest that the API can say")]
    TooLong,
    #[error("a duration cannot be negative here")]
    Negative,
}

impl FromStr for Nanoseconds {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, DurationError> {
        let (negative, mut rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        if rest == "0" {
            return Ok(Self(0));
        }
        if rest.is_empty() {
            return Err(DurationError::NoNumber);
        }
        let mut total = 0f64;
        while !rest.is_empty() {
            let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
            let number: f64 = rest[..end].parse().map_err(|_| DurationError::NoNumber)?;
            rest = &rest[end..];
            let end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
            total += number * unit_nanoseconds(&rest[..end])?;
            rest = &rest[end..];
        }
        // i64::MAX as f64 rounds up, so the comparison excludes it.
        if total >= i64::MAX as f64 {
            return Err(DurationError::TooLong);
        }
        let total = total.round() as i64;
        Ok(Self(if negative { -total } else { total }))
    }
}

impl FromStr for PositiveNanoseconds {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, DurationError> {
        match text.parse::<Nanoseconds>()?.0 {
            negative if negative < 0 => Err(DurationError::Negative),
            value => Ok(Self(value)),
        }
    }
}

/// Prints as Go does: `1m30s`, `250ms`, `0s`.
impl fmt::Display for Nanoseconds {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return out.write_str("0s");
        }
        if self.0 < 0 {
            out.write_str("-")?;
        }
        let total = self.0.unsigned_abs();
        if total < 1_000 {
            return write!(out, "{total}ns");
        }
        if total < 1_000_000 {
            return write!(out, "{}µs", decimal(total, 1_000));
        }
        if total < 1_000_000_000 {
            return write!(out, "{}ms", decimal(total, 1_000_000));
        }
        let minutes = total / 60_000_000_000;
        if minutes >= 60 {
            write!(out, "{}h", minutes / 60)?;
        }
        if minutes > 0 {
            write!(out, "{}m", minutes % 60)?;
        }
        write!(out, "{}s", decimal(total % 60_000_000_000, 1_000_000_000))
    }
}

fn unit_nanoseconds(unit: &str) -> Result<f64, DurationError> {
    Ok(match unit {
        "ns" => 1.0,
        "us" | "µs" | "μs" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        "m" => 60e9,
        "h" => 3600e9,
        "" => return Err(DurationError::NoUnit),
        other => return Err(DurationError::Unit(other.to_owned())),
    })
}

fn decimal(value: u64, unit: u64) -> String {
    let whole = value / unit;
    let digits = unit.ilog10() as usize;
    let fraction = format!("{:0digits$}", value % unit);
    match fraction.trim_end_matches('0') {
        "" => whole.to_string(),
        fraction => format!("{whole}.{fraction}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_go_reads_and_prints_it_back() {
        for (text, nanoseconds, printed) in [
            ("0", 0, "0s"),
            ("5s", 5_000_000_000, "5s"),
            ("1.5s", 1_500_000_000, "1.5s"),
            ("1h2m3s", 3_723_000_000_000, "1h2m3s"),
            ("90m", 5_400_000_000_000, "1h30m0s"),
            ("250ms", 250_000_000, "250ms"),
            ("3us", 3_000, "3µs"),
            ("7ns", 7, "7ns"),
            ("-1s", -1_000_000_000, "-1s"),
        ] {
            let parsed: Nanoseconds = text.parse().unwrap();
            assert_eq!(parsed.0, nanoseconds, "{text}");
            assert_eq!(parsed.to_string(), printed);
        }
    }

    #[test]
    fn says_what_is_wrong() {
        let refusal = |text: &str| text.parse::<Nanoseconds>().unwrap_err().to_string();
        assert_eq!(refusal("5"), "a unit is missing: write for example 500ms, 5s, 1m30s or 2h");
        assert_eq!(refusal("5d"), "unknown unit \"d\": use ns, us, ms, s, m or h");
        assert_eq!(refusal(""), "no number where one was expected");
        assert_eq!(refusal("1.2.3s"), "no number where one was expected");
        assert_eq!(refusal("9999999h"), "longer than 292 years, the longest that the API can say");
        assert_eq!("-1s".parse::<PositiveNanoseconds>().unwrap_err().to_string(), "a duration cannot be negative here");
    }
}
