//! Manifests and indexes: what registries and archives describe images with, parsed once.
//!
//! Pure. OCI's and Docker's forms are one here. A document that could be read as both a manifest and an index is refused.

use serde::Deserialize;

use super::{error::ImageError, limits, platform::Platform, record::Descriptor};

/// The forms that we ask for, best first.
pub(super) const MEDIA_TYPES: [&str; 4] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
];

/// A document that a tag or digest stands for.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Document {
    Index(Vec<IndexEntry>),
    Manifest(Manifest),
}

/// An image for one platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Manifest {
    pub(super) config: Descriptor,
    /// Bottom first.
    pub(super) layers: Vec<Descriptor>,
}

/// One entry of an index.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct IndexEntry {
    #[serde(flatten)]
    pub(super) descriptor: Descriptor,
    pub(super) platform: Option<Platform>,
    #[serde(default)]
    pub(super) annotations: std::collections::BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    #[serde(default)]
    schema_version: u32,
    media_type: Option<String>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<IndexEntry>>,
}

impl Document {
    /// Parses a document; `media_type` is what its bearer called it, empty if nothing.
    pub(super) fn parse(bytes: &[u8], media_type: &str) -> Result<Self, ImageError> {
        let refused = |reason: String| ImageError::malformed("manifest", reason);
        let wire: Wire = serde_json::from_slice(bytes).map_err(|error| refused(error.to_string()))?;
        let named = wire.media_type.as_deref().unwrap_or(media_type);
        if wire.schema_version == 1 || named.contains("manifest.v1+") && named.contains("docker") {
            return Err(refused(
                "its form is Docker's schema 1, which is obsolete; push the image again with a current tool".into(),
            ));
        }
        if wire.schema_version != 2 {
            return Err(refused(format!("its schemaVersion is {}, not 2", wire.schema_version)));
        }
        match (wire.config, wire.layers, wire.manifests) {
            (None, None, Some(entries)) => {
                if entries.len() > limits::INDEX_ENTRIES_MAX {
                    let limit = format!("{} entries", limits::INDEX_ENTRIES_MAX);
                    return Err(ImageError::TooLarge { what: "manifest list", limit });
                }
                Ok(Self::Index(entries))
            }
            (Some(config), layers, None) => {
                let layers = layers.unwrap_or_default();
                if layers.len() > limits::LAYERS_MAX {
                    return Err(ImageError::TooLarge {
                        what: "image",
                        limit: format!("{} layers", limits::LAYERS_MAX),
                    });
                }
                Ok(Self::Manifest(Manifest { config, layers }))
            }
            _ => Err(refused("it is neither an image (config, layers) nor an index (manifests)".into())),
        }
    }
}

/// The entry of an index that serves a platform best.
pub(super) fn choose<'a>(entries: &'a [IndexEntry], wanted: &Platform) -> Result<&'a IndexEntry, ImageError> {
    let ranked = entries.iter().filter(|entry| entry.is_image()).filter_map(|entry| {
        // Archives of one image may leave the platform out.
        let rank = entry.platform.as_ref().map_or(Some(u8::MAX), |offered| wanted.rank(offered))?;
        Some((rank, entry))
    });
    ranked.min_by_key(|(rank, _)| *rank).map(|(_, entry)| entry).ok_or_else(|| ImageError::NoPlatform(wanted.clone()))
}

impl IndexEntry {
    /// Whether it is an image, and not something said about one (an attestation).
    pub(super) fn is_image(&self) -> bool {
        let is_attestation = self.annotations.contains_key("vnd.docker.reference.type");
        !is_attestation && MEDIA_TYPES.contains(&self.descriptor.media_type.as_str())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::image::digest::Digest;

    fn entry(name: &str, os: &str, architecture: &str) -> serde_json::Value {
        json!({"mediaType": MEDIA_TYPES[2], "digest": Digest::sha256(name.as_bytes()), "size": 1, "platform": {"os": os, "architecture": architecture}})
    }

    #[test]
    fn the_entry_for_the_platform_is_chosen() {
        let mut attestation = entry("c", "unknown", "unknown");
        attestation["annotations"] = json!({"vnd.docker.reference.type": "attestation-manifest"});
        let index = json!({"schemaVersion": 2, "manifests": [entry("a", "linux", "arm64"), attestation, entry("b", "linux", "amd64")]});
        let Document::Index(entries) = Document::parse(index.to_string().as_bytes(), "").unwrap() else {
            panic!("not an index")
        };
        let wanted: Platform = "linux/amd64".parse().unwrap();
        assert_eq!(choose(&entries, &wanted).unwrap().descriptor.digest, Digest::sha256(b"b"));
        let error = choose(&entries, &"linux/s390x".parse().unwrap()).unwrap_err();
        assert_eq!(error.to_string(), "no matching manifest for linux/s390x in the manifest list entries");
    }

    #[test]
    fn ambiguous_and_obsolete_documents_are_refused() {
        let config = json!({"mediaType": "c", "digest": Digest::sha256(b""), "size": 1});
        for (document, reason) in [
            (json!({"schemaVersion": 2, "config": config, "layers": [], "manifests": []}), "neither"),
            (json!({"schemaVersion": 2}), "neither"),
            (json!({"schemaVersion": 1, "fsLayers": []}), "schema 1"),
            (json!({"schemaVersion": 3, "config": config}), "schemaVersion is 3"),
            (json!([]), "invalid"),
        ] {
            let error = Document::parse(document.to_string().as_bytes(), "").unwrap_err().to_string();
            assert!(error.contains(reason), "{document}: {error}");
        }
    }
}
