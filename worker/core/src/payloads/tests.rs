//! What templates come to in a container's spec and in its files.

use std::collections::BTreeMap;

use shoal_proto::model::{
    FileTarget, Id, Labels, Meta, Mount, NodeId, PortStatus, ServiceId, TaskId, TaskSpec, TaskState, TaskStatus,
    TemplateDriver, Timestamp, Version, VolumeOptions,
};

use super::*;

fn task(container: ContainerSpec) -> Task {
    Task {
        id: TaskId::from_random(5),
        meta: Meta::default(),
        spec: Arc::new(TaskSpec { container, ..TaskSpec::default() }),
        spec_version: Version(1),
        service: ServiceId::from_random(2),
        service_name: "web".to_owned(),
        service_labels: Labels::from([("tier".to_owned(), "front".to_owned())]),
        slot: 3,
        node: Some(NodeId::from_random(9)),
        status: TaskStatus {
            timestamp: Timestamp::default(),
            state: TaskState::Assigned,
            message: String::new(),
            error: String::new(),
            container_id: None,
            pid: None,
            exit: None,
            ports: PortStatus::default(),
            draining: false,
        },
        desired: TaskState::Running,
        host_ports: Vec::new(),
        attachments: Vec::new(),
        job_iteration: None,
    }
}

fn node() -> NodeDescription {
    NodeDescription { hostname: "host9".to_owned(), ..NodeDescription::default() }
}

fn reference(kind: PayloadKind, n: u128, target: &str) -> PayloadReference {
    let file = FileTarget { name: target.to_owned(), uid: 7, gid: 8, mode: 0o400 };
    let target = PayloadTarget::File(file);
    PayloadReference { kind, id: PayloadId::from_random(n), name: format!("n{n}"), target }
}

fn told(payloads: &[(u128, PayloadKind, &[u8], bool)]) -> Payloads {
    let entry = |(n, kind, data, is_template): &(u128, PayloadKind, &[u8], bool)| {
        let template = is_template.then_some(TemplateDriver::Golang);
        let payload = PayloadAssignment { kind: *kind, data: SensitiveBytes::from(data.to_vec()), template };
        (PayloadId::from_random(*n), Some(Arc::new(payload)))
    };
    let mut held = Payloads::default();
    held.apply(true, payloads.iter().map(entry).collect());
    held
}

#[test]
fn a_spec_names_its_task() {
    let container = ContainerSpec {
        hostname: Some("{{.Service.Name}}-{{.Task.Slot}}".to_owned()),
        env: vec!["ON={{.Node.Hostname}}".to_owned(), "TIER={{.Service.Labels.tier}}".to_owned()],
        mounts: vec![Mount {
            kind: MountKind::Volume { source: "data-{{.Task.Slot}}".to_owned(), options: VolumeOptions::default() },
            target: "/{{.Task.Name}}".to_owned(),
            read_only: false,
        }],
        ..ContainerSpec::default()
    };
    let wished = task(container);
    let (made, files) = Payloads::default().prepare(&wished, &node()).unwrap();
    let container = &made.spec.container;
    assert_eq!(container.hostname.as_deref(), Some("web-3"));
    assert_eq!(container.env, ["ON=host9", "TIER=front"]);
    assert_eq!(container.mounts[0].target, format!("/{}", wished.name()));
    let MountKind::Volume { source, .. } = &container.mounts[0].kind else { panic!("it is a volume") };
    assert_eq!((source.as_str(), files.len()), ("data-3", 0));
    assert!(wished.spec.container.env[0].contains("{{"), "the task itself stays as it was assigned");
}

#[test]
fn a_config_is_made_of_environment_and_other_payloads() {
    let container = ContainerSpec {
        env: vec!["MODE=slot{{.Task.Slot}}".to_owned()],
        payloads: vec![
            reference(PayloadKind::Secret, 1, "key"),
            reference(PayloadKind::Config, 2, "/etc/web.conf"),
            PayloadReference { target: PayloadTarget::Runtime, ..reference(PayloadKind::Config, 1, "x") },
        ],
        ..ContainerSpec::default()
    };
    let wished = task(container);
    let text = b"{{env \"MODE\"}} {{secret \"key\"}} {{config \"/etc/web.conf\" | join \"\" \"\"}}";
    let held = told(&[(1, PayloadKind::Secret, b"{{s3cret}}", false), (2, PayloadKind::Config, text, true)]);
    assert!(held.has_all_of(&wished));
    let (_, files) = held.prepare(&wished, &node()).unwrap();
    let own = String::from_utf8_lossy(text);
    let shown: Vec<_> = files.iter().map(|file| (file.path.as_str(), file.data.reveal().to_vec())).collect();
    assert_eq!(
        shown,
        [
            ("/run/secrets/key", b"{{s3cret}}".to_vec()),
            ("/etc/web.conf", format!("slot3 {{{{s3cret}}}} {own}").into_bytes())
        ]
    );
    assert_eq!((files[0].uid, files[0].gid, files[0].mode), (7, 8, 0o400));
}

#[test]
fn what_can_not_be_expanded_is_named_and_not_tried_again() {
    let container =
        ContainerSpec { payloads: vec![reference(PayloadKind::Config, 2, "c")], ..ContainerSpec::default() };
    let wished = task(container);
    let held = told(&[(2, PayloadKind::Config, b"{{secret \"key\"}}", true)]);
    let failure = held.prepare(&wished, &node()).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Fatal);
    assert_eq!(
        failure.message,
        "failed to expand the templates of config n2: secret target key not found; give the service a secret with this \
         target"
    );
    assert!(!told(&[]).has_all_of(&wished));
    let mut held = held;
    held.apply(false, BTreeMap::from([(PayloadId::from_random(2), None)]));
    assert!(!held.has_all_of(&wished));
}
