//! What a registry's refusal means.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::{
    Response, StatusCode,
    body::Incoming,
    header::{HeaderMap, RETRY_AFTER},
};
use serde::Deserialize;

use crate::image::{error::ImageError, limits};

/// Reads a body that is held in memory, at most `limit` bytes.
pub(super) async fn read(registry: &str, what: &'static str, body: Incoming, limit: u64) -> Result<Bytes, ImageError> {
    let limited = http_body_util::Limited::new(body, usize::try_from(limit).unwrap_or(usize::MAX));
    match tokio::time::timeout(limits::STALL_TIMEOUT, limited.collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            Err(ImageError::TooLarge { what, limit: format!("{limit} bytes") })
        }
        Ok(Err(error)) => Err(broken(registry, what, error.into())),
        Err(_) => {
            let seconds = limits::STALL_TIMEOUT.as_secs();
            Err(ImageError::Stalled { registry: registry.into(), action: "reading its answer", seconds })
        }
    }
}

/// A connection that broke while an answer was read.
pub(super) fn broken(registry: &str, what: &str, source: crate::image::error::SharedSource) -> ImageError {
    ImageError::Unreachable { registry: registry.into(), url: what.into(), hint: " any more", source }
}

/// A refusal: status, the registry's own code, and its words.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    /// `MANIFEST_UNKNOWN` and the like; empty when it gave none.
    pub(super) code: String,
    pub(super) detail: String,
    /// When it asks to be asked again.
    pub(super) retry_after: Option<Duration>,
}

impl Refusal {
    pub(super) async fn read(registry: &str, response: Response<Incoming>) -> Self {
        let (head, body) = response.into_parts();
        // The status alone must do when its explanation does not arrive.
        let bytes = read(registry, "error answer", body, limits::ANSWER_BYTES_MAX).await.unwrap_or_default();
        let first = serde_json::from_slice::<ErrorAnswer>(&bytes).unwrap_or_default().errors.into_iter().next();
        let first = first.unwrap_or_default();
        let reason = head.status.canonical_reason().unwrap_or("an error");
        let detail = match (first.code.as_str(), first.message.as_str()) {
            ("", "") => reason.to_owned(),
            ("", message) => message.to_owned(),
            (code, "") => code.to_lowercase(),
            (code, message) => format!("{}: {message}", code.to_lowercase().replace('_', " ")),
        };
        let detail = detail.chars().take(DETAIL_CHARS_MAX).collect();
        Self { status: head.status, code: first.code, detail, retry_after: retry_after(&head.headers) }
    }

    /// Whether the same request may succeed later.
    pub(super) fn is_transient(&self) -> bool {
        matches!(self.status.as_u16(), 408 | 429 | 500 | 502 | 503 | 504)
    }

    /// The error for a request about content in `repository` (familiar name); `wanted` is the manifest asked for.
    pub(super) fn error(&self, registry: &str, repository: &str, request: &str, wanted: Option<&str>) -> ImageError {
        let (registry, detail) = (registry.to_owned(), self.detail.clone());
        match (self.status.as_u16(), self.code.as_str(), wanted) {
            (429, _, _) => ImageError::RateLimited { registry, detail },
            (401 | 403, _, _) | (404, "NAME_UNKNOWN", _) => {
                ImageError::AccessDenied { name: repository.into(), detail }
            }
            (404, _, Some(reference)) => ImageError::ManifestUnknown(reference.into()),
            (status, _, _) => ImageError::Refused { registry, request: request.into(), status, detail },
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ErrorAnswer {
    errors: Vec<ErrorItem>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ErrorItem {
    code: String,
    message: String,
}

/// `Retry-After` in seconds; the form with a date is not used by registries.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(limits::RETRY_AFTER_MAX))
}

/// What of a registry's words is shown: it may say anything.
const DETAIL_CHARS_MAX: usize = 300;
