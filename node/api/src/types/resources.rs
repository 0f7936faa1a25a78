//! What tasks may use and what nodes have.

use serde::{Deserialize, Serialize};

use super::json::unset;

/// A task's limits and reservations.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ResourceRequirements {
    #[serde(skip_serializing_if = "unset")]
    pub limits: Option<Limit>,
    #[serde(skip_serializing_if = "unset")]
    pub reservations: Option<Resources>,
    #[serde(skip_serializing_if = "unset")]
    pub swap_bytes: Option<i64>,
    /// 0 to 100.
    #[serde(skip_serializing_if = "unset")]
    pub memory_swappiness: Option<i64>,
}

/// Upper bounds; zero is no bound.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Limit {
    /// Billionths of a CPU.
    #[serde(rename = "NanoCPUs", skip_serializing_if = "unset")]
    pub nano_cpus: i64,
    #[serde(skip_serializing_if = "unset")]
    pub memory_bytes: i64,
    #[serde(skip_serializing_if = "unset")]
    pub pids: i64,
}

/// What is reserved, or what a node has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Resources {
    /// Billionths of a CPU.
    #[serde(rename = "NanoCPUs", skip_serializing_if = "unset")]
    pub nano_cpus: i64,
    #[serde(skip_serializing_if = "unset")]
    pub memory_bytes: i64,
    #[serde(skip_serializing_if = "unset")]
    pub generic_resources: Vec<GenericResource>,
}

/// A kind of resource that the operator names; one of the two is set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct GenericResource {
    #[serde(skip_serializing_if = "unset")]
    pub named_resource_spec: Option<NamedGenericResource>,
    #[serde(skip_serializing_if = "unset")]
    pub discrete_resource_spec: Option<DiscreteGenericResource>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NamedGenericResource {
    #[serde(skip_serializing_if = "unset")]
    pub kind: String,
    #[serde(skip_serializing_if = "unset")]
    pub value: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DiscreteGenericResource {
    #[serde(skip_serializing_if = "unset")]
    pub kind: String,
    #[serde(skip_serializing_if = "unset")]
    pub value: i64,
}
