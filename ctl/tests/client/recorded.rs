//! The requests of `shoal` beside those that the stock docker client really sends for the same arguments, recorded in
//! the same run.

use std::path::Path;

use crate::fake::{Answer, Fake, Request, SHOAL, docker, ok, refuse, text};
use crate::objects::{node, service, swarm};
use serde_json::{Value, json};

fn answer(request: &Request) -> Answer {
    let path = request.path();
    match (request.method.as_str(), path) {
        ("POST", "/services/create") => Answer::Json(201, json!({"ID": "svc1"})),
        ("POST", "/services/svc1/update") => ok(json!({"Warnings": null})),
        ("GET", "/services/web") => ok(service()),
        ("GET", "/distribution/web:2/json") => ok(json!({
            "Descriptor": {"mediaType": "x", "digest": format!("sha256:{}", "ab".repeat(32)), "size": 1},
            "Platforms": [{"architecture": "amd64", "os": "linux"}, {"architecture": "arm", "os": "linux", "variant": "v7"}]
        })),
        ("GET", network) if network.starts_with("/networks/net") => {
            let name = network.trim_start_matches("/networks/");
            ok(json!({"Name": name, "Id": format!("{name}-id"), "Scope": "swarm", "Driver": "overlay"}))
        }
        ("GET", "/secrets") => ok(
            json!([{"ID": "sid1", "Version": {}, "Spec": {"Name": "s1"}}, {"ID": "sid2", "Version": {}, "Spec": {"Name": "s2"}}]),
        ),
        ("GET", "/configs") => ok(json!([{"ID": "cid1", "Version": {}, "Spec": {"Name": "c1"}}])),
        ("GET", "/swarm") => ok(swarm()),
        ("GET", "/info") => {
            ok(json!({"Swarm": {"NodeID": "node1", "ControlAvailable": true, "LocalNodeState": "active"}}))
        }
        ("GET", "/nodes/node1" | "/nodes/host1") => ok(node()),
        ("POST", "/swarm/init") => ok(json!("node1")),
        ("POST", "/swarm/join" | "/swarm/update" | "/swarm/leave" | "/nodes/node1/update") => ok(Value::Null),
        _ => refuse(404, "not found"),
    }
}

/// The requests that change something, in order, of one run of a client.
fn recorded(fake: &Fake, program: &Path, arguments: &[&str]) -> Vec<Request> {
    let output = fake.client(program).args(arguments).output().unwrap();
    let told = format!("{}{}", text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{} {arguments:?}: {told}", program.display());
    fake.take().into_iter().filter(|request| request.method != "GET").collect()
}

/// JSON without the empty values that mean nothing, and with those lists and numbers in one form that docker writes in
/// the order of its hash maps, or without a point.
fn normal(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut pairs: Vec<(String, Value)> = map.iter().map(|(key, value)| (key.clone(), normal(value))).collect();
            pairs.retain(|(key, value)| {
                let empty = matches!(value, Value::Null) || [json!({}), json!([]), json!("")].contains(value);
                (!empty || TELLING.contains(&key.as_str()))
                    && (key, value) != (&"NoNewPrivileges".to_owned(), &json!(false))
            });
            for (key, value) in &mut pairs {
                if let ("Env" | "GenericResources" | "Ports" | "Secrets" | "Configs", Value::Array(items)) =
                    (key.as_str(), value)
                {
                    items.sort_by_key(Value::to_string);
                }
            }
            pairs.sort_by(|left, right| left.0.cmp(&right.0));
            Value::Object(pairs.into_iter().collect())
        }
        Value::Array(items) => items.iter().map(normal).collect(),
        Value::Number(number) if number.as_f64() == Some(0.0) => json!(0),
        other => other.clone(),
    }
}

/// Fields whose presence says something even when they are empty.
const TELLING: [&str; 8] =
    ["Replicated", "Global", "GlobalJob", "ReplicatedJob", "Limits", "Reservations", "Placement", "DNSConfig"];

fn comparable(request: &Request) -> Value {
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let mut query: Vec<&str> = query.split('&').filter(|pair| !pair.is_empty()).collect();
    query.sort_unstable();
    let mut body = if request.body.is_empty() { Value::Null } else { normal(&request.json()) };
    // Docker says "" for the availability that is the default anyway; shoal says it in full.
    if let Some(object) = body.as_object_mut()
        && object.get("Availability") == Some(&json!("active"))
        && path.starts_with("/swarm/")
    {
        object.remove("Availability");
    }
    json!({ "request": format!("{} {path}?{}", request.method, query.join("&")), "body": body })
}

/// Runs both clients with each line of arguments and compares all that they sent.
fn same(lines: &[&[&str]]) {
    let fake = Fake::start(answer);
    let docker = docker();
    let mut differences = String::new();
    for arguments in lines {
        let theirs: Vec<Value> = recorded(&fake, &docker, arguments).iter().map(comparable).collect();
        let ours: Vec<Value> = recorded(&fake, Path::new(SHOAL), arguments).iter().map(comparable).collect();
        assert!(!theirs.is_empty(), "docker {arguments:?} sent nothing");
        if ours != theirs {
            differences += &format!("{arguments:?}\n docker: {}\n shoal:  {}\n", json!(theirs), json!(ours));
        }
    }
    assert!(differences.is_empty(), "\n{differences}");
}

/// `service create --detach`, the flags, and an image that the registry does not know.
fn created(lines: &[&[&str]]) {
    let whole: Vec<Vec<&str>> = lines
        .iter()
        .map(|flags| {
            [&["service", "create", "--detach", "--no-resolve-image"], *flags, &["web:2", "cmd", "-x", "--name"]]
                .concat()
        })
        .collect();
    same(&whole.iter().map(Vec::as_slice).collect::<Vec<_>>());
}

fn updated(lines: &[&[&str]]) {
    let whole: Vec<Vec<&str>> =
        lines.iter().map(|flags| [&["service", "update", "--detach"], *flags, &["web"]].concat()).collect();
    same(&whole.iter().map(Vec::as_slice).collect::<Vec<_>>());
}

#[test]
fn create_simple_fields() {
    created(&[
        &[],
        &["--name", "web", "--replicas", "3", "--limit-memory", "64M", "--env", "A=b", "-p", "8080:80"],
        &[
            "--hostname",
            "h{{.Task.Slot}}",
            "-u",
            "1:2",
            "-w",
            "/w",
            "--stop-signal",
            "SIGINT",
            "--stop-grace-period",
            "1m30s",
        ],
        &["-t", "--read-only", "--init", "--isolation", "default", "--oom-score-adj", "-5"],
        &["--tty=false", "--read-only=true", "--init=0"],
        &["--entrypoint", "sh -c 'a \"b\"' d\\ e", "--group", "g1", "--group", "2"],
        &["--label", "a=1", "-l", "b", "--label", "c=x=y", "--container-label", "k=v"],
        &["--env", "A=1", "-e", "FROM_CALLER", "-e", "SURELY_UNSET", "-e", "B=2", "-e", "A=3"],
        &["--endpoint-mode", "dnsrr"],
        &["--log-driver", "json-file", "--log-opt", "max-size=10m", "--log-opt", "flag"],
        &["--credential-spec", "file://x"],
        &["--name", "a", "--name", "b"],
    ]);
}

#[test]
fn create_modes() {
    created(&[
        &["--mode", "global"],
        &["--mode", "replicated"],
        &["--mode", "replicated-job"],
        &["--mode", "replicated-job", "--replicas", "5"],
        &["--mode", "replicated-job", "--replicas", "5", "--max-concurrent", "2"],
        &["--mode", "global-job"],
        &["--replicas", "0"],
    ]);
}

#[test]
fn create_resources_and_placement() {
    created(&[
        &[
            "--limit-cpu",
            "0.5",
            "--limit-memory",
            "1g",
            "--limit-pids",
            "10",
            "--reserve-cpu",
            ".25",
            "--reserve-memory",
            "64MiB",
        ],
        &["--generic-resource", "gpu=2", "--generic-resource", "disk=1"],
        &["--constraint", "node.role==manager", "--constraint", "node.labels.x!=y"],
        &["--placement-pref", "spread=node.labels.zone", "--placement-pref", "spread=node.labels.rack"],
        &["--replicas-max-per-node", "2"],
        &["--ulimit", "nofile=1:2", "--ulimit", "nproc=3", "--sysctl", "net.a=1", "--sysctl", "b"],
        &["--cap-add", "net_admin", "--cap-drop", "CAP_CHOWN", "--cap-add", "chown"],
        &["--cap-add", "ALL", "--cap-add", "kill", "--cap-drop", "sys_time"],
        &["--cap-drop", "all", "--cap-add", "kill"],
    ]);
}

#[test]
fn create_policies() {
    created(&[
        &["--restart-condition", "on-failure"],
        &["--restart-delay", "0s", "--restart-max-attempts", "3", "--restart-window", "2m"],
        &["--update-parallelism", "2", "--update-delay", "1s"],
        &["--update-order", "start-first"],
        &["--update-monitor", "3s", "--update-failure-action", "rollback", "--update-max-failure-ratio", "0.25"],
        &["--rollback-parallelism", "0", "--rollback-delay", "2s", "--rollback-monitor", "4s"],
        &[
            "--rollback-failure-action",
            "continue",
            "--rollback-max-failure-ratio",
            ".5",
            "--rollback-order",
            "start-first",
        ],
        &["--health-cmd", "curl -f localhost", "--health-interval", "5s", "--health-retries", "3"],
        &[
            "--health-cmd",
            "x",
            "--health-timeout",
            "1s",
            "--health-start-period",
            "2s",
            "--health-start-interval",
            "300ms",
        ],
        &["--no-healthcheck"],
    ]);
}

#[test]
fn create_ports_and_hosts() {
    created(&[
        &["-p", "80"],
        &["-p", "0:80"],
        &["-p", "8080:80/udp", "--publish", "8000-8002:9000-9002"],
        &["-p", "8000-8001:80"],
        &["-p", "published=8080,target=80,protocol=tcp,mode=host"],
        &["-p", "target=80", "-p", "mode=host,target=81,published=0"],
        &["--host", "db:10.0.0.5", "--host", "six:fe80::1", "--host", "eq=10.0.0.6"],
        &[
            "--dns",
            "1.1.1.1",
            "--dns",
            "2001:db8::1",
            "--dns-search",
            "x.y",
            "--dns-search",
            ".",
            "--dns-option",
            "ndots:2",
        ],
    ]);
}

#[test]
fn create_mounts() {
    created(&[
        &["--mount", "type=volume,source=v1,target=/d"],
        &["--mount", "dst=/d"],
        &[
            "--mount",
            "type=volume,src=v,dst=/d,ro,volume-nocopy,volume-driver=local,volume-opt=a=b,volume-opt=c,volume-label=x=y,volume-subpath=s",
        ],
        &["--mount", "type=volume,dst=/d,\"volume-opt=o=addr=1,rw\""],
        &["--mount", "type=bind,source=/a,target=/b,bind-propagation=rshared,readonly=false,consistency=cached"],
        &["--mount", "type=bind,src=/a,dst=/d,bind-recursive=disabled"],
        &["--mount", "type=bind,src=/a,dst=/d,bind-nonrecursive"],
        &["--mount", "type=bind,src=/a,dst=/d,bind-recursive=writable,readonly"],
        &["--mount", "type=bind,src=/a,dst=/d,bind-recursive=readonly,readonly,bind-propagation=rprivate"],
        &["--mount", "type=tmpfs,dst=/d,tmpfs-size=10m,tmpfs-mode=0700"],
        &["--mount", "type=image,src=alpine,dst=/d,image-subpath=x"],
        &["--mount", "type=cluster,src=group:x,dst=/d"],
    ]);
}

#[test]
fn create_references() {
    created(&[
        &["--network", "netb", "--network", "name=neta,alias=one,alias=two,driver-opt=K=v"],
        &["--secret", "s1", "--secret", "source=s2,target=/run/x,uid=5,gid=6,mode=0440"],
        &["--config", "source=c1,target=/etc/c,mode=444"],
        &["--config", "c1"],
    ]);
    let resolved: &[&str] = &["service", "create", "--detach", "web:2"];
    let unknown: &[&str] = &["service", "create", "--detach", "nowhere/unknown"];
    same(&[resolved, unknown]);
}

#[test]
fn update_simple_fields() {
    updated(&[
        &[],
        &["--force"],
        &["--image", "web:2"],
        &["--image", "nowhere/unknown:7"],
        &["--args", "a 'b c'", "--entrypoint", ""],
        &["--hostname", "h", "--user", "u", "--workdir", "/w", "--stop-signal", "SIGHUP", "--stop-grace-period", "3s"],
        &["--replicas", "7", "--replicas-max-per-node", "3"],
        &["--tty", "--read-only", "--init", "--oom-score-adj", "4"],
        &["--tty=false"],
        &["--limit-cpu", "1"],
        &["--limit-memory", "1g", "--limit-pids", "3"],
        &["--reserve-memory", "32m"],
        &["--restart-condition", "none"],
        &["--update-parallelism", "2", "--update-delay", "1s", "--rollback-order", "start-first"],
        &["--endpoint-mode", "dnsrr"],
        &["--log-driver", "none"],
        &["--rollback"],
    ]);
}

#[test]
fn update_lists() {
    updated(&[
        &["--env-add", "A=2", "--env-add", "B=3"],
        &["--env-rm", "A", "--env-add", "FROM_CALLER"],
        &["--label-add", "b=3", "--label-add", "c=4", "--label-rm", "a"],
        &["--container-label-add", "k=v", "--container-label-rm", "x"],
        &["--group-add", "a0", "--group-rm", "g2"],
        &["--constraint-add", "node.id==x", "--constraint-rm", "node.role==worker"],
        &["--placement-pref-add", "spread=node.labels.rack", "--placement-pref-rm", "spread=node.labels.zone"],
        &["--mount-add", "type=bind,src=/a,dst=/b", "--mount-rm", "/v1"],
        &["--mount-add", "type=volume,src=v2,dst=/v1"],
        &["--publish-add", "443:443", "--publish-rm", "80"],
        &["--publish-rm", "target=53,protocol=udp,mode=host", "--publish-add", "8080:80"],
        &[
            "--dns-add",
            "1.1.1.1",
            "--dns-rm",
            "9.9.9.9",
            "--dns-search-add",
            "a.b",
            "--dns-option-add",
            "p",
            "--dns-option-rm",
            "o:1",
        ],
        &["--host-add", "new:10.0.0.9", "--host-rm", "db"],
        &["--host-rm", "db:10.0.0.2"],
        &["--sysctl-add", "net.b=2", "--sysctl-rm", "net.a"],
        &["--ulimit-add", "nproc=4", "--ulimit-rm", "nofile"],
        &["--generic-resource-add", "disk=2", "--generic-resource-rm", "gpu"],
        &["--cap-add", "chown", "--cap-drop", "kill"],
        &["--cap-add", "net_raw", "--cap-drop", "sys_time"],
        &["--cap-add", "RESET", "--cap-add", "net_raw"],
        &["--health-cmd", "x", "--health-interval", "1s"],
        &["--no-healthcheck"],
    ]);
}

#[test]
fn update_references() {
    updated(&[
        &["--network-add", "neta"],
        &["--network-add", "name=neta,alias=x"],
        &["--secret-add", "s1", "--secret-rm", "s0"],
        &["--config-add", "source=c1,target=/c"],
    ]);
}

#[test]
fn scale_and_rollback() {
    same(&[&["service", "scale", "--detach", "web=9"], &["service", "rollback", "--detach", "web"]]);
}

#[test]
fn forming_a_swarm() {
    same(&[
        &["swarm", "init"],
        &[
            "swarm",
            "init",
            "--advertise-addr",
            "10.0.0.1",
            "--listen-addr",
            "eth0",
            "--data-path-addr",
            "eth1",
            "--data-path-port",
            "5000",
        ],
        &[
            "swarm",
            "init",
            "--availability",
            "drain",
            "--default-addr-pool",
            "10.1.0.0/16",
            "--default-addr-pool-mask-length",
            "26",
            "--force-new-cluster",
        ],
        &[
            "swarm",
            "init",
            "--cert-expiry",
            "1h",
            "--dispatcher-heartbeat",
            "1s",
            "--max-snapshots",
            "2",
            "--snapshot-interval",
            "9",
            "--task-history-limit",
            "1",
        ],
        &["swarm", "join", "--token", "SWMTKN-1-x", "10.0.0.1:2377"],
        &[
            "swarm",
            "join",
            "--token",
            "t",
            "--advertise-addr",
            "10.0.0.2",
            "--listen-addr",
            "10.0.0.2:99",
            "--availability",
            "pause",
            "10.0.0.1:2377",
        ],
    ]);
}

#[test]
fn changing_a_swarm_and_its_nodes() {
    same(&[
        &["swarm", "join-token", "--rotate", "worker"],
        &["swarm", "join-token", "-q", "--rotate", "manager"],
        &["swarm", "update", "--task-history-limit", "3", "--autolock=false"],
        &[
            "swarm",
            "update",
            "--cert-expiry",
            "48h",
            "--dispatcher-heartbeat",
            "2s",
            "--max-snapshots",
            "1",
            "--snapshot-interval",
            "7",
        ],
        &["swarm", "leave", "--force"],
        &[
            "node",
            "update",
            "--availability",
            "drain",
            "--role",
            "manager",
            "--label-add",
            "b=1",
            "--label-rm",
            "zone",
            "host1",
        ],
        &["node", "promote", "host1"],
    ]);
}
