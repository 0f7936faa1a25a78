//! Results as HTTP answers: JSON as Docker writes it, errors as `{"message": ...}`, and streams.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt as _};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::error::{ApiError, ErrorKind};
use crate::types::{ErrorResponse, ProgressMessage};

/// Highest API version, on every answer.
pub(super) const API_VERSION: HeaderName = HeaderName::from_static("api-version");

/// What handlers return.
pub(super) type Answer = Result<Response, ApiError>;

/// A JSON document and a newline, with status 200.
pub(super) fn json<T: Serialize>(value: &T) -> Answer {
    json_with(StatusCode::OK, value)
}

/// The same with another status.
pub(super) fn json_with<T: Serialize>(status: StatusCode, value: &T) -> Answer {
    let mut document = serde_json::to_vec(value).map_err(|error| ApiError::from_source(&error))?;
    document.push(b'\n');
    Ok((status, [(header::CONTENT_TYPE, APPLICATION_JSON)], document).into_response())
}

/// A status alone.
pub(super) fn empty(status: StatusCode) -> Answer {
    Ok(status.into_response())
}

/// A stream of bytes that ends when the daemon stops.
pub(super) fn streaming(
    content_type: &'static str,
    chunks: impl Stream<Item = Result<Bytes, ApiError>> + Send + 'static,
    shutdown: &CancellationToken,
) -> Response {
    let body = Body::from_stream(chunks.take_until(shutdown.clone().cancelled_owned()));
    ([(header::CONTENT_TYPE, HeaderValue::from_static(content_type))], body).into_response()
}

/// A progress stream. Waits for its first message, so that what fails at once has a status of its own.
pub(super) async fn progress(
    mut messages: BoxStream<'static, Result<ProgressMessage, ApiError>>,
    shutdown: &CancellationToken,
) -> Answer {
    let first = messages.next().await.transpose()?;
    let chunks = futures_util::stream::iter(first.map(Ok)).chain(messages).map(|message| {
        let message = message.unwrap_or_else(|error| ProgressMessage::failure(error.message));
        let mut line = serde_json::to_vec(&message).map_err(|error| ApiError::from_source(&error))?;
        line.extend_from_slice(b"\r\n");
        Ok(Bytes::from(line))
    });
    Ok(streaming("application/json", chunks, shutdown))
}

/// Text of digits, dots and letters as a header's value.
pub(super) fn header_value(text: String) -> HeaderValue {
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if self.kind == ErrorKind::NotModified {
            return status.into_response();
        }
        if self.kind == ErrorKind::System {
            tracing::error!(error = %self, "a request failed");
        }
        match json_with(status, &ErrorResponse { message: self.message }) {
            Ok(response) => response,
            Err(_) => status.into_response(),
        }
    }
}

const APPLICATION_JSON: HeaderValue = HeaderValue::from_static("application/json");
