//! Join tokens: `SWMTKN-1-<root digest>-<secret>`.
//!
//! The digest lets a joining host check the root that a manager hands it before it believes anything; the secret lets
//! the managers check the host. Secrets are compared in constant time.

use std::fmt;
use std::str::FromStr;

use ring::{digest, hmac, rand::SystemRandom};
use shoal_proto::model::Sensitive;

const PREFIX: &str = "SWMTKN-1-";
/// A SHA-256 in base 36.
const DIGEST_DIGITS: usize = 50;
/// 16 bytes in base 36.
const SECRET_DIGITS: usize = 25;

/// A token, taken apart.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinToken {
    digest: String,
    secret: String,
}

/// The secret half of a new token, from 16 random bytes.
#[derive(Clone, Copy)]
pub struct TokenSecret(pub u128);

/// A token is none, or not of the swarm that it is shown to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The text has not the form of a token.
    #[error(
        "invalid join token: SWMTKN-1- and then 50, - and 25 characters of 0-9 and a-z are expected; \
         copy the whole token that 'swarm join-token' prints"
    )]
    Malformed,
    /// The root that a manager showed is not the one that the token names.
    #[error(
        "remote CA does not match fingerprint: the manager's root has the digest {found}, the join token says \
         {expected}; check the address and the token"
    )]
    RootMismatch {
        /// The digest in the token.
        expected: String,
        /// The digest of the root shown.
        found: String,
    },
}

impl JoinToken {
    /// The token that names `root_pem` and carries `secret`.
    #[must_use]
    pub fn new(root_pem: &str, secret: TokenSecret) -> Self {
        Self { digest: root_digest(root_pem), secret: base36(&secret.0.to_be_bytes(), SECRET_DIGITS) }
    }

    /// Checks the root that a manager showed against the digest. The root must be trusted exactly as shown.
    ///
    /// # Errors
    /// [`TokenError::RootMismatch`].
    pub fn verify_root(&self, root_pem: &str) -> Result<(), TokenError> {
        let found = root_digest(root_pem);
        if found == self.digest {
            Ok(())
        } else {
            Err(TokenError::RootMismatch { expected: self.digest.clone(), found })
        }
    }

    /// What the store keeps and people copy.
    #[must_use]
    pub fn to_text(&self) -> Sensitive {
        Sensitive(format!("{PREFIX}{}-{}", self.digest, self.secret))
    }

    /// Whether two tokens are one, in time that does not depend on where they differ.
    #[must_use]
    pub fn matches(presented: &str, stored: &Sensitive) -> bool {
        // A MAC under a key of the moment hides what is compared; ring compares MACs in constant time.
        let Ok(key) = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()) else { return false };
        let tag = hmac::sign(&key, stored.0.as_bytes());
        hmac::verify(&key, presented.as_bytes(), tag.as_ref()).is_ok()
    }
}

impl FromStr for JoinToken {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let rest = text.trim().strip_prefix(PREFIX).ok_or(TokenError::Malformed)?;
        let (digest, secret) = rest.split_once('-').ok_or(TokenError::Malformed)?;
        let base36 = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase());
        if digest.len() == DIGEST_DIGITS && secret.len() == SECRET_DIGITS && base36(digest) && base36(secret) {
            Ok(Self { digest: digest.to_owned(), secret: secret.to_owned() })
        } else {
            Err(TokenError::Malformed)
        }
    }
}

impl fmt::Debug for JoinToken {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "JoinToken({}-<hidden>)", self.digest)
    }
}

impl fmt::Debug for TokenSecret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("TokenSecret(<hidden>)")
    }
}

/// Over the text as it travels, without the white space around it.
fn root_digest(root_pem: &str) -> String {
    base36(digest::digest(&digest::SHA256, root_pem.trim().as_bytes()).as_ref(), DIGEST_DIGITS)
}

/// A big-endian number in base 36, padded with zeros on the left.
fn base36(number: &[u8], digits: usize) -> String {
    let mut number = number.to_vec();
    let mut text = vec![b'0'; digits];
    for digit in text.iter_mut().rev() {
        let mut remainder = 0u32;
        for byte in &mut number {
            let value = (remainder << 8) | u32::from(*byte);
            *byte = (value / 36) as u8;
            remainder = value % 36;
        }
        *digit = b"0123456789abcdefghijklmnopqrstuvwxyz"[remainder as usize];
    }
    text.into_iter().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn verifies_the_root_it_names() {
        let token = JoinToken::new("root\n", TokenSecret(5));
        let parsed: JoinToken = token.to_text().0.parse().unwrap();
        assert_eq!(parsed, token);
        assert_eq!(parsed.verify_root("root"), Ok(()));
        assert!(matches!(parsed.verify_root("root and another"), Err(TokenError::RootMismatch { .. })));
    }

    #[test]
    fn refuses_what_is_no_token() {
        let good = JoinToken::new("root", TokenSecret(5)).to_text().0;
        for bad in ["", "SWMTKN-1-", "SWMTKN-2-x-y", &good[1..], &good[..good.len() - 1], &good.to_uppercase()] {
            assert_eq!(bad.parse::<JoinToken>(), Err(TokenError::Malformed), "{bad}");
        }
    }

    #[test]
    fn compares_whole_tokens() {
        let stored = JoinToken::new("root", TokenSecret(5)).to_text();
        assert!(JoinToken::matches(&stored.0, &stored));
        assert!(!JoinToken::matches(&stored.0[1..], &stored));
        assert!(!JoinToken::matches(&JoinToken::new("root", TokenSecret(6)).to_text().0, &stored));
        assert!(!JoinToken::matches("", &stored));
    }

    #[test]
    fn writes_base_36_of_the_largest_numbers() {
        assert_eq!(base36(&[0xff; 16], 25), "f5lxx1zz5pnorynqglhzmsp33");
        assert_eq!(base36(&[0; 16], 25), "0".repeat(25));
    }

    proptest! {
        #[test]
        fn reads_what_it_writes(secret: u128, root: String) {
            let token = JoinToken::new(&root, TokenSecret(secret));
            prop_assert_eq!(token.to_text().0.parse::<JoinToken>(), Ok(token));
        }
    }
}
