//! A swarm of one manager, driven by hand: what the shell sees.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::net::IpAddr;
use std::time::Duration;

use shoal_manager_core::{
    Answer, ControlPlane, Input, NewSwarm, Output, PlaneConfig, RequestId, Restored, SessionId, SnapshotRecord,
};
use shoal_proto::model::{
    AssignmentSet, Availability, ClusterId, ClusterSpec, ControlError, ControlErrorKind, ControlReply, ControlRequest,
    Id, IpamConfig, JoinTokens, Labels, LocalNetwork, NetworkAttachmentSpec, NetworkId, NetworkSpec, NodeDescription,
    NodeId, PortConfig, PortProtocol, PortStatus, PublishMode, ResourceReservations, Revision, Role, Rollback, RootCa,
    Sensitive, ServiceMode, ServiceSpec, TaskReport, TaskState, TaskStatus, Timestamp, TunnelKey,
};

/// A plane, a disk, and one worker that does what it is told.
struct Host {
    plane: ControlPlane,
    now: Timestamp,
    disk: Restored,
    replies: Vec<(RequestId, Result<Answer, ControlError>)>,
    told: AssignmentSet,
    /// The last set it was told.
    shown: Revision,
    /// Its kernel shows nothing until it is told to.
    is_slow: bool,
    next_request: u64,
}

const NODE: u128 = 7;
const SESSION: SessionId = SessionId(5);

fn node() -> NodeId {
    NodeId::from_random(NODE)
}

fn description() -> NodeDescription {
    NodeDescription {
        hostname: "one".to_owned(),
        resources: ResourceReservations { nano_cpus: 2_000_000_000, memory_bytes: 1 << 30 },
        ..NodeDescription::default()
    }
}

impl Host {
    fn start(disk: Restored, seed: u64) -> Self {
        let config = PlaneConfig::new(9, node(), [seed, 2, 3, 4]);
        let plane = ControlPlane::new(config, disk.clone()).unwrap();
        let now = Timestamp(1_700_000_000_000_000_000);
        Self {
            plane,
            now,
            disk,
            replies: Vec::new(),
            told: AssignmentSet::default(),
            shown: Revision(0),
            is_slow: false,
            next_request: 0,
        }
    }

    fn swarm() -> Self {
        let mut host = Self::start(Restored::default(), 1);
        let swarm = NewSwarm {
            cluster: ClusterId::from_random(1),
            spec: ClusterSpec::default(),
            root_ca: RootCa { certificate_pem: String::new(), key_pem: Sensitive::default() },
            join_tokens: JoinTokens { worker: Sensitive::default(), manager: Sensitive::default() },
            default_address_pool: Vec::new(),
            subnet_size: 24,
            data_path_port: 4789,
            description: description(),
            availability: Availability::Active,
            manager_address: "10.0.0.1:2377".to_owned(),
            data_path_address: "10.0.0.1".to_owned(),
        };
        host.input(Input::Bootstrap { id: RequestId(0), swarm: Box::new(swarm) });
        host.open();
        host
    }

    fn open(&mut self) {
        self.told = AssignmentSet::default();
        let observed_address = IpAddr::from([10, 0, 0, 1]);
        let description = description();
        self.input(Input::SessionOpened {
            node: node(),
            session: SESSION,
            description,
            observed_address,
            data_path_address: None,
        });
    }

    fn input(&mut self, input: Input) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            for output in self.plane.handle(self.now, input) {
                match output {
                    Output::Persist(persist) => {
                        let number = persist.number;
                        if let Some(snapshot) = persist.snapshot {
                            self.disk.snapshot = Some(snapshot);
                            self.disk.entries.clear();
                        }
                        if let Some(first) = persist.entries.first() {
                            self.disk.entries.retain(|entry| entry.index < first.index);
                        }
                        self.disk.entries.extend(persist.entries);
                        self.disk.hard_state = persist.hard_state.or(self.disk.hard_state.take());
                        inputs.push(Input::Persisted { number });
                    }
                    Output::SaveSnapshot(snapshot) => self.disk.snapshot = Some(snapshot),
                    Output::Compact { through } => self.disk.entries.retain(|entry| entry.index > through),
                    Output::Reply { id, outcome, .. } => self.replies.push((id, outcome)),
                    Output::Assign { node: to, session, diff } if to == node() => {
                        let revision = diff.result;
                        self.told.apply(diff);
                        self.shown = revision;
                        if !self.is_slow {
                            inputs.push(Input::Applied { node: to, session, revision });
                        }
                    }
                    _ => {}
                }
            }
        }
    }

    /// The worker's kernel shows all that it was told.
    fn show(&mut self) {
        self.input(Input::Applied { node: node(), session: SESSION, revision: self.shown });
    }

    fn ask(&mut self, request: ControlRequest) -> Result<ControlReply, ControlError> {
        self.next_request += 1;
        let id = RequestId(self.next_request);
        self.input(Input::Request { id, request });
        let place = self.replies.iter().position(|(of, _)| *of == id).unwrap();
        self.replies.swap_remove(place).1.map(|answer| match answer {
            Answer::Control(reply) => reply,
            other => panic!("answered {other:?}"),
        })
    }

    fn report(&mut self, state: TaskState) {
        let status = |task: &shoal_proto::model::Task| TaskStatus {
            timestamp: self.now,
            state: if task.desired > TaskState::Running { TaskState::Shutdown } else { state },
            message: String::new(),
            error: String::new(),
            container_id: None,
            pid: None,
            exit: None,
            ports: PortStatus::default(),
            draining: false,
        };
        let tasks = self.told.tasks.values();
        let reports = tasks.map(|it| TaskReport { task: it.task.id, status: status(&it.task) }).collect();
        self.input(Input::Reports { node: node(), session: SESSION, reports });
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now = self.now + Duration::from_millis(50);
            self.input(Input::Heartbeat { node: node(), session: SESSION });
            self.input(Input::Tick);
        }
    }

    fn running(&self) -> usize {
        self.plane.tables().tasks().filter(|task| task.status.state == TaskState::Running).count()
    }
}

fn web(replicas: u64) -> ServiceSpec {
    let port = PortConfig {
        name: String::new(),
        protocol: PortProtocol::Tcp,
        target_port: 80,
        published_port: 8080,
        mode: PublishMode::Ingress,
    };
    let mut spec = ServiceSpec { name: "web".to_owned(), ..ServiceSpec::default() };
    spec.task.container.image = "reg.example/web:1".to_owned();
    spec.mode = ServiceMode::Replicated { replicas };
    spec.endpoint.ports.push(port);
    spec
}

fn get(host: &mut Host) -> shoal_proto::model::ServiceView {
    match host.ask(ControlRequest::GetService { reference: "web".to_owned() }).unwrap() {
        ControlReply::Service(view) => *view,
        other => panic!("answered {other:?}"),
    }
}

#[test]
fn creates_scales_updates_and_removes() {
    let mut host = Host::swarm();
    host.ask(ControlRequest::CreateService { spec: Box::new(web(3)) }).unwrap();
    assert_eq!(host.told.tasks.len(), 3, "{:?}", host.plane.tables());
    assert!(host.told.tasks.values().all(|it| it.task.attachments.len() == 1));
    host.report(TaskState::Running);
    assert_eq!(get(&mut host).status.running, 3);
    assert_eq!(host.told.services.values().next().unwrap().backends.len(), 3);

    let view = get(&mut host);
    let spec = Box::new(web(10));
    let (service, version) = (view.service.id, view.service.meta.version);
    host.ask(ControlRequest::UpdateService { service, version, spec, rollback: Rollback::No }).unwrap();
    host.report(TaskState::Running);
    assert_eq!(host.running(), 10);

    let mut spec = Box::new(web(10));
    spec.task.container.image = "reg.example/web:2".to_owned();
    spec.update.parallelism = 4;
    let version = get(&mut host).service.meta.version;
    host.ask(ControlRequest::UpdateService { service, version, spec, rollback: Rollback::No }).unwrap();
    for _ in 0..8 {
        host.report(TaskState::Running);
        host.pass(Duration::from_millis(100));
    }
    let second = |it: &&std::sync::Arc<shoal_proto::model::Task>| it.spec.container.image.ends_with(":2");
    let tasks = host.plane.tables().tasks();
    assert_eq!(tasks.filter(second).filter(|task| task.status.state == TaskState::Running).count(), 10);
    host.pass(Duration::from_secs(6));
    assert_eq!(get(&mut host).service.update_status.unwrap().message, "update completed");

    host.ask(ControlRequest::RemoveService { reference: "web".to_owned() }).unwrap();
    host.report(TaskState::Running);
    assert_eq!(host.plane.tables().tasks().count(), 0);
    assert!(host.told.tasks.is_empty() && host.told.services.is_empty());
}

#[test]
fn a_task_may_stop_when_every_host_shows_that_it_left() {
    let mut host = Host::swarm();
    host.ask(ControlRequest::CreateService { spec: Box::new(web(2)) }).unwrap();
    host.report(TaskState::Running);
    host.is_slow = true;
    let view = get(&mut host);
    let (service, version) = (view.service.id, view.service.meta.version);
    let spec = Box::new(web(1));
    host.ask(ControlRequest::UpdateService { service, version, spec, rollback: Rollback::No }).unwrap();
    let left = host.told.tasks.values().find(|it| it.task.desired > TaskState::Running).unwrap().task.id;
    assert_eq!(host.told.services.values().next().unwrap().backends.len(), 1);
    assert!(host.told.drained.is_empty(), "the kernel may still lead connections there");
    host.pass(Duration::from_millis(200));
    assert!(host.told.drained.is_empty());
    host.show();
    assert_eq!(host.told.drained.keys().copied().collect::<Vec<_>>(), [left]);
    host.report(TaskState::Running);
    assert!(host.told.drained.is_empty(), "it has ended");

    // A worker that says itself that a task goes.
    host.show();
    let task = host.told.tasks.values().find(|it| it.task.desired == TaskState::Running).unwrap().task.clone();
    let stored = host.plane.tables().task(task.id).unwrap();
    let status = TaskStatus { draining: true, ..stored.status.clone() };
    let reports = vec![TaskReport { task: task.id, status }];
    host.input(Input::Reports { node: node(), session: SESSION, reports });
    assert!(host.told.services.values().next().unwrap().backends.is_empty());
    assert!(host.told.drained.is_empty());
    host.show();
    assert!(host.told.drained.contains_key(&task.id));
}

#[test]
fn a_removal_is_answered_when_every_host_shows_it_or_names_who_lags() {
    let remove = || ControlRequest::RemoveService { reference: "web".to_owned() };
    let answer = |host: &mut Host| match host.replies.pop().unwrap().1.unwrap() {
        Answer::Control(ControlReply::ServiceRemoved { warnings }) => warnings,
        other => panic!("answered {other:?}"),
    };
    let mut host = Host::swarm();
    for shows in [true, false] {
        host.is_slow = false;
        host.ask(ControlRequest::CreateService { spec: Box::new(web(1)) }).unwrap();
        host.report(TaskState::Running);
        host.is_slow = true;
        host.replies.clear();
        host.input(Input::Request { id: RequestId(1000), request: remove() });
        assert!(host.told.services.is_empty());
        assert!(host.replies.is_empty(), "the kernel may still lead connections there");
        if shows {
            host.show();
            assert!(answer(&mut host).is_empty());
        } else {
            host.pass(Duration::from_secs(3));
            let warnings = answer(&mut host);
            assert!(warnings[0].contains("one did not say so yet"), "{warnings:?}");
        }
    }
}

#[test]
fn workers_are_told_which_of_their_own_networks_a_task_has() {
    let mut host = Host::swarm();
    let tables = host.plane.tables();
    let id = |name| tables.network_named(name).unwrap().id.to_string();
    let (host_id, bridge_id) = (id("host"), id("bridge"));
    let wishes = [
        ("Host", LocalNetwork::Host),
        (host_id.as_str(), LocalNetwork::Host),
        (bridge_id.as_str(), LocalNetwork::Bridge),
        ("none", LocalNetwork::None),
    ];
    for (number, (target, expected)) in wishes.into_iter().enumerate() {
        let mut spec = web(1);
        spec.name = format!("web{number}");
        spec.endpoint.ports.clear();
        let target = target.to_owned();
        spec.task.networks = vec![NetworkAttachmentSpec { target, aliases: Vec::new(), driver_options: Labels::new() }];
        host.ask(ControlRequest::CreateService { spec: Box::new(spec.clone()) }).unwrap();
        let told = host.told.tasks.values().find(|told| told.task.service_name == spec.name).unwrap();
        assert_eq!(told.local_network, expected, "{:?}", spec.task.networks);
    }
}

#[test]
fn refuses_what_is_wrong_and_says_all_of_it() {
    let mut host = Host::swarm();
    let mut spec = web(1);
    spec.task.resources.limits.nano_cpus = -1;
    spec.task.placement.constraints.push("node.role=manager".to_owned());
    spec.name = "-".to_owned();
    let error = host.ask(ControlRequest::CreateService { spec: Box::new(spec) }).unwrap_err();
    assert_eq!(error.kind, ControlErrorKind::Invalid);
    for part in ["name must be valid", "invalid cpu value -0.000000001", "'node.role=manager' has no operator"] {
        assert!(error.message.contains(part), "{}", error.message);
    }
    host.ask(ControlRequest::CreateService { spec: Box::new(web(1)) }).unwrap();
    let mut other = web(1);
    other.name = "other".to_owned();
    let error = host.ask(ControlRequest::CreateService { spec: Box::new(other) }).unwrap_err();
    let id = get(&mut host).service.id;
    assert_eq!(error.message, format!("port '8080' is already in use by service 'web' ({id}) as an ingress port"));
    let error = host.ask(ControlRequest::CreateService { spec: Box::new(web(1)) }).unwrap_err();
    assert_eq!(error.kind, ControlErrorKind::Conflict);
    let version = shoal_proto::model::Version(1);
    let spec = Box::new(web(2));
    let update = ControlRequest::UpdateService { service: id, version, spec, rollback: Rollback::No };
    assert_eq!(host.ask(update).unwrap_err().kind, ControlErrorKind::OutOfSequence);
}

#[test]
fn a_restarted_manager_has_what_it_had() {
    let mut host = Host::swarm();
    host.ask(ControlRequest::CreateService { spec: Box::new(web(3)) }).unwrap();
    host.report(TaskState::Running);
    let (digest, index) = (host.plane.tables().digest(), host.plane.tables().index());
    let mut again = Host::start(host.disk.clone(), 2);
    again.now = host.now;
    for _ in 0..40 {
        again.now = again.now + Duration::from_millis(50);
        again.input(Input::Tick);
        if again.plane.tables().index() == index {
            assert_eq!(again.plane.tables().digest(), digest);
        }
        if again.plane.is_leader() {
            break;
        }
    }
    assert!(again.plane.is_leader());
    again.open();
    assert_eq!(again.told.tasks.len(), 3);
    assert_eq!(again.running(), 3);
    let told = again.told.tasks.values().all(|it| it.task.desired == TaskState::Running);
    assert!(told, "a restart changes nothing");
}

#[test]
fn refuses_a_snapshot_that_is_none() {
    let bytes = bytes::Bytes::from_static(b"nonsense");
    let disk = Restored { snapshot: Some(SnapshotRecord { index: 3, term: 1, bytes }), ..Restored::default() };
    assert!(ControlPlane::new(PlaneConfig::new(1, node(), [1; 4]), disk).is_err());
}

fn network(name: &str, subnet: Option<&str>) -> NetworkSpec {
    let config = |text: &str| IpamConfig { subnet: text.parse().unwrap(), range: None, gateway: None };
    NetworkSpec { name: name.to_owned(), ipam: subnet.into_iter().map(config).collect(), ..NetworkSpec::default() }
}

fn create_network(host: &mut Host, spec: NetworkSpec) -> Result<NetworkId, ControlError> {
    match host.ask(ControlRequest::CreateNetwork { spec: Box::new(spec) })? {
        ControlReply::NetworkCreated { network } => Ok(network),
        other => panic!("answered {other:?}"),
    }
}

#[test]
fn a_network_comes_to_hosts_with_its_tasks() {
    let mut host = Host::swarm();
    let front = create_network(&mut host, network("front", None)).unwrap();
    assert!(!host.told.networks.contains_key(&front), "nobody is on it yet");
    let mut spec = web(2);
    let wish = NetworkAttachmentSpec {
        target: "front".to_owned(),
        aliases: vec!["www".to_owned()],
        driver_options: Labels::new(),
    };
    spec.task.networks.push(wish);
    host.ask(ControlRequest::CreateService { spec: Box::new(spec) }).unwrap();
    host.report(TaskState::Running);
    let view = get(&mut host);
    assert_eq!(view.service.spec.task.networks[0].target, front.to_string());
    let told = host.told.names.get(&(front, view.service.id)).unwrap();
    assert_eq!((told.name.as_str(), told.aliases.as_slice()), ("web", &["www".to_owned()][..]));
    assert_eq!(told.vip, Some("10.0.0.2".parse().unwrap()));
    let addresses: Vec<String> = told.tasks.values().map(|task| task.address.to_string()).collect();
    assert_eq!(addresses.len(), 2, "{addresses:?}");
    assert_eq!(host.told.networks.len(), 2, "the routing mesh's and this one");
    assert!(host.told.tasks.values().all(|it| it.task.attachments.len() == 2));

    let refused = host.ask(ControlRequest::RemoveNetwork { reference: "front".to_owned() }).unwrap_err();
    assert!(refused.message.contains("network front is in use by service web"), "{}", refused.message);
    host.ask(ControlRequest::RemoveService { reference: "web".to_owned() }).unwrap();
    assert!(host.told.names.is_empty(), "the name goes with the service");
    host.ask(ControlRequest::RemoveNetwork { reference: "front".to_owned() }).unwrap();
    host.report(TaskState::Shutdown);
    host.pass(Duration::from_millis(100));
    assert_eq!(host.told.networks.len(), 1);
    assert_eq!(host.plane.tables().addresses().count(front), 0, "nothing is held any more");
}

#[test]
fn networks_that_can_not_be_are_refused_by_name() {
    let mut host = Host::swarm();
    create_network(&mut host, network("one", Some("10.9.0.0/24"))).unwrap();
    let mut refused = |spec: NetworkSpec| create_network(&mut host, spec).unwrap_err().message;
    let with = |options: &[(&str, &str)]| NetworkSpec {
        driver_options: options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        ..network("two", None)
    };
    for (spec, words) in [
        (network("ONE", None), "network with name one already exists"),
        (network("two", Some("10.9.0.128/25")), "Pool overlaps with other one on this address space"),
        (network("two", Some("10.9.1.5/24")), "write 10.9.1.0/24"),
        (network("two", Some("10.9.1.0/31")), "has no room for tasks"),
        (network("two", Some("127.0.0.0/16")), "hosts keep its addresses"),
        (network("two", Some("fd00::/64")), "IPv6"),
        (network("a b", None), "network name 'a b' is invalid"),
        (network("host", None), "already exists"),
        (with(&[("encrypted", "perhaps")]), "option encrypted 'perhaps' is invalid"),
        (with(&[("com.docker.network.driver.mtu", "9")]), "give 576 to 65485"),
        (with(&[("com.docker.network.driver.overlay.vxlanid_list", "7")]), "give one number from 4097"),
    ] {
        let message = refused(spec);
        assert!(message.contains(words), "'{words}' is missing in: {message}");
    }
    let lost = host.ask(ControlRequest::CreateService { spec: Box::new(on("nowhere")) }).unwrap_err();
    assert!(lost.message.contains("network nowhere not found"), "{}", lost.message);
}

#[test]
fn keys_of_tunnels_go_to_those_on_encrypted_networks() {
    let mut host = Host::swarm();
    let sealed = |value: &str| Labels::from([("encrypted".to_owned(), value.to_owned())]);
    create_network(&mut host, NetworkSpec { driver_options: sealed(""), ..network("sealed", None) }).unwrap();
    create_network(&mut host, NetworkSpec { driver_options: sealed("false"), ..network("open", None) }).unwrap();
    let other = NodeId::from_random(8);
    let (role, availability) = (Role::Worker, Availability::Active);
    host.input(Input::AdmitNode { id: RequestId(900), node: other, role, availability });
    let comes = |host: &mut Host, session: u64, keys: &[u8]| {
        let tunnel_keys = keys.iter().map(|byte| TunnelKey([*byte; 32])).collect();
        host.input(Input::SessionOpened {
            node: other,
            session: SessionId(session),
            description: NodeDescription { tunnel_keys, ..description() },
            observed_address: IpAddr::from([10, 0, 0, 2]),
            data_path_address: None,
        });
    };
    comes(&mut host, 901, &[1]);
    for name in ["sealed", "open"] {
        let mut spec = on(name);
        spec.name = format!("on-{name}");
        spec.mode = ServiceMode::Global;
        spec.endpoint.ports.clear();
        host.ask(ControlRequest::CreateService { spec: Box::new(spec) }).unwrap();
    }
    let told = |host: &Host, name: &str| {
        let (id, network) = host.told.networks.iter().find(|(_, network)| network.name == name).unwrap();
        let peer = host.told.peers.get(&(*id, other)).unwrap();
        (network.encrypted, peer.tunnel_keys.iter().map(|key| key.0[0]).collect::<Vec<u8>>())
    };
    assert_eq!(told(&host, "sealed"), (true, vec![1]));
    assert_eq!(told(&host, "open"), (false, vec![]), "who needs none is told none");
    assert_eq!(told(&host, "ingress"), (false, vec![]));
    comes(&mut host, 902, &[1, 2]);
    assert_eq!(told(&host, "sealed"), (true, vec![1, 2]), "both, while one replaces the other");
    comes(&mut host, 903, &[2]);
    assert_eq!(told(&host, "sealed"), (true, vec![2]));
}

fn on(network: &str) -> ServiceSpec {
    let mut spec = web(1);
    let target = network.to_owned();
    spec.task.networks.push(NetworkAttachmentSpec { target, aliases: Vec::new(), driver_options: Labels::new() });
    spec
}
