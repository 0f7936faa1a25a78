//! Commands run in a running container: create, start (with the connection handed over), resize, inspect.

use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{Request, StatusCode, header};
use axum::response::IntoResponse as _;
use hyper::upgrade::OnUpgrade;

use super::answer::{self, Answer};
use super::hijack::Hijack;
use super::params::Params;
use super::request_body::{self, JsonBody};
use super::serve::App;
use super::stdcopy::{MULTIPLEXED, RAW};
use super::version::ApiVersion;
use crate::backend::ExecStarted;
use crate::error::ApiError;
use crate::query::TerminalSize;
use crate::types::{ExecCreateRequest, ExecStartRequest, IdResponse};

pub(super) async fn create(
    State(app): State<App>,
    Path(container): Path<String>,
    JsonBody(request): JsonBody<ExecCreateRequest>,
) -> Answer {
    if request.cmd.is_empty() {
        return Err(ApiError::invalid_parameter("No exec command specified: Cmd is empty"));
    }
    let id = app.backend.create_exec(&container, request).await?;
    answer::json_with(StatusCode::CREATED, &IdResponse { id })
}

/// Refusals have a status of their own; once the process was tried, the connection is the process's, and a failure
/// to start it is told as its output.
pub(super) async fn start(
    State(app): State<App>,
    Extension(version): Extension<ApiVersion>,
    Path(id): Path<String>,
    request: Request<Body>,
) -> Answer {
    let (mut parts, body) = request.into_parts();
    let request: ExecStartRequest = request_body::read(parts.headers.get(header::CONTENT_TYPE), body).await?;
    let upgrade = parts.extensions.remove::<OnUpgrade>().filter(|_| parts.headers.contains_key(header::UPGRADE));
    let tty = request.tty;
    if request.detach {
        return match app.backend.start_exec(&id, request).await? {
            ExecStarted::Failed(reason) => Err(ApiError::invalid_parameter(reason)),
            ExecStarted::Detached | ExecStarted::Attached(_) => answer::empty(StatusCode::OK),
        };
    }
    let Some(upgrade) = upgrade else {
        return Err(ApiError::invalid_parameter(
            "an exec that is not detached needs the connection for itself: send Connection: Upgrade and Upgrade: tcp",
        ));
    };
    let started = app.backend.start_exec(&id, request).await?;
    app.spawn(Hijack { upgrade, started, tty }.run());
    let content_type = if tty || version.before(42) { RAW } else { MULTIPLEXED };
    let headers = [(header::CONTENT_TYPE, content_type), (header::CONNECTION, "Upgrade"), (header::UPGRADE, "tcp")];
    Ok((StatusCode::SWITCHING_PROTOCOLS, headers).into_response())
}

pub(super) async fn resize(State(app): State<App>, Path(id): Path<String>, params: Params) -> Answer {
    let needed = |name| {
        params.number::<u16>(name)?.ok_or_else(|| {
            ApiError::invalid_parameter(format!("parameter {name} is missing: send the terminal's size as h and w"))
        })
    };
    let size = TerminalSize { rows: needed("h")?, columns: needed("w")? };
    app.backend.resize_exec(&id, size).await?;
    answer::empty(StatusCode::OK)
}

pub(super) async fn inspect(State(app): State<App>, Path(id): Path<String>) -> Answer {
    answer::json(&app.backend.inspect_exec(&id).await?)
}
