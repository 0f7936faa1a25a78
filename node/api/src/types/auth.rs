//! Credentials for registries.

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::{Deserialize, Serialize};

use super::json::{decode, unset};

/// Credentials for one registry, as the `X-Registry-Auth` header and `POST /auth` carry them.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AuthConfig {
    #[serde(skip_serializing_if = "unset")]
    pub username: String,
    #[serde(skip_serializing_if = "unset")]
    pub password: String,
    /// `USER:PASSWORD` in base64, in place of the two above.
    #[serde(skip_serializing_if = "unset")]
    pub auth: String,
    #[serde(rename = "serveraddress", skip_serializing_if = "unset")]
    pub server_address: String,
    #[serde(rename = "identitytoken", skip_serializing_if = "unset")]
    pub identity_token: String,
    #[serde(rename = "registrytoken", skip_serializing_if = "unset")]
    pub registry_token: String,
}

impl AuthConfig {
    /// Reads the header's value. What cannot be read counts as no credentials, as in Docker.
    #[must_use]
    pub fn from_header(value: &str) -> Self {
        URL_SAFE_LENIENT.decode(value).ok().and_then(|json| decode(&json).ok()).unwrap_or_default()
    }

    /// The header's value.
    #[must_use]
    pub fn to_header(&self) -> String {
        serde_json::to_vec(self).map(|json| URL_SAFE_LENIENT.encode(json)).unwrap_or_default()
    }
}

impl std::fmt::Debug for AuthConfig {
    /// Says for whom and where, never the secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuthConfig")
            .field("username", &self.username)
            .field("server_address", &self.server_address)
            .finish_non_exhaustive()
    }
}

/// The answer of `POST /auth`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AuthStatus {
    /// `Login Succeeded`.
    pub status: String,
    #[serde(skip_serializing_if = "unset")]
    pub identity_token: String,
}

/// Padding is written, and not asked for when reading: clients differ.
const URL_SAFE_LENIENT: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_round_trip_and_garbage() {
        let auth = AuthConfig { username: "ann".into(), password: "s3cret".into(), ..AuthConfig::default() };
        assert_eq!(AuthConfig::from_header(&auth.to_header()), auth);
        assert_eq!(AuthConfig::from_header(auth.to_header().trim_end_matches('=')), auth);
        assert_eq!(AuthConfig::from_header("e30="), AuthConfig::default());
        assert_eq!(AuthConfig::from_header("%%%"), AuthConfig::default());
        assert!(!format!("{auth:?}").contains("s3cret"));
    }
}
