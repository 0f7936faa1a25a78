//! The stock docker client against the fake: what people type, what they see, and what the backend is asked.

use std::fs::File;
use std::io::Read as _;
use std::process::{Output, Stdio};
use std::time::Duration;

use crate::fake::{CONTAINER_ID, NODE_ID, Running};
use shoal_api::types::{EventActor, EventMessage};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::Command;

/// A client of its own, and the server that it talks to.
struct Client {
    running: Running,
}

impl Client {
    async fn start() -> Self {
        Self { running: Running::start().await }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("docker");
        command
            .args(arguments)
            .env("DOCKER_HOST", format!("unix://{}", self.running.socket.display()))
            .env("DOCKER_CONFIG", self.running.folder.path())
            .env("HOME", self.running.folder.path())
            .env_remove("DOCKER_API_VERSION")
            .env_remove("DOCKER_CONTEXT")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    async fn run(&self, arguments: &[&str]) -> Output {
        let output = self.command(arguments).output();
        tokio::time::timeout(Duration::from_secs(60), output).await.expect("docker ends").unwrap()
    }

    /// What a command that must succeed prints.
    async fn prints(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments).await;
        assert!(
            output.status.success(),
            "docker {arguments:?}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// What a command that must fail complains of.
    async fn complains(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments).await;
        assert!(!output.status.success(), "docker {arguments:?} succeeded");
        String::from_utf8(output.stderr).unwrap()
    }
}

#[track_caller]
fn assert_has(text: &str, wanted: &[&str]) {
    for wanted in wanted {
        assert!(text.contains(wanted), "{wanted:?} is not in {text}");
    }
}

#[tokio::test]
async fn version_and_info() {
    let client = Client::start().await;
    let version = client.prints(&["version"]).await;
    assert_has(&version, &["Server:", "Engine:", "0.1.0", "1.51 (minimum version 1.24)", "linux/amd64"]);
    let info = client.prints(&["info"]).await;
    assert_has(
        &info,
        &["Swarm: active", &format!("NodeID: {NODE_ID}"), "Is Manager: true", "Storage Driver: overlay2"],
    );
    assert_has(&info, &["10.0.0.1:2377", "Default Runtime: shoal", "Cgroup Version: 1"]);
    assert_has(&client.prints(&["system", "df"]).await, &["Images"]);
}

#[tokio::test]
async fn swarm_and_nodes() {
    let client = Client::start().await;
    let joined = client.prints(&["swarm", "init", "--advertise-addr", "10.0.0.1"]).await;
    assert_has(&joined, &[&format!("current node ({NODE_ID}) is now a manager"), "SWMTKN-1-w"]);
    assert_eq!(client.prints(&["swarm", "join-token", "-q", "manager"]).await, "SWMTKN-1-m\n");
    client.prints(&["swarm", "join-token", "-q", "--rotate", "worker"]).await;
    assert_has(&client.running.fake.take_calls().join("\n"), &["worker_token: true, manager_token: false"]);
    assert_has(&client.complains(&["swarm", "join", "--token", "x", "10.0.0.1"]).await, &["already part of a swarm"]);

    let nodes = client.prints(&["node", "ls"]).await;
    assert_has(&nodes, &[&format!("{NODE_ID} *"), "host-1", "Ready", "Active", "Leader"]);
    client.prints(&["node", "update", "--availability", "drain", "--label-add", "a=b", "host-1"]).await;
    client.prints(&["node", "demote", "host-1"]).await;
    let calls = client.running.fake.take_calls().join("\n");
    assert_has(&calls, &["labels: {\"a\": \"b\"}, role: Manager, availability: Drain", "role: Worker"]);
    assert_has(
        &client.prints(&["node", "inspect", "self", "--pretty"]).await,
        &["host-1", "Raft Status:\t\tReachable"],
    );
    client.prints(&["node", "rm", "--force", "host-1"]).await;
    client.prints(&["swarm", "leave", "--force"]).await;
}

#[tokio::test]
async fn a_service_from_create_to_rm() {
    let client = Client::start().await;
    let create = ["service", "create", "--name", "web", "--replicas", "2", "--publish", "8080:80", "--env", "A=b"];
    let created =
        client.prints(&[&create[..], &["--update-monitor", "100ms", "--limit-memory", "64M", "web:1"]].concat()).await;
    assert_has(&created, &["overall progress: 2 out of 2 tasks", "Service service000000000000000001 converged"]);

    assert_has(&client.prints(&["service", "ls"]).await, &["web", "replicated", "2/2", "web:1", "*:8080->80/tcp"]);
    let tasks = client.prints(&["service", "ps", "web"]).await;
    assert_has(&tasks, &["web.1", "web.2", "host-1", "Running"]);
    let inspected = client.prints(&["service", "inspect", "web"]).await;
    assert_has(&inspected, &["\"A=b\"", "\"PublishedPort\": 8080", "\"MemoryBytes\": 67108864", "@sha256:ab"]);
    assert_has(
        &client.prints(&["service", "inspect", "--pretty", "web"]).await,
        &["Replicas:\t2", "PublishMode = ingress"],
    );

    let scaled = client.prints(&["service", "scale", "web=3"]).await;
    assert_has(&scaled, &["web scaled to 3", "overall progress: 3 out of 3 tasks", "converged"]);
    let updated = client.prints(&["service", "update", "--env-add", "C=d", "--image", "web:2", "web"]).await;
    assert_has(&updated, &["converged"]);
    assert_has(&client.prints(&["service", "inspect", "web"]).await, &["\"A=b\"", "\"C=d\"", "web:2"]);
    client.prints(&["service", "rollback", "--detach", "web"]).await;
    assert_has(&client.running.fake.take_calls().join("\n"), &["rollback: true", "list_tasks({\"_up-to-date\""]);

    assert_has(
        &client.complains(&[&create[..], &["--detach", "web:1"]].concat()).await,
        &["service web already exists"],
    );
    let logs = client.prints(&["service", "logs", "--tail", "2", "web"]).await;
    assert_has(&logs, &["web.1.task1of", "@host-1    | two", "| three"]);
    client.prints(&["service", "logs", "-t", "--raw", "web"]).await;
    assert_eq!(client.prints(&["service", "rm", "web"]).await, "web\n");
    assert_eq!(client.prints(&["service", "ls", "-q"]).await, "");
}

#[tokio::test]
async fn a_global_service() {
    let client = Client::start().await;
    client
        .prints(&["service", "create", "--detach", "--mode", "global", "--constraint", "node.role==manager", "web:1"])
        .await;
    let inspected = client.prints(&["service", "inspect", "service000000000000000001"]).await;
    assert_has(&inspected, &["\"Global\": {}", "node.role==manager"]);
}

#[tokio::test]
async fn containers_and_images() {
    let client = Client::start().await;
    assert_has(
        &client.prints(&["ps"]).await,
        &["c0ffee000000", "web:1", "\"serve\"", "Up 5 minutes", "80/tcp", "web.1"],
    );
    assert_eq!(client.prints(&["ps", "-aq", "--no-trunc", "--filter", "name=web"]).await, format!("{CONTAINER_ID}\n"));
    assert_has(&client.prints(&["inspect", "web.1"]).await, &["\"Status\": \"running\""]);
    let logs = client.run(&["logs", "web.1"]).await;
    assert_eq!((&logs.stdout[..], &logs.stderr[..]), (&b"to stdout\n"[..], &b"to stderr\n"[..]));
    let logs = client.prints(&["logs", "--timestamps", "--since", "2006-01-02T15:04:05", "web.1"]).await;
    assert_eq!(logs, "1970-01-01T00:00:05.000000000Z to stdout\n");

    assert_has(&client.prints(&["images"]).await, &["web", "ab0000000000", "7MB"]);
    let pulled = client.prints(&["pull", "10.0.0.1:5000/library/web:1"]).await;
    assert_has(&pulled, &["0a1b2c3d4e5f: Pull complete", "Digest: sha256:ab"]);
    assert_has(&client.complains(&["pull", "missing:1"]).await, &["pull access denied for"]);
    assert_has(&client.complains(&["pull", "broken:1"]).await, &["the registry went away"]);
    assert_has(&client.prints(&["image", "inspect", "web:1"]).await, &["\"serve\""]);
    assert_eq!(client.prints(&["rmi", "web:1"]).await, "Untagged: web:1\n");
    let archive = client.running.folder.path().join("web.tar");
    std::fs::write(&archive, vec![1; 100_000]).unwrap();
    assert_eq!(client.prints(&["load", "-i", archive.to_str().unwrap()]).await, "Loaded image: web:1\n");
    assert_eq!(client.running.fake.loaded().len(), 100_000);
}

#[tokio::test]
async fn what_is_not_there_is_refused_by_name() {
    let client = Client::start().await;
    assert_has(
        &client.complains(&["run", "web:1"]).await,
        &["POST /containers/create is not part of Shoal yet", "service create"],
    );
    assert_has(&client.complains(&["stats", "--no-stream", "web.1"]).await, &["not part of Shoal yet"]);
    assert_has(&client.complains(&["inspect", "nothing"]).await, &["No such object: nothing"]);
    let tag = client.complains(&["tag", "web:1", "10.0.0.1:5000/web:1"]).await;
    assert_has(&tag, &["POST /images/{*}/tag is not part of Shoal yet"]);
}

#[tokio::test]
async fn exec_with_input_and_exit_code() {
    let client = Client::start().await;
    let shell = "cat; echo oops >&2; exit 7";
    let mut child = client
        .command(&["exec", "-i", "web.1", "sh", "-c", shell])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let input: Vec<u8> = (0..300_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let mut stdin = child.stdin.take().unwrap();
    let sent = input.clone();
    let sender = tokio::spawn(async move { stdin.write_all(&sent).await.unwrap() });
    let output = tokio::time::timeout(Duration::from_secs(60), child.wait_with_output()).await.unwrap().unwrap();
    sender.await.unwrap();
    assert_eq!(output.status.code(), Some(7));
    assert!(output.stdout == input, "{} of {} bytes came back", output.stdout.len(), input.len());
    assert_eq!(output.stderr, b"oops\n");

    assert_eq!(client.prints(&["exec", "web.1", "echo", "hi"]).await, "hi\n");
    assert_eq!(client.run(&["exec", "web.1", "/no/such/command"]).await.status.code(), Some(127));
    assert_eq!(client.prints(&["exec", "-d", "web.1", "true"]).await, "");
    assert_has(&client.complains(&["exec", "nothing", "true"]).await, &["No such container: nothing"]);
}

#[tokio::test]
async fn exec_on_a_terminal_of_the_clients_size() {
    let client = Client::start().await;
    let size = nix::pty::Winsize { ws_row: 33, ws_col: 101, ws_xpixel: 0, ws_ypixel: 0 };
    let pty = nix::pty::openpty(Some(&size), None).unwrap();
    let end = || Stdio::from(pty.slave.try_clone().unwrap());
    let shell = "until stty size | grep -q 33; do :; done; echo size $(stty size); read line; echo got $line; exit 3";
    let mut command = client.command(&["exec", "-it", "web.1", "sh", "-c", shell]);
    let mut child = command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
    drop(command);
    drop(pty.slave);
    let mut writer = File::from(pty.master.try_clone().unwrap());
    let mut reader = File::from(pty.master);
    let screen = tokio::task::spawn_blocking(move || {
        let mut screen = Vec::new();
        let mut chunk = [0; 1024];
        let mut answered = false;
        while let Ok(length @ 1..) = reader.read(&mut chunk) {
            screen.extend_from_slice(&chunk[..length]);
            if !answered && String::from_utf8_lossy(&screen).contains("size 33 101") {
                std::io::Write::write_all(&mut writer, b"hello\r").unwrap();
                answered = true;
            }
        }
        String::from_utf8(screen).unwrap()
    });
    let status = tokio::time::timeout(Duration::from_secs(60), child.wait()).await.expect("docker ends").unwrap();
    let screen = screen.await.unwrap();
    assert_eq!(status.code(), Some(3), "{screen}");
    assert_has(&screen, &["size 33 101\r\n", "got hello\r\n"]);
}

#[tokio::test]
async fn events_and_followed_logs() {
    let client = Client::start().await;
    let mut child = client.command(&["events", "--filter", "type=container"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(client.running.fake.next_calls().await, ["events()"]);
    client.running.fake.happen(EventMessage {
        kind: "container".into(),
        action: "start".into(),
        actor: EventActor {
            id: CONTAINER_ID.into(),
            attributes: [("name".into(), "web.1".into()), ("image".into(), "web:1".into())].into(),
        },
        scope: "local".into(),
        time: 5,
        time_nano: 5_000_000_000,
        ..EventMessage::default()
    });
    let line = tokio::time::timeout(Duration::from_secs(60), lines.next_line()).await.unwrap().unwrap().unwrap();
    assert_has(&line, &[&format!("container start {CONTAINER_ID} (image=web:1, name=web.1)")]);
    child.kill().await.unwrap();

    let replay = client.prints(&["events", "--since", "1", "--until", "9"]).await;
    assert_eq!(replay.lines().count(), 1, "{replay}");

    let mut child = client.command(&["logs", "-f", "web.1"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = tokio::time::timeout(Duration::from_secs(60), lines.next_line()).await.unwrap().unwrap();
    assert_eq!(line.as_deref(), Some("to stdout"));
    client.running.shutdown.cancel();
    let ended = tokio::time::timeout(Duration::from_secs(60), child.wait()).await.expect("the stream is ended");
    assert!(ended.unwrap().success());
}
