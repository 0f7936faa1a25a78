//! Points in time as Go writes them: RFC 3339 with nanoseconds where there are any.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A point in time; the default is Go's zero time, `0001-01-01T00:00:00Z`, which means "not yet".
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub OffsetDateTime);

impl Timestamp {
    /// Go's zero time.
    pub const ZERO: Self = Self(time::macros::datetime!(0001-01-01 00:00:00 UTC));

    /// Whether this is Go's zero time.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        *self == Self::ZERO
    }

    /// From nanoseconds since 1970; `None` beyond year 9999.
    #[must_use]
    pub fn from_unix_nanos(nanos: i128) -> Option<Self> {
        OffsetDateTime::from_unix_timestamp_nanos(nanos).ok().map(Self)
    }

    /// Nanoseconds since 1970, negative before.
    #[must_use]
    pub fn unix_nanos(&self) -> i128 {
        self.0.unix_timestamp_nanos()
    }
}

impl Default for Timestamp {
    fn default() -> Self {
        Self::ZERO
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.format(&Rfc3339).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Timestamp {
    type Err = time::error::Parse;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        OffsetDateTime::parse(text, &Rfc3339).map(Self)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.format(&Rfc3339).map_err(ser::Error::custom)?)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        if text.is_empty() {
            return Ok(Self::ZERO);
        }
        text.parse().map_err(|error| {
            de::Error::custom(format_args!(
                "invalid time {text:?}: {error}; expected RFC 3339 such as 2026-01-02T15:04:05Z"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_as_go_does() {
        assert_eq!(serde_json::to_string(&Timestamp::ZERO).unwrap(), "\"0001-01-01T00:00:00Z\"");
        let half = Timestamp::from_unix_nanos(1_500_000_000).unwrap();
        assert_eq!(half.to_string(), "1970-01-01T00:00:01.5Z");
        assert_eq!(serde_json::from_str::<Timestamp>("\"1970-01-01T02:00:01.5+02:00\"").unwrap(), half);
        assert!(serde_json::from_str::<Timestamp>("\"yesterday\"").is_err());
    }
}
