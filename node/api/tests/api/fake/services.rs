//! Services, whose tasks run as soon as they are wanted.

use async_trait::async_trait;
use futures_util::StreamExt as _;
use shoal_api::types::{
    Endpoint, Filters, ReplicatedService, Service, ServiceCreateResponse, ServiceSpec, ServiceStatus,
    ServiceUpdateResponse, StringMap, Task, TaskState, TaskStatus, Version,
};
use shoal_api::{
    ApiError, LogFeed, LogRecord, LogsQuery, OutputStream, ServiceBackend, ServiceCreateQuery, ServiceListQuery,
    ServiceUpdateQuery,
};

use super::{Fake, NODE_ID, State, find, no_such, task_name, time};

fn names(service: &Service) -> [&str; 2] {
    [&service.id, &service.spec.name]
}

fn replicas(spec: &ServiceSpec) -> u64 {
    spec.mode.replicated.as_ref().and_then(|ReplicatedService { replicas }| *replicas).unwrap_or(1)
}

fn tasks(state: &State) -> Vec<Task> {
    let of_service = |service: &Service| {
        let service = service.clone();
        (1..=replicas(&service.spec)).map(move |slot| Task {
            id: format!("task{slot}of{:0>18}", service.id.trim_start_matches("service")),
            version: Version { index: 20 },
            created_at: time(3),
            updated_at: time(4),
            spec: service.spec.task_template.clone(),
            service_id: service.id.clone(),
            slot,
            node_id: NODE_ID.into(),
            status: TaskStatus {
                timestamp: time(4),
                state: TaskState::Running,
                message: "started".into(),
                ..TaskStatus::default()
            },
            desired_state: TaskState::Running,
            ..Task::default()
        })
    };
    state.services.iter().flat_map(of_service).collect()
}

fn log_feed(query: &LogsQuery, task: &Task) -> LogFeed {
    let details = StringMap::from([
        ("com.docker.swarm.node.id".into(), task.node_id.clone()),
        ("com.docker.swarm.service.id".into(), task.service_id.clone()),
        ("com.docker.swarm.task.id".into(), task.id.clone()),
    ]);
    let lines = ["one\n", "two\n", "three\n"];
    let skip = query.tail.map_or(0, |tail| lines.len().saturating_sub(usize::try_from(tail).unwrap()));
    let records: Vec<_> = lines[skip..]
        .iter()
        .map(|line| {
            Ok(LogRecord {
                stream: OutputStream::Stdout,
                time: time(5),
                details: details.clone(),
                line: line.as_bytes().into(),
            })
        })
        .collect();
    LogFeed { tty: false, records: futures_util::stream::iter(records).boxed() }
}

#[async_trait]
impl ServiceBackend for Fake {
    async fn list_services(&self, query: ServiceListQuery) -> Result<Vec<Service>, ApiError> {
        let state = self.noted(format!("list_services({}, status: {})", query.filters.to_json(), query.status));
        let mut services = state.services.clone();
        services.retain(|service| {
            query.filters.matches_prefix("name", &service.spec.name) && query.filters.matches_prefix("id", &service.id)
        });
        for service in services.iter_mut().filter(|_| query.status) {
            let tasks = replicas(&service.spec);
            service.service_status =
                Some(ServiceStatus { running_tasks: tasks, desired_tasks: tasks, completed_tasks: 0 });
        }
        Ok(services)
    }

    async fn create_service(
        &self,
        spec: ServiceSpec,
        query: ServiceCreateQuery,
    ) -> Result<ServiceCreateResponse, ApiError> {
        let mut state = self.noted(format!("create_service({:?}, {query:?})", spec.name));
        if state.services.iter().any(|service| service.spec.name == spec.name) {
            return Err(ApiError::conflict(format!("service {} already exists", spec.name)));
        }
        let id = format!("service{:0>18}", state.number());
        state.services.push(Service {
            id: id.clone(),
            version: Version { index: 10 },
            created_at: time(3),
            updated_at: time(3),
            endpoint: Endpoint { ports: spec.endpoint_spec.clone().unwrap_or_default().ports, ..Endpoint::default() },
            spec,
            ..Service::default()
        });
        Ok(ServiceCreateResponse { id, warnings: Vec::new() })
    }

    async fn inspect_service(&self, id: &str, insert_defaults: bool) -> Result<Service, ApiError> {
        let state = self.noted(format!("inspect_service({id}, {insert_defaults})"));
        find(&state.services, id, names).cloned().ok_or_else(|| no_such("service", id))
    }

    async fn update_service(
        &self,
        id: &str,
        spec: ServiceSpec,
        query: ServiceUpdateQuery,
    ) -> Result<ServiceUpdateResponse, ApiError> {
        let mut state = self.noted(format!("update_service({id}, {query:?})"));
        let service = state
            .services
            .iter_mut()
            .find(|service| names(service).contains(&id))
            .ok_or_else(|| no_such("service", id))?;
        if service.version.index != query.version {
            return Err(ApiError::system("rpc error: code = Unknown desc = update out of sequence"));
        }
        service.version.index += 1;
        service.spec = spec;
        Ok(ServiceUpdateResponse::default())
    }

    async fn remove_service(&self, id: &str) -> Result<Vec<String>, ApiError> {
        let mut state = self.noted(format!("remove_service({id})"));
        find(&state.services, id, names).ok_or_else(|| no_such("service", id))?;
        state.services.retain(|service| !names(service).contains(&id));
        Ok(Vec::new())
    }

    async fn service_logs(&self, id: &str, query: LogsQuery) -> Result<LogFeed, ApiError> {
        let state = self.noted(format!("service_logs({id}, {query:?})"));
        let service = find(&state.services, id, names).ok_or_else(|| no_such("service", id))?;
        let task = tasks(&state).into_iter().find(|task| task.service_id == service.id).unwrap();
        Ok(log_feed(&query, &task))
    }

    async fn list_tasks(&self, filters: Filters) -> Result<Vec<Task>, ApiError> {
        let state = self.noted(format!("list_tasks({})", filters.to_json()));
        let mut tasks = tasks(&state);
        tasks.retain(|task| filters.matches_exact("service", &task.service_id));
        Ok(tasks)
    }

    async fn inspect_task(&self, id: &str) -> Result<Task, ApiError> {
        let state = self.noted(format!("inspect_task({id})"));
        find(&tasks(&state), id, task_name).cloned().ok_or_else(|| no_such("task", id))
    }

    async fn task_logs(&self, id: &str, query: LogsQuery) -> Result<LogFeed, ApiError> {
        let state = self.noted(format!("task_logs({id}, {query:?})"));
        find(&tasks(&state), id, task_name).map(|task| log_feed(&query, task)).ok_or_else(|| no_such("task", id))
    }
}
