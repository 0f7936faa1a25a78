//! Every route against the fake: `golden/routes.txt` holds requests (`>`), the calls that the backend saw (`=`) and
//! the answers (`<` status and headers, `|` body). `UPDATE_GOLDEN=1` writes it anew.

use std::fmt::Write as _;

use crate::fake::Running;
use crate::wire;

#[tokio::test]
async fn routes_answer_as_recorded() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/api/golden/routes.txt");
    let recorded = std::fs::read_to_string(path).unwrap();
    let running = Running::start().await;
    running.fake.leaving.add_permits(1);
    let mut played = Vec::new();
    for stanza in recorded.split("\n\n") {
        played.push(play(&running, stanza).await);
    }
    let played = played.join("\n\n") + "\n";
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, &played).unwrap();
        return;
    }
    for (line, (played, recorded)) in played.lines().zip(recorded.lines()).enumerate() {
        assert_eq!(played, recorded, "line {} of golden/routes.txt", line + 1);
    }
    assert_eq!(played.lines().count(), recorded.lines().count());
}

async fn play(running: &Running, stanza: &str) -> String {
    let kept: Vec<&str> = stanza.lines().filter(|line| line.starts_with(['#', '>'])).collect();
    let mut told = kept.join("\n");
    let mut input = kept.iter().filter_map(|line| line.strip_prefix("> "));
    let Some(request) = input.next() else { return told };
    let (bodies, headers): (Vec<&str>, Vec<&str>) =
        input.partition(|line| !line.contains(": ") || line.starts_with('{'));
    let body = bodies.join("\n");
    let mut headers = headers;
    if !body.is_empty() && !headers.iter().any(|header| header.starts_with("Content-Type")) {
        headers.push("Content-Type: application/json");
    }

    let answer = wire::ask(&running.socket, request, &headers, body.as_bytes()).await;
    for (name, value) in STANDING_HEADERS {
        assert_eq!(answer.header(name), Some(*value), "{request}");
    }
    for call in running.fake.take_calls() {
        write!(told, "\n= {call}").unwrap();
    }
    write!(told, "\n< {}", answer.status).unwrap();
    let unspoken = ["connection", "content-length", "date", "transfer-encoding"];
    let standing = |name: &str| STANDING_HEADERS.iter().any(|(standing, _)| *standing == name);
    for (name, value) in answer.headers.iter().filter(|(name, _)| !unspoken.contains(&name.as_str()) && !standing(name))
    {
        write!(told, "\n< {name}: {value}").unwrap();
    }
    for line in String::from_utf8_lossy(&answer.body).replace('\r', "\\r").replace('\0', "\\0").lines() {
        write!(told, "\n| {line}").unwrap();
    }
    told
}

const STANDING_HEADERS: &[(&str, &str)] = &[
    ("server", "Docker/0.1.0 (linux)"),
    ("api-version", "1.51"),
    ("ostype", "linux"),
    ("docker-experimental", "false"),
];
