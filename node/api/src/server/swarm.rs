//! The swarm: form, join, leave, inspect, update, unlock.

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;

use super::answer::{self, Answer};
use super::params::Params;
use super::request_body::JsonBody;
use super::serve::App;
use super::version::ApiVersion;
use super::version_gates;
use crate::error::ApiError;
use crate::query::{SwarmUpdateQuery, TokenRotation};
use crate::types::{InitRequest, JoinRequest, SwarmSpec, UnlockRequest};

pub(super) async fn inspect(State(app): State<App>) -> Answer {
    answer::json(&app.backend.inspect_swarm().await?)
}

pub(super) async fn init(
    State(app): State<App>,
    Extension(version): Extension<ApiVersion>,
    JsonBody(mut request): JsonBody<InitRequest>,
) -> Answer {
    version_gates::init_request(version, &mut request);
    answer::json(&app.backend.init_swarm(request).await?)
}

pub(super) async fn join(State(app): State<App>, JsonBody(request): JsonBody<JoinRequest>) -> Answer {
    app.backend.join_swarm(request).await?;
    answer::empty(StatusCode::OK)
}

pub(super) async fn leave(State(app): State<App>, params: Params) -> Answer {
    app.backend.leave_swarm(params.flag("force")).await?;
    answer::empty(StatusCode::OK)
}

pub(super) async fn update(State(app): State<App>, params: Params, JsonBody(spec): JsonBody<SwarmSpec>) -> Answer {
    let query = SwarmUpdateQuery {
        version: params.object_version("swarm")?,
        rotate: TokenRotation {
            worker_token: rotation(&params, "rotateWorkerToken")?,
            manager_token: rotation(&params, "rotateManagerToken")?,
            unlock_key: rotation(&params, "rotateManagerUnlockKey")?,
        },
    };
    app.backend.update_swarm(query, spec).await?;
    answer::empty(StatusCode::OK)
}

pub(super) async fn unlock_key(State(app): State<App>) -> Answer {
    answer::json(&UnlockRequest { unlock_key: app.backend.unlock_key().await? })
}

pub(super) async fn unlock(State(app): State<App>, JsonBody(request): JsonBody<UnlockRequest>) -> Answer {
    app.backend.unlock_swarm(request.unlock_key).await?;
    answer::empty(StatusCode::OK)
}

/// Stricter than other flags, as in Docker: replacing a token by a slip locks hosts out.
fn rotation(params: &Params, name: &str) -> Result<bool, ApiError> {
    match params.text(name) {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "" | "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        other => {
            Err(ApiError::invalid_parameter(format!("invalid value for {name}: {other:?}; expected true or false")))
        }
    }
}
