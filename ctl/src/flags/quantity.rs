//! Amounts of memory (`64M`, `1.5GiB`: powers of 1024) and of CPU (`0.5`: billionths of a CPU) in the API's units.

use std::str::FromStr;

/// An amount of memory in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bytes(pub(crate) i64);

/// An amount of CPU in billionths of one CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NanoCpus(pub(crate) i64);

#[derive(Debug, thiserror::Error)]
pub(crate) enum QuantityError {
    #[error("not an amount of memory: write a number and b, k, m, g, t or p, for example 64M")]
    Bytes,
    #[error("not a number of CPUs: write for example 0.5 or 2")]
    Cpus,
    #[error("too precise: the smallest part of a CPU is 0.000000001")]
    TooPrecise,
    #[error("too large")]
    TooLarge,
    #[error("cannot be negative")]
    Negative,
}

impl FromStr for Bytes {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        if text.starts_with('-') {
            return Err(QuantityError::Negative);
        }
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let number: f64 = text[..end].parse().map_err(|_| QuantityError::Bytes)?;
        let unit = text[end..].strip_prefix(' ').unwrap_or(&text[end..]).to_ascii_lowercase();
        let power = match unit.as_str() {
            "" | "b" => 0,
            "k" | "kb" | "kib" => 1,
            "m" | "mb" | "mib" => 2,
            "g" | "gb" | "gib" => 3,
            "t" | "tb" | "tib" => 4,
            "p" | "pb" | "pib" => 5,
            _ => return Err(QuantityError::Bytes),
        };
        let bytes = number * 1024f64.powi(power);
        if bytes >= i64::MAX as f64 {
            return Err(QuantityError::TooLarge);
        }
        Ok(Self(bytes as i64))
    }
}

impl FromStr for NanoCpus {
    type Err = QuantityError;

    /// Reads decimals exactly, without floating point, so that `0.1` is 100,000,000 and nothing else.
    fn from_str(text: &str) -> Result<Self, QuantityError> {
        if text.starts_with('-') {
            return Err(QuantityError::Negative);
        }
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.len() + fraction.len() == 0 || !digits(whole) || !digits(fraction) {
            return Err(QuantityError::Cpus);
        }
        let fraction = fraction.trim_end_matches('0');
        if fraction.len() > 9 {
            return Err(QuantityError::TooPrecise);
        }
        let digits = format!("{whole}{fraction:0<9}");
        digits.parse().map(Self).map_err(|_| QuantityError::TooLarge)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_counted_in_powers_of_1024() {
        for (text, bytes) in [("64M", 64 << 20), ("1.5GiB", 3 << 29), ("10", 10), ("2kb", 2048), ("1 g", 1 << 30)] {
            assert_eq!(text.parse::<Bytes>().unwrap(), Bytes(bytes), "{text}");
        }
        assert_eq!("-1m".parse::<Bytes>().unwrap_err().to_string(), "cannot be negative");
        assert!(matches!("64X".parse::<Bytes>(), Err(QuantityError::Bytes)));
        assert!(matches!("99999999p".parse::<Bytes>(), Err(QuantityError::TooLarge)));
    }

    #[test]
    fn cpus_are_exact_decimals() {
        for (text, nano) in [("0.5", 500_000_000), ("2", 2_000_000_000), (".1", 100_000_000), ("0.000000001", 1)] {
            assert_eq!(text.parse::<NanoCpus>().unwrap(), NanoCpus(nano), "{text}");
        }
        assert!(matches!("0.0000000001".parse::<NanoCpus>(), Err(QuantityError::TooPrecise)));
        assert!(matches!("-1".parse::<NanoCpus>(), Err(QuantityError::Negative)));
        assert!(matches!("1e3".parse::<NanoCpus>(), Err(QuantityError::Cpus)));
        assert!(matches!("".parse::<NanoCpus>(), Err(QuantityError::Cpus)));
    }
}
