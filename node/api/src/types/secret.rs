//! Secrets and configs.

use serde::{Deserialize, Serialize};

use super::json::unset;
use super::swarm::Version;
use super::task::Driver;
use super::{Base64Bytes, StringMap, Timestamp};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Secret {
    #[serde(rename = "ID")]
    pub id: String,
    pub version: Version,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub spec: SecretSpec,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SecretSpec {
    #[serde(skip_serializing_if = "unset")]
    pub name: String,
    pub labels: StringMap,
    /// Never in answers.
    #[serde(skip_serializing_if = "unset")]
    pub data: Base64Bytes,
    #[serde(skip_serializing_if = "unset")]
    pub driver: Option<Driver>,
    #[serde(skip_serializing_if = "unset")]
    pub templating: Option<Driver>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Config {
    #[serde(rename = "ID")]
    pub id: String,
    pub version: Version,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub spec: ConfigSpec,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ConfigSpec {
    #[serde(skip_serializing_if = "unset")]
    pub name: String,
    pub labels: StringMap,
    #[serde(skip_serializing_if = "unset")]
    pub data: Base64Bytes,
    #[serde(skip_serializing_if = "unset")]
    pub templating: Option<Driver>,
}
