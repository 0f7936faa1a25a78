//! Builds tables from a script's lines, and asks deciders about them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use shoal_manager_core::deciders::allocator::{self, Cursor};
use shoal_manager_core::deciders::memory::Memory;
use shoal_manager_core::deciders::{
    Plan, Step, enforcer, global, job, liveness, reaper, replicated, restart, scheduler, update,
};
use shoal_manager_core::store::{Draft, Slot, Tables};
use shoal_proto::model::{
    Availability, Cluster, ClusterId, ClusterSpec, Endpoint, EndpointMode, FailureAction, Id as _, IpamConfig,
    JoinTokens, Labels, Meta, Network, NetworkAttachment, NetworkAttachmentSpec, NetworkId, NetworkSpec, Node,
    NodeDescription, NodeId, NodeSpec, NodeState, NodeStatus, Platform, PortConfig, PortProtocol, PortStatus,
    Preference, PublishMode, ResourceReservations, RestartCondition, Role, RootCa, Sensitive, Service, ServiceId,
    ServiceMode, ServiceSpec, Task, TaskId, TaskState, TaskStatus, Timestamp, UpdateConfig, UpdateOrder, UpdateState,
    UpdateStatus, Version,
};

use super::words::Words;

/// Tables under construction, and who is called what.
pub(crate) struct Stage {
    draft: Draft,
    seen: Seen,
    now: Timestamp,
    /// Nicknames, by the text of the identifier.
    names: BTreeMap<String, String>,
    count: u128,
}

/// What the script says that a leader has seen.
#[derive(Default)]
struct Seen {
    memory: Memory,
    lagging: Vec<NodeId>,
}

impl update::Witness for Seen {
    fn running_since(&self, task: TaskId) -> Option<Timestamp> {
        self.memory.running_since(task)
    }

    fn lagging(&self, _service: ServiceId) -> Vec<NodeId> {
        self.lagging.clone()
    }
}

const START: i64 = 100;

fn at(seconds: f64) -> Timestamp {
    Timestamp(0) + Duration::from_secs_f64(seconds)
}

impl Stage {
    pub(crate) fn new() -> Self {
        let now = Timestamp(START * 1_000_000_000);
        let mut draft = Draft::new(Tables::default(), 1, now);
        draft.put_cluster(Cluster {
            id: ClusterId::from_random(1),
            meta: Meta::default(),
            spec: ClusterSpec::default(),
            root_ca: RootCa { certificate_pem: String::new(), key_pem: Sensitive::default() },
            join_tokens: JoinTokens { worker: Sensitive::default(), manager: Sensitive::default() },
            default_address_pool: Vec::new(),
            subnet_size: 24,
            data_path_port: 4789,
        });
        Self { draft, seen: Seen::default(), now, names: BTreeMap::new(), count: 0 }
    }

    /// Does what a line says, and tells what came of it.
    pub(crate) fn obey(&mut self, line: &str) -> Result<String, String> {
        let words = Words::new(line);
        match words.verb {
            "now" => {
                self.now = at(words.name.parse().map_err(|_| "a time is missing")?);
                self.draft.set_now(self.now);
                Ok(String::new())
            }
            "history" => {
                let mut cluster = self.draft.tables().cluster().map(|it| (**it).clone()).ok_or("no cluster")?;
                cluster.spec.task_history_retention_limit = words.name.parse().map_err(|_| "no number")?;
                self.draft.put_cluster(cluster);
                Ok(String::new())
            }
            "node" => self.put_node(&words).map(|()| String::new()),
            "ingress" => self.put_ingress(&words).map(|()| String::new()),
            "network" => self.put_network(&words).map(|()| String::new()),
            "service" => self.put_service(&words).map(|()| String::new()),
            "task" => self.put_task(&words).map(|()| String::new()),
            "update-status" => self.put_status(&words).map(|()| String::new()),
            "lagging" => {
                let nodes = words.all("node").iter().map(|node| self.id_of(node));
                self.seen.lagging = nodes.collect::<Result<_, _>>()?;
                Ok(String::new())
            }
            "serve" => self.serve(&words).map(|()| String::new()),
            "decide" => self.decide(&words).map(|plan| self.nicknames(&plan.to_string())),
            other => Err(format!("unknown verb {other}")),
        }
    }

    fn fresh(&mut self, name: &str, id: impl FnOnce(u128) -> String) -> u128 {
        self.count += 1;
        self.names.insert(id(self.count), name.to_owned());
        self.count
    }

    fn nicknames(&self, text: &str) -> String {
        self.names.iter().fold(text.to_owned(), |text, (id, name)| text.replace(id, name))
    }

    fn id_of<T: shoal_proto::model::Id>(&self, name: &str) -> Result<T, String> {
        let found = self.names.iter().find(|(_, nickname)| *nickname == name);
        found.and_then(|(id, _)| id.parse().ok()).ok_or_else(|| format!("nobody is called {name}"))
    }

    fn put_node(&mut self, words: &Words<'_>) -> Result<(), String> {
        let id = match self.id_of(words.name) {
            Ok(id) => id,
            Err(_) => NodeId::from_random(self.fresh(words.name, |n| NodeId::from_random(n).to_string())),
        };
        let pairs = |key: &str| words.all(key).iter().filter_map(|text| text.split_once(':'));
        let owned = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
        let flag =
            |states: &[(&str, NodeState)]| states.iter().find(|(word, _)| words.has(word)).map(|(_, state)| *state);
        let state = flag(&[("down", NodeState::Down), ("unknown", NodeState::Unknown)]).unwrap_or(NodeState::Ready);
        let availability = match (words.has("drain"), words.has("pause")) {
            (true, _) => Availability::Drain,
            (_, true) => Availability::Pause,
            _ => Availability::Active,
        };
        let role = if words.has("manager") { Role::Manager } else { Role::Worker };
        let resources = ResourceReservations {
            nano_cpus: i64::try_from(words.number("cpus")?.unwrap_or(4)).unwrap_or(0) * 1_000_000_000,
            memory_bytes: i64::try_from(words.number("mib")?.unwrap_or(4096)).unwrap_or(0) << 20,
        };
        let architecture = words.get("arch").unwrap_or("x86_64").to_owned();
        self.draft.put_node(Node {
            id,
            meta: Meta::default(),
            spec: NodeSpec { labels: pairs("label").map(owned).collect(), role, availability, name: String::new() },
            role,
            description: NodeDescription {
                hostname: words.name.to_owned(),
                platform: Platform { architecture, os: "linux".to_owned() },
                resources,
                engine_labels: pairs("engine-label").map(owned).collect(),
                ..NodeDescription::default()
            },
            status: NodeStatus {
                state,
                message: String::new(),
                address: words.get("address").unwrap_or_default().to_owned(),
                since: words.seconds("since")?.map_or(self.now, |time| Timestamp(0) + time),
            },
            manager: None,
            data_path_address: String::new(),
            ingress_address: words.get("ingress").and_then(|text| text.parse().ok()),
        });
        Ok(())
    }

    fn put_ingress(&mut self, words: &Words<'_>) -> Result<(), String> {
        let subnet = words.name.parse().map_err(|_| format!("{} is no subnet", words.name))?;
        self.draft.put_network(Network {
            id: NetworkId::from_random(1),
            meta: Meta::default(),
            spec: NetworkSpec { name: "ingress".to_owned(), ingress: true, ..NetworkSpec::default() },
            subnet: Some(subnet),
            vni: Some(4096),
        });
        Ok(())
    }

    /// `network NAME subnet=SUBNET gateway=ADDRESS range=SUBNET`
    fn put_network(&mut self, words: &Words<'_>) -> Result<(), String> {
        let id = NetworkId::from_random(self.fresh(words.name, |n| NetworkId::from_random(n).to_string()));
        let subnet = words.get("subnet").and_then(|text| text.parse().ok()).ok_or("subnet= is missing")?;
        let ipam = IpamConfig {
            subnet,
            range: words.get("range").and_then(|text| text.parse().ok()),
            gateway: words.get("gateway").and_then(|text| text.parse().ok()),
        };
        let spec = NetworkSpec { name: words.name.to_owned(), ipam: vec![ipam], ..NetworkSpec::default() };
        self.draft.put_network(Network { id, meta: Meta::default(), spec, subnet: Some(subnet), vni: Some(5000) });
        Ok(())
    }

    fn put_service(&mut self, words: &Words<'_>) -> Result<(), String> {
        let before = self.id_of(words.name).ok().and_then(|id| self.draft.tables().service(id).cloned());
        let spec = service_spec(words)?;
        let (version, old_version) = match &before {
            Some(before) => (Version(before.spec_version.0 + 1), Some(before.spec_version)),
            None => (Version(1), None),
        };
        let id = match &before {
            Some(before) => before.id,
            None => ServiceId::from_random(self.fresh(words.name, |n| ServiceId::from_random(n).to_string())),
        };
        self.draft.put_service(Service {
            id,
            meta: Meta::default(),
            job_iteration: spec.mode.is_job().then_some(version),
            spec,
            spec_version: version,
            previous_spec: before.as_ref().map(|before| Box::new(before.spec.clone())),
            previous_spec_version: old_version,
            endpoint: before.map_or_else(Endpoint::default, |before| before.endpoint.clone()),
            update_status: None,
        });
        Ok(())
    }

    /// `task NAME of=SERVICE slot=N on=NODE STATE desired=STATE made=SECONDS since=SECONDS version=N`
    fn put_task(&mut self, words: &Words<'_>) -> Result<(), String> {
        let known: Result<TaskId, String> = self.id_of(words.name);
        let before = known.clone().ok().and_then(|id| self.draft.tables().task(id).cloned());
        let service: ServiceId = match (&before, words.get("of")) {
            (_, Some(name)) => self.id_of(name)?,
            (Some(before), None) => before.service,
            (None, None) => return Err("of= is missing".to_owned()),
        };
        let node = words.get("on").map(|name| self.id_of::<NodeId>(name)).transpose()?;
        let id = match known {
            Ok(id) => id,
            Err(_) => TaskId::from_random(self.fresh(words.name, |n| TaskId::from_random(n).to_string())),
        };
        let stored = self.draft.tables().service(service).cloned();
        let version = words.number("version")?.map(Version).or(stored.as_ref().map(|it| it.spec_version));
        let version = version.unwrap_or_default();
        let spec = self.draft.tables().shared_spec(service, version).unwrap_or_default();
        let states: Vec<TaskState> =
            STATES.iter().filter(|(word, _)| words.has(word)).map(|(_, state)| *state).collect();
        let kept = before.as_ref().map_or(TaskState::Running, |it| it.desired);
        let desired = words.get("desired").and_then(state_named).unwrap_or(kept);
        let made = words.seconds("made")?.map(|time| Timestamp(0) + time);
        let attachment = |text: &&str| {
            text.parse().ok().map(|address| NetworkAttachment {
                network: NetworkId::from_random(1),
                address,
                aliases: Vec::new(),
            })
        };
        let task = Task {
            id,
            meta: Meta {
                created_at: made.or(before.as_ref().map(|it| it.meta.created_at)).unwrap_or(self.now),
                ..Meta::default()
            },
            spec,
            spec_version: version,
            service,
            service_name: stored.as_ref().map_or_else(String::new, |it| it.spec.name.clone()),
            service_labels: BTreeMap::default(),
            slot: words.number("slot")?.or(before.as_ref().map(|it| it.slot)).unwrap_or(0),
            node: node.or(before.as_ref().and_then(|it| it.node)),
            status: TaskStatus {
                timestamp: words.seconds("since")?.map_or(self.now, |time| Timestamp(0) + time),
                state: states.first().copied().unwrap_or(TaskState::Running),
                message: String::new(),
                error: String::new(),
                container_id: None,
                pid: None,
                exit: None,
                ports: PortStatus::default(),
                draining: false,
            },
            desired,
            host_ports: host_ports(stored.as_ref()),
            attachments: words.all("address").iter().filter_map(attachment).collect(),
            job_iteration: stored.as_ref().and_then(|it| it.job_iteration),
        };
        self.seen.memory.observe(before.as_deref(), Some(&task), self.now);
        self.draft.put_task(task);
        Ok(())
    }

    fn put_status(&mut self, words: &Words<'_>) -> Result<(), String> {
        let id: ServiceId = self.id_of(words.name)?;
        let states = [
            ("updating", UpdateState::Updating),
            ("paused", UpdateState::Paused),
            ("completed", UpdateState::Completed),
            ("rollback-started", UpdateState::RollbackStarted),
        ];
        let state = states.iter().find(|(word, _)| words.has(word)).map(|(_, state)| *state).ok_or("no state")?;
        let started_at = words.seconds("since")?.map_or(self.now, |time| Timestamp(0) + time);
        self.draft.change_service(id, |service| {
            let message = String::new();
            service.update_status = Some(UpdateStatus { state, started_at, completed_at: None, message });
        });
        Ok(())
    }

    /// Gives a service its ports.
    fn serve(&mut self, words: &Words<'_>) -> Result<(), String> {
        let service = self.draft.tables().service(self.id_of(words.name)?).cloned().ok_or("no such service")?;
        let plan = allocator::decide_service(self.draft.tables(), &service, &mut Cursor::default());
        for step in plan.steps {
            if let Step::Publish { service, endpoint } = step {
                self.draft.change_service(service, |service| service.endpoint = *endpoint);
            }
        }
        Ok(())
    }

    fn decide(&self, words: &Words<'_>) -> Result<Plan, String> {
        let tables = self.draft.tables();
        let subject = words.plain_subject();
        let service = || -> Result<Arc<Service>, String> {
            let id = self.id_of(subject)?;
            tables.service(id).cloned().ok_or_else(|| format!("{subject} is no service"))
        };
        Ok(match words.name {
            "replicated" => {
                let service = service()?;
                let ServiceMode::Replicated { replicas } = service.spec.mode else { return Err("no replicas".into()) };
                replicated::decide(tables, &service, replicas, self.now)
            }
            "global" => global::decide(tables, &*service()?, self.now),
            "job" => {
                let service = service()?;
                match service.spec.mode {
                    ServiceMode::ReplicatedJob { max_concurrent, total_completions } => {
                        job::decide_replicated(tables, &service, max_concurrent, total_completions)
                    }
                    _ => job::decide_global(tables, &service),
                }
            }
            "restart" => restart::decide(tables, &*service()?, self.now),
            "update" => update::decide(tables, &*service()?, &self.seen, self.now),
            "reap" => {
                let slot = Slot::Number(words.number("slot")?.unwrap_or(1));
                reaper::decide(tables, (self.id_of(subject)?, slot))
            }
            "enforce" => {
                let node = tables.node(self.id_of(subject)?).ok_or("no such node")?;
                enforcer::decide(tables, node)
            }
            "liveness" => {
                let deadline = words.seconds("deadline")?.map_or(self.now, |time| Timestamp(0) + time);
                let deadlines = tables.nodes().map(|node| (node.id, deadline)).collect();
                liveness::decide(tables, &deadlines, self.now)
            }
            "ports" => allocator::decide_service(tables, &*service()?, &mut Cursor::default()),
            "node-addresses" => allocator::decide_nodes(tables, &mut Cursor::default()),
            "task-addresses" => allocator::decide_tasks(tables, &mut Cursor::default()),
            "placement" => scheduler::decide(tables, &self.seen.memory, self.now),
            other => return Err(format!("unknown decider {other}")),
        })
    }
}

const STATES: [(&str, TaskState); 12] = [
    ("new", TaskState::New),
    ("pending", TaskState::Pending),
    ("assigned", TaskState::Assigned),
    ("preparing", TaskState::Preparing),
    ("ready", TaskState::Ready),
    ("running", TaskState::Running),
    ("complete", TaskState::Complete),
    ("shutdown", TaskState::Shutdown),
    ("failed", TaskState::Failed),
    ("rejected", TaskState::Rejected),
    ("remove", TaskState::Remove),
    ("orphaned", TaskState::Orphaned),
];

fn state_named(word: &str) -> Option<TaskState> {
    STATES.iter().find(|(name, _)| *name == word).map(|(_, state)| *state)
}

fn host_ports(service: Option<&Arc<Service>>) -> Vec<PortConfig> {
    let ports = service.into_iter().flat_map(|service| &service.spec.endpoint.ports);
    ports.filter(|port| port.mode == PublishMode::Host).cloned().collect()
}

fn service_spec(words: &Words<'_>) -> Result<ServiceSpec, String> {
    let mut spec = ServiceSpec { name: words.name.to_owned(), ..ServiceSpec::default() };
    spec.mode = match (words.has("global"), words.number("completions")?) {
        (true, _) => ServiceMode::Global,
        (false, Some(total_completions)) => {
            ServiceMode::ReplicatedJob { max_concurrent: words.number("concurrent")?.unwrap_or(1), total_completions }
        }
        (false, None) => ServiceMode::Replicated { replicas: words.number("replicas")?.unwrap_or(1) },
    };
    if words.has("global-job") {
        spec.mode = ServiceMode::GlobalJob;
    }
    spec.task.container.image = words.get("image").unwrap_or("web:1").to_owned();
    spec.task.restart.condition = match words.get("restart") {
        Some("none") => RestartCondition::None,
        Some("on-failure") => RestartCondition::OnFailure,
        _ => RestartCondition::Any,
    };
    spec.task.restart.max_attempts = words.number("attempts")?.unwrap_or(0);
    if let Some(delay) = words.seconds("restart-delay")? {
        spec.task.restart.delay = delay;
    }
    spec.task.restart.window = words.seconds("window")?.unwrap_or_default();
    let placement = &mut spec.task.placement;
    placement.constraints =
        words.all("where").iter().map(|text| (*text).replace("!:", "!=").replace(':', "==")).collect();
    placement.preferences = words.all("spread").iter().map(|text| Preference { spread: (*text).to_owned() }).collect();
    placement.max_replicas = words.number("max-per-node")?.unwrap_or(0);
    let platform = |text: &&str| Platform { architecture: (*text).to_owned(), os: "linux".to_owned() };
    placement.platforms = words.all("platform").iter().map(platform).collect();
    let reservations = &mut spec.task.resources.reservations;
    reservations.memory_bytes = i64::try_from(words.number("reserve-mib")?.unwrap_or(0)).unwrap_or(0) << 20;
    reservations.nano_cpus = i64::try_from(words.number("reserve-cpus")?.unwrap_or(0)).unwrap_or(0) * 1_000_000_000;
    for (key, mode) in [("publish", PublishMode::Ingress), ("host-port", PublishMode::Host)] {
        for text in words.all(key) {
            let (published, target) = text.split_once(':').ok_or("a port is written PUBLISHED:TARGET")?;
            let number = |text: &str| text.parse::<u16>().map_err(|_| format!("{text} is no port"));
            let (published_port, target_port) = (number(published)?, number(target)?);
            let port =
                PortConfig { name: String::new(), protocol: PortProtocol::Tcp, target_port, published_port, mode };
            spec.endpoint.ports.push(port);
        }
    }
    let wish = |name: &&str| NetworkAttachmentSpec {
        target: (*name).to_owned(),
        aliases: Vec::new(),
        driver_options: Labels::new(),
    };
    spec.task.networks = words.all("on-network").iter().map(wish).collect();
    if words.has("dnsrr") {
        spec.endpoint.mode = EndpointMode::DnsRoundRobin;
    }
    spec.update = update_config(words)?;
    Ok(spec)
}

fn update_config(words: &Words<'_>) -> Result<UpdateConfig, String> {
    Ok(UpdateConfig {
        parallelism: words.number("parallelism")?.unwrap_or(1),
        delay: words.seconds("delay")?.unwrap_or_default(),
        failure_action: match words.get("on-failure") {
            Some("continue") => FailureAction::Continue,
            Some("rollback") => FailureAction::Rollback,
            _ => FailureAction::Pause,
        },
        monitor: words.seconds("monitor")?.unwrap_or(Duration::from_secs(5)),
        max_failure_ratio: words.get("ratio").and_then(|text| text.parse().ok()).unwrap_or(0.0),
        order: if words.has("start-first") { UpdateOrder::StartFirst } else { UpdateOrder::StopFirst },
    })
}
