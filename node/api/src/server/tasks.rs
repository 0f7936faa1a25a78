//! Tasks, and the secrets and configs that they use.

use axum::Extension;
use axum::extract::{Path, State};

use super::answer::{self, Answer};
use super::logs;
use super::params::Params;
use super::serve::App;
use super::version::ApiVersion;
use crate::error::ApiError;
use crate::types::Filters;

pub(super) async fn list(State(app): State<App>, params: Params) -> Answer {
    let known = ["_up-to-date", "desired-state", "id", "label", "name", "node", "runtime", "service"];
    answer::json(&app.backend.list_tasks(params.filters(&known)?).await?)
}

pub(super) async fn inspect(State(app): State<App>, Path(id): Path<String>) -> Answer {
    answer::json(&app.backend.inspect_task(&id).await?)
}

pub(super) async fn logs(
    State(app): State<App>,
    Extension(version): Extension<ApiVersion>,
    Path(id): Path<String>,
    params: Params,
) -> Answer {
    let (query, form) = logs::read(&params)?;
    let feed = app.backend.task_logs(&id, query).await?;
    Ok(logs::stream(feed, form, version, &app.shutdown))
}

pub(super) async fn list_secrets(State(app): State<App>, params: Params) -> Answer {
    answer::json(&app.backend.list_secrets(params.filters(&["id", "label", "name", "names"])?).await?)
}

pub(super) async fn inspect_secret(State(app): State<App>, Path(id): Path<String>) -> Answer {
    let secrets = app.backend.list_secrets(Filters::default()).await?;
    match secrets.iter().find(|secret| secret.id == id || secret.spec.name == id) {
        Some(secret) => answer::json(secret),
        None => Err(ApiError::not_found(format!("secret {id} not found"))),
    }
}

pub(super) async fn list_configs(State(app): State<App>, params: Params) -> Answer {
    answer::json(&app.backend.list_configs(params.filters(&["id", "label", "name", "names"])?).await?)
}

pub(super) async fn inspect_config(State(app): State<App>, Path(id): Path<String>) -> Answer {
    let configs = app.backend.list_configs(Filters::default()).await?;
    match configs.iter().find(|config| config.id == id || config.spec.name == id) {
        Some(config) => answer::json(config),
        None => Err(ApiError::not_found(format!("config {id} not found"))),
    }
}
