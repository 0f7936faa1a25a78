//! What doors ask and workers say: services come, change and go; hosts acknowledge; a manager restarts.

use std::time::Duration;

use shoal_manager_core::{Answer, ControlPlane, Input, PlaneConfig, RequestId, Restored, SnapshotRecord};
use shoal_proto::model::{
    ControlErrorKind, ControlReply, ControlRequest, HostState, Labels, LocalNetwork, NetworkAttachmentSpec, Rollback,
    TaskReport, TaskState, TaskStatus, Verification,
};

use super::host::{Host, SESSION, get, node, web};

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
fn every_host_says_what_its_kernel_shows_or_is_named() {
    let mut host = Host::swarm();
    host.ask(ControlRequest::CreateService { spec: Box::new(web(1)) }).unwrap();
    host.report(TaskState::Running);
    let ask = |host: &mut Host, number: u64| {
        host.input(Input::Request { id: RequestId(number), request: ControlRequest::VerifyNetworks });
        assert!(host.replies.iter().all(|(id, _)| *id != RequestId(number)), "nobody has compared yet");
    };
    let says = |host: &mut Host, digest: u64, outcome| {
        let (number, revision) = (host.asked.unwrap(), host.shown);
        let verification = Verification { number, revision, digest, outcome };
        host.input(Input::Verified { node: node(), session: SESSION, verification });
    };
    let state = |host: &mut Host, number: u64| {
        let (_, outcome) = host.replies.iter().find(|(id, _)| *id == RequestId(number)).unwrap();
        match outcome.clone().unwrap() {
            Answer::Control(ControlReply::NetworksVerified(hosts)) => hosts[0].state.clone(),
            other => panic!("answered {other:?}"),
        }
    };
    let digest = host.told.endpoint_digest();
    ask(&mut host, 2000);
    says(&mut host, digest, Ok(Vec::new()));
    assert_eq!(state(&mut host, 2000), HostState::Compared { differences: Vec::new() });

    // One answer serves all who asked before.
    ask(&mut host, 2001);
    ask(&mut host, 2002);
    says(&mut host, digest + 1, Ok(vec!["one".to_owned()]));
    let HostState::Compared { differences } = state(&mut host, 2001) else { panic!("it compared") };
    assert_eq!(differences, ["one", "its set of endpoints is not the one that it was told"]);
    assert_eq!(state(&mut host, 2002), HostState::Compared { differences });

    ask(&mut host, 2003);
    says(&mut host, digest, Err("no netlink".to_owned()));
    assert_eq!(state(&mut host, 2003), HostState::Failed { reason: "no netlink".to_owned() });

    // One that lies takes neither the leader's memory nor a terminal.
    ask(&mut host, 2005);
    says(&mut host, digest, Ok(vec!["\u{1b}[2J".repeat(5000); 5000]));
    let HostState::Compared { differences } = state(&mut host, 2005) else { panic!("it compared") };
    assert_eq!((differences.len(), differences[0].len(), &differences[0][..3]), (101, 2048, "[2J"));

    ask(&mut host, 2004);
    host.pass(Duration::from_secs(6));
    assert_eq!(state(&mut host, 2004), HostState::Silent);
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
