//! The daemon itself: ping, version, info, credentials, disk use.

use axum::extract::{Path, State};
use axum::http::{HeaderName, header};
use axum::response::{IntoResponse, Response};

use super::answer::{self, Answer};
use super::request_body::JsonBody;
use super::serve::App;
use super::version;
use crate::backend::SwarmMembership;
use crate::error::ApiError;
use crate::types::{AuthConfig, LocalNodeState};

pub(super) async fn ping(State(app): State<App>) -> Response {
    let swarm = swarm_header(app.backend.swarm_membership());
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::CACHE_CONTROL, "no-cache, no-store, must-revalidate"),
        (header::PRAGMA, "no-cache"),
        // The classic builder: without it clients look for BuildKit's own protocol.
        (HeaderName::from_static("builder-version"), "1"),
        (HeaderName::from_static("swarm"), swarm),
    ];
    (headers, "OK").into_response()
}

pub(super) async fn version(State(app): State<App>) -> Answer {
    let mut found = app.backend.version().await?;
    let (max, min) = (version::MAX.to_string(), version::MIN.to_string());
    for engine in found.components.iter_mut().filter(|component| component.name == "Engine") {
        engine.details.insert("ApiVersion".into(), max.clone());
        engine.details.insert("MinAPIVersion".into(), min.clone());
    }
    found.api_version = max;
    found.min_api_version = min;
    answer::json(&found)
}

pub(super) async fn info(State(app): State<App>) -> Answer {
    answer::json(&app.backend.info().await?)
}

pub(super) async fn disk_usage(State(app): State<App>) -> Answer {
    answer::json(&app.backend.disk_usage().await?)
}

pub(super) async fn authenticate(State(app): State<App>, JsonBody(auth): JsonBody<AuthConfig>) -> Answer {
    answer::json(&app.backend.authenticate(auth).await?)
}

/// Shoal has no plugins: drivers are built in.
pub(super) async fn list_plugins() -> Answer {
    answer::json::<[(); 0]>(&[])
}

pub(super) async fn inspect_plugin(Path(rest): Path<String>) -> Answer {
    let name = rest.strip_suffix("/json").ok_or_else(|| ApiError::not_found("page not found"))?;
    Err(ApiError::not_found(format!("plugin {name:?} not found")))
}

/// The role is told only of a node that takes part.
fn swarm_header(membership: SwarmMembership) -> &'static str {
    match (membership.state, membership.manager) {
        (LocalNodeState::Active, true) => "active/manager",
        (LocalNodeState::Active, false) => "active/worker",
        (state, _) => state.as_str(),
    }
}
