//! Query parameters, read as Docker reads them.

use std::convert::Infallible;

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::error::ApiError;
use crate::types::{AuthConfig, Filters, Timestamp};

/// The parameters of a request, in order; a name may come several times.
#[derive(Debug, Default)]
pub(super) struct Params(Vec<(String, String)>);

impl Params {
    /// The first value of a name; empty when absent.
    pub(super) fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    /// False for absence, an empty value, `0`, `no`, `false` and `none`; true for all else.
    pub(super) fn flag(&self, name: &str) -> bool {
        self.flag_or(name, false)
    }

    /// The same with a value for absence.
    pub(super) fn flag_or(&self, name: &str, absent: bool) -> bool {
        self.get(name).map_or(absent, |value| {
            !matches!(value.trim().to_ascii_lowercase().as_str(), "" | "0" | "no" | "false" | "none")
        })
    }

    /// A whole number; absence and an empty value are `None`.
    pub(super) fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, ApiError> {
        match self.text(name) {
            "" => Ok(None),
            value => value.parse().map(Some).map_err(|_| {
                ApiError::invalid_parameter(format!("invalid value {value:?} for {name}: expected a whole number"))
            }),
        }
    }

    /// The version of an object that an update is based on.
    pub(super) fn object_version(&self, object: &str) -> Result<u64, ApiError> {
        let value = self.text("version");
        value.parse().map_err(|_| {
            ApiError::invalid_parameter(format!(
                "invalid {object} version '{value}': send the number under Version.Index of the {object} as inspected"
            ))
        })
    }

    /// The `filters`, which must not have other keys than `known`.
    pub(super) fn filters(&self, known: &[&str]) -> Result<Filters, ApiError> {
        let filters = Filters::parse(self.text("filters"))?;
        filters.allow_only(known)?;
        Ok(filters)
    }

    /// Seconds since 1970, with or without a fraction. Absence and an empty value are `None`.
    pub(super) fn time(&self, name: &str) -> Result<Option<Timestamp>, ApiError> {
        match self.text(name) {
            "" => Ok(None),
            value => unix_time(value).map(Some).ok_or_else(|| {
                ApiError::invalid_parameter(format!(
                    "invalid value {value:?} for {name}: expected seconds since 1970, such as 1136073600.000000001"
                ))
            }),
        }
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(have, _)| have == name).map(|(_, value)| value.as_str())
    }
}

impl<S: Sync> FromRequestParts<S> for Params {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Query::try_from_uri(&parts.uri).map(|Query(pairs)| Self(pairs)).unwrap_or_default())
    }
}

/// The credentials in `X-Registry-Auth`, if it is there.
#[derive(Debug)]
pub(super) struct RegistryAuth(pub(super) Option<AuthConfig>);

impl<S: Sync> FromRequestParts<S> for RegistryAuth {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let header = parts.headers.get("x-registry-auth").and_then(|value| value.to_str().ok()).unwrap_or_default();
        Ok(Self((!header.is_empty()).then(|| AuthConfig::from_header(header))))
    }
}

/// A time as people name it: RFC 3339, seconds since 1970, or how long before `now` (`24h`, `1h30m`).
pub(super) fn moment(text: &str, now: Timestamp) -> Option<Timestamp> {
    if let Ok(time) = OffsetDateTime::parse(text, &Rfc3339) {
        return Some(Timestamp(time));
    }
    unix_time(text).or_else(|| Some(Timestamp(now.0.checked_sub(span(text)?)?)))
}

/// `1h30m`: whole numbers of hours, minutes and seconds.
fn span(text: &str) -> Option<time::Duration> {
    let (mut rest, mut seconds) = (text, 0_i64);
    while !rest.is_empty() {
        let end = rest.find(|letter: char| !letter.is_ascii_digit())?;
        let number: i64 = rest[..end].parse().ok()?;
        let unit = match rest.as_bytes()[end] {
            b'h' => 3600,
            b'm' => 60,
            b's' => 1,
            _ => return None,
        };
        seconds = seconds.checked_add(number.checked_mul(unit)?)?;
        rest = &rest[end + 1..];
    }
    (!text.is_empty()).then(|| time::Duration::seconds(seconds))
}

/// `SECONDS[.FRACTION]`, where the fraction has at most nine digits and is padded on the right.
fn unix_time(text: &str) -> Option<Timestamp> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let negative = seconds.starts_with('-');
    let seconds: i64 = seconds.parse().ok()?;
    if fraction.len() > 9 || !fraction.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let nanos: i128 = format!("{fraction:0<9}").parse().ok()?;
    let nanos = if negative { -nanos } else { nanos };
    Timestamp::from_unix_nanos(i128::from(seconds) * 1_000_000_000 + nanos)
}

#[cfg(test)]
mod tests {
    use axum::http::Uri;
    use proptest::prelude::*;

    use super::*;

    fn params(query: &str) -> Params {
        let uri: Uri = format!("/x?{query}").parse().unwrap();
        Params(Query::try_from_uri(&uri).unwrap().0)
    }

    #[test]
    fn flags_as_docker_reads_them() {
        for off in ["", "a", "a=", "a=0", "a=no", "a=False", "a=%20NONE%20"] {
            assert!(!params(off).flag("a"), "{off}");
        }
        for on in ["a=1", "a=true", "a=yes", "a=x"] {
            assert!(params(on).flag("a"), "{on}");
        }
        assert!(params("").flag_or("a", true));
        assert!(!params("a=").flag_or("a", true));
    }

    #[test]
    fn times_as_docker_writes_them() {
        let nanos = |query| params(query).time("since").map(|time| time.map(|time| time.unix_nanos()));
        assert_eq!(nanos(""), Ok(None));
        assert_eq!(nanos("since=0"), Ok(Some(0)));
        assert_eq!(nanos("since=1136073600.000000001"), Ok(Some(1_136_073_600_000_000_001)));
        assert_eq!(nanos("since=1.5"), Ok(Some(1_500_000_000)));
        assert_eq!(nanos("since=-1.5"), Ok(Some(-1_500_000_000)));
        for broken in ["since=x", "since=1.0000000001", "since=1.-5", "since=99999999999999", "since=2026-01-01"] {
            assert!(nanos(broken).unwrap_err().message.contains("for since"), "{broken}");
        }
    }

    #[test]
    fn moments_are_times_or_spans_before_now() {
        let now = Timestamp::from_unix_nanos(100_000 * 1_000_000_000).unwrap();
        let seconds = |text| moment(text, now).map(|time| time.unix_nanos() / 1_000_000_000);
        assert_eq!(seconds("1970-01-01T00:01:00Z"), Some(60));
        assert_eq!(seconds("77"), Some(77));
        assert_eq!(seconds("24h"), Some(13_600));
        assert_eq!(seconds("1h30m10s"), Some(94_590));
        for broken in ["", "h", "1d", "1h30", "-1h", "99999999999999999999h", "9223372036854775807h"] {
            assert_eq!(seconds(broken), None, "{broken}");
        }
    }

    #[test]
    fn refusals_name_parameter_and_value() {
        let error = params("version=x").object_version("service").unwrap_err().message;
        assert!(error.starts_with("invalid service version 'x'"), "{error}");
        let error = params("limit=x").number::<u64>("limit").unwrap_err().message;
        assert_eq!(error, "invalid value \"x\" for limit: expected a whole number");
    }

    proptest! {
        #[test]
        fn any_query_is_read(query in "[a-z0-9=&%+.\\-]{0,40}", name in "[a-z]{1,3}") {
            let params = params(&query);
            let _ = params.flag(&name);
            let _ = params.number::<u32>(&name);
            let _ = params.filters(&["a"]);
            let _ = params.object_version("node");
        }

        #[test]
        fn any_text_is_a_time_or_refused(text in "\\PC{0,24}") {
            let _ = unix_time(&text);
        }

        #[test]
        fn times_survive(seconds in 0_i64..4_000_000_000, nanos in 0_i64..1_000_000_000) {
            let time = unix_time(&format!("{seconds}.{nanos:09}")).unwrap();
            prop_assert_eq!(time.unix_nanos(), i128::from(seconds) * 1_000_000_000 + i128::from(nanos));
        }
    }
}
