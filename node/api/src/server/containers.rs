//! Containers of this host.

use axum::Extension;
use axum::extract::{Path, State};

use super::answer::{self, Answer};
use super::logs;
use super::params::Params;
use super::serve::App;
use super::version::ApiVersion;
use crate::ApiError;
use crate::query::ContainerListQuery;

pub(super) async fn list(State(app): State<App>, params: Params) -> Answer {
    // docker-py sends -1 for "no limit".
    let limit = params.number::<i64>("limit")?.and_then(|limit| u64::try_from(limit).ok()).filter(|limit| *limit > 0);
    let query = ContainerListQuery {
        all: params.flag("all"),
        limit,
        size: params.flag("size"),
        filters: params.filters(FILTERS)?,
    };
    if let Some(unknown) = query.filters.values("status").find(|status| !STATUSES.contains(status)) {
        let known = STATUSES.join(", ");
        return Err(ApiError::invalid_parameter(format!(
            "invalid filter 'status={unknown}': one of {known} is expected"
        )));
    }
    answer::json(&app.backend.list_containers(query).await?)
}

pub(super) async fn inspect(State(app): State<App>, Path(id): Path<String>, params: Params) -> Answer {
    answer::json(&app.backend.inspect_container(&id, params.flag("size")).await?)
}

pub(super) async fn logs(
    State(app): State<App>,
    Extension(version): Extension<ApiVersion>,
    Path(id): Path<String>,
    params: Params,
) -> Answer {
    let (query, form) = logs::read(&params)?;
    let feed = app.backend.container_logs(&id, query).await?;
    Ok(logs::stream(feed, form, version, &app.shutdown))
}

/// All that a container can be.
const STATUSES: &[&str] = &["created", "running", "paused", "restarting", "removing", "exited", "dead"];

const FILTERS: &[&str] = &[
    "ancestor", "before", "exited", "health", "id", "is-task", "label", "name", "network", "publish", "since",
    "status", "volume",
];
