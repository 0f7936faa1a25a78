//! What a registry says of an image.

use axum::extract::{Path, State};

use super::answer::{self, Answer};
use super::params::RegistryAuth;
use super::serve::App;
use crate::error::ApiError;

pub(super) async fn inspect(
    State(app): State<App>,
    Path(rest): Path<String>,
    RegistryAuth(auth): RegistryAuth,
) -> Answer {
    let name = rest.strip_suffix("/json").ok_or_else(|| ApiError::not_found("page not found"))?;
    answer::json(&app.backend.inspect_distribution(name, auth.unwrap_or_default()).await?)
}
