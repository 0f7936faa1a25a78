//! Where a container's output is written.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A log in Docker's json-file format: one object a line, `{"log":"...\n","stream":"stdout","time":"..."}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogSpec {
    /// The current file; older ones are `<path>.1` (youngest), `<path>.2`, ... Its directory must exist.
    pub path: PathBuf,
    /// Rotate once the file holds this many bytes; never when absent.
    #[serde(default)]
    pub max_size: Option<u64>,
    /// How many files are kept, the current one included; at least 1.
    #[serde(default = "one")]
    pub max_files: u32,
    /// Written with every line as `"attrs"`, when there are any (labels and environment that the user asked to log).
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
}

fn one() -> u32 {
    1
}
