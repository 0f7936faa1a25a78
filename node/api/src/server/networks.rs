//! Networks and volumes.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use time::OffsetDateTime;

use super::answer::{self, Answer};
use super::params::{Params, moment};
use super::request_body::JsonBody;
use super::serve::App;
use crate::error::ApiError;
use crate::query::{NetworkInspectQuery, NetworkPruneQuery};
use crate::types::{Filters, NetworkCreateRequest, Timestamp};

pub(super) async fn list(State(app): State<App>, params: Params) -> Answer {
    let filters = params.filters(&["dangling", "driver", "id", "label", "name", "scope", "type"])?;
    answer::json(&app.backend.list_networks(filters).await?)
}

pub(super) async fn inspect(State(app): State<App>, Path(id): Path<String>, params: Params) -> Answer {
    let query = NetworkInspectQuery { verbose: params.flag("verbose"), scope: params.text("scope").to_owned() };
    answer::json(&app.backend.inspect_network(&id, query).await?)
}

pub(super) async fn create(State(app): State<App>, JsonBody(request): JsonBody<NetworkCreateRequest>) -> Answer {
    answer::json_with(StatusCode::CREATED, &app.backend.create_network(request).await?)
}

pub(super) async fn remove(State(app): State<App>, Path(id): Path<String>) -> Answer {
    app.backend.remove_network(&id).await?;
    answer::empty(StatusCode::NO_CONTENT)
}

pub(super) async fn verify(State(app): State<App>) -> Answer {
    answer::json(&app.backend.verify_networks().await?)
}

pub(super) async fn prune(State(app): State<App>, params: Params) -> Answer {
    let filters = params.filters(&["label", "label!", "until"])?;
    let until = match filters.values("until").next() {
        None => None,
        Some(text) => Some(moment(text, Timestamp(OffsetDateTime::now_utc())).ok_or_else(|| {
            ApiError::invalid_parameter(format!(
                "invalid filter 'until={text}': a duration such as 24h, an RFC 3339 time or seconds since 1970 are expected"
            ))
        })?),
    };
    answer::json(&app.backend.prune_networks(NetworkPruneQuery { until, filters }).await?)
}

pub(super) async fn list_volumes(State(app): State<App>, params: Params) -> Answer {
    answer::json(&app.backend.list_volumes(params.filters(&["dangling", "driver", "label", "name"])?).await?)
}

pub(super) async fn inspect_volume(State(app): State<App>, Path(name): Path<String>) -> Answer {
    let listed = app.backend.list_volumes(Filters::default()).await?;
    match listed.volumes.iter().find(|volume| volume.name == name) {
        Some(volume) => answer::json(volume),
        None => Err(ApiError::not_found(format!("get {name}: no such volume"))),
    }
}
