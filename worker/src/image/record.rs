//! What is known of an image in the store: the model that inspect, list and the container's configuration read.
//!
//! Parsed once from the image's configuration (OCI and Docker share its form); past this door nothing is looked up in
//! JSON again. Unknown members are ignored, missing ones have the meaning that Docker gives them.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use super::{
    digest::{Digest, ImageId},
    error::ImageError,
    platform::Platform,
};

/// An image in the store.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageRecord {
    /// The digest of the configuration.
    pub id: ImageId,
    /// Names with tags, familiar form, sorted.
    pub repo_tags: Vec<String>,
    /// Names with digests, familiar form, sorted.
    pub repo_digests: Vec<String>,
    /// The manifest that it was pulled by; absent for some loaded images.
    pub manifest: Option<Descriptor>,
    /// When it was built, RFC 3339 as written by the builder; absent when unknown.
    pub created: Option<String>,
    /// Bytes of all layers when unpacked.
    pub size: u64,
    /// What it runs on.
    pub platform: Platform,
    /// Who built it.
    pub author: String,
    /// The builder's comment.
    pub comment: String,
    /// How its containers run.
    pub config: ContainerConfig,
    /// Digests of the uncompressed layers, bottom first.
    pub diff_ids: Vec<Digest>,
    /// How it was built, oldest first.
    pub history: Vec<HistoryEntry>,
    /// Seconds since 1970 when it last got a name.
    pub last_tag_time: i64,
}

impl ImageRecord {
    /// When it was built, in seconds since 1970; 0 when unknown.
    #[must_use]
    pub fn created_seconds(&self) -> i64 {
        seconds_of(self.created.as_deref().unwrap_or_default())
    }
}

/// A piece of content in a registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// Media type.
    pub media_type: String,
    /// Digest.
    pub digest: Digest,
    /// Bytes.
    pub size: u64,
}

/// How containers of an image run: the `config` member of its configuration, serialised under Docker's names.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ContainerConfig {
    /// User and group, by name or number; empty is root.
    #[serde(deserialize_with = "null_is_default")]
    pub user: String,
    /// Ports that the image says it listens on, as `80/tcp`.
    #[serde(deserialize_with = "keys_or_null", serialize_with = "keys_as_objects")]
    pub exposed_ports: Vec<String>,
    /// Environment, `NAME=value`.
    #[serde(deserialize_with = "null_is_default")]
    pub env: Vec<String>,
    /// Command prefix; `None` when the image sets none.
    #[serde(deserialize_with = "words_or_null")]
    pub entrypoint: Option<Vec<String>>,
    /// Default arguments; `None` when the image sets none.
    #[serde(deserialize_with = "words_or_null")]
    pub cmd: Option<Vec<String>>,
    /// Paths that get a volume.
    #[serde(deserialize_with = "keys_or_null", serialize_with = "keys_as_objects")]
    pub volumes: Vec<String>,
    /// Working directory; empty is `/`.
    #[serde(deserialize_with = "null_is_default")]
    pub working_dir: String,
    /// Labels.
    #[serde(deserialize_with = "null_is_default")]
    pub labels: BTreeMap<String, String>,
    /// Signal that asks its process to stop; empty is SIGTERM.
    #[serde(deserialize_with = "null_is_default")]
    pub stop_signal: String,
    /// Seconds that it is given to stop.
    pub stop_timeout: Option<i64>,
    /// How to tell whether it is well.
    pub healthcheck: Option<Healthcheck>,
    /// Shell of shell-form instructions.
    #[serde(deserialize_with = "words_or_null")]
    pub shell: Option<Vec<String>>,
    /// Build triggers.
    #[serde(deserialize_with = "words_or_null")]
    pub on_build: Option<Vec<String>>,
}

/// How to tell whether a container is well; times in nanoseconds, 0 is inherited or default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Healthcheck {
    /// `["NONE"]`, `["CMD", ...]` or `["CMD-SHELL", command]`.
    #[serde(deserialize_with = "null_is_default")]
    pub test: Vec<String>,
    /// Time between checks.
    pub interval: i64,
    /// Time that one check may take.
    pub timeout: i64,
    /// Time after start in which failures do not count.
    pub start_period: i64,
    /// Time between checks while starting.
    pub start_interval: i64,
    /// Failures in a row that mean unhealthy.
    pub retries: i64,
}

/// One step of an image's build.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HistoryEntry {
    /// RFC 3339.
    pub created: Option<String>,
    /// The instruction.
    #[serde(deserialize_with = "null_is_default")]
    pub created_by: String,
    /// Who.
    #[serde(deserialize_with = "null_is_default")]
    pub author: String,
    /// Remark.
    #[serde(deserialize_with = "null_is_default")]
    pub comment: String,
    /// It made no layer.
    pub empty_layer: bool,
}

/// An image's configuration as registries hold it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct ConfigDocument {
    #[serde(default)]
    pub(super) created: Option<String>,
    #[serde(default, deserialize_with = "null_is_default")]
    pub(super) author: String,
    #[serde(default, deserialize_with = "null_is_default")]
    pub(super) comment: String,
    #[serde(flatten)]
    pub(super) platform: Platform,
    #[serde(default, deserialize_with = "null_is_default")]
    pub(super) config: ContainerConfig,
    pub(super) rootfs: RootFs,
    #[serde(default, deserialize_with = "null_is_default")]
    pub(super) history: Vec<HistoryEntry>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct RootFs {
    #[serde(default, deserialize_with = "null_is_default")]
    pub(super) diff_ids: Vec<Digest>,
}

impl ConfigDocument {
    /// Parses a configuration.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, ImageError> {
        let mut document: Self = serde_json::from_slice(bytes)
            .map_err(|error| ImageError::malformed("image configuration", error.to_string()))?;
        if document.platform.os.is_empty() {
            document.platform.os = "linux".into();
        }
        if document.rootfs.diff_ids.len() > super::limits::LAYERS_MAX {
            let limit = format!("{} layers", super::limits::LAYERS_MAX);
            return Err(ImageError::TooLarge { what: "image", limit });
        }
        Ok(document)
    }
}

/// Seconds since 1970 of an RFC 3339 text; 0 when it is none, as Docker's zero time.
pub(super) fn seconds_of(text: &str) -> i64 {
    time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339)
        .map_or(0, time::OffsetDateTime::unix_timestamp)
}

/// Go writes `null` for empty values, and so do images built with it.
fn null_is_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

fn keys_or_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let map = Option::<BTreeMap<String, serde::de::IgnoredAny>>::deserialize(deserializer)?;
    Ok(map.unwrap_or_default().into_keys().collect())
}

fn keys_as_objects<S: serde::Serializer>(keys: &[String], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(keys.iter().map(|key| (key, serde_json::Map::new())))
}

/// Very old images hold one string where a list is meant.
fn words_or_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Words {
        Many(Vec<String>),
        One(String),
    }
    Ok(Option::<Words>::deserialize(deserializer)?.map(|words| match words {
        Words::Many(words) => words,
        Words::One(word) => vec![word],
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_docker_configuration_is_read_whole() {
        let text = r#"{"architecture":"arm64","os":"linux","variant":"v8","created":"2024-05-01T10:00:00.5Z","author":null,
            "config":{"User":"1000:1000","ExposedPorts":{"80/tcp":{},"53/udp":{}},"Env":["A=b"],"Entrypoint":["/e"],"Cmd":null,
            "Volumes":null,"WorkingDir":"/w","Labels":null,"StopSignal":"SIGINT","Unknown":1,
            "Healthcheck":{"Test":["CMD","true"],"Interval":1000000000}},
            "rootfs":{"type":"layers","diff_ids":["sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"]},
            "history":[{"created_by":"ADD x","empty_layer":true}]}"#;
        let document = ConfigDocument::parse(text.as_bytes()).unwrap();
        assert_eq!(document.platform.to_string(), "linux/arm64/v8");
        assert_eq!(document.config.exposed_ports, ["53/udp", "80/tcp"]);
        assert_eq!(
            (document.config.entrypoint.as_deref(), document.config.cmd.as_deref()),
            (Some(&["/e".to_owned()][..]), None)
        );
        assert_eq!(document.config.healthcheck.as_ref().unwrap().interval, 1_000_000_000);
        assert_eq!(seconds_of(document.created.as_deref().unwrap()), 1_714_557_600);
        assert!(document.history[0].empty_layer);
        let shown = serde_json::to_value(&document.config).unwrap();
        assert_eq!(shown["ExposedPorts"], serde_json::json!({"53/udp": {}, "80/tcp": {}}));
        assert_eq!(shown["StopSignal"], "SIGINT");
    }

    #[test]
    fn a_configuration_without_a_root_filesystem_is_refused() {
        for text in ["", "{}", "[]", r#"{"rootfs":{"diff_ids":["sha256:zz"]}}"#] {
            assert!(matches!(ConfigDocument::parse(text.as_bytes()), Err(ImageError::Malformed { .. })), "{text}");
        }
        assert!(ConfigDocument::parse(br#"{"rootfs":{}}"#).is_ok());
    }
}
