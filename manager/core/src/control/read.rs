//! Reads, from the committed tables of a leader.

use std::collections::BTreeSet;
use std::sync::Arc;

use shoal_proto::model::{
    ControlError, ControlErrorKind, ControlReply, ControlRequest, Node, NodeId, NodeView, Reachability, Service,
    ServiceId, ServiceMode, ServiceStatus, ServiceView, Task, TaskFilter, TaskState,
};

use super::{find_network, find_node, find_payload, find_service, find_task, payloads};
use crate::deciders::condition::is_gone;
use crate::deciders::membership::MembersView;
use crate::store::Tables;

/// Whether the request changes nothing.
pub(crate) fn is_read(request: &ControlRequest) -> bool {
    use ControlRequest as Ask;
    match request {
        Ask::GetCluster
        | Ask::ListNodes
        | Ask::GetNode { .. }
        | Ask::ListServices
        | Ask::GetService { .. }
        | Ask::ListTasks { .. }
        | Ask::GetTask { .. }
        | Ask::ListNetworks
        | Ask::GetNetwork { .. }
        | Ask::ListPayloads { .. }
        | Ask::GetPayload { .. } => true,
        Ask::UpdateCluster { .. }
        | Ask::UpdateNode { .. }
        | Ask::RemoveNode { .. }
        | Ask::CreateService { .. }
        | Ask::UpdateService { .. }
        | Ask::RemoveService { .. }
        | Ask::CreateNetwork { .. }
        | Ask::RemoveNetwork { .. }
        | Ask::VerifyNetworks
        | Ask::CreatePayload { .. }
        | Ask::UpdatePayload { .. }
        | Ask::RemovePayload { .. } => false,
    }
}

/// Answers reads.
pub(crate) struct Reader<'a> {
    pub(crate) tables: &'a Tables,
    pub(crate) members: &'a MembersView,
}

impl Reader<'_> {
    pub(crate) fn read(&self, request: &ControlRequest) -> Result<ControlReply, ControlError> {
        let tables = self.tables;
        Ok(match request {
            ControlRequest::GetCluster => {
                let cluster = tables.cluster().ok_or_else(|| {
                    ControlError::new(ControlErrorKind::NotFound, "there is no swarm: this node must init or join one")
                })?;
                ControlReply::Cluster(Box::new((**cluster).clone()))
            }
            ControlRequest::ListNodes => ControlReply::Nodes(tables.nodes().map(|node| self.node(node)).collect()),
            ControlRequest::GetNode { reference } => {
                ControlReply::Node(Box::new(self.node(find_node(tables, reference)?)))
            }
            ControlRequest::ListServices => {
                ControlReply::Services(tables.services().map(|service| self.service(service)).collect())
            }
            ControlRequest::GetService { reference } => {
                ControlReply::Service(Box::new(self.service(find_service(tables, reference)?)))
            }
            ControlRequest::ListTasks { filter } => ControlReply::Tasks(self.tasks(filter)?),
            ControlRequest::GetTask { reference } => {
                ControlReply::Task(Box::new((**find_task(tables, reference)?).clone()))
            }
            ControlRequest::ListNetworks => {
                ControlReply::Networks(tables.networks().map(|network| (**network).clone()).collect())
            }
            ControlRequest::GetNetwork { reference } => {
                ControlReply::Network(Box::new((**find_network(tables, reference)?).clone()))
            }
            ControlRequest::ListPayloads { kind } => {
                let all = tables.payloads().filter(|payload| payload.kind == *kind);
                ControlReply::Payloads(all.map(|payload| payloads::shown(payload)).collect())
            }
            ControlRequest::GetPayload { kind, reference } => {
                ControlReply::Payload(Box::new(payloads::shown(find_payload(tables, *kind, reference)?)))
            }
            write => {
                debug_assert!(is_read(write), "writes go elsewhere");
                ControlReply::Done
            }
        })
    }

    fn node(&self, node: &Node) -> NodeView {
        let raft_id = node.manager.as_ref().map(|manager| manager.raft_id);
        let health = raft_id.and_then(|id| self.members.voters.get(&id).or_else(|| self.members.learners.get(&id)));
        let reachability = match health {
            None => Reachability::Unknown,
            Some(health) if health.reachable => Reachability::Reachable,
            Some(_) => Reachability::Unreachable,
        };
        NodeView { node: node.clone(), leader: raft_id == Some(self.members.own), reachability }
    }

    fn service(&self, service: &Service) -> ServiceView {
        ServiceView { service: service.clone(), status: self.status(service) }
    }

    fn status(&self, service: &Service) -> ServiceStatus {
        let tasks = || self.tables.service_tasks(service.id);
        let count = |wanted: &dyn Fn(&Task) -> bool| tasks().filter(|task| wanted(task)).count() as u64;
        let current = |task: &Task| task.job_iteration == service.job_iteration;
        let desired = match service.spec.mode {
            ServiceMode::Replicated { replicas } => replicas,
            ServiceMode::Global => count(&|task| task.desired == TaskState::Running),
            ServiceMode::ReplicatedJob { max_concurrent, .. } => max_concurrent,
            ServiceMode::GlobalJob => count(&|task| {
                current(task) && task.desired == TaskState::Complete && task.status.state != TaskState::Complete
            }),
        };
        let is_job = service.spec.mode.is_job();
        ServiceStatus {
            // What a lost node was last heard to run is nobody's service.
            running: count(&|task| {
                task.status.state == TaskState::Running && !task.node.is_some_and(|node| is_gone(self.tables, node))
            }),
            desired,
            completed: count(&|task| is_job && current(task) && task.status.state == TaskState::Complete),
        }
    }

    fn tasks(&self, filter: &TaskFilter) -> Result<Vec<Task>, ControlError> {
        let tables = self.tables;
        let services = filter.services.iter().map(|it| find_service(tables, it).map(|service| service.id));
        let services: BTreeSet<ServiceId> = services.collect::<Result<_, _>>()?;
        let nodes = filter.nodes.iter().map(|it| find_node(tables, it).map(|node| node.id));
        let nodes: BTreeSet<NodeId> = nodes.collect::<Result<_, _>>()?;
        let fits = |task: &&Arc<Task>| {
            (services.is_empty() || services.contains(&task.service))
                && (nodes.is_empty() || task.node.is_some_and(|node| nodes.contains(&node)))
                && (filter.desired.is_empty() || filter.desired.contains(&task.desired))
                && any_begins(&filter.ids, || task.id.to_string())
                && any_begins(&filter.names, || task.name())
        };
        let all: Box<dyn Iterator<Item = &Arc<Task>>> = if services.is_empty() {
            Box::new(tables.tasks())
        } else {
            Box::new(services.iter().flat_map(|service| tables.service_tasks(*service)))
        };
        Ok(all.filter(fits).map(|task| (**task).clone()).collect())
    }
}

fn any_begins(prefixes: &[String], text: impl FnOnce() -> String) -> bool {
    if prefixes.is_empty() {
        return true;
    }
    let text = text();
    prefixes.iter().any(|prefix| text.starts_with(prefix.as_str()))
}
