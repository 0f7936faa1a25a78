//! Services.

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::StatusCode;

use super::answer::{self, Answer};
use super::logs;
use super::params::{Params, RegistryAuth};
use super::request_body::JsonBody;
use super::serve::App;
use super::version::ApiVersion;
use super::version_gates;
use crate::error::ApiError;
use crate::query::{RegistryAuthFrom, ServiceCreateQuery, ServiceListQuery, ServiceUpdateQuery};
use crate::types::{ServiceSpec, ServiceUpdateResponse};

pub(super) async fn list(State(app): State<App>, Extension(version): Extension<ApiVersion>, params: Params) -> Answer {
    let query = ServiceListQuery {
        filters: params.filters(&["id", "label", "mode", "name", "runtime"])?,
        status: params.flag("status") && !version.before(41),
    };
    let mut services = app.backend.list_services(query).await?;
    services.iter_mut().for_each(|service| version_gates::service(version, service));
    answer::json(&services)
}

pub(super) async fn create(
    State(app): State<App>,
    Extension(version): Extension<ApiVersion>,
    RegistryAuth(registry_auth): RegistryAuth,
    JsonBody(mut spec): JsonBody<ServiceSpec>,
) -> Answer {
    version_gates::service_spec(version, &mut spec);
    let query = ServiceCreateQuery { registry_auth, resolve_image: version.before(30) };
    answer::json_with(StatusCode::CREATED, &app.backend.create_service(spec, query).await?)
}

pub(super) async fn inspect(
    State(app): State<App>,
    Extension(version): Extension<ApiVersion>,
    Path(id): Path<String>,
    params: Params,
) -> Answer {
    let mut service = app.backend.inspect_service(&id, params.flag("insertDefaults")).await?;
    version_gates::service(version, &mut service);
    answer::json(&service)
}

pub(super) async fn update(
    State(app): State<App>,
    Extension(version): Extension<ApiVersion>,
    Path(id): Path<String>,
    (params, RegistryAuth(registry_auth)): (Params, RegistryAuth),
    JsonBody(mut spec): JsonBody<ServiceSpec>,
) -> Answer {
    version_gates::service_spec(version, &mut spec);
    let query = ServiceUpdateQuery {
        version: params.object_version("service")?,
        registry_auth,
        registry_auth_from: registry_auth_from(params.text("registryAuthFrom"))?,
        rollback: rollback(params.text("rollback"))?,
        resolve_image: version.before(30),
    };
    answer::json(&app.backend.update_service(&id, spec, query).await?)
}

pub(super) async fn remove(State(app): State<App>, Path(id): Path<String>) -> Answer {
    let warnings = app.backend.remove_service(&id).await?;
    if warnings.is_empty() {
        return answer::empty(StatusCode::OK);
    }
    // A client of Docker's reads no body here.
    answer::json(&ServiceUpdateResponse { warnings })
}

pub(super) async fn logs(
    State(app): State<App>,
    Extension(version): Extension<ApiVersion>,
    Path(id): Path<String>,
    params: Params,
) -> Answer {
    let (query, form) = logs::read(&params)?;
    let feed = app.backend.service_logs(&id, query).await?;
    Ok(logs::stream(feed, form, version, &app.shutdown))
}

fn registry_auth_from(value: &str) -> Result<RegistryAuthFrom, ApiError> {
    match value {
        "" | "spec" => Ok(RegistryAuthFrom::Spec),
        "previous-spec" => Ok(RegistryAuthFrom::PreviousSpec),
        other => Err(ApiError::invalid_parameter(format!(
            "unsupported registryAuthFrom value {other:?}; expected spec or previous-spec"
        ))),
    }
}

fn rollback(value: &str) -> Result<bool, ApiError> {
    match value {
        "" | "none" => Ok(false),
        "previous" => Ok(true),
        other => {
            Err(ApiError::invalid_parameter(format!("unrecognized rollback option {other}; expected previous or none")))
        }
    }
}
