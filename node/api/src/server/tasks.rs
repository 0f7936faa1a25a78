//! Tasks.

use axum::Extension;
use axum::extract::{Path, State};

use super::answer::{self, Answer};
use super::logs;
use super::params::Params;
use super::serve::App;
use super::version::ApiVersion;

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
