//! Connections that live: execs, followed logs, events, uploads, and what becomes of them when the server stops.

use std::path::Path;
use std::time::Duration;

use crate::fake::Running;
use crate::wire;
use shoal_api::types::{EventActor, EventMessage, ExecCreateRequest, ExecStartRequest, IdResponse, Timestamp, decode};
use shoal_api::{LogRecord, OutputStream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

const JSON: &str = "Content-Type: application/json";

async fn create_exec(socket: &Path, shell: &str) -> String {
    let request = ExecCreateRequest {
        attach_stdin: true,
        attach_stdout: true,
        attach_stderr: true,
        cmd: vec!["sh".into(), "-c".into(), shell.into()],
        ..ExecCreateRequest::default()
    };
    create_exec_of(socket, &request).await
}

async fn create_exec_of(socket: &Path, request: &ExecCreateRequest) -> String {
    let body = serde_json::to_vec(request).unwrap();
    let answer = wire::ask(socket, "POST /v1.51/containers/web.1/exec", &[JSON], &body).await;
    assert_eq!(answer.status, "201 Created");
    decode::<IdResponse>(&answer.body).unwrap().id
}

/// Starts an exec; the first bytes of input travel with the request.
async fn start_exec(socket: &Path, id: &str, start: &ExecStartRequest, input: &[u8]) -> UnixStream {
    let mut stream = UnixStream::connect(socket).await.unwrap();
    let headers = [JSON, "Connection: Upgrade", "Upgrade: tcp"];
    let body = serde_json::to_vec(start).unwrap();
    let mut request = wire::request(&format!("POST /v1.51/exec/{id}/start"), &headers, &body);
    request.extend_from_slice(input);
    stream.write_all(&request).await.unwrap();
    stream
}

#[tokio::test]
async fn exec_carries_both_directions_and_tells_its_exit_code_first() {
    let running = Running::start().await;
    let id = create_exec(&running.socket, "cat; echo oops >&2; exit 7").await;
    let input: Vec<u8> = (0..300_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let stream = start_exec(&running.socket, &id, &ExecStartRequest::default(), &input[..1000]).await;

    let (mut reading, mut writing) = stream.into_split();
    let rest = input[1000..].to_vec();
    let sender = tokio::spawn(async move {
        writing.write_all(&rest).await.unwrap();
        writing.shutdown().await.unwrap();
        writing
    });
    let mut raw = Vec::new();
    reading.read_to_end(&mut raw).await.unwrap();
    assert_eq!(running.fake.exec(&id).unwrap().exit_code, Some(7));
    drop(sender.await.unwrap());

    let answer = wire::parse(&raw);
    assert_eq!(answer.status, "101 Switching Protocols");
    assert_eq!(answer.header("upgrade"), Some("tcp"));
    assert_eq!(answer.header("content-type"), Some("application/vnd.docker.multiplexed-stream"));
    let of = |stream: u8| {
        wire::frames(&answer.body)
            .into_iter()
            .filter(|(id, _)| *id == stream)
            .flat_map(|(_, payload)| payload)
            .collect()
    };
    let (stdout, stderr): (Vec<u8>, Vec<u8>) = (of(1), of(2));
    assert!(stdout == input, "{} of {} bytes came back", stdout.len(), input.len());
    assert_eq!(stderr, b"oops\n");
}

#[tokio::test]
async fn an_exec_that_ends_before_its_input_does_is_read_to_its_end() {
    let running = Running::start().await;
    let id = create_exec(&running.socket, "echo done").await;
    let stream = start_exec(&running.socket, &id, &ExecStartRequest::default(), &[b'x'; 200_000]).await;
    let (mut reading, mut writing) = stream.into_split();
    let sender = tokio::spawn(async move { while writing.write_all(&[b'x'; 4096]).await.is_ok() {} });
    let mut raw = Vec::new();
    reading.read_to_end(&mut raw).await.unwrap();
    assert_eq!(wire::frames(&wire::parse(&raw).body), [(1, b"done\n".to_vec())]);
    drop(reading);
    sender.await.unwrap();
}

#[tokio::test]
async fn an_exec_without_input_ignores_what_is_sent() {
    let running = Running::start().await;
    let request = ExecCreateRequest {
        attach_stdout: true,
        cmd: vec!["sh".into(), "-c".into(), "cat; echo end".into()],
        ..ExecCreateRequest::default()
    };
    let id = create_exec_of(&running.socket, &request).await;
    let mut stream = start_exec(&running.socket, &id, &ExecStartRequest::default(), b"ignored").await;
    stream.shutdown().await.unwrap();
    let mut raw = Vec::new();
    stream.read_to_end(&mut raw).await.unwrap();
    assert_eq!(wire::frames(&wire::parse(&raw).body), [(1, b"end\n".to_vec())]);
}

#[tokio::test]
async fn a_command_that_cannot_run_says_so_in_the_stream() {
    let running = Running::start().await;
    let request = ExecCreateRequest { cmd: vec!["/no/such/command".into()], ..ExecCreateRequest::default() };
    let id = create_exec_of(&running.socket, &request).await;
    let mut stream = start_exec(&running.socket, &id, &ExecStartRequest::default(), b"").await;
    stream.shutdown().await.unwrap();
    let mut raw = Vec::new();
    stream.read_to_end(&mut raw).await.unwrap();
    let frames = wire::frames(&wire::parse(&raw).body);
    assert_eq!(frames.len(), 1);
    assert!(String::from_utf8_lossy(&frames[0].1).contains("/no/such/command"));
    assert_eq!(running.fake.exec(&id).unwrap().exit_code, Some(127));

    let headers = [JSON, "Connection: close, Upgrade", "Upgrade: tcp"];
    let again = wire::ask(&running.socket, &format!("POST /exec/{id}/start"), &headers, b"{}").await;
    assert_eq!(again.error(), (409, format!("exec {id} has already run")));
}

fn event(kind: &str, action: &str, seconds: i64) -> EventMessage {
    EventMessage {
        kind: kind.into(),
        action: action.into(),
        actor: EventActor { id: "abc".into(), ..EventActor::default() },
        scope: "local".into(),
        time: seconds,
        time_nano: seconds * 1_000_000_000,
        ..EventMessage::default()
    }
}

/// Reads until `wanted` has come.
async fn read_until(stream: &mut UnixStream, read: &mut Vec<u8>, wanted: &str) {
    while !String::from_utf8_lossy(read).contains(wanted) {
        assert_ne!(
            stream.read_buf(read).await.unwrap(),
            0,
            "ended without {wanted:?}: {}",
            String::from_utf8_lossy(read)
        );
    }
}

#[tokio::test]
async fn events_come_as_they_happen_until_the_server_stops() {
    let running = Running::start().await;
    running.fake.happen(event("container", "before", 5));
    let mut stream = UnixStream::connect(&running.socket).await.unwrap();
    let filters = "%7B%22type%22:[%22container%22]%7D";
    stream.write_all(&wire::request(&format!("GET /events?filters={filters}"), &[], b"")).await.unwrap();
    let mut read = Vec::new();
    read_until(&mut stream, &mut read, "\r\n\r\n").await;
    running.fake.happen(event("image", "pull", 6));
    running.fake.happen(event("container", "start", 7));
    read_until(&mut stream, &mut read, "\"start\"").await;

    running.shutdown.cancel();
    tokio::time::timeout(Duration::from_secs(1), stream.read_to_end(&mut read)).await.expect("cut at once").unwrap();
    tokio::time::timeout(Duration::from_secs(1), running.ended).await.expect("ends at once").unwrap();
    let answer = wire::parse(&read);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let lines: Vec<EventMessage> = answer.text().lines().map(|line| decode(line.as_bytes()).unwrap()).collect();
    assert_eq!(lines.len(), 1);
    assert_eq!((lines[0].action.as_str(), lines[0].status.as_str(), lines[0].id.as_str()), ("start", "start", "abc"));
}

#[tokio::test]
async fn past_events_are_replayed_between_two_times() {
    let running = Running::start().await;
    for (action, seconds) in [("early", 5), ("first", 10), ("last", 20), ("late", 21)] {
        running.fake.happen(event("container", action, seconds));
    }
    let answer = wire::ask(&running.socket, "GET /events?since=10&until=20.000000000", &[], b"").await;
    let actions: Vec<String> =
        answer.text().lines().map(|line| decode::<EventMessage>(line.as_bytes()).unwrap().action).collect();
    assert_eq!(actions, ["first", "last"]);
}

#[tokio::test]
async fn followed_logs_go_on() {
    let running = Running::start().await;
    let mut stream = UnixStream::connect(&running.socket).await.unwrap();
    let line = "GET /containers/web.1/logs?stdout=1&stderr=1&follow=1";
    stream.write_all(&wire::request(line, &[], b"")).await.unwrap();
    let mut read = Vec::new();
    read_until(&mut stream, &mut read, "to stderr").await;
    let record = LogRecord {
        stream: OutputStream::Stdout,
        time: Timestamp::ZERO,
        details: std::collections::BTreeMap::new(),
        line: "later\n".into(),
    };
    running.fake.log_lines.send(record).unwrap();
    read_until(&mut stream, &mut read, "later").await;
    running.shutdown.cancel();
    stream.read_to_end(&mut read).await.unwrap();
    let expected = [(1, b"to stdout\n".to_vec()), (2, b"to stderr\n".to_vec()), (1, b"later\n".to_vec())];
    assert_eq!(wire::frames(&wire::parse(&read).body), expected);
}

#[tokio::test]
async fn a_client_that_leaves_ends_what_it_reads() {
    let running = Running::start().await;
    let mut stream = UnixStream::connect(&running.socket).await.unwrap();
    let line = "GET /containers/web.1/logs?stdout=1&stderr=1&follow=1";
    stream.write_all(&wire::request(line, &[], b"")).await.unwrap();
    read_until(&mut stream, &mut Vec::new(), "to stderr").await;
    assert_eq!(running.fake.log_lines.receiver_count(), 1);
    drop(stream);
    let all_gone = running.fake.log_lines.closed();
    tokio::time::timeout(Duration::from_secs(5), all_gone).await.expect("the feed is dropped");
}

#[tokio::test]
async fn a_client_that_leaves_does_not_end_what_it_changes() {
    let running = Running::start().await;
    let mut stream = UnixStream::connect(&running.socket).await.unwrap();
    stream.write_all(&wire::request("POST /swarm/leave", &[], b"")).await.unwrap();
    assert_eq!(running.fake.next_calls().await, ["leave_swarm(false)"]);
    drop(stream);
    // A round trip later the server has seen that the client is gone.
    wire::ask(&running.socket, "GET /_ping", &[], b"").await;
    running.shutdown.cancel();
    running.fake.leaving.add_permits(1);
    running.ended.await.unwrap();
    assert_eq!(running.fake.take_calls(), ["left the swarm"]);
}

#[tokio::test]
async fn uploads_stream_and_a_refused_one_is_answered() {
    let running = Running::start().await;
    let archive = vec![7; 9 << 20];
    let answer =
        wire::ask(&running.socket, "POST /images/load?quiet=1", &["Content-Type: application/x-tar"], &archive);
    assert_eq!(answer.await.text(), "{\"stream\":\"Loaded image: web:1\\n\"}\r\n");
    assert!(running.fake.loaded() == archive);

    let mut garbage = b"garbage".to_vec();
    garbage.resize(9 << 20, 0);
    let answer = wire::ask(&running.socket, "POST /images/load", &["Content-Type: application/x-tar"], &garbage).await;
    assert_eq!(answer.error(), (400, "the archive is not a tar file".into()));

    let answer = wire::ask(&running.socket, "POST /build", &["Content-Type: application/x-tar"], &garbage).await;
    assert_eq!(answer.error().0, 501);
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused() {
    let running = Running::start().await;
    let body = format!("{{\"Name\": \"{}\"}}", "x".repeat(5 << 20));
    let answer = wire::ask(&running.socket, "POST /services/create", &[JSON], body.as_bytes()).await;
    let (code, message) = answer.error();
    assert_eq!(code, 400);
    assert!(message.contains("at most 4194304"), "{message}");
    assert!(running.fake.take_calls().is_empty());
}

#[tokio::test]
async fn an_exec_is_cut_when_the_server_cannot_wait() {
    let running = Running::start().await;
    let id = create_exec(&running.socket, "cat").await;
    let mut stream = start_exec(&running.socket, &id, &ExecStartRequest::default(), b"echo").await;
    let mut read = Vec::new();
    read_until(&mut stream, &mut read, "echo").await;
    running.shutdown.cancel();
    tokio::time::timeout(Duration::from_secs(10), running.ended).await.expect("the drain has a deadline").unwrap();
    assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0);
}
