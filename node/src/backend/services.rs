//! Services and their tasks.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use base64::Engine;
use shoal_api::types::{AuthConfig, Filters, Service, ServiceCreateResponse, ServiceSpec, ServiceUpdateResponse, Task};
use shoal_api::{
    ApiError, LogFeed, LogsQuery, RegistryAuthFrom, ServiceBackend, ServiceCreateQuery, ServiceListQuery,
    ServiceUpdateQuery,
};
use shoal_proto::model::{
    self, ControlRequest, PublishMode, PullCredentials, Rollback, Sensitive, ServiceId, ServiceMode, ServiceView,
    TaskFilter, TaskState, Version,
};

use super::Daemon;
use super::control::bad_word;
use crate::docker;

#[async_trait]
impl ServiceBackend for Daemon {
    async fn list_services(&self, query: ServiceListQuery) -> Result<Vec<Service>, ApiError> {
        let services = self.control()?.services().await?;
        let wanted = services.into_iter().filter(|view| matches(view, &query.filters));
        Ok(wanted.map(|view| docker::service(view, query.status)).collect())
    }

    async fn create_service(
        &self,
        spec: ServiceSpec,
        query: ServiceCreateQuery,
    ) -> Result<ServiceCreateResponse, ApiError> {
        let control = self.control()?;
        let mut spec = docker::service_spec(spec).map_err(bad_word)?;
        spec.task.container.pull_credentials = query.registry_auth.as_ref().map(credentials);
        if query.resolve_image {
            self.pin_image(&mut spec.task.container.image, query.registry_auth.unwrap_or_default()).await;
        }
        let (id, warnings) = control.create_service(ControlRequest::CreateService { spec: Box::new(spec) }).await?;
        Ok(ServiceCreateResponse { id, warnings })
    }

    async fn inspect_service(&self, id: &str, _insert_defaults: bool) -> Result<Service, ApiError> {
        // Defaults are in the stored spec already: there is nothing left to insert.
        Ok(docker::service(self.control()?.service(id).await?, false))
    }

    async fn update_service(
        &self,
        id: &str,
        spec: ServiceSpec,
        query: ServiceUpdateQuery,
    ) -> Result<ServiceUpdateResponse, ApiError> {
        let control = self.control()?;
        let mut spec = docker::service_spec(spec).map_err(bad_word)?;
        let present = control.service(id).await?.service;
        spec.task.container.pull_credentials = match (&query.registry_auth, query.registry_auth_from) {
            (Some(auth), _) => Some(credentials(auth)),
            (None, RegistryAuthFrom::Spec) => present.spec.task.container.pull_credentials,
            (None, RegistryAuthFrom::PreviousSpec) => {
                present.previous_spec.and_then(|previous| previous.task.container.pull_credentials)
            }
        };
        if query.resolve_image {
            self.pin_image(&mut spec.task.container.image, query.registry_auth.unwrap_or_default()).await;
        }
        let rollback = if query.rollback { Rollback::Previous } else { Rollback::No };
        let request = ControlRequest::UpdateService {
            service: present.id,
            version: Version(query.version),
            spec: Box::new(spec),
            rollback,
        };
        control.done(request).await?;
        Ok(ServiceUpdateResponse::default())
    }

    async fn remove_service(&self, id: &str) -> Result<Vec<String>, ApiError> {
        self.control()?.remove_service(id).await
    }

    async fn service_logs(&self, id: &str, query: LogsQuery) -> Result<LogFeed, ApiError> {
        self.logs_of_service(id, query).await
    }

    async fn list_tasks(&self, filters: Filters) -> Result<Vec<Task>, ApiError> {
        let control = self.control()?;
        let filter = task_filter(&filters)?;
        let mut tasks = control.tasks(filter).await?;
        if filters.contains("_up-to-date") {
            let services: BTreeMap<ServiceId, model::Service> =
                control.services().await?.into_iter().map(|view| (view.service.id, view.service)).collect();
            let wanted = filters.matches("_up-to-date", |value| matches!(value, "true" | "1"));
            tasks.retain(|task| services.get(&task.service).is_some_and(|service| is_current(task, service)) == wanted);
        }
        // Tasks have no labels but their service's: `stack ps` finds its tasks by those.
        tasks.retain(|task| {
            let labels = task.service_labels.clone().into_iter().collect();
            filters.matches_labels("label", &labels)
        });
        let networks = control.networks().await?;
        Ok(tasks.into_iter().map(|task| docker::task(task, &networks)).collect())
    }

    async fn inspect_task(&self, id: &str) -> Result<Task, ApiError> {
        let control = self.control()?;
        let task = control.task(id).await?;
        Ok(docker::task(task, &control.networks().await?))
    }

    async fn task_logs(&self, id: &str, query: LogsQuery) -> Result<LogFeed, ApiError> {
        self.logs_of_task(id, query).await
    }
}

fn matches(view: &ServiceView, filters: &Filters) -> bool {
    let service = &view.service;
    let mode = match service.spec.mode {
        ServiceMode::Replicated { .. } => "replicated",
        ServiceMode::Global => "global",
        ServiceMode::ReplicatedJob { .. } => "replicated-job",
        ServiceMode::GlobalJob => "global-job",
    };
    let labels = service.spec.labels.clone().into_iter().collect();
    filters.matches_prefix("id", &service.id.to_string())
        && filters.matches_prefix("name", &service.spec.name)
        && filters.matches_exact("mode", mode)
        && filters.matches_exact("runtime", "container")
        && filters.matches_labels("label", &labels)
}

fn task_filter(filters: &Filters) -> Result<TaskFilter, ApiError> {
    let all = |key: &str| filters.values(key).map(str::to_owned).collect::<Vec<_>>();
    let desired = filters.values("desired-state").map(desired_state).collect::<Result<BTreeSet<_>, _>>()?;
    Ok(TaskFilter {
        services: all("service"),
        nodes: all("node"),
        ids: all("id"),
        names: all("name"),
        desired: desired.into_iter().collect(),
    })
}

fn desired_state(word: &str) -> Result<TaskState, ApiError> {
    const STATES: [(&str, TaskState); 14] = [
        ("new", TaskState::New),
        ("pending", TaskState::Pending),
        ("assigned", TaskState::Assigned),
        ("accepted", TaskState::Accepted),
        ("preparing", TaskState::Preparing),
        ("ready", TaskState::Ready),
        ("starting", TaskState::Starting),
        ("running", TaskState::Running),
        ("complete", TaskState::Complete),
        ("shutdown", TaskState::Shutdown),
        ("failed", TaskState::Failed),
        ("rejected", TaskState::Rejected),
        ("remove", TaskState::Remove),
        ("orphaned", TaskState::Orphaned),
    ];
    let known = STATES.iter().find(|(name, _)| name.eq_ignore_ascii_case(word));
    known.map(|(_, state)| *state).ok_or_else(|| {
        ApiError::invalid_parameter(format!(
            "invalid filter 'desired-state={word}': running, shutdown or ready is expected"
        ))
    })
}

/// Whether a task is what its service asks for now. A change of the number of replicas makes no task old.
fn is_current(task: &model::Task, service: &model::Service) -> bool {
    let host_ports = || service.spec.endpoint.ports.iter().filter(|port| port.mode == PublishMode::Host);
    task.spec_version == service.spec_version || (*task.spec == service.spec.task && host_ports().eq(&task.host_ports))
}

/// Credentials as the workers will show them to the registry.
fn credentials(auth: &AuthConfig) -> PullCredentials {
    let json = serde_json::to_vec(auth).unwrap_or_default();
    let encoded = base64::engine::general_purpose::URL_SAFE.encode(json);
    PullCredentials { registry_auth: Sensitive(encoded) }
}

impl Daemon {
    /// Adds the digest that the registry has now, as old clients expect of the daemon. Without an answer the tag stays,
    /// and each worker finds out for itself.
    async fn pin_image(&self, image: &mut String, auth: AuthConfig) {
        if image.contains('@') {
            return;
        }
        match shoal_api::ImageBackend::inspect_distribution(self, image, auth).await {
            Ok(found) => *image = format!("{image}@{}", found.descriptor.digest),
            Err(error) => tracing::warn!(%image, %error, "the image's digest could not be found; its tag is used"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn desired_states_are_named() {
        assert_eq!(desired_state("Running").unwrap(), TaskState::Running);
        assert!(desired_state("walking").unwrap_err().message.contains("walking"));
    }

    #[test]
    fn credentials_are_hidden() {
        let auth = AuthConfig { username: "u".into(), password: "geheim".into(), ..AuthConfig::default() };
        let made = credentials(&auth);
        assert!(!format!("{made:?}").contains("geheim"));
        let json = base64::engine::general_purpose::URL_SAFE.decode(made.registry_auth.0).unwrap();
        let back: AuthConfig = shoal_api::types::decode(&json).unwrap();
        assert_eq!(back.password, "geheim");
    }
}
