//! The messages of `GET /events`.

use serde::{Deserialize, Serialize};

use super::StringMap;
use super::json::unset;

/// Something that happened to an object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EventMessage {
    /// Old form of `Action`; the server fills it for containers and images.
    #[serde(skip_serializing_if = "unset")]
    pub status: String,
    /// Old form of `Actor.ID`; the server fills it for containers and images.
    #[serde(skip_serializing_if = "unset")]
    pub id: String,
    /// The container's image; the server fills it.
    #[serde(skip_serializing_if = "unset")]
    pub from: String,
    /// `container`, `image`, `network`, `volume`, `service`, `node`, `secret`, `config`, `daemon`...
    #[serde(rename = "Type")]
    pub kind: String,
    #[serde(rename = "Action")]
    pub action: String,
    #[serde(rename = "Actor")]
    pub actor: EventActor,
    /// `local` or `swarm`.
    #[serde(skip_serializing_if = "unset")]
    pub scope: String,
    /// Seconds since 1970.
    #[serde(skip_serializing_if = "unset")]
    pub time: i64,
    /// Nanoseconds since 1970.
    #[serde(rename = "timeNano", skip_serializing_if = "unset")]
    pub time_nano: i64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct EventActor {
    #[serde(rename = "ID")]
    pub id: String,
    pub attributes: StringMap,
}
