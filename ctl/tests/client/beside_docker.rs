//! What `shoal` prints beside what the stock docker client prints, for the same arguments and the same objects.

use std::path::Path;

use serde_json::{Value, json};

use crate::fake::{Answer, Fake, Request, SHOAL, docker, ok, refuse, text};
use crate::objects::{node, service, swarm};

/// Objects long past, so that their ages read the same for both clients.
const LONG_AGO: &str = "2020-01-01T00:00:00Z";

fn services() -> Value {
    let mut web = service();
    web["ServiceStatus"] = json!({"RunningTasks": 1, "DesiredTasks": 2});
    web["ID"] = json!("abcdefghijklmnopqrstuvwxy");
    web["Endpoint"] = json!({"Ports": [
        {"Protocol": "tcp", "TargetPort": 80, "PublishedPort": 8080, "PublishMode": "ingress"},
        {"Protocol": "tcp", "TargetPort": 81, "PublishedPort": 8081, "PublishMode": "ingress"},
        {"Protocol": "udp", "TargetPort": 53, "PublishedPort": 53, "PublishMode": "host"}
    ]});
    web["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"] =
        json!(format!("docker.io/library/web:1@sha256:{}", "ab".repeat(32)));
    let mut agent = service();
    agent["Spec"]["Name"] = json!("agent10");
    agent["Spec"]["Mode"] = json!({"Global": {}});
    agent["ServiceStatus"] = json!({"RunningTasks": 3, "DesiredTasks": 3});
    let mut job = service();
    job["Spec"]["Name"] = json!("agent9");
    job["Spec"]["Mode"] = json!({"ReplicatedJob": {"MaxConcurrent": 2, "TotalCompletions": 9}});
    job["Spec"]["TaskTemplate"]["Placement"]["MaxReplicas"] = json!(4);
    job["ServiceStatus"] = json!({"RunningTasks": 2, "DesiredTasks": 2, "CompletedTasks": 5});
    json!([web, agent, job])
}

fn task(id: &str, slot: u64, created: &str, state: &str, error: &str) -> Value {
    json!({
        "ID": format!("{id}xxxxxxxxxxxxxxxxxxxx"), "CreatedAt": created, "UpdatedAt": created, "ServiceID": "svc1",
        "NodeID": "node1", "Slot": slot, "DesiredState": if state == "running" { "running" } else { "shutdown" },
        "Spec": {"ContainerSpec": {"Image": "web:1@sha256:0123456789012345678901234567890123456789012345678901234567890123"}},
        "Status": {"Timestamp": created, "State": state, "Err": error, "PortStatus": {"Ports": [
            {"Protocol": "tcp", "TargetPort": 90, "PublishedPort": 9090, "PublishMode": "host"}
        ]}}
    })
}

fn tasks() -> Value {
    json!([
        task("t1", 10, LONG_AGO, "running", ""),
        task("t2", 2, LONG_AGO, "failed", "task: non-zero exit (137): and some words more than fit"),
        task("t3", 2, "2021-01-01T00:00:00Z", "running", ""),
    ])
}

fn nodes() -> Value {
    let mut other = node();
    other["ID"] = json!("node2");
    other["Description"]["Hostname"] = json!("host20");
    other["Status"]["State"] = json!("down");
    other["Spec"]["Availability"] = json!("drain");
    other["ManagerStatus"] = Value::Null;
    let mut third = node();
    third["ID"] = json!("node3");
    third["Description"]["Hostname"] = json!("host3");
    third["Description"]["Engine"] = json!({"EngineVersion": "0.1.0"});
    third["ManagerStatus"] = json!({"Reachability": "unreachable"});
    json!([other, node(), third])
}

fn images() -> Value {
    let id = |digit: &str| format!("sha256:{}", digit.repeat(32));
    json!([
        {"Id": id("ab"), "RepoTags": ["alpine:3"], "RepoDigests": [format!("alpine@{}", id("01"))],
         "Created": 1_577_836_800, "Size": 7_797_760, "ParentId": "", "Labels": null, "Containers": -1, "SharedSize": -1},
        {"Id": id("cd"), "RepoTags": [], "RepoDigests": [], "Created": 1_577_836_800, "Size": 133_456_789, "ParentId": "",
         "Labels": null, "Containers": -1, "SharedSize": -1}
    ])
}

fn containers() -> Value {
    json!([{
        "Id": "ef".repeat(32), "Names": ["/web.1.t1"], "Image": "alpine:3", "ImageID": "sha256:ab", "Command": "/bin/sh -c 'sleep 1000'",
        "Created": 1_577_836_800, "State": "running", "Status": "Up 5 years", "Labels": {"a": "b"}, "Mounts": [],
        "Ports": [{"PrivatePort": 80, "Type": "tcp"}, {"IP": "0.0.0.0", "PrivatePort": 90, "PublicPort": 9090, "Type": "tcp"}],
        "HostConfig": {"NetworkMode": "default"}, "NetworkSettings": {"Networks": {"bridge": {}}}
    }])
}

fn networks() -> Value {
    let network = |id: &str, name: &str, scope: &str| json!({"Id": id.repeat(32), "Name": name, "Driver": "overlay", "Scope": scope, "Created": LONG_AGO, "Labels": {}});
    json!([network("ab", "ingress", "swarm"), network("cd", "bridge", "local")])
}

fn answer(request: &Request) -> Answer {
    match (request.method.as_str(), request.path()) {
        // Docker looks a service up by its identifier and by its name; it must be found once.
        ("GET", "/services") if request.target.contains("id%22%3A%7B%22web") => ok(json!([])),
        ("GET", "/services") if request.target.contains("name%22%3A%7B%22web") => ok(json!([service()])),
        ("GET", "/services") if request.target.contains("status=true") => ok(services()),
        ("GET", "/services") => ok(json!([service()])),
        ("GET", "/services/web" | "/services/svc1") => ok(service()),
        ("GET", "/tasks") => ok(tasks()),
        ("GET", "/nodes") => ok(nodes()),
        ("GET", "/nodes/node1" | "/nodes/host1") => ok(node()),
        ("GET", "/images/json") => ok(images()),
        ("GET", "/containers/json") => ok(containers()),
        ("GET", "/networks") => ok(networks()),
        ("GET", "/networks/ingress") => ok(networks()[0].clone()),
        ("GET", "/swarm") => ok(swarm()),
        ("GET", "/info") => ok(json!({"Swarm": {"NodeID": "node1", "ControlAvailable": true, "LocalNodeState": "active",
            "Cluster": {"TLSInfo": {"TrustRoot": "PEM"}}}})),
        ("GET", "/events") => Answer::Bytes(
            json!({"Type": "container", "Action": "start", "Actor": {"ID": "c1", "Attributes": {"name": "x", "image": "y"}},
                "scope": "local", "time": 1, "timeNano": 1_500_000_000}).to_string().into_bytes(),
        ),
        _ => refuse(404, "not found"),
    }
}

/// Lines of JSON, which may say the same in other letters; nothing when they are no JSON.
fn json_lines(text: &str) -> Option<Vec<Value>> {
    text.lines().map(|line| serde_json::from_str(line).ok()).collect()
}

/// Runs both clients and compares what they print, docker's name replaced by ours.
fn same(lines: &[&[&str]]) {
    let fake = Fake::start(answer);
    let docker = docker();
    let mut differences = String::new();
    for arguments in lines {
        let run = |program: &Path| {
            let output = fake.client(program).env("TZ", "UTC").args(*arguments).output().unwrap();
            format!("{}{}", text(&output.stdout), if output.status.success() { "" } else { "failed\n" })
        };
        let (theirs, ours) = (run(&docker).replace("docker swarm", "shoal swarm"), run(Path::new(SHOAL)));
        let same_json = || Some(json_lines(&theirs)? == json_lines(&ours)?);
        if theirs != ours && same_json() != Some(true) {
            differences += &format!("{arguments:?}\n-- docker\n{theirs}-- shoal\n{ours}\n");
        }
    }
    assert!(differences.is_empty(), "\n{differences}");
}

#[test]
fn tables() {
    same(&[
        &["service", "ls"],
        &["service", "ls", "-q"],
        &["service", "ps", "web"],
        &["service", "ps", "--no-trunc", "web"],
        &["service", "ps", "--no-resolve", "web"],
        &["service", "ps", "-q", "web"],
        &["node", "ls"],
        &["node", "ls", "-q"],
        &["node", "ps", "self"],
        &["images"],
        &["images", "--digests"],
        &["images", "-q", "--no-trunc"],
        &["ps"],
        &["ps", "--no-trunc"],
        &["ps", "-q"],
        &["network", "ls"],
        &["network", "ls", "-q", "--no-trunc"],
        &["events"],
        &["swarm", "join-token", "worker"],
        &["swarm", "join-token", "-q", "manager"],
        &["swarm", "ca"],
    ]);
}

#[test]
fn formats() {
    same(&[
        &["service", "ls", "--format", "json"],
        &["service", "ls", "--format", "{{.Name}} {{.Replicas}} {{.ID}}"],
        &["service", "ls", "--format", r"table {{.Name}}\t{{.Ports}}"],
        &["service", "ps", "--format", "{{.Name}} {{.CurrentState}} {{.Error}}", "web"],
        &["node", "ls", "--format", "{{.Hostname}} {{.Self}} {{.ManagerStatus}} {{.TLSStatus}}"],
        &["node", "ls", "--format", r"table {{.ID}} {{if .Self}}*{{end}}\t{{.Hostname | upper}}"],
        &["images", "--format", "{{.Repository}}:{{.Tag}} {{.ID}} {{.Size}}"],
        &["ps", "--format", r#"{{.Names}} {{.Ports}} {{.Image | upper}} {{.Networks}}"#],
        &["network", "ls", "--format", "json"],
        &[
            "network",
            "ls",
            "--format",
            r#"{{slice .ID 0 4}} {{join (split .Name "r") "/"}} {{title .Driver}} {{len .Scope}}"#,
        ],
        &[
            "network",
            "ls",
            "--format",
            r#"{{if and (eq .Scope "swarm") (ne .Name "x")}}{{pad .Name 2 3}}|{{truncate .ID 3}}{{else}}{{lower .Driver}}{{end}}"#,
        ],
        &[
            "service",
            "inspect",
            "--format",
            "{{.Spec.Name}} {{.Spec.Mode.Replicated.Replicas}} {{.Version.Index}}",
            "web",
        ],
        &[
            "service",
            "inspect",
            "--format",
            "{{json .Spec.Labels}} {{index .Spec.Labels \"a\"}} {{len .Endpoint.Spec.Ports}}",
            "web",
        ],
        &[
            "service",
            "inspect",
            "--format",
            "{{range .Spec.TaskTemplate.ContainerSpec.Env}}{{println .}}{{end}}",
            "web",
        ],
        &[
            "service",
            "inspect",
            "--format",
            "{{range $k, $v := .Spec.Labels}}{{$k}}={{$v}};{{end}}{{printf \"%q %5d|\" .ID .Version.Index}}",
            "web",
        ],
        &["service", "inspect", "--format", "{{.Spec.Labels}} {{.Spec.TaskTemplate.ContainerSpec.Groups}}", "web"],
        &[
            "node",
            "inspect",
            "--format",
            "{{.Status.Addr}} {{.ManagerStatus.Leader}} {{.Description.Hostname}}",
            "self",
        ],
        &["network", "inspect", "--format", "{{.Name}} {{.Scope}} {{.Id}}", "ingress"],
        &["events", "--format", "{{.Type}} {{.Actor.ID}} {{.Actor.Attributes.name}}"],
    ]);
}
