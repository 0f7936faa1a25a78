//! Public keys of the tunnel that encrypted networks go through. The private halves never leave their node.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A public key of a node: Curve25519, as WireGuard has it. 64 hexadecimal digits to people.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TunnelKey(pub [u8; 32]);

/// The text is no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a key of 64 hexadecimal digits")]
pub struct TunnelKeyError(
    /// The text that was refused.
    pub String,
);

impl fmt::Display for TunnelKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

impl fmt::Debug for TunnelKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl FromStr for TunnelKey {
    type Err = TunnelKeyError;
    fn from_str(text: &str) -> Result<Self, TunnelKeyError> {
        let refused = || TunnelKeyError(text.to_owned());
        let digits = text.as_bytes();
        if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(refused());
        }
        let mut key = [0; 32];
        for (byte, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| refused())?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| refused())?;
        }
        Ok(Self(key))
    }
}

impl Serialize for TunnelKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TunnelKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn prints_and_parses(bytes: [u8; 32]) {
            let key = TunnelKey(bytes);
            prop_assert_eq!(key.to_string().parse(), Ok(key));
            let coded = crate::codec::encode(&key).unwrap();
            prop_assert_eq!(crate::codec::decode::<TunnelKey>(&coded).unwrap(), key);
        }
    }

    #[test]
    fn refuses_what_is_none() {
        for text in ["", "00", &"g".repeat(64), &"é".repeat(32), &"0".repeat(65)] {
            assert_eq!(text.parse::<TunnelKey>(), Err(TunnelKeyError((*text).to_owned())));
        }
    }
}
