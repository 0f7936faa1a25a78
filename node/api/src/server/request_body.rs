//! JSON bodies of requests, taken and refused as Docker does.

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::header;
use http_body_util::BodyExt as _;
use serde::de::DeserializeOwned;

use crate::error::ApiError;
use crate::types::{DecodeError, decode};

/// A body of type `T`. No body is `T`'s default; unknown fields are ignored.
#[derive(Debug)]
pub(super) struct JsonBody<T>(pub(super) T);

impl<T: DeserializeOwned + Default, S: Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        read(parts.headers.get(header::CONTENT_TYPE), body).await.map(Self)
    }
}

/// Reads a body that `dispatch` has already bounded.
pub(super) async fn read<T: DeserializeOwned + Default>(
    content_type: Option<&header::HeaderValue>,
    body: Body,
) -> Result<T, ApiError> {
    let document = body.collect().await.map_err(|error| ApiError::invalid_parameter(error.to_string()))?.to_bytes();
    if document.is_empty() {
        return Ok(T::default());
    }
    let content_type = content_type.and_then(|value| value.to_str().ok()).unwrap_or_default();
    check_content_type(content_type)?;
    decode(&document).map_err(|error| ApiError::invalid_parameter(describe(&error, document.len())))
}

fn check_content_type(content_type: &str) -> Result<(), ApiError> {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if essence.is_empty() {
        return Err(ApiError::invalid_parameter(format!(
            "malformed Content-Type header ({content_type}): must be 'application/json'"
        )));
    }
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(ApiError::invalid_parameter(format!(
        "unsupported Content-Type header ({content_type}): must be 'application/json'"
    )))
}

fn describe(error: &DecodeError, length: usize) -> String {
    match error {
        DecodeError::Syntax(source) if source.is_eof() => {
            format!("invalid JSON: the body ends too early, after {length} bytes: {source}")
        }
        DecodeError::Syntax(source) if source.to_string().starts_with("trailing characters") => {
            format!("unexpected content after JSON: {source}")
        }
        DecodeError::Syntax(source) => format!("invalid JSON: {source}"),
        // The empty word, which Go writes for "not chosen", is no advice.
        DecodeError::Field { path, source } => {
            format!("invalid JSON: field {path}: {source}").replace("expected one of ``, ", "expected one of ")
        }
    }
}
