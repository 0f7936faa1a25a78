//! What commands print, and how they find their daemon.

use std::path::Path;

use serde_json::{Value, json};

use crate::fake::{Answer, Fake, Request, SHOAL, ok, refuse, text};

fn swarm() -> Value {
    json!({"ID": "swarm1", "Version": {"Index": 5}, "TLSInfo": {"TrustRoot": "PEM\n"},
        "JoinTokens": {"Worker": "SWMTKN-1-w", "Manager": "SWMTKN-1-m"}})
}

fn frame(channel: u8, line: &str) -> Vec<u8> {
    [&[channel, 0, 0, 0], &u32::try_from(line.len()).unwrap().to_be_bytes()[..], line.as_bytes()].concat()
}

fn answer(request: &Request) -> Answer {
    let details =
        "com.docker.swarm.node.id=node1,com.docker.swarm.service.id=svc1,com.docker.swarm.task.id=0123456789abcdef";
    match (request.method.as_str(), request.path()) {
        ("POST", "/swarm/init") => ok(json!("node1")),
        ("GET", "/swarm") => ok(swarm()),
        ("GET", "/info") => ok(json!({"Swarm": {"NodeID": "node1", "ControlAvailable": true}})),
        ("GET", "/nodes/node1") => ok(json!({"ID": "node1", "Description": {"Hostname": "host1"},
            "ManagerStatus": {"Addr": "10.0.0.1:2377"}})),
        ("GET", "/services") => ok(json!([{"ID": "svc1", "Spec": {"Name": "web", "Mode": {"Global": {}}},
            "ServiceStatus": {"RunningTasks": 2, "DesiredTasks": 3}}])),
        ("GET", "/services/svc1" | "/services/web") => ok(json!({"ID": "svc1", "Spec": {"Name": "web"}})),
        ("GET", "/services/web/logs") => Answer::Bytes(
            [frame(1, &format!("{details} first line\n")), frame(2, &format!("{details} second\n"))].concat(),
        ),
        ("GET", "/tasks/0123456789abcdef") => ok(json!({"ID": "0123456789abcdef", "Slot": 1})),
        ("DELETE", "/services/web") => ok(Value::Null),
        ("POST", "/images/create") => Answer::Bytes(pull_stream(&request.target)),
        ("GET", "/containers/c/json") => ok(json!({"Id": "cid", "Config": {"Tty": false}})),
        ("GET", "/containers/cid/logs") => Answer::Bytes([frame(1, "out\n"), frame(2, "err\n")].concat()),
        ("GET", "/version") => ok(json!({"Version": "0.1.0", "ApiVersion": "1.50", "MinAPIVersion": "1.24"})),
        _ => refuse(404, &format!("{} not found", request.path())),
    }
}

fn pull_stream(target: &str) -> Vec<u8> {
    let mut lines = vec![
        json!({"status": "Pulling from web", "id": "1"}),
        json!({"status": "Downloading", "progressDetail": {"current": 5, "total": 10}, "id": "layer1"}),
        json!({"status": "Downloading", "progressDetail": {"current": 9, "total": 10}, "id": "layer1"}),
        json!({"status": "Pull complete", "progressDetail": {}, "id": "layer1"}),
        json!({"status": "Digest: sha256:ab"}),
    ];
    if target.contains("broken") {
        lines.push(json!({"errorDetail": {"message": "manifest unknown"}, "error": "manifest unknown"}));
    }
    lines.iter().map(|line| format!("{line}\r\n")).collect::<String>().into_bytes()
}

/// Exit code, standard output and standard error in one text.
fn told(fake: &Fake, arguments: &[&str]) -> String {
    let output = fake.shoal(arguments);
    let code = output.status.code().unwrap();
    format!("{}{}[{code}]", text(&output.stdout), text(&output.stderr))
}

#[test]
fn forming_a_swarm_prints_how_others_join() {
    let fake = Fake::start(answer);
    insta::assert_snapshot!(told(&fake, &["swarm", "init", "--advertise-addr", "10.0.0.1"]), @r"
    Swarm initialized: current node (node1) is now a manager.

    To add a worker to this swarm, run the following command:

        shoal swarm join --token SWMTKN-1-w 10.0.0.1:2377

    To add a manager to this swarm, run 'shoal swarm join-token manager' and follow the instructions.

    [0]
    ");
    insta::assert_snapshot!(told(&fake, &["swarm", "join-token", "manager"]), @r"
    To add a manager to this swarm, run the following command:

        shoal swarm join --token SWMTKN-1-m 10.0.0.1:2377

    [0]
    ");
    assert_eq!(told(&fake, &["swarm", "join-token", "-q", "worker"]), "SWMTKN-1-w\n[0]");
    assert_eq!(told(&fake, &["swarm", "ca"]), "PEM\n[0]");
}

#[test]
fn lists_pass_filters_on_and_print_in_every_style() {
    let fake = Fake::start(answer);
    assert_eq!(told(&fake, &["service", "ls", "-q", "-f", "name=web", "--filter", "label=a=b"]), "svc1\n[0]");
    let asked = fake.take().remove(0).target;
    assert!(asked.contains("filters=%7B%22label%22%3A%7B%22a%3Db%22%3Atrue%7D%2C%22name%22"), "{asked}");
    assert_eq!(told(&fake, &["service", "list", "--format", "{{.Name}} {{.Replicas}}"]), "web 2/3\n[0]");
    let json = told(&fake, &["service", "ls", "--format", "json"]);
    assert_eq!(
        json,
        "{\"ID\":\"svc1\",\"Image\":\"\",\"Mode\":\"global\",\"Name\":\"web\",\"Ports\":\"\",\"Replicas\":\"2/3\"}\n[0]"
    );
    assert!(
        told(&fake, &["service", "ls", "--format", "{{.Nam}}"]).contains("there is no field .Nam; the fields are ID")
    );
    assert_eq!(told(&fake, &["service", "inspect", "-f", "{{.Spec.Name}}", "web"]), "web\n[0]");
}

#[test]
fn several_objects_each_get_their_answer() {
    let fake = Fake::start(answer);
    let text = told(&fake, &["service", "rm", "web", "ghost"]);
    assert_eq!(
        text,
        "web\nerror: failed to remove the service: error response from daemon: /services/ghost not found\nhint: `shoal service ls` shows what there is\n[1]"
    );
}

#[test]
fn a_pull_shows_its_steps_and_an_error_in_its_stream_is_its_own() {
    let fake = Fake::start(answer);
    insta::assert_snapshot!(told(&fake, &["pull", "reg:5000/web:1"]), @r"
    1: Pulling from web
    layer1: Downloading
    layer1: Pull complete
    Digest: sha256:ab
    reg:5000/web:1
    [0]
    ");
    assert_eq!(told(&fake, &["pull", "-q", "reg:5000/web:1"]), "reg:5000/web:1\n[0]");
    let text = told(&fake, &["image", "pull", "-q", "reg:5000/broken:1"]);
    assert_eq!(text, "error: failed to pull the image: manifest unknown\n[1]");
}

#[test]
fn logs_go_to_the_stream_that_they_came_from() {
    let fake = Fake::start(answer);
    let output = fake.shoal(&["logs", "c"]);
    assert_eq!((text(&output.stdout).as_str(), text(&output.stderr).as_str()), ("out\n", "err\n"));
    let output = fake.shoal(&["service", "logs", "web"]);
    assert_eq!(text(&output.stdout), "web.1.0123456789ab@host1    | first line\n");
    assert_eq!(text(&output.stderr), "web.1.0123456789ab@host1    | second\n");
}

#[test]
fn shoal_host_wins_over_docker_host_and_the_flag_over_both() {
    let (one, two) = (Fake::start(answer), Fake::start(answer));
    let address = |fake: &Fake| format!("unix://{}", fake.socket().display());
    let run = |arguments: &[&str]| {
        let output = one.client(Path::new(SHOAL)).env("SHOAL_HOST", address(&two)).args(arguments).output().unwrap();
        assert!(output.status.success());
        (one.take().len(), two.take().len())
    };
    assert_eq!(run(&["service", "ls"]), (0, 1));
    assert_eq!(run(&["-H", &address(&one), "service", "ls"]), (1, 0));
}

#[test]
fn no_daemon_is_said_with_a_hint_and_version_still_tells_its_own() {
    let fake = Fake::start(answer);
    let absent = fake.socket().with_file_name("absent.sock");
    let host = format!("unix://{}", absent.display());
    let hidden = |text: String| text.replace(&host, "HOST");
    let text = hidden(told(&fake, &["-H", &host, "node", "ls"]));
    assert_eq!(
        text,
        "error: failed to connect to HOST: No such file or directory (os error 2)\nhint: is shoald running? check the address given with --host\n[1]"
    );
    let text = hidden(told(&fake, &["-H", &host, "version"]));
    assert!(text.starts_with("Client: Shoal\n Version: ") && text.ends_with("given with --host\n[1]"), "{text}");
}

#[test]
fn arguments_that_make_no_sense_send_nothing() {
    let fake = Fake::start(answer);
    for arguments in [
        &["service", "create"][..],
        &["service", "create", "--limit-cpu", "-1", "web"],
        &["service", "create", "--mode", "some", "web"],
        &["service", "create", "--mode", "global", "--replicas", "3", "web"],
        &["service", "create", "-p", "1.2.3.4:80:80", "web"],
        &["service", "update", "--no-healthcheck", "--health-cmd", "x", "web"],
        &["service", "update", "--rollback", "--force", "web"],
        &["service", "scale", "web"],
        &["nonsense"],
    ] {
        let text = told(&fake, arguments);
        assert!(text.starts_with("error: ") && text.ends_with("[125]"), "{arguments:?}: {text}");
        assert!(fake.take().iter().all(|request| request.method == "GET"), "{arguments:?}");
    }
}
