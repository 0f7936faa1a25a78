//! Platforms of images: the host's own, parsing `os/arch/variant`, and choosing among the entries of an index.
//!
//! Pure: no IO. Architecture names are Go's, as everywhere in registries.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// An operating system and a processor, as registries name them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Platform {
    /// `linux`.
    #[serde(default)]
    pub os: String,
    /// `amd64`, `arm64`, `arm`, ...; empty means any.
    #[serde(default)]
    pub architecture: String,
    /// `v7`, `v8`; empty when the architecture has no variants or any will do.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub variant: String,
}

impl Platform {
    /// The platform of this host.
    #[must_use]
    pub fn host() -> Self {
        let (architecture, variant) = normalise(std::env::consts::ARCH, "");
        Self { os: "linux".into(), architecture, variant }
    }

    /// How well an image made for `offered` runs where `self` is wanted: lower is better, `None` is not at all.
    #[must_use]
    pub fn rank(&self, offered: &Self) -> Option<u8> {
        if !self.os.eq_ignore_ascii_case(&offered.os) {
            return None;
        }
        let (wanted, wanted_variant) = normalise(&self.architecture, &self.variant);
        let (given, given_variant) = normalise(&offered.architecture, &offered.variant);
        if wanted.is_empty() {
            return Some(0);
        }
        if wanted != given {
            return None;
        }
        if wanted_variant == given_variant || wanted_variant.is_empty() {
            return Some(0);
        }
        match (wanted.as_str(), level(&wanted_variant), level(&given_variant)) {
            // A processor runs what was built for an older one of its family.
            ("arm" | "amd64", Some(have), Some(need)) if need <= have => Some(have - need),
            ("amd64", Some(have), None) if given_variant.is_empty() => Some(have),
            _ => None,
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.os)?;
        for part in [&self.architecture, &self.variant] {
            if !part.is_empty() {
                write!(f, "/{part}")?;
            }
        }
        Ok(())
    }
}

/// Why a text is not a platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid platform {0:?}: write it as os/architecture or os/architecture/variant, for example linux/amd64")]
pub struct PlatformError(pub String);

impl FromStr for Platform {
    type Err = PlatformError;

    fn from_str(text: &str) -> Result<Self, PlatformError> {
        let parts: Vec<&str> = text.split('/').collect();
        let sound = |part: &&str| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
        };
        if parts.len() > 3 || !parts.iter().all(sound) {
            return Err(PlatformError(text.into()));
        }
        let host = Self::host();
        let part = |at: usize| parts.get(at).map_or_else(String::new, |part| part.to_ascii_lowercase());
        if parts.len() == 1 {
            let first = part(0);
            // One word is an operating system, or an architecture of this host's operating system.
            return Ok(if matches!(first.as_str(), "linux" | "windows" | "freebsd" | "darwin") {
                Self { os: first, ..host }
            } else {
                let (architecture, variant) = normalise(&first, "");
                Self { os: host.os, architecture, variant }
            });
        }
        let (architecture, variant) = normalise(&part(1), &part(2));
        Ok(Self { os: part(0), architecture, variant })
    }
}

/// Go's name of an architecture, and the variant that it implies.
fn normalise(architecture: &str, variant: &str) -> (String, String) {
    let architecture = architecture.to_ascii_lowercase();
    let variant = variant.to_ascii_lowercase();
    let (name, implied) = match architecture.as_str() {
        "x86_64" | "x86-64" | "amd64" => ("amd64", if variant == "v1" { "" } else { variant.as_str() }),
        "i386" | "i486" | "i586" | "i686" | "x86" | "386" => ("386", ""),
        "aarch64" | "arm64" => ("arm64", if matches!(variant.as_str(), "8" | "v8") { "" } else { variant.as_str() }),
        "armhf" => ("arm", "v7"),
        "armel" => ("arm", "v6"),
        "arm" => ("arm", if variant.is_empty() { "v7" } else { variant.as_str() }),
        "powerpc64le" => ("ppc64le", variant.as_str()),
        other => (other, variant.as_str()),
    };
    (name.into(), implied.into())
}

fn level(variant: &str) -> Option<u8> {
    variant.strip_prefix('v')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform(text: &str) -> Platform {
        text.parse().unwrap()
    }

    #[test]
    fn platforms_parse_and_print() {
        assert_eq!(platform("linux/x86_64").to_string(), "linux/amd64");
        assert_eq!(platform("linux/arm64/v8").to_string(), "linux/arm64");
        assert_eq!(platform("arm").to_string(), "linux/arm/v7");
        assert_eq!(platform("linux/arm/v6").to_string(), "linux/arm/v6");
        for bad in ["", "/", "linux/", "a/b/c/d", "linux/amd64 ", "linux/\u{e9}"] {
            assert!(bad.parse::<Platform>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_older_variant_serves_a_newer_processor_only() {
        assert_eq!(platform("linux/amd64").rank(&platform("linux/amd64")), Some(0));
        assert_eq!(platform("linux/amd64").rank(&platform("linux/arm64")), None);
        assert_eq!(platform("linux/amd64").rank(&platform("windows/amd64")), None);
        assert_eq!(platform("linux/arm/v7").rank(&platform("linux/arm/v6")), Some(1));
        assert_eq!(platform("linux/arm/v6").rank(&platform("linux/arm/v7")), None);
        assert_eq!(platform("linux/arm64").rank(&platform("linux/arm64/v8")), Some(0));
    }
}
