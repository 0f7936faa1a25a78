//! Proving to a registry who one is: reading its challenge, and getting a token from the service that it names.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hyper::{
    HeaderMap, Uri,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE},
};
use serde::Deserialize;

use super::{
    answer::{self, Refusal},
    transport::{NoAnswer, Transport, authority_of},
};
use crate::image::{
    config::{RegistryAuth, RegistryPolicy},
    error::ImageError,
    limits,
};

/// The value of an `Authorization` header; never printed.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Authorization(HeaderValue);

impl fmt::Debug for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authorization")
    }
}

impl Authorization {
    pub(super) fn bearer(token: &str) -> Option<Self> {
        Self::new(&format!("Bearer {token}"))
    }

    fn basic(auth: &RegistryAuth) -> Option<Self> {
        Self::new(&format!("Basic {}", STANDARD.encode(format!("{}:{}", auth.username, auth.password))))
    }

    fn new(text: &str) -> Option<Self> {
        let mut value = HeaderValue::from_str(text).ok()?;
        value.set_sensitive(true);
        Some(Self(value))
    }

    pub(super) fn apply(&self, headers: &mut HeaderMap) {
        headers.insert(AUTHORIZATION, self.0.clone());
    }
}

/// What a registry wants to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    Basic,
    Bearer { realm: String, service: String, scope: String },
}

impl Challenge {
    /// The challenge of a 401 answer; bearer is taken when several are offered.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let offered = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| Self::parse(value.to_str().ok()?));
        offered.max_by_key(|challenge| matches!(challenge, Self::Bearer { .. }))
    }

    fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
        match scheme.to_ascii_lowercase().as_str() {
            "basic" => Some(Self::Basic),
            "bearer" => {
                let parameters = parameters(rest);
                let of = |key: &str| parameters.iter().find(|(name, _)| name == key).map(|(_, value)| value.clone());
                Some(Self::Bearer {
                    realm: of("realm")?,
                    service: of("service").unwrap_or_default(),
                    scope: of("scope").unwrap_or_default(),
                })
            }
            _ => None,
        }
    }
}

/// Who asks whom, for a token.
#[derive(Debug)]
pub(super) struct Asker<'a> {
    pub(super) transport: &'a Transport,
    pub(super) policy: &'a RegistryPolicy,
    pub(super) registry: &'a str,
    /// Path of the repository.
    pub(super) repository: &'a str,
    pub(super) auth: Option<&'a RegistryAuth>,
}

impl Asker<'_> {
    /// Answers a challenge; `None` when there is nothing to answer it with.
    pub(super) async fn answer(&self, challenge: &Challenge) -> Result<Option<Authorization>, NoAnswer> {
        match challenge {
            Challenge::Basic => Ok(self.user().and_then(Authorization::basic)),
            Challenge::Bearer { realm, service, scope } => self.token(realm, service, scope).await,
        }
    }

    async fn token(&self, realm: &str, service: &str, scope: &str) -> Result<Option<Authorization>, NoAnswer> {
        let url: Uri = realm.parse().map_err(|_| self.broken(format!("its token service {realm:?} is not a URL")))?;
        let host = authority_of(&url).to_owned();
        let insecure = self.policy.is_insecure(&host, &[]);
        match url.scheme_str() {
            Some("https") => {}
            Some("http") if insecure || self.auth.is_none() || self.policy.is_insecure(self.registry, &[]) => {}
            _ => return Err(self.broken(format!("credentials are not sent to {realm:?}, which is not HTTPS"))),
        }
        let own_scope = format!("repository:{}:pull", self.repository);
        let scope = if scope.is_empty() { own_scope.as_str() } else { scope };
        let refresh = self.auth.map(|auth| auth.identity_token.as_str()).filter(|token| !token.is_empty());
        let response = match refresh {
            Some(refresh) => {
                let form = query(&[
                    ("grant_type", "refresh_token"),
                    ("service", service),
                    ("client_id", "shoal"),
                    ("scope", scope),
                    ("refresh_token", refresh),
                ]);
                let mut headers = HeaderMap::new();
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
                self.transport.exchange(&url, headers, Some(form), insecure).await?
            }
            None => {
                let mut pairs = vec![("service", service), ("scope", scope)];
                let mut headers = HeaderMap::new();
                if let Some(auth) = self.user() {
                    pairs.push(("account", &auth.username));
                    if let Some(basic) = Authorization::basic(auth) {
                        basic.apply(&mut headers);
                    }
                }
                let separator = if realm.contains('?') { '&' } else { '?' };
                let url = format!("{realm}{separator}{}", query(&pairs));
                let url: Uri =
                    url.parse().map_err(|_| self.broken(format!("its token service {realm:?} is not a URL")))?;
                self.transport.exchange(&url, headers, None, insecure).await?
            }
        };
        if !response.status().is_success() {
            return Err(self.refused(&host, Refusal::read(&host, response).await));
        }
        let body = answer::read(&host, "token", response.into_body(), limits::ANSWER_BYTES_MAX).await;
        let body = body.map_err(NoAnswer::from)?;
        let token: TokenAnswer =
            serde_json::from_slice(&body).map_err(|_| self.broken("its token service gave no token".into()))?;
        let text = if token.token.is_empty() { token.access_token } else { token.token };
        match Authorization::bearer(&text) {
            Some(authorization) if !text.is_empty() => Ok(Some(authorization)),
            _ => Err(self.broken("its token service gave no token".into())),
        }
    }

    fn user(&self) -> Option<&RegistryAuth> {
        self.auth.filter(|auth| !auth.username.is_empty() || !auth.password.is_empty())
    }

    fn refused(&self, host: &str, refusal: Refusal) -> NoAnswer {
        let registry = self.registry.to_owned();
        let error = match refusal.status.as_u16() {
            401 | 403 if self.auth.is_some() => ImageError::Unauthorized { registry, detail: refusal.detail },
            _ => refusal.error(host, self.repository, "a request for a token", None),
        };
        NoAnswer::from(error)
    }

    fn broken(&self, reason: String) -> NoAnswer {
        NoAnswer::from(ImageError::Protocol { registry: self.registry.into(), reason })
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct TokenAnswer {
    token: String,
    access_token: String,
}

/// `key="value", key=value`; values may hold commas when quoted.
fn parameters(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((key, after)) = rest.split_once('=') {
        let key = key.trim_matches([' ', ',', '\t']).to_ascii_lowercase();
        let value = match after.strip_prefix('"') {
            Some(quoted) => {
                let mut value = String::new();
                let mut characters = quoted.char_indices();
                let mut end = quoted.len();
                while let Some((at, character)) = characters.next() {
                    match character {
                        '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
                        '"' => {
                            end = at + 1;
                            break;
                        }
                        other => value.push(other),
                    }
                }
                rest = &quoted[end..];
                value
            }
            None => {
                let end = after.find(',').unwrap_or(after.len());
                rest = &after[end..];
                after[..end].trim().to_owned()
            }
        };
        found.push((key, value));
    }
    found
}

/// Pairs as a query or form.
fn query(pairs: &[(&str, &str)]) -> String {
    let filled = pairs.iter().filter(|(_, value)| !value.is_empty());
    filled.map(|(key, value)| format!("{key}={}", escape(value))).collect::<Vec<_>>().join("&")
}

fn escape(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read() {
        let text = r#"Bearer realm="https://auth.example/token?a=b",service="registry.example", scope="repository:a/b:pull,push" , error=invalid"#;
        let expected = Challenge::Bearer {
            realm: "https://auth.example/token?a=b".into(),
            service: "registry.example".into(),
            scope: "repository:a/b:pull,push".into(),
        };
        assert_eq!(Challenge::parse(text), Some(expected));
        assert_eq!(Challenge::parse("Basic realm=\"x\""), Some(Challenge::Basic));
        assert_eq!(Challenge::parse("basic"), Some(Challenge::Basic));
        for nothing in ["", "Bearer", "Bearer service=x", "Negotiate"] {
            assert_eq!(Challenge::parse(nothing), None, "{nothing}");
        }
        assert_eq!(query(&[("a", "b c:&é"), ("empty", "")]), "a=b%20c%3A%26%C3%A9");
    }

    proptest::proptest! {
        #[test]
        fn any_challenge_ends_without_panic(text in "(Bearer )?[a-z=\", \\\\é]{0,60}") {
            let _ = Challenge::parse(&text);
        }
    }
}
