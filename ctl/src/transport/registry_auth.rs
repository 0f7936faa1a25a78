//! Credentials for registries, from docker's own file (`$DOCKER_CONFIG/config.json`, else `~/.docker/config.json`).
//!
//! Owns finding the registry of an image and encoding its credentials as the `X-Registry-Auth` header wants them.
//! Credentials kept by an outside credential helper are left alone: shoal runs no other program.

use std::collections::BTreeMap;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use shoal_api::types::AuthConfig;

use crate::error::Error;

/// The header's value for an image; credentials are empty when there are none for its registry.
pub(crate) fn for_image(image: &str) -> Result<String, Error> {
    let registry = registry_of(image);
    let entry = match config_path() {
        Some(path) => read(path)?.auths.remove(registry),
        None => None,
    };
    Ok(encoded(entry.unwrap_or_default(), registry))
}

/// The registry that an image reference names; docker's own when it names none.
fn registry_of(image: &str) -> &str {
    match image.split_once('/') {
        Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => first,
        _ => DOCKER_HUB,
    }
}

fn config_path() -> Option<PathBuf> {
    let folder = match std::env::var_os("DOCKER_CONFIG") {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from(std::env::var_os("HOME")?).join(".docker"),
    };
    Some(folder.join("config.json"))
}

fn read(path: PathBuf) -> Result<Config, Error> {
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(source) if source.kind() == std::io::ErrorKind::NotFound => return Ok(Config::default()),
        Err(source) => return Err(Error::ReadFile { path, source }),
    };
    serde_json::from_slice(&bytes).map_err(|source| Error::ReadFile { path, source: source.into() })
}

fn encoded(entry: AuthConfig, registry: &str) -> String {
    let pair = STANDARD.decode(&entry.auth).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let (username, password) = match pair.as_deref().and_then(|pair| pair.split_once(':')) {
        Some((username, password)) => (username.to_owned(), password.trim_end_matches('\0').to_owned()),
        None => (entry.username, entry.password),
    };
    let mut header = AuthConfig { username, password, auth: String::new(), ..entry };
    if header != AuthConfig::default() {
        header.server_address = registry.to_owned();
    }
    header.to_header()
}

#[derive(Default, Deserialize)]
struct Config {
    #[serde(default)]
    auths: BTreeMap<String, AuthConfig>,
}

/// The header that carries credentials.
pub(crate) const HEADER: &str = "x-registry-auth";

/// The key of Docker Hub in docker's file.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registry_is_the_first_part_when_it_looks_like_a_host() {
        assert_eq!(registry_of("alpine:latest"), DOCKER_HUB);
        assert_eq!(registry_of("library/alpine"), DOCKER_HUB);
        assert_eq!(registry_of("10.0.0.6:5000/web:1"), "10.0.0.6:5000");
        assert_eq!(registry_of("localhost/web"), "localhost");
    }

    #[test]
    fn credentials_are_decoded_and_sent_on() {
        let entry = AuthConfig { auth: STANDARD.encode("me:se:cret"), ..AuthConfig::default() };
        let sent = AuthConfig::from_header(&encoded(entry, "r:5000"));
        assert_eq!((sent.username.as_str(), sent.password.as_str()), ("me", "se:cret"));
        assert_eq!(sent.server_address, "r:5000");
        assert_eq!(encoded(AuthConfig::default(), "r:5000"), "e30=");
    }
}
