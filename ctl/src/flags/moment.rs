//! Times as `--since` and `--until` take them: RFC 3339 (without a zone it is UTC, without a time midnight), seconds since 1970, or
//! an age such as `10m`.

use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, OffsetDateTime, PrimitiveDateTime};

use super::FlagError;
use super::duration::Nanoseconds;

/// The seconds since 1970 that the API wants, as text.
pub(crate) fn seconds(flag: &'static str, text: &str, now: OffsetDateTime) -> Result<String, FlagError> {
    if let Ok(age) = text.parse::<Nanoseconds>()
        && text.ends_with(|letter: char| letter.is_ascii_alphabetic())
    {
        return Ok(api_time(now.unix_timestamp_nanos() - i128::from(age.0)));
    }
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return Ok(text.to_owned());
    }
    let moment = zoned(text).or_else(|| unzoned(text)).or_else(|| day(text));
    moment
        .map(|moment| api_time(moment.unix_timestamp_nanos()))
        .ok_or_else(|| FlagError::Time { flag, value: text.to_owned() })
}

fn zoned(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok()
}

fn unzoned(text: &str) -> Option<OffsetDateTime> {
    let layouts = [
        format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]"),
        format_description!("[year]-[month]-[day]T[hour]:[minute]"),
    ];
    let moment = layouts.into_iter().find_map(|layout| PrimitiveDateTime::parse(text, &layout).ok())?;
    Some(moment.assume_utc())
}

fn day(text: &str) -> Option<OffsetDateTime> {
    let day = Date::parse(text, &format_description!("[year]-[month]-[day]")).ok()?;
    Some(day.midnight().assume_utc())
}

fn api_time(nanoseconds: i128) -> String {
    let (seconds, rest) = (nanoseconds.div_euclid(1_000_000_000), nanoseconds.rem_euclid(1_000_000_000));
    format!("{seconds}.{rest:09}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_forms_become_seconds() {
        let now = OffsetDateTime::from_unix_timestamp(1000).unwrap();
        let read = |text| seconds("since", text, now).map_err(|error| error.to_string());
        assert_eq!(read("10m"), Ok("400.000000000".into()));
        assert_eq!(read("1700000000"), Ok("1700000000".into()));
        assert_eq!(read("1970-01-01T00:01:00.5Z"), Ok("60.500000000".into()));
        assert_eq!(read("1970-01-02"), Ok("86400.000000000".into()));
        assert_eq!(read("1970-01-01T00:02"), Ok("120.000000000".into()));
        assert!(read("yesterday").unwrap_err().starts_with("\"yesterday\" is not a time for --since"));
    }
}
