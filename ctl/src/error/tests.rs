//! Every error as a person sees it: exit code, text, causes and hint, in snapshots.

use std::io;

use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;

use super::*;

fn io_error(kind: io::ErrorKind) -> io::Error {
    io::Error::new(kind, "the reason")
}

fn json_error() -> serde_json::Error {
    serde_json::from_str::<bool>("{").unwrap_err()
}

fn api(action: &'static str, status: u16, message: &str) -> Error {
    Error::Api { action, status, message: message.into() }
}

/// What a broken connection gives.
fn transport_error() -> hyper::Error {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let (ours, theirs) = tokio::io::duplex(64);
        drop(theirs);
        let (mut sender, connection) = handshake::<_, String>(TokioIo::new(ours)).await.unwrap();
        let answer = sender.send_request(hyper::Request::new(String::new()));
        tokio::join!(answer, connection).0.unwrap_err()
    })
}

fn shown(errors: Vec<Error>) -> String {
    errors.iter().map(|error| format!("[{}]\n{}\n", error.exit_code(), error.report())).collect()
}

#[test]
fn reaching_the_daemon() {
    let connect = |origin, kind| Error::Connect { host: "unix:///x.sock".into(), origin, source: io_error(kind) };
    let text = shown(vec![
        Error::Host { value: "ssh://x".into(), origin: Origin::Flag, source: HostError::Scheme("ssh".into()) },
        connect(Origin::Default, io::ErrorKind::NotFound),
        connect(Origin::DockerHost, io::ErrorKind::ConnectionRefused),
        connect(Origin::ShoalHost, io::ErrorKind::ConnectionRefused),
        connect(Origin::Default, io::ErrorKind::PermissionDenied),
        Error::VersionTooOld { server: "1.12".into() },
        Error::NotTakenOver { action: EXEC, status: 200 },
        Error::Transport { action: "list the nodes", source: transport_error() },
        Error::Body { action: "list the nodes", source: "cut off".into() },
        Error::Answer { action: "list the nodes", source: "no JSON".into() },
        Error::Frames { action: "read the logs", source: FrameError::Channel(9) },
        Error::Encode { action: "create the service", source: json_error() },
        Error::Request {
            action: "create the service",
            source: hyper::Request::builder().uri("a b").body(()).unwrap_err(),
        },
    ]);
    insta::assert_snapshot!(text);
}

#[test]
fn what_the_daemon_refuses() {
    let text = shown(vec![
        api("update the service", 500, "rpc error: code = Unknown desc = update out of sequence"),
        api(
            "list the nodes",
            503,
            "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\".",
        ),
        api("initialize the swarm", 503, "This node is already part of a swarm."),
        api("leave the swarm", 503, "This node is not part of a swarm"),
        api(
            "leave the swarm",
            503,
            "You are attempting to leave the swarm on a node that is participating as a manager.",
        ),
        api("join the swarm", 400, "rpc error: invalid join token"),
        api("list the services", 503, "The swarm does not have a leader."),
        api("remove the node", 400, "node x is not down and can't be removed"),
        api("remove the node", 400, "node x is a cluster manager. It must be demoted to worker before removal"),
        api("update the node", 400, "attempting to demote the last manager of the swarm"),
        api("update the node", 400, "this would result in a loss of quorum"),
        api("create the service", 400, "port '8080' is already in use by service 'web' (x) as an ingress port"),
        api("create the service", 409, "name conflicts with an existing object: service web already exists"),
        api("update the service", 400, "service web does not have a previous spec"),
        api("inspect the service", 404, "service web not found"),
        api("inspect the node", 404, "node x not found"),
        api("find the network", 404, "network x not found"),
        api("inspect the container", 404, "No such container: x"),
        api("inspect the image", 404, "No such image: x"),
        api("pull the image", 500, "http: server gave HTTP response to HTTPS client"),
        api("list the nodes", 500, "something else"),
        api(EXEC, 400, "exec: \"nope\": executable file not found in $PATH"),
        api(EXEC, 400, "exec: \"/etc\": permission denied"),
        Error::Stream { action: "pull the image", message: "manifest unknown".into() },
        Error::Stream { action: EXEC, message: "no such file or directory".into() },
    ]);
    insta::assert_snapshot!(text);
}

#[test]
fn what_services_come_to() {
    let text = shown(vec![
        Error::Paused { service: "web".into(), operation: "update", message: "task x failed".into() },
        Error::RolledBack { service: "web".into(), message: "rollback completed".into() },
        Error::NotConverged { service: "web".into(), reason: "1 of 2 tasks running".into() },
        Error::Interrupted { service: "web".into() },
        Error::NoUnlockKey,
    ]);
    insta::assert_snapshot!(text);
}

#[test]
fn what_is_wrong_on_this_side() {
    let text = shown(vec![
        Error::Flag(FlagError::NothingToChange),
        Error::Template(TemplateError::Unclosed),
        Error::ReadFile { path: "/x.env".into(), source: io_error(io::ErrorKind::NotFound) },
        Error::Output { source: io_error(io::ErrorKind::StorageFull) },
        Error::OutputClosed,
        Error::Input { source: io_error(io::ErrorKind::Other) },
        Error::Terminal { source: io_error(io::ErrorKind::Other) },
        Error::Signals { source: io_error(io::ErrorKind::Other) },
        Error::NotFound { kind: "object", name: "x".into() },
        Error::NotFound { kind: "node", name: "self".into() },
        Error::Several(vec![
            Error::NotFound { kind: "secret", name: "s".into() },
            api("remove the service", 404, "service x not found"),
        ]),
    ]);
    insta::assert_snapshot!(text);
}

#[test]
fn every_refusal_of_flags() {
    let refusals = vec![
        FlagError::InputNoTerminal,
        FlagError::Replicas,
        FlagError::MaxPerNode,
        FlagError::MaxConcurrent,
        FlagError::JobUpdate,
        FlagError::Healthcheck,
        FlagError::MountTarget("/data".into()),
        FlagError::Attached("net".into()),
        FlagError::NoGenericResource("gpu".into()),
        FlagError::RollbackAlone,
        FlagError::NoLabel { node: "host1".into(), label: "zone".into() },
        FlagError::NotScalable("agent".into(), "global"),
        FlagError::NothingToChange,
        FlagError::Scale("web".into()),
        FlagError::Time { flag: "since", value: "yesterday".into() },
        FlagError::TtyLogs,
        FlagError::Kind("thing".into()),
        FlagError::NoArchive,
    ];
    let text = shown(refusals.into_iter().map(Error::Flag).collect());
    insta::assert_snapshot!(text);
}
