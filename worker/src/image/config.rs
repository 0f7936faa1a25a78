//! What the store and its registry client are told from outside: where to live, whom to trust, whom to ask.
//!
//! Parsed and checked once, here; the rest of the module sees only [`RegistryPolicy`]. Pure but for nothing: no IO.

use std::{fmt, net::IpAddr, path::PathBuf};

use base64::{
    Engine as _,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use hyper::Uri;
use serde::Deserialize;

use super::{error::ImageError, platform::Platform};

/// How the store is opened.
#[derive(Debug, Clone, Default)]
pub struct StoreConfig {
    /// The daemon's data root; the store lives in `image` below it and makes root filesystems in `container`.
    pub root: PathBuf,
    /// Registries that need no valid certificate and may speak plain HTTP: `host`, `host:port` or a CIDR.
    /// Addresses of this host itself are always among them, as in Docker.
    pub insecure_registries: Vec<String>,
    /// Mirrors of docker.io, asked first, in this order: `https://mirror.example`.
    pub mirrors: Vec<String>,
}

/// What one pull asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct PullOptions {
    /// Credentials for the registry.
    pub auth: Option<RegistryAuth>,
    /// The platform, when it is not the host's own.
    pub platform: Option<Platform>,
}

/// Credentials for a registry, as in Docker's `X-Registry-Auth`.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct RegistryAuth {
    /// User.
    pub username: String,
    /// Password.
    pub password: String,
    /// A refresh token that the registry's token service gave earlier.
    pub identity_token: String,
    /// A bearer token to send as it is.
    pub registry_token: String,
}

/// The JSON within `X-Registry-Auth`.
#[derive(Default, Deserialize)]
#[serde(default)]
struct AuthDocument {
    username: String,
    password: String,
    /// User and password in one, as docker's configuration file keeps them.
    auth: String,
    #[serde(rename = "identitytoken")]
    identity_token: String,
    #[serde(rename = "registrytoken")]
    registry_token: String,
}

impl RegistryAuth {
    /// Credentials of a user.
    #[must_use]
    pub fn basic(username: impl Into<String>, password: impl Into<String>) -> Self {
        Self { username: username.into(), password: password.into(), ..Self::default() }
    }

    /// Reads the value of `X-Registry-Auth` (base64 of JSON), also as a service's spec carries it. As in Docker, a value
    /// that is empty or cannot be read is no credentials.
    #[must_use]
    pub fn decode(header: &str) -> Option<Self> {
        // Clients differ in alphabet and padding.
        let portable: String = header
            .trim()
            .chars()
            .map(|c| {
                if c == '+' {
                    '-'
                } else if c == '/' {
                    '_'
                } else {
                    c
                }
            })
            .collect();
        let document: AuthDocument = serde_json::from_slice(&BASE64.decode(portable).ok()?).ok()?;
        let AuthDocument { mut username, mut password, auth: packed, identity_token, registry_token } = document;
        if username.is_empty() && !packed.is_empty() {
            let pair = String::from_utf8(base64::engine::general_purpose::STANDARD.decode(&packed).ok()?).ok()?;
            (username, password) = pair.split_once(':').map(|(name, word)| (name.to_owned(), word.to_owned()))?;
        }
        let auth = Self { username, password, identity_token, registry_token };
        (!auth.is_empty()).then_some(auth)
    }

    /// Whether there is nothing in it to send.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        [&self.username, &self.password, &self.identity_token, &self.registry_token].iter().all(|part| part.is_empty())
    }
}

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

impl fmt::Debug for RegistryAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryAuth").field("username", &self.username).finish_non_exhaustive()
    }
}

/// Whom the registry client trusts without a certificate, and whom it asks in place of docker.io.
#[derive(Debug, Clone, Default)]
pub(super) struct RegistryPolicy {
    insecure_hosts: Vec<String>,
    insecure_networks: Vec<Network>,
    pub(super) mirrors: Vec<Mirror>,
}

/// A mirror of docker.io.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mirror {
    pub(super) https: bool,
    /// `host` or `host:port`.
    pub(super) authority: String,
    /// Path before `/v2/`, without a slash at its end.
    pub(super) prefix: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    bits: u8,
}

impl RegistryPolicy {
    pub(super) fn parse(insecure: &[String], mirrors: &[String]) -> Result<Self, ImageError> {
        let mut policy = Self::default();
        for value in insecure {
            let text = value.trim_start_matches("http://").trim_start_matches("https://").trim_end_matches('/');
            if let Some(network) = Network::parse(text) {
                policy.insecure_networks.push(network);
            } else if is_authority(text) {
                policy.insecure_hosts.push(text.to_ascii_lowercase());
            } else {
                let remedy = "give host, host:port or a CIDR such as 10.0.0.0/8";
                return Err(ImageError::Configuration { field: "insecure registry", value: value.clone(), remedy });
            }
        }
        for value in mirrors {
            let remedy = "give a URL such as https://mirror.example, without user, query and fragment";
            let refusal = || ImageError::Configuration { field: "registry mirror", value: value.clone(), remedy };
            policy.mirrors.push(Mirror::parse(value).ok_or_else(refusal)?);
        }
        Ok(policy)
    }

    /// Whether a registry may be asked without a valid certificate; `addresses` are what its name resolves to.
    pub(super) fn is_insecure(&self, registry: &str, addresses: &[IpAddr]) -> bool {
        let host = host_of(registry);
        let literal = host.parse::<IpAddr>().ok();
        let is_local = |ip: &IpAddr| ip.is_loopback();
        self.insecure_hosts.iter().any(|known| known.eq_ignore_ascii_case(registry))
            || host == "localhost"
            || literal
                .iter()
                .chain(addresses)
                .any(|ip| is_local(ip) || self.insecure_networks.iter().any(|n| n.contains(*ip)))
    }

    /// Whether [`Self::is_insecure`] depends on what a name resolves to.
    pub(super) fn needs_addresses(&self) -> bool {
        !self.insecure_networks.is_empty()
    }
}

impl Mirror {
    fn parse(value: &str) -> Option<Self> {
        let uri: Uri = value.parse().ok()?;
        let https = match uri.scheme_str()? {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let authority = uri.authority()?.as_str();
        if !is_authority(authority) || uri.query().is_some() || value.contains('#') {
            return None;
        }
        Some(Self { https, authority: authority.to_ascii_lowercase(), prefix: uri.path().trim_end_matches('/').into() })
    }
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/')?;
        let address: IpAddr = address.parse().ok()?;
        let bits: u8 = bits.parse().ok()?;
        (bits <= if address.is_ipv4() { 32 } else { 128 }).then_some(Self { address, bits })
    }

    fn contains(self, ip: IpAddr) -> bool {
        match (self.address, ip.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(ip)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.bits)).unwrap_or(0);
                network.to_bits() & mask == ip.to_bits() & mask
            }
            (IpAddr::V6(network), IpAddr::V6(ip)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.bits)).unwrap_or(0);
                network.to_bits() & mask == ip.to_bits() & mask
            }
            _ => false,
        }
    }
}

/// The host of `host:port` or `[address]:port`.
pub(super) fn host_of(authority: &str) -> &str {
    match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => authority.split(':').next().unwrap_or_default(),
    }
}

fn is_authority(text: &str) -> bool {
    let parsed = text.parse::<hyper::http::uri::Authority>();
    parsed.is_ok_and(|a| !a.host().is_empty() && !text.contains('@') && !text.ends_with(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(insecure: &[&str], mirrors: &[&str]) -> Result<RegistryPolicy, ImageError> {
        let own = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        RegistryPolicy::parse(&own(insecure), &own(mirrors))
    }

    #[test]
    fn this_host_and_what_was_named_are_insecure() {
        let policy = policy(&["reg.example:5000", "10.1.0.0/16", "fd00::/8", "http://other.example"], &[]).unwrap();
        for registry in [
            "localhost",
            "localhost:5000",
            "127.0.0.1:5000",
            "127.9.9.9",
            "[::1]:5000",
            "reg.example:5000",
            "10.1.2.3:5",
            "[fd00::5]:1",
            "other.example",
        ] {
            assert!(policy.is_insecure(registry, &[]), "{registry}");
        }
        for registry in ["reg.example", "reg.example:5001", "10.2.0.1", "docker.io", "128.0.0.1"] {
            assert!(!policy.is_insecure(registry, &[]), "{registry}");
        }
        assert!(policy.is_insecure("named.example:5000", &["10.1.9.9".parse().unwrap()]));
    }

    #[test]
    fn malformed_options_are_named() {
        for bad in ["", "a b", "user@host", "10.0.0.0/33", "host:", "a/b"] {
            let error = policy(&[bad], &[]).unwrap_err().to_string();
            assert!(error.starts_with("invalid insecure registry"), "{bad}: {error}");
        }
        for bad in ["", "mirror.example", "ftp://m", "https://u@m", "https://m/?q", "https://m/#f"] {
            assert!(policy(&[], &[bad]).is_err(), "{bad}");
        }
        let mirrors = policy(&[], &["https://M.example:1/proxy/"]).unwrap().mirrors;
        assert_eq!(mirrors, [Mirror { https: true, authority: "m.example:1".into(), prefix: "/proxy".into() }]);
    }

    #[test]
    fn credentials_are_read_from_the_header_and_never_printed() {
        let encode = |text: &str| base64::engine::general_purpose::URL_SAFE.encode(text);
        let auth = RegistryAuth::decode(&encode(r#"{"username":"u","password":"se>cret?"}"#)).unwrap();
        assert_eq!((auth.username.as_str(), auth.password.as_str()), ("u", "se>cret?"));
        assert!(!format!("{auth:?}").contains("cret"));
        let packed = RegistryAuth::decode(&encode(r#"{"auth":"dTpw"}"#)).unwrap();
        assert_eq!(packed, RegistryAuth::basic("u", "p"));
        for nothing in ["", "e30=", "!!", &encode("null"), &encode("{\"username\":1}")] {
            assert_eq!(RegistryAuth::decode(nothing), None, "{nothing}");
        }
    }
}
