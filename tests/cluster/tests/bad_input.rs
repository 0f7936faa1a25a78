//! What is wrong is refused, by name, in both clients, and nothing is lost.

use std::time::Duration;

use shoal_cluster_tests::{Client, Host, Swarm, run, wait_for};

const BOTH: [Client; 2] = [Client::Docker, Client::Shoal];

#[test]
fn what_is_wrong_is_refused_by_name() {
    let swarm = Swarm::new(Client::Shoal, 1, 0);
    let registry = swarm.start_registry();
    let image = registry.push_web("web", "1");
    let host = &swarm.hosts[0];
    host.docker(&["service", "create", "--name", "web", "--publish", "8080:80", &image]).ok();

    for client in BOTH {
        refused(host, client, &["--name", "web", &image], &["web", "name"]);
        refused(host, client, &["--name", "other", "--publish", "8080:80", &image], &["8080", "already in use", "web"]);
        refused(host, client, &["--name", "other", "--constraint", "node.role=worker", &image], &["node.role=worker"]);
        refused(host, client, &["--name", "other", "--limit-cpu", "-1", &image], &["-1"]);
        let mounts = ["--mount", "type=tmpfs,target=/x", "--mount", "type=tmpfs,target=/x"];
        refused(host, client, &[&["--name", "other"], &mounts[..], &[&image]].concat(), &["/x"]);
        refused(host, client, &["--name", "-", &image], &["-"]);
        let token = ["swarm", "join", "--token", "SWMTKN-1-wrong", "127.0.0.1:2377"];
        let answer = host.client(client, &token).refused();
        assert!(answer.contains("already part of a swarm"), "{answer}");
        let list = host.client(client, &["service", "ls", "-q"]);
        assert_eq!(list.ok().lines().count(), 1, "only what was accepted is there: {}", list.out);
    }
    unknown_image_says_so(host, &swarm.registry());
    unmet_constraint_says_so(host, &image);
    half_a_body_is_refused(host);
}

#[test]
fn strangers_are_refused() {
    let swarm = Swarm::apart(2);
    let (first, second) = (&swarm.hosts[0], &swarm.hosts[1]);
    let address = first.address();
    first.docker(&["swarm", "init", "--advertise-addr", &address]).ok();
    let remote = format!("{address}:2377");
    for client in BOTH {
        let join = |token: &str| second.client(client, &["swarm", "join", "--token", token, &remote]).refused();
        let malformed = join("SWMTKN-1-wrong");
        assert!(malformed.contains("invalid join token"), "{malformed}");
        let token = first.docker(&["swarm", "join-token", "-q", "worker"]);
        let token = token.ok();
        let (head, secret) = token.rsplit_once('-').expect("a token has parts");
        let other_secret: String = secret.chars().rev().collect();
        let wrong = join(&format!("{head}-{other_secret}"));
        assert!(wrong.to_lowercase().contains("token"), "{wrong}");
        let (prefix, digest) = head.rsplit_once('-').expect("a token has parts");
        let other_digest: String = digest.chars().rev().collect();
        let foreign = join(&format!("{prefix}-{other_digest}-{secret}"));
        assert!(foreign.contains("fingerprint"), "{foreign}");
        let nobody = second.client(client, &["swarm", "join", "--token", token, "10.99.0.77:2377"]).refused();
        assert!(nobody.contains("10.99.0.77:2377"), "{nobody}");
        let refused = second.client(client, &["node", "ls"]).refused();
        assert!(refused.contains("not a swarm manager"), "{refused}");
    }
    let nodes = first.docker(&["node", "ls", "-q"]);
    assert_eq!(nodes.ok().lines().count(), 1, "no stranger became a node");
}

#[track_caller]
fn refused(host: &Host, client: Client, arguments: &[&str], words: &[&str]) {
    let answer = host.client(client, &[&["service", "create", "-d"], arguments].concat()).refused();
    for word in words {
        assert!(answer.contains(word), "{client:?} {arguments:?}: '{word}' is missing in: {answer}");
    }
}

fn unknown_image_says_so(host: &Host, registry: &str) {
    let image = format!("{registry}/nothing:1");
    host.docker(&["service", "create", "-d", "--name", "nothing", "--restart-condition", "none", &image]).ok();
    wait_for("the task says what is missing", Duration::from_secs(30), || {
        let list = host.docker(&["service", "ps", "nothing", "--no-trunc", "--format", "{{.CurrentState}} {{.Error}}"]);
        let told = list.out.contains("Rejected") && list.out.contains("nothing");
        if told { Ok(()) } else { Err(list.out) }
    });
    host.docker(&["service", "rm", "nothing"]).ok();
}

fn unmet_constraint_says_so(host: &Host, image: &str) {
    host.docker(&["service", "create", "-d", "--name", "nowhere", "--constraint", "node.role==worker", image]).ok();
    wait_for("the task says why it waits", Duration::from_secs(30), || {
        let list = host.docker(&["service", "ps", "nowhere", "--no-trunc", "--format", "{{.CurrentState}} {{.Error}}"]);
        let told = list.out.contains("Pending") && list.out.contains("scheduling constraints not satisfied on 1 node");
        if told { Ok(()) } else { Err(list.out) }
    });
    host.docker(&["service", "rm", "nowhere"]).ok();
}

fn half_a_body_is_refused(host: &Host) {
    let socket = host.socket().display().to_string();
    let url = "http://localhost/v1.41/services/create";
    let body = r#"{"Name":"half","TaskTemplate":{"ContainerSpec":"#;
    let mut curl = host.command("curl");
    curl.args([
        "-sS",
        "--unix-socket",
        &socket,
        "-H",
        "Content-Type: application/json",
        "-d",
        body,
        "-w",
        " %{http_code}",
        url,
    ]);
    let answer = run(&mut curl, Duration::from_secs(10));
    assert!(answer.ok().ends_with(" 400") && answer.out.contains("line 1"), "{}", answer.out);
}
