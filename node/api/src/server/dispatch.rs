//! What happens to every request, whatever its path: version off the path, body read to its end (a client whose body
//! is left unread takes that for a broken pipe), routing, and the headers that every answer carries.

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tower::ServiceExt as _;

use super::serve::App;
use super::version::{self, ApiVersion};
use super::{answer, routes, unbuilt};
use crate::error::ApiError;
use crate::limits::JSON_BODY_BYTES_MAX;

/// Answers requests; cheap to clone.
#[derive(Clone)]
pub(super) struct Dispatcher {
    router: Router,
    app: App,
    headers: HeaderMap,
}

impl Dispatcher {
    pub(super) fn new(app: App) -> Self {
        let headers = standing_headers(&app.backend.server_version());
        Self { router: routes::router(app.clone()), app, headers }
    }

    /// Never fails: what goes wrong is an answer too.
    pub(super) async fn answer(self, request: Request<Incoming>) -> Response {
        let headers = self.headers.clone();
        let mut response = self.route(request).await;
        for (name, value) in &headers {
            response.headers_mut().insert(name, value.clone());
        }
        response
    }

    async fn route(self, request: Request<Incoming>) -> Response {
        let (mut parts, body) = request.into_parts();
        let (version, path) = match version::take_off(parts.uri.path()) {
            Ok(found) => found,
            Err(refusal) => {
                discard(body).await;
                return refusal.into_response();
            }
        };
        if parts.method == Method::OPTIONS {
            discard(body).await;
            return StatusCode::OK.into_response();
        }
        if let Some(refusal) = unbuilt::refusal(&parts.method, &path) {
            discard(body).await;
            return refusal.into_response();
        }
        let uri = match with_path(&parts.uri, &path) {
            Ok(uri) => uri,
            Err(refusal) => return refusal.into_response(),
        };
        parts.uri = uri;
        parts.extensions.insert::<ApiVersion>(version);

        let body = if routes::streams_body(&parts.method, &path) {
            Body::new(body)
        } else {
            match read_whole(body).await {
                Ok(bytes) => Body::from(bytes),
                Err(refusal) => return refusal.into_response(),
            }
        };
        self.call(Request::from_parts(parts, body)).await
    }

    /// Reading stops when the client goes away; a change, once begun, goes on.
    async fn call(self, request: Request<Body>) -> Response {
        let method = request.method().clone();
        let path = request.uri().path().to_owned();
        let routed = async move { self.router.oneshot(request).await.into_response() };
        let response = if method == Method::GET || method == Method::HEAD {
            routed.await
        } else {
            match self.app.spawn(routed).await {
                Ok(Some(response)) => response,
                Ok(None) => ApiError::unavailable("the daemon is stopping").into_response(),
                Err(error) => {
                    tracing::error!(%error, %method, path, "a request panicked");
                    ApiError::system(format!("{method} {path} failed inside the daemon; its log says why"))
                        .into_response()
                }
            }
        };
        tracing::debug!(%method, path, status = response.status().as_u16(), "answered");
        response
    }
}

fn standing_headers(server_version: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let server = format!("Docker/{server_version} (linux)");
    if let Ok(server) = HeaderValue::from_str(&server) {
        headers.insert(header::SERVER, server);
    }
    headers.insert(answer::API_VERSION, answer::header_value(version::MAX.to_string()));
    headers.insert(HeaderName::from_static("ostype"), HeaderValue::from_static("linux"));
    headers.insert(HeaderName::from_static("docker-experimental"), HeaderValue::from_static("false"));
    headers
}

fn with_path(uri: &Uri, path: &str) -> Result<Uri, ApiError> {
    let target = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    target.parse().map_err(|error| ApiError::invalid_parameter(format!("invalid path {path:?}: {error}")))
}

/// Reads a body into memory; a longer one is read to its end and refused.
async fn read_whole(mut body: Incoming) -> Result<Bytes, ApiError> {
    let mut read = BytesMut::new();
    let mut length = 0_u64;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            ApiError::invalid_parameter(format!("the request's body broke off after {length} bytes: {error}"))
        })?;
        let Ok(data) = frame.into_data() else { continue };
        length += data.len() as u64;
        if length <= JSON_BODY_BYTES_MAX as u64 {
            read.extend_from_slice(&data);
        }
    }
    if length > JSON_BODY_BYTES_MAX as u64 {
        return Err(ApiError::invalid_parameter(format!(
            "the request's body has {length} bytes; at most {JSON_BODY_BYTES_MAX} are taken here"
        )));
    }
    Ok(read.freeze())
}

/// Reads a body to its end and forgets it.
async fn discard(mut body: Incoming) {
    while let Some(Ok(_)) = body.frame().await {}
}
