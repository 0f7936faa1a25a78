//! Names of images: Docker's grammar, its normalisation, and the short forms that people see.
//!
//! Pure: no IO. Invariant: a [`Reference`] that exists is normalised (it has a registry, and a tag or a digest), so no
//! later code asks whether a name was complete. Messages are Docker's, since clients show and match them.

use std::{fmt, str::FromStr};

use super::digest::Digest;

/// A normalised name of an image: `docker.io/library/alpine:latest`, `host:5000/team/web@sha256:...`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl Reference {
    /// Reads a name as a person writes it; the tag `latest` is taken when it has neither tag nor digest.
    ///
    /// # Errors
    /// When the text is not a name by Docker's grammar.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        let mut reference = Self::parse_without_default_tag(text)?;
        if reference.tag.is_none() && reference.digest.is_none() {
            reference.tag = Some(DEFAULT_TAG.into());
        }
        Ok(reference)
    }

    /// As [`Reference::parse`], but leaves a bare name without a tag; such a value names a repository.
    pub(super) fn parse_without_default_tag(text: &str) -> Result<Self, ReferenceError> {
        if text.is_empty() {
            return Err(ReferenceError::Format);
        }
        if text.len() == 64 && text.bytes().all(super::digest::is_lower_hex) {
            return Err(ReferenceError::Identifier(text.into()));
        }
        let (registry, remainder) = split_registry(text);
        let remote = remainder.split(':').next().unwrap_or_default();
        if remote.chars().any(char::is_uppercase) {
            return Err(ReferenceError::UpperCase(remote.into()));
        }
        let (named, digest) = match remainder.split_once('@') {
            Some((named, digest)) => (named, Some(digest.parse().map_err(|_| ReferenceError::Format)?)),
            None => (remainder.as_str(), None),
        };
        let (repository, tag) = match named.split_once(':') {
            Some((repository, tag)) => (repository, Some(tag)),
            None => (named, None),
        };
        let sound = is_registry(&registry) && is_repository(repository) && tag.is_none_or(is_tag);
        if !sound {
            return Err(ReferenceError::Format);
        }
        if repository.len() > NAME_BYTES_MAX {
            return Err(ReferenceError::TooLong);
        }
        Ok(Self { registry, repository: repository.into(), tag: tag.map(str::to_owned), digest })
    }

    /// The registry's name, `docker.io` or `host:port`.
    #[must_use]
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The path in the registry, `library/alpine`.
    #[must_use]
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag, if one was named.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, if one was named; it decides when there is a tag as well.
    #[must_use]
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// Registry and path, without tag and digest: `docker.io/library/alpine`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    /// The name as people write it, without tag and digest: `alpine`.
    #[must_use]
    pub fn familiar_name(&self) -> String {
        if self.registry != DEFAULT_REGISTRY {
            return self.name();
        }
        match self.repository.strip_prefix(OFFICIAL_PREFIX) {
            Some(rest) if !rest.contains('/') => rest.into(),
            _ => self.repository.clone(),
        }
    }

    /// The whole reference as people write it: `alpine:latest`.
    #[must_use]
    pub fn familiar(&self) -> String {
        self.with_suffix(self.familiar_name())
    }

    /// The same repository at `digest`, without a tag.
    #[must_use]
    pub fn at_digest(&self, digest: Digest) -> Self {
        Self { tag: None, digest: Some(digest), ..self.clone() }
    }

    /// The same repository at `tag`, without a digest.
    ///
    /// # Errors
    /// When `tag` is not a tag by Docker's grammar.
    pub fn at_tag(&self, tag: &str) -> Result<Self, ReferenceError> {
        if !is_tag(tag) {
            return Err(ReferenceError::Tag(tag.into()));
        }
        Ok(Self { tag: Some(tag.into()), digest: None, ..self.clone() })
    }

    fn with_suffix(&self, mut text: String) -> String {
        if let Some(tag) = &self.tag {
            text.push(':');
            text.push_str(tag);
        }
        if let Some(digest) = &self.digest {
            text.push('@');
            text.push_str(digest.as_str());
        }
        text
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        Self::parse(text)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.with_suffix(self.name()))
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a text is not the name of an image; the wording is Docker's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// It breaks the grammar.
    #[error("invalid reference format")]
    Format,
    /// The repository's name has capital letters.
    #[error("invalid reference format: repository name ({0}) must be lowercase")]
    UpperCase(String),
    /// The repository's name is longer than registries take.
    #[error("invalid reference format: repository name must not be more than {NAME_BYTES_MAX} characters")]
    TooLong,
    /// It reads as the id of an image.
    #[error("invalid repository name ({0}), cannot specify 64-byte hexadecimal strings")]
    Identifier(String),
    /// A tag alone is malformed.
    #[error("invalid tag format: {0:?}")]
    Tag(String),
}

/// Docker's rule for telling a host from a path: a dot, a port, a capital letter, or `localhost`.
fn split_registry(text: &str) -> (String, String) {
    let (registry, remainder) = match text.split_once('/') {
        Some((first, rest))
            if first.contains(['.', ':']) || first == "localhost" || first.chars().any(char::is_uppercase) =>
        {
            (first, rest)
        }
        _ => (DEFAULT_REGISTRY, text),
    };
    let registry = if registry == LEGACY_REGISTRY { DEFAULT_REGISTRY } else { registry };
    let before_suffix = remainder.split(['@']).next().unwrap_or_default();
    if registry == DEFAULT_REGISTRY && !before_suffix.contains('/') {
        return (registry.into(), format!("{OFFICIAL_PREFIX}{remainder}"));
    }
    (registry.into(), remainder.into())
}

fn is_registry(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, port)) => {
                return !address.is_empty()
                    && address.bytes().all(|b| b.is_ascii_hexdigit() || b == b':')
                    && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port));
            }
            None => return false,
        },
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    port.is_none_or(is_port) && host.split('.').all(is_host_component)
}

fn is_port(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn is_host_component(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with('-')
        && !text.ends_with('-')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn is_repository(text: &str) -> bool {
    text.split('/').all(is_path_component)
}

/// Lower-case letters and digits, in runs parted by one dot, one or two underscores, or any number of dashes.
fn is_path_component(text: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = text.as_bytes();
    let ends_well = bytes.first().copied().is_some_and(is_word) && bytes.last().copied().is_some_and(is_word);
    let separators = text.split(|c: char| c.is_ascii() && is_word(c as u8)).filter(|run| !run.is_empty());
    ends_well && separators.into_iter().all(|run| matches!(run, "." | "_" | "__") || run.bytes().all(|b| b == b'-'))
}

fn is_tag(text: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let bytes = text.as_bytes();
    bytes.len() <= TAG_BYTES_MAX
        && bytes.first().copied().is_some_and(is_word)
        && bytes.iter().all(|&b| is_word(b) || matches!(b, b'.' | b'-'))
}

const DEFAULT_REGISTRY: &str = "docker.io";
const LEGACY_REGISTRY: &str = "index.docker.io";
const OFFICIAL_PREFIX: &str = "library/";
const DEFAULT_TAG: &str = "latest";
/// The grammar's own limits.
const NAME_BYTES_MAX: usize = 255;
const TAG_BYTES_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn names_are_normalised_as_docker_does() {
        let cases = [
            ("alpine", "docker.io/library/alpine:latest", "alpine:latest"),
            ("alpine:3.20", "docker.io/library/alpine:3.20", "alpine:3.20"),
            ("team/web", "docker.io/team/web:latest", "team/web:latest"),
            ("docker.io/alpine", "docker.io/library/alpine:latest", "alpine:latest"),
            ("index.docker.io/team/web:1", "docker.io/team/web:1", "team/web:1"),
            ("localhost/web", "localhost/web:latest", "localhost/web:latest"),
            ("localhost:5000/web:1", "localhost:5000/web:1", "localhost:5000/web:1"),
            ("127.0.0.1:5000/a/b/c", "127.0.0.1:5000/a/b/c:latest", "127.0.0.1:5000/a/b/c:latest"),
            ("[2001:db8::1]:5000/web", "[2001:db8::1]:5000/web:latest", "[2001:db8::1]:5000/web:latest"),
            ("Host/web", "Host/web:latest", "Host/web:latest"),
            ("a--b/c__d:x", "docker.io/a--b/c__d:x", "a--b/c__d:x"),
        ];
        for (text, whole, familiar) in cases {
            let reference = Reference::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!((reference.to_string().as_str(), reference.familiar().as_str()), (whole, familiar), "{text}");
        }
    }

    #[test]
    fn digests_stand_beside_tags() {
        let reference = Reference::parse(&format!("web:1@sha256:{HEX}")).unwrap();
        assert_eq!(reference.tag(), Some("1"));
        assert_eq!(reference.digest().unwrap().hex(), HEX);
        assert_eq!(reference.to_string(), format!("docker.io/library/web:1@sha256:{HEX}"));
        assert_eq!(reference.at_tag("2").unwrap().familiar(), "web:2");
        let bare = Reference::parse(&format!("h:1/web@sha256:{HEX}")).unwrap();
        assert_eq!((bare.tag(), bare.familiar()), (None, format!("h:1/web@sha256:{HEX}")));
    }

    #[test]
    fn malformed_names_are_refused_with_dockers_words() {
        for text in [
            "",
            ":1",
            "a:",
            "a::1",
            "-a",
            "a..b",
            "a_-b",
            "a/",
            "/a",
            "a//b",
            "a b",
            "a@",
            "a@sha256:1",
            "h:x/a",
            "a:.x",
            "é",
        ] {
            assert_eq!(Reference::parse(text).unwrap_err().to_string(), "invalid reference format", "{text:?}");
        }
        assert_eq!(
            Reference::parse("Web").unwrap_err().to_string(),
            "invalid reference format: repository name (library/Web) must be lowercase"
        );
        assert_eq!(
            Reference::parse(HEX).unwrap_err().to_string(),
            format!("invalid repository name ({HEX}), cannot specify 64-byte hexadecimal strings")
        );
        assert_eq!(Reference::parse(&format!("a/{}", "b".repeat(256))).unwrap_err(), ReferenceError::TooLong);
        assert!(Reference::parse(&format!("a:{}", "b".repeat(129))).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_refused_or_round_trips(text in "[a-zA-Z0-9._:/@\\-\\[\\]é ]{0,80}") {
            if let Ok(reference) = Reference::parse(&text) {
                prop_assert_eq!(&Reference::parse(&reference.to_string()).unwrap(), &reference);
                prop_assert_eq!(&Reference::parse(&reference.familiar()).unwrap(), &reference);
                prop_assert!(reference.tag().is_some() || reference.digest().is_some());
                prop_assert!(!reference.repository().contains(".."));
            }
        }

        #[test]
        fn well_formed_names_are_taken(
            host in "([a-z][a-z0-9]{0,8}\\.[a-z]{2,3}|localhost|10\\.0\\.0\\.[0-9]{1,2})(:[0-9]{1,5})?",
            path in "[a-z0-9]{1,8}([._]|__|-{1,3})[a-z0-9]{1,8}(/[a-z0-9]{1,8}){0,3}",
            tag in "[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}",
        ) {
            let reference = Reference::parse(&format!("{host}/{path}:{tag}")).unwrap();
            prop_assert_eq!(reference.registry(), host);
            prop_assert_eq!(reference.repository(), path);
            prop_assert_eq!(reference.tag(), Some(tag.as_str()));
        }
    }
}
