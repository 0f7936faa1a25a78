//! Identifiers: 25 characters of lower-case base 36 to people, 128 bits inside.
//!
//! Each kind of object has its own type, so that a task's id can't be passed for a node's. Ids are made from randomness
//! that is an input, never drawn here.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

const DIGITS: usize = 25;

/// The text is no identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not an identifier: 25 characters of 0-9 and a-z are expected")]
pub struct IdError(
    /// The text that was refused.
    pub String,
);

/// What all identifiers can do, for code that is generic over the kind of object.
pub trait Id: Copy + Ord + fmt::Display + FromStr<Err = IdError> {
    /// Makes an identifier of 128 random bits.
    fn from_random(bits: u128) -> Self;
}

fn format_base36(mut value: u128, out: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut digits = [b'0'; DIGITS];
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789abcdefghijklmnopqrstuvwxyz"[(value % 36) as usize];
        value /= 36;
    }
    out.pad(std::str::from_utf8(&digits).unwrap_or_default())
}

fn parse_base36(text: &str) -> Result<u128, IdError> {
    let refused = || IdError(text.to_owned());
    if text.len() != DIGITS {
        return Err(refused());
    }
    text.bytes().try_fold(0u128, |value, byte| {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'z' => byte - b'a' + 10,
            _ => return Err(refused()),
        };
        value.checked_mul(36).and_then(|shifted| shifted.checked_add(u128::from(digit))).ok_or_else(refused)
    })
}

macro_rules! identifiers {
    ($($(#[$text:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$text])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u128);

        impl Id for $name {
            fn from_random(bits: u128) -> Self {
                Self(bits)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                format_base36(self.0, out)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, out)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                parse_base36(text).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }
    )+};
}

identifiers! {
    /// Names a swarm.
    ClusterId,
    /// Names a node; also the common name of its certificate.
    NodeId,
    /// Names a service.
    ServiceId,
    /// Names a task; never used twice.
    TaskId,
    /// Names a network of the swarm.
    NetworkId,
    /// Names a secret or a config.
    PayloadId,
}

impl NodeId {
    /// The 128 bits, for what is derived from a node's identity.
    #[must_use]
    pub fn bits(self) -> u128 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn prints_and_parses(bits: u128) {
            let id = TaskId::from_random(bits);
            prop_assert_eq!(id.to_string().len(), 25);
            prop_assert_eq!(id.to_string().parse::<TaskId>(), Ok(id));
        }

        #[test]
        fn never_panics(text in ".*") {
            let _refused_or_not = text.parse::<NodeId>();
        }
    }

    #[test]
    fn refuses_what_is_too_large() {
        assert!("z".repeat(25).parse::<NodeId>().is_err());
    }
}
