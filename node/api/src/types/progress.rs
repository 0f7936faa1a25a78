//! Small answers that every area shares: errors, ids, and the messages of a progress stream.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::json::unset;

/// The body of every error.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ErrorResponse {
    pub message: String,
}

/// `{"Id": ...}`, the answer of exec create.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct IdResponse {
    pub id: String,
}

/// `{"ID": ...}`, the answer of secret and config create.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct UpperIdResponse {
    #[serde(rename = "ID")]
    pub id: String,
}

/// One message of the progress stream of pull and load.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ProgressMessage {
    /// A line to print as it is.
    #[serde(skip_serializing_if = "unset")]
    pub stream: String,
    #[serde(skip_serializing_if = "unset")]
    pub status: String,
    #[serde(skip_serializing_if = "unset")]
    pub progress_detail: Option<ProgressDetail>,
    /// The layer, or the tag.
    #[serde(skip_serializing_if = "unset")]
    pub id: String,
    #[serde(skip_serializing_if = "unset")]
    pub error_detail: Option<ErrorDetail>,
    /// The same text again, for old clients.
    #[serde(skip_serializing_if = "unset")]
    pub error: String,
    #[serde(skip_serializing_if = "unset")]
    pub aux: Option<Value>,
}

impl ProgressMessage {
    /// A line about the whole.
    #[must_use]
    pub fn status(status: impl Into<String>) -> Self {
        Self { status: status.into(), ..Self::default() }
    }

    /// A line about one layer, without a bar.
    #[must_use]
    pub fn layer(id: impl Into<String>, status: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            status: status.into(),
            progress_detail: Some(ProgressDetail::default()),
            ..Self::default()
        }
    }

    /// A line about one layer with a bar; both figures in bytes.
    #[must_use]
    pub fn layer_progress(id: impl Into<String>, status: impl Into<String>, current: u64, total: u64) -> Self {
        let detail = ProgressDetail {
            current: i64::try_from(current).unwrap_or(i64::MAX),
            total: i64::try_from(total).unwrap_or(i64::MAX),
            ..ProgressDetail::default()
        };
        Self { progress_detail: Some(detail), ..Self::layer(id, status) }
    }

    /// A line printed as it is; it should end in a newline.
    #[must_use]
    pub fn stream(line: impl Into<String>) -> Self {
        Self { stream: line.into(), ..Self::default() }
    }

    /// The last message of a stream that failed.
    #[must_use]
    pub fn failure(message: impl Into<String>) -> Self {
        let message = message.into();
        Self { error: message.clone(), error_detail: Some(ErrorDetail { code: 0, message }), ..Self::default() }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProgressDetail {
    #[serde(skip_serializing_if = "unset")]
    pub current: i64,
    #[serde(skip_serializing_if = "unset")]
    pub total: i64,
    #[serde(skip_serializing_if = "unset")]
    pub start: i64,
    #[serde(skip_serializing_if = "unset", rename = "hidecounts")]
    pub hide_counts: bool,
    /// Bytes when empty.
    #[serde(skip_serializing_if = "unset")]
    pub units: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ErrorDetail {
    #[serde(skip_serializing_if = "unset")]
    pub code: i64,
    pub message: String,
}
