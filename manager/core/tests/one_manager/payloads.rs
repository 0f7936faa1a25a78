//! Secrets and configs: who is told them, who sees them, and what is refused.

use std::time::Duration;

use shoal_proto::model::{
    ControlError, ControlErrorKind, ControlReply, ControlRequest, FileTarget, Labels, Mount, MountKind, Payload,
    PayloadId, PayloadKind, PayloadReference, PayloadSpec, PayloadTarget, Rollback, SensitiveBytes, ServiceMode,
    ServiceSpec, TaskState, TmpfsOptions, Version,
};

use super::host::{Host, get, web};

fn spec(name: &str, data: &[u8]) -> PayloadSpec {
    PayloadSpec { name: name.to_owned(), data: SensitiveBytes::from(data.to_vec()), ..PayloadSpec::default() }
}

fn create(host: &mut Host, kind: PayloadKind, spec: PayloadSpec) -> Result<PayloadId, ControlError> {
    match host.ask(ControlRequest::CreatePayload { kind, spec: Box::new(spec) })? {
        ControlReply::PayloadCreated { payload } => Ok(payload),
        other => panic!("answered {other:?}"),
    }
}

fn read(host: &mut Host, kind: PayloadKind, reference: &str) -> Payload {
    match host.ask(ControlRequest::GetPayload { kind, reference: reference.to_owned() }).unwrap() {
        ControlReply::Payload(payload) => *payload,
        other => panic!("answered {other:?}"),
    }
}

fn remove(host: &mut Host, kind: PayloadKind, reference: &str) -> Result<ControlReply, ControlError> {
    host.ask(ControlRequest::RemovePayload { kind, reference: reference.to_owned() })
}

fn reference(kind: PayloadKind, id: PayloadId, name: &str, target: &str) -> PayloadReference {
    let target = PayloadTarget::File(FileTarget { name: target.to_owned(), uid: 0, gid: 0, mode: 0o444 });
    PayloadReference { kind, id, name: name.to_owned(), target }
}

fn with(references: &[PayloadReference]) -> ServiceSpec {
    let mut spec = web(2);
    spec.task.container.payloads = references.to_vec();
    spec
}

#[test]
fn a_worker_is_told_what_its_tasks_refer_to() {
    let mut host = Host::swarm();
    let key = create(&mut host, PayloadKind::Secret, spec("key", b"one")).unwrap();
    let conf = create(&mut host, PayloadKind::Config, spec("conf", b"two")).unwrap();
    create(&mut host, PayloadKind::Secret, spec("other", b"three")).unwrap();
    assert!(host.payloads.is_empty(), "nobody refers to any");
    let wished = [reference(PayloadKind::Secret, key, "key", "key"), reference(PayloadKind::Config, conf, "conf", "c")];
    host.ask(ControlRequest::CreateService { spec: Box::new(with(&wished)) }).unwrap();
    let told: Vec<_> = host.payloads.iter().map(|(id, told)| (*id, told.data.reveal().to_vec())).collect();
    let mut wanted = vec![(key, b"one".to_vec()), (conf, b"two".to_vec())];
    wanted.sort();
    assert_eq!(told, wanted);
    host.report(TaskState::Running);
    host.open();
    assert_eq!(host.payloads.len(), 2, "a session begins with all of them");

    // The tasks that have the secret are replaced one by one; it goes with the last of them.
    let view = get(&mut host).service;
    let (service, version) = (view.id, view.meta.version);
    let request =
        ControlRequest::UpdateService { service, version, spec: Box::new(with(&wished[1..])), rollback: Rollback::No };
    host.ask(request).unwrap();
    let refused = remove(&mut host, PayloadKind::Secret, "key").unwrap_err();
    assert!(refused.message.contains("secret 'key' is in use by the following service: web"), "{}", refused.message);
    for _ in 0..8 {
        assert!(host.payloads.contains_key(&conf));
        host.report(TaskState::Running);
        host.pass(Duration::from_secs(6));
    }
    assert_eq!(host.payloads.keys().collect::<Vec<_>>(), [&conf]);
    remove(&mut host, PayloadKind::Secret, "key").unwrap();
    let version = get(&mut host).service.meta.version;
    let lost = host.ask(ControlRequest::UpdateService {
        service,
        version,
        spec: Box::new(with(&wished[1..])),
        rollback: Rollback::Previous,
    });
    assert!(lost.unwrap_err().message.contains("secret not found: key"), "what is gone does not come back");

    host.ask(ControlRequest::RemoveService { reference: "web".to_owned() }).unwrap();
    host.report(TaskState::Shutdown);
    host.pass(Duration::from_millis(100));
    assert!(host.payloads.is_empty());
    remove(&mut host, PayloadKind::Config, "conf").unwrap();
}

#[test]
fn large_ones_come_in_several_differences() {
    let mut host = Host::swarm();
    let mut wished = Vec::new();
    for number in 0..9 {
        let name = format!("c{number}");
        let id = create(&mut host, PayloadKind::Config, spec(&name, &vec![b'x'; 1_000_000])).unwrap();
        wished.push(reference(PayloadKind::Config, id, &name, &name));
    }
    let before = host.shown.0;
    host.ask(ControlRequest::CreateService { spec: Box::new(with(&wished)) }).unwrap();
    assert_eq!(host.payloads.len(), 9);
    assert!(host.shown.0 >= before + 2, "one difference can't have held them");
    host.open();
    assert_eq!(host.payloads.len(), 9);
}

#[test]
fn secrets_are_never_shown_and_only_labels_change() {
    let mut host = Host::swarm();
    create(&mut host, PayloadKind::Secret, spec("key", b"one")).unwrap();
    create(&mut host, PayloadKind::Config, spec("key", b"two")).unwrap();
    let secret = read(&mut host, PayloadKind::Secret, "KEY");
    assert!(secret.spec.data.is_empty());
    assert_eq!(read(&mut host, PayloadKind::Config, "key").spec.data.reveal(), b"two");
    let ControlReply::Payloads(listed) = host.ask(ControlRequest::ListPayloads { kind: PayloadKind::Secret }).unwrap()
    else {
        panic!("a list is answered")
    };
    assert_eq!(listed.as_slice(), std::slice::from_ref(&secret));

    let mut update = |version, spec| {
        let (kind, reference) = (PayloadKind::Secret, secret.id.to_string());
        host.ask(ControlRequest::UpdatePayload { kind, reference, version, spec: Box::new(spec) })
    };
    let labelled =
        |data: &[u8]| PayloadSpec { labels: Labels::from([("a".to_owned(), "b".to_owned())]), ..spec("key", data) };
    let refused = update(secret.meta.version, labelled(b"other")).unwrap_err();
    assert!(refused.message.contains("only updates to Labels are allowed: Data of secret key"), "{}", refused.message);
    let refused = update(Version(secret.meta.version.0 - 1), labelled(b"")).unwrap_err();
    assert_eq!(refused.kind, ControlErrorKind::OutOfSequence);
    update(secret.meta.version, labelled(b"")).unwrap();
    let again = update(secret.meta.version, labelled(b"one")).unwrap_err();
    assert_eq!(again.kind, ControlErrorKind::OutOfSequence, "it was changed since it was read");
    let refused = create(&mut host, PayloadKind::Secret, spec("Key", b"x")).unwrap_err();
    assert_eq!(refused.kind, ControlErrorKind::Conflict);
    assert_eq!(read(&mut host, PayloadKind::Secret, "key").spec.labels.len(), 1);
    let held = host.plane.tables().payload(secret.id).unwrap();
    assert_eq!(held.spec.data.reveal(), b"one", "the data stays");
}

#[test]
fn references_that_can_not_be_are_refused_all_at_once() {
    let mut host = Host::swarm();
    let key = create(&mut host, PayloadKind::Secret, spec("key", b"one")).unwrap();
    let conf = create(&mut host, PayloadKind::Config, spec("conf", b"two")).unwrap();
    let mut wished = with(&[
        reference(PayloadKind::Secret, key, "key", "/etc/both"),
        reference(PayloadKind::Config, conf, "conf", "etc//both"),
        reference(PayloadKind::Secret, conf, "conf", "c"),
        reference(PayloadKind::Config, conf, "renamed", "../up"),
        PayloadReference { target: PayloadTarget::Runtime, ..reference(PayloadKind::Secret, key, "key", "") },
        PayloadReference {
            target: PayloadTarget::File(FileTarget { name: "m".to_owned(), uid: 0, gid: 0, mode: 0o4755 }),
            ..reference(PayloadKind::Secret, key, "key", "m")
        },
    ]);
    wished.mode = ServiceMode::Global;
    wished.task.container.mounts.push(Mount {
        kind: MountKind::Tmpfs { options: TmpfsOptions::default() },
        target: "/run/secrets/c/".to_owned(),
        read_only: false,
    });
    wished.task.container.hostname = Some("{{.Task.Number}}".to_owned());
    wished.task.container.env = vec!["A={{.Service.Labels.none}}".to_owned(), "B={{env \"A\"}}".to_owned()];
    let refused = host.ask(ControlRequest::CreateService { spec: Box::new(wished) }).unwrap_err();
    for words in [
        "secret not found: conf",
        "config not found: renamed",
        "secret and config references 'key' and 'conf' have a conflicting target: '/etc/both'",
        "and a mount have a conflicting target: '/run/secrets/c'",
        "File.Name '../up' must be the path of a file",
        "a secret needs a File target",
        "File.Mode 4755 has bits beyond permissions",
        "ContainerSpec.Hostname '{{.Task.Number}}': there is no field .Task.Number; the fields are .Service.ID",
        "ContainerSpec.Env 'A={{.Service.Labels.none}}': the service has no label 'none'",
        "there is no function 'env'",
    ] {
        assert!(refused.message.contains(words), "'{words}' is missing in: {}", refused.message);
    }
    assert_eq!(refused.kind, ControlErrorKind::Invalid);
}
