//! The table of paths. A wrong method on a known path is an unknown page, as in Docker.

use axum::Router;
use axum::http::Method;
use axum::routing::{get, post};

use super::serve::App;
use super::{containers, distribution, events, exec, images, networks, nodes, secrets, services, swarm, system, tasks};
use crate::error::ApiError;

/// All routes, without the version before them.
pub(super) fn router(app: App) -> Router {
    Router::new()
        .merge(system_routes())
        .merge(swarm_routes())
        .merge(image_routes())
        .merge(container_routes())
        .merge(network_routes())
        .fallback(page_not_found)
        .method_not_allowed_fallback(page_not_found)
        .with_state(app)
}

/// Whether the handler reads the body as it comes, instead of finding it in memory.
pub(super) fn streams_body(method: &Method, path: &str) -> bool {
    method == Method::POST && path == IMAGES_LOAD
}

fn system_routes() -> Router<App> {
    Router::new()
        .route("/_ping", get(system::ping))
        .route("/version", get(system::version))
        .route("/info", get(system::info))
        .route("/auth", post(system::authenticate))
        .route("/system/df", get(system::disk_usage))
        .route("/events", get(events::stream))
        .route("/plugins", get(system::list_plugins))
        .route("/plugins/{*rest}", get(system::inspect_plugin))
}

fn swarm_routes() -> Router<App> {
    Router::new()
        .route("/swarm", get(swarm::inspect))
        .route("/swarm/init", post(swarm::init))
        .route("/swarm/join", post(swarm::join))
        .route("/swarm/leave", post(swarm::leave))
        .route("/swarm/update", post(swarm::update))
        .route("/swarm/unlockkey", get(swarm::unlock_key))
        .route("/swarm/unlock", post(swarm::unlock))
        .route("/nodes", get(nodes::list))
        .route("/nodes/{id}", get(nodes::inspect).delete(nodes::remove))
        .route("/nodes/{id}/update", post(nodes::update))
        .route("/services", get(services::list))
        .route("/services/create", post(services::create))
        .route("/services/{id}", get(services::inspect).delete(services::remove))
        .route("/services/{id}/update", post(services::update))
        .route("/services/{id}/logs", get(services::logs))
        .route("/tasks", get(tasks::list))
        .route("/tasks/{id}", get(tasks::inspect))
        .route("/tasks/{id}/logs", get(tasks::logs))
        .route("/secrets", get(secrets::list_secrets))
        .route("/secrets/create", post(secrets::create_secret))
        .route("/secrets/{id}", get(secrets::inspect_secret).delete(secrets::remove_secret))
        .route("/secrets/{id}/update", post(secrets::update_secret))
        .route("/configs", get(secrets::list_configs))
        .route("/configs/create", post(secrets::create_config))
        .route("/configs/{id}", get(secrets::inspect_config).delete(secrets::remove_config))
        .route("/configs/{id}/update", post(secrets::update_config))
}

fn image_routes() -> Router<App> {
    Router::new()
        .route("/images/json", get(images::list))
        .route("/images/create", post(images::pull))
        .route(IMAGES_LOAD, post(images::load))
        .route("/images/{*rest}", get(images::inspect).delete(images::remove))
        .route("/distribution/{*rest}", get(distribution::inspect))
}

fn container_routes() -> Router<App> {
    Router::new()
        .route("/containers/json", get(containers::list))
        .route("/containers/{id}/json", get(containers::inspect))
        .route("/containers/{id}/logs", get(containers::logs))
        .route("/containers/{id}/exec", post(exec::create))
        .route("/exec/{id}/start", post(exec::start))
        .route("/exec/{id}/resize", post(exec::resize))
        .route("/exec/{id}/json", get(exec::inspect))
}

fn network_routes() -> Router<App> {
    Router::new()
        .route("/networks", get(networks::list))
        .route("/networks/", get(networks::list))
        .route("/networks/create", post(networks::create))
        .route("/networks/prune", post(networks::prune))
        .route("/networks/{id}", get(networks::inspect).delete(networks::remove))
        .route("/shoal/networks/verify", get(networks::verify))
        .route("/volumes", get(networks::list_volumes))
        .route("/volumes/{name}", get(networks::inspect_volume))
}

async fn page_not_found() -> ApiError {
    ApiError::not_found("page not found")
}

const IMAGES_LOAD: &str = "/images/load";
