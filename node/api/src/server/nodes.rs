//! Nodes of the swarm.

use axum::extract::{Path, State};
use axum::http::StatusCode;

use super::answer::{self, Answer};
use super::params::Params;
use super::request_body::JsonBody;
use super::serve::App;
use crate::types::NodeSpec;

pub(super) async fn list(State(app): State<App>, params: Params) -> Answer {
    let filters = params.filters(&["id", "label", "membership", "name", "node.label", "role"])?;
    answer::json(&app.backend.list_nodes(filters).await?)
}

pub(super) async fn inspect(State(app): State<App>, Path(id): Path<String>) -> Answer {
    answer::json(&app.backend.inspect_node(&id).await?)
}

pub(super) async fn update(
    State(app): State<App>,
    Path(id): Path<String>,
    params: Params,
    JsonBody(spec): JsonBody<NodeSpec>,
) -> Answer {
    app.backend.update_node(&id, params.object_version("node")?, spec).await?;
    answer::empty(StatusCode::OK)
}

pub(super) async fn remove(State(app): State<App>, Path(id): Path<String>, params: Params) -> Answer {
    app.backend.remove_node(&id, params.flag("force")).await?;
    answer::empty(StatusCode::OK)
}
