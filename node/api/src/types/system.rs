//! The daemon's version and disk use.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::StringMap;
use super::container::ContainerSummary;
use super::image::ImageSummary;
use super::json::unset;
use super::volume::Volume;

/// `GET /version`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SystemVersion {
    pub platform: VersionPlatform,
    pub components: Vec<VersionComponent>,
    pub version: String,
    /// Highest API version; the server fills it.
    pub api_version: String,
    /// Lowest API version; the server fills it.
    #[serde(rename = "MinAPIVersion", skip_serializing_if = "unset")]
    pub min_api_version: String,
    pub git_commit: String,
    pub go_version: String,
    pub os: String,
    /// As Go says it: `amd64`.
    pub arch: String,
    #[serde(skip_serializing_if = "unset")]
    pub kernel_version: String,
    #[serde(skip_serializing_if = "unset")]
    pub experimental: bool,
    /// RFC 3339.
    #[serde(skip_serializing_if = "unset")]
    pub build_time: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct VersionPlatform {
    pub name: String,
}

/// A part of the daemon; the first is called `Engine`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct VersionComponent {
    pub name: String,
    pub version: String,
    /// `GitCommit`, `ApiVersion`, `MinAPIVersion`, `GoVersion`, `Os`, `Arch`, `BuildTime`, `KernelVersion`,
    /// `Experimental`.
    #[serde(skip_serializing_if = "unset")]
    pub details: StringMap,
}

/// `GET /system/df`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DiskUsage {
    /// Bytes.
    pub layers_size: i64,
    pub images: Vec<ImageSummary>,
    pub containers: Vec<ContainerSummary>,
    pub volumes: Vec<Volume>,
    /// Always empty: there is no builder.
    pub build_cache: Vec<Value>,
}
