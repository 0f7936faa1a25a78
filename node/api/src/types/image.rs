//! Images, and what a registry says of one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::container_spec::{Empty, HealthConfig};
use super::json::unset;
use super::{StringMap, Timestamp};

/// An entry of `GET /images/json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ImageSummary {
    /// `sha256:...`.
    pub id: String,
    pub parent_id: String,
    /// `NAME:TAG`; empty for an image without a name.
    pub repo_tags: Vec<String>,
    /// `NAME@sha256:...`.
    pub repo_digests: Vec<String>,
    /// Seconds since 1970.
    pub created: i64,
    /// Bytes.
    pub size: i64,
    /// Bytes shared with other images; -1 when not computed.
    pub shared_size: i64,
    /// The same as `Size`; the server fills it for clients before 1.44.
    #[serde(skip_serializing_if = "unset")]
    pub virtual_size: Option<i64>,
    pub labels: StringMap,
    /// -1 when not computed.
    pub containers: i64,
    #[serde(skip_serializing_if = "unset")]
    pub descriptor: Option<Descriptor>,
}

/// `GET /images/{name}/json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ImageInspect {
    pub id: String,
    pub repo_tags: Vec<String>,
    pub repo_digests: Vec<String>,
    pub parent: String,
    pub comment: String,
    #[serde(skip_serializing_if = "unset")]
    pub created: Option<Timestamp>,
    pub docker_version: String,
    pub author: String,
    pub config: ImageConfig,
    pub architecture: String,
    #[serde(skip_serializing_if = "unset")]
    pub variant: String,
    pub os: String,
    /// Bytes.
    pub size: i64,
    /// The same as `Size`; the server fills it for clients before 1.44.
    #[serde(skip_serializing_if = "unset")]
    pub virtual_size: Option<i64>,
    #[serde(rename = "RootFS")]
    pub root_fs: RootFs,
    pub metadata: ImageMetadata,
    #[serde(skip_serializing_if = "unset")]
    pub descriptor: Option<Descriptor>,
}

/// What an image gives its containers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ImageConfig {
    pub user: String,
    /// `80/tcp`.
    #[serde(skip_serializing_if = "unset")]
    pub exposed_ports: BTreeMap<String, Empty>,
    pub env: Vec<String>,
    pub entrypoint: Option<Vec<String>>,
    pub cmd: Option<Vec<String>>,
    #[serde(skip_serializing_if = "unset")]
    pub healthcheck: Option<HealthConfig>,
    #[serde(skip_serializing_if = "unset")]
    pub volumes: BTreeMap<String, Empty>,
    pub working_dir: String,
    pub labels: StringMap,
    #[serde(skip_serializing_if = "unset")]
    pub stop_signal: String,
    #[serde(skip_serializing_if = "unset")]
    pub shell: Vec<String>,
    #[serde(skip_serializing_if = "unset")]
    pub on_build: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RootFs {
    /// `layers`.
    #[serde(rename = "Type")]
    pub kind: String,
    /// Digests of the unpacked layers.
    #[serde(skip_serializing_if = "unset")]
    pub layers: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ImageMetadata {
    #[serde(skip_serializing_if = "unset")]
    pub last_tag_time: Option<Timestamp>,
}

/// A reference to content, as OCI writes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Descriptor {
    #[serde(skip_serializing_if = "unset")]
    pub media_type: String,
    #[serde(skip_serializing_if = "unset")]
    pub digest: String,
    /// Bytes.
    #[serde(skip_serializing_if = "unset")]
    pub size: i64,
    #[serde(skip_serializing_if = "unset")]
    pub annotations: StringMap,
    #[serde(skip_serializing_if = "unset")]
    pub platform: Option<OciPlatform>,
}

/// A platform, as OCI writes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OciPlatform {
    /// As Go says it: `amd64`.
    pub architecture: String,
    pub os: String,
    #[serde(rename = "os.version", skip_serializing_if = "unset")]
    pub os_version: String,
    #[serde(rename = "os.features", skip_serializing_if = "unset")]
    pub os_features: Vec<String>,
    #[serde(skip_serializing_if = "unset")]
    pub variant: String,
}

/// `GET /distribution/{name}/json`: what the registry has under a name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DistributionInspect {
    pub descriptor: Descriptor,
    pub platforms: Vec<OciPlatform>,
}

/// One line of the answer of `DELETE /images/{name}`; one of the two is set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ImageDeleteItem {
    #[serde(skip_serializing_if = "unset")]
    pub untagged: String,
    #[serde(skip_serializing_if = "unset")]
    pub deleted: String,
}
