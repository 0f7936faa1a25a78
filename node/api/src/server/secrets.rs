//! Secrets and configs.

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::StatusCode;

use super::answer::{self, Answer};
use super::params::Params;
use super::request_body::JsonBody;
use super::serve::App;
use super::version::ApiVersion;
use super::version_gates;
use crate::types::{ConfigSpec, SecretSpec, UpperIdResponse};

pub(super) async fn list_secrets(State(app): State<App>, params: Params) -> Answer {
    answer::json(&app.backend.list_secrets(params.filters(FILTERS)?).await?)
}

pub(super) async fn inspect_secret(State(app): State<App>, Path(id): Path<String>) -> Answer {
    answer::json(&app.backend.inspect_secret(&id).await?)
}

pub(super) async fn create_secret(
    State(app): State<App>,
    Extension(version): Extension<ApiVersion>,
    JsonBody(spec): JsonBody<SecretSpec>,
) -> Answer {
    version_gates::templating(version, "secret", spec.templating.as_ref())?;
    let id = app.backend.create_secret(spec).await?;
    answer::json_with(StatusCode::CREATED, &UpperIdResponse { id })
}

pub(super) async fn update_secret(
    State(app): State<App>,
    Path(id): Path<String>,
    params: Params,
    JsonBody(spec): JsonBody<SecretSpec>,
) -> Answer {
    app.backend.update_secret(&id, params.object_version("secret")?, spec).await?;
    answer::empty(StatusCode::OK)
}

pub(super) async fn remove_secret(State(app): State<App>, Path(id): Path<String>) -> Answer {
    app.backend.remove_secret(&id).await?;
    answer::empty(StatusCode::NO_CONTENT)
}

pub(super) async fn list_configs(State(app): State<App>, params: Params) -> Answer {
    answer::json(&app.backend.list_configs(params.filters(FILTERS)?).await?)
}

pub(super) async fn inspect_config(State(app): State<App>, Path(id): Path<String>) -> Answer {
    answer::json(&app.backend.inspect_config(&id).await?)
}

pub(super) async fn create_config(
    State(app): State<App>,
    Extension(version): Extension<ApiVersion>,
    JsonBody(spec): JsonBody<ConfigSpec>,
) -> Answer {
    version_gates::templating(version, "config", spec.templating.as_ref())?;
    let id = app.backend.create_config(spec).await?;
    answer::json_with(StatusCode::CREATED, &UpperIdResponse { id })
}

pub(super) async fn update_config(
    State(app): State<App>,
    Path(id): Path<String>,
    params: Params,
    JsonBody(spec): JsonBody<ConfigSpec>,
) -> Answer {
    app.backend.update_config(&id, params.object_version("config")?, spec).await?;
    answer::empty(StatusCode::OK)
}

pub(super) async fn remove_config(State(app): State<App>, Path(id): Path<String>) -> Answer {
    app.backend.remove_config(&id).await?;
    answer::empty(StatusCode::NO_CONTENT)
}

const FILTERS: &[&str] = &["id", "label", "name", "names"];
