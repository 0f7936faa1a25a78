//! Mounts, as services and containers ask for them.

use serde::{Deserialize, Serialize};

use super::StringMap;
use super::container_spec::Empty;
use super::json::unset;
use super::task::Driver;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Mount {
    #[serde(rename = "Type", skip_serializing_if = "unset")]
    pub kind: Option<MountType>,
    /// Host path, volume name or image; empty for tmpfs and for a volume without a name.
    #[serde(skip_serializing_if = "unset")]
    pub source: String,
    /// Path in the container.
    #[serde(skip_serializing_if = "unset")]
    pub target: String,
    #[serde(skip_serializing_if = "unset")]
    pub read_only: bool,
    #[serde(skip_serializing_if = "unset")]
    pub consistency: String,
    #[serde(skip_serializing_if = "unset")]
    pub bind_options: Option<BindOptions>,
    #[serde(skip_serializing_if = "unset")]
    pub volume_options: Option<VolumeOptions>,
    #[serde(skip_serializing_if = "unset")]
    pub image_options: Option<ImageOptions>,
    #[serde(skip_serializing_if = "unset")]
    pub tmpfs_options: Option<TmpfsOptions>,
    #[serde(skip_serializing_if = "unset")]
    pub cluster_options: Option<ClusterOptions>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MountType {
    Bind,
    Volume,
    Tmpfs,
    /// Windows only.
    Npipe,
    Cluster,
    Image,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct BindOptions {
    /// `rprivate` when empty; `private`, `shared`, `slave` or with `r`.
    #[serde(skip_serializing_if = "unset")]
    pub propagation: String,
    #[serde(skip_serializing_if = "unset")]
    pub non_recursive: bool,
    #[serde(skip_serializing_if = "unset")]
    pub create_mountpoint: bool,
    #[serde(skip_serializing_if = "unset")]
    pub read_only_non_recursive: bool,
    #[serde(skip_serializing_if = "unset")]
    pub read_only_force_recursive: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct VolumeOptions {
    #[serde(skip_serializing_if = "unset")]
    pub no_copy: bool,
    #[serde(skip_serializing_if = "unset")]
    pub labels: StringMap,
    #[serde(skip_serializing_if = "unset")]
    pub subpath: String,
    #[serde(skip_serializing_if = "unset")]
    pub driver_config: Option<Driver>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ImageOptions {
    #[serde(skip_serializing_if = "unset")]
    pub subpath: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TmpfsOptions {
    #[serde(skip_serializing_if = "unset")]
    pub size_bytes: i64,
    /// Permission bits.
    #[serde(skip_serializing_if = "unset")]
    pub mode: u32,
    /// Options of mount(2): `[["noexec"], ["KEY", "VALUE"]]`.
    #[serde(skip_serializing_if = "unset")]
    pub options: Vec<Vec<String>>,
}

/// Nothing yet; says that the mount is a cluster volume.
pub type ClusterOptions = Empty;
