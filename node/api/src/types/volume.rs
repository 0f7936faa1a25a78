//! Volumes of this host.

use serde::{Deserialize, Serialize};

use super::StringMap;
use super::json::unset;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Volume {
    /// RFC 3339.
    #[serde(skip_serializing_if = "unset")]
    pub created_at: String,
    pub driver: String,
    pub labels: StringMap,
    pub mountpoint: String,
    pub name: String,
    pub options: Option<StringMap>,
    /// `local` or `global`.
    pub scope: String,
    #[serde(skip_serializing_if = "unset")]
    pub usage_data: Option<VolumeUsage>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct VolumeUsage {
    /// -1 when not known.
    pub ref_count: i64,
    /// Bytes; -1 when not known.
    pub size: i64,
}

/// `GET /volumes`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct VolumeListResponse {
    pub volumes: Vec<Volume>,
    pub warnings: Option<Vec<String>>,
}

/// `POST /volumes/create`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct VolumeCreateRequest {
    #[serde(skip_serializing_if = "unset")]
    pub name: String,
    #[serde(skip_serializing_if = "unset")]
    pub driver: String,
    #[serde(skip_serializing_if = "unset")]
    pub driver_opts: StringMap,
    #[serde(skip_serializing_if = "unset")]
    pub labels: StringMap,
}
