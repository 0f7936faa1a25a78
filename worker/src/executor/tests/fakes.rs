//! Images, networks and containers that are only remembered. Containers outlive the driver, as the keeper's do.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use shoal_proto::model::{
    Id, LocalNetwork, Meta, NetworkAssignment, NetworkId, NodeId, PeerEndpoints, PortStatus, PullCredentials,
    ServiceId, ServiceSet, Task, TaskAssignment, TaskExit, TaskId, TaskSpec, TaskState, TaskStatus, Timestamp, Version,
};
use shoal_worker_core::{AdoptedState, ContainerExit, EndpointInfo, EndpointPlan, Failure, FailureKind, Input};
use tokio::sync::{mpsc, watch};

use crate::executor::contract::{Containers, Creation, Endpoints, Found, Images, StandingEndpoint, Started};
use crate::testing::task_id;

pub(super) fn node() -> NodeId {
    NodeId::from_random(1)
}

/// A task of image web:1; those of odd number on the host's network, the others on the bridge.
pub(super) fn task(n: u128, desired: TaskState) -> TaskAssignment {
    let mut spec = TaskSpec::default();
    spec.container.image = "web:1".to_owned();
    let status = TaskStatus {
        timestamp: Timestamp::default(),
        state: TaskState::Assigned,
        message: String::new(),
        error: String::new(),
        container_id: None,
        pid: None,
        exit: None,
        ports: PortStatus::default(),
        draining: false,
    };
    TaskAssignment {
        local_network: if n % 2 == 1 { LocalNetwork::Host } else { LocalNetwork::Bridge },
        task: Task {
            id: task_id(n),
            meta: Meta::default(),
            spec: Arc::new(spec),
            spec_version: Version(1),
            service: ServiceId::from_random(1),
            service_name: "web".to_owned(),
            service_labels: BTreeMap::new(),
            slot: 1,
            node: Some(node()),
            status,
            desired,
            host_ports: Vec::new(),
            attachments: Vec::new(),
            job_iteration: None,
        },
    }
}

#[derive(Debug, Default)]
pub(in crate::executor) struct FakeImages {
    pulls: Mutex<u32>,
    refusal: Mutex<Option<String>>,
}

impl FakeImages {
    pub(super) fn pulls(&self) -> u32 {
        *self.pulls.lock().unwrap()
    }

    pub(super) fn refuse(&self, message: &str) {
        *self.refusal.lock().unwrap() = Some(message.to_owned());
    }
}

#[async_trait]
impl Images for FakeImages {
    async fn ensure(&self, _image: &str, _credentials: Option<&PullCredentials>) -> Result<String, Failure> {
        *self.pulls.lock().unwrap() += 1;
        match &*self.refusal.lock().unwrap() {
            Some(message) => Err(Failure { message: message.clone(), kind: FailureKind::Fatal }),
            None => Ok("sha256:1".to_owned()),
        }
    }
}

#[derive(Debug, Default)]
pub(in crate::executor) struct FakeEndpoints {
    torn_down: Mutex<bool>,
}

impl FakeEndpoints {
    pub(super) fn is_torn_down(&self) -> bool {
        *self.torn_down.lock().unwrap()
    }
}

#[async_trait]
impl Endpoints for FakeEndpoints {
    async fn networks_found(&self) -> Result<Vec<NetworkId>, Failure> {
        Ok(Vec::new())
    }
    async fn ensure_network(&self, _: NetworkId, _: &NetworkAssignment) -> Result<(), Failure> {
        Ok(())
    }
    async fn remove_network(&self, _: NetworkId) -> Result<(), Failure> {
        Ok(())
    }
    fn watch(&self, _: mpsc::Sender<Input>) {}

    async fn probe(&self, _: NetworkId, _: BTreeMap<NodeId, IpAddr>) {}

    async fn set_peers(&self, _: NetworkId, _: &BTreeMap<NodeId, PeerEndpoints>) -> Result<(), Failure> {
        Ok(())
    }
    async fn set_services(&self, _: &ServiceSet) -> Result<(), Failure> {
        Ok(())
    }
    async fn create(&self, container: &str, _: &EndpointPlan) -> Result<StandingEndpoint, Failure> {
        let namespace = PathBuf::from("/run/netns").join(container);
        Ok(StandingEndpoint { info: EndpointInfo::default(), namespace, interfaces: Vec::new() })
    }
    async fn remove(&self, _: &str) -> Result<(), Failure> {
        Ok(())
    }
    async fn await_ports(&self, _: &Path, _: &BTreeSet<u16>, _: Duration) -> Result<BTreeSet<u16>, Failure> {
        Ok(BTreeSet::new())
    }
    async fn adopt(&self, _: Vec<String>) -> Result<Vec<(String, StandingEndpoint)>, Failure> {
        Ok(Vec::new())
    }
    async fn verify(&self) -> Result<Vec<String>, Failure> {
        Ok(Vec::new())
    }
    async fn teardown(&self) -> Result<(), Failure> {
        *self.torn_down.lock().unwrap() = true;
        Ok(())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    Created,
    Running,
    Exited(i32),
    Lost,
}

#[derive(Debug)]
pub(in crate::executor) struct FakeContainers {
    lives: watch::Sender<BTreeMap<TaskId, Life>>,
    starts: Mutex<BTreeMap<TaskId, u32>>,
    inputs: Mutex<Option<mpsc::Sender<Input>>>,
}

impl Default for FakeContainers {
    fn default() -> Self {
        Self { lives: watch::channel(BTreeMap::new()).0, starts: Mutex::default(), inputs: Mutex::default() }
    }
}

impl FakeContainers {
    pub(super) fn life(&self, task: TaskId) -> Option<Life> {
        self.lives.borrow().get(&task).copied()
    }

    pub(super) fn starts(&self, task: TaskId) -> u32 {
        self.starts.lock().unwrap().get(&task).copied().unwrap_or_default()
    }

    pub(super) async fn until(&self, task: TaskId, life: Life) {
        self.lives.subscribe().wait_for(|lives| lives.get(&task) == Some(&life)).await.unwrap();
    }

    pub(super) async fn until_gone(&self, task: TaskId) {
        self.lives.subscribe().wait_for(|lives| !lives.contains_key(&task)).await.unwrap();
    }

    /// A container ends by itself.
    pub(super) async fn end(&self, task: TaskId, code: i32) {
        self.lives.send_modify(|lives| {
            assert_eq!(lives.insert(task, Life::Exited(code)), Some(Life::Running));
        });
        let inputs = self.inputs.lock().unwrap().clone();
        if let Some(inputs) = inputs {
            let _nobody = inputs.send(Input::ContainerExited { task, exit: exit(code) }).await;
        }
    }

    /// The host is restarted.
    pub(super) fn lose_all(&self) {
        self.lives.send_modify(|lives| lives.values_mut().for_each(|life| *life = Life::Lost));
    }

    fn task_of(&self, container: &str) -> TaskId {
        container.parse().unwrap()
    }
}

#[async_trait]
impl Containers for FakeContainers {
    fn id_of(&self, task: TaskId) -> String {
        task.to_string()
    }

    fn watch(&self, inputs: mpsc::Sender<Input>) {
        *self.inputs.lock().unwrap() = Some(inputs);
    }

    async fn found(&self) -> Result<Vec<Found>, Failure> {
        let found = |(task, life): (&TaskId, &Life)| Found {
            container: task.to_string(),
            task: *task,
            state: match life {
                Life::Created => AdoptedState::Created,
                Life::Running => AdoptedState::Running { pid: 5, started_at: Timestamp(1), healthy: true },
                Life::Exited(code) => AdoptedState::Exited(exit(*code)),
                Life::Lost => AdoptedState::Lost,
            },
        };
        Ok(self.lives.borrow().iter().map(found).collect())
    }

    async fn create(&self, creation: Creation) -> Result<(), Failure> {
        assert_eq!(creation.image, "sha256:1");
        self.lives.send_modify(|lives| {
            assert!(!lives.contains_key(&creation.task.id), "a second container for a task");
            lives.insert(creation.task.id, Life::Created);
        });
        Ok(())
    }

    async fn start(&self, container: &str) -> Result<Started, Failure> {
        let task = self.task_of(container);
        *self.starts.lock().unwrap().entry(task).or_default() += 1;
        self.lives.send_modify(|lives| {
            assert_eq!(lives.insert(task, Life::Running), Some(Life::Created));
        });
        Ok(Started { pid: 5, awaits_health: false })
    }

    async fn stop(&self, container: &str, _: Option<String>, _: Duration) -> Result<(), Failure> {
        self.end(self.task_of(container), 143).await;
        Ok(())
    }

    async fn remove(&self, container: &str, _: bool) -> Result<(), Failure> {
        let task = self.task_of(container);
        self.lives.send_modify(|lives| {
            assert_ne!(lives.remove(&task), Some(Life::Running), "a running container is removed");
        });
        Ok(())
    }
}

fn exit(code: i32) -> ContainerExit {
    ContainerExit {
        exit: TaskExit { code, oom_killed: false },
        signal: None,
        started_at: Timestamp(1),
        finished_at: Timestamp(2),
    }
}
