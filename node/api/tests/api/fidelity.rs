//! Nothing that the stock client says in a service is lost between its JSON and our types.

use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use serde_json::Value;
use shoal_api::types::{DecodeError, ServiceSpec, decode};
use tokio::net::UnixListener;
use tokio::process::Command;

#[tokio::test]
async fn a_service_with_every_flag_survives() {
    let folder = tempfile::tempdir().unwrap();
    let sent = record(folder.path(), EVERY_FLAG).await;
    let spec: ServiceSpec = decode(&sent).unwrap();
    let original: Value = serde_json::from_slice(&sent).unwrap();
    let ours = serde_json::to_value(&spec).unwrap();
    assert_within("", &original, &ours);

    for end in (1..sent.len()).step_by(61) {
        let cut = decode::<ServiceSpec>(&sent[..end]).unwrap_err();
        assert!(matches!(&cut, DecodeError::Syntax(source) if source.is_eof()), "after {end} bytes: {cut}");
    }

    let container = spec.task_template.container_spec.unwrap();
    assert_eq!(container.mounts.len(), 3);
    assert_eq!(container.secrets.len(), 1);
    assert_eq!(spec.update_config.unwrap().max_failure_ratio, 0.25);
}

/// Fails on the first value of `original` that `ours` does not have; Go's zero values may be absent.
fn assert_within(path: &str, original: &Value, ours: &Value) {
    match (original, ours) {
        (Value::Object(original), Value::Object(ours)) => {
            for (key, value) in original {
                let path = format!("{path}.{key}");
                match ours.get(key) {
                    Some(found) => assert_within(&path, value, found),
                    None => assert!(is_zero(value), "{path} = {value} was lost"),
                }
            }
        }
        (Value::Array(original), Value::Array(ours)) => {
            assert_eq!(original.len(), ours.len(), "{path}");
            for (index, (original, ours)) in original.iter().zip(ours).enumerate() {
                assert_within(&format!("{path}[{index}]"), original, ours);
            }
        }
        (Value::Null, _) => {}
        (original, ours) => assert_eq!(original, ours, "{path}"),
    }
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(value) => value.as_f64() == Some(0.0),
        Value::String(value) => value.is_empty(),
        Value::Array(values) => values.is_empty(),
        Value::Object(members) => members.values().all(is_zero),
    }
}

/// The body that the client posts for a command line.
async fn record(folder: &Path, arguments: &[&str]) -> Vec<u8> {
    let socket = folder.join("api.sock");
    let posted = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&posted);
    let listener = UnixListener::bind(&socket).unwrap();
    let router = Router::new().fallback(move |method: Method, uri: Uri, body: Bytes| {
        if method == Method::POST {
            *seen.lock().unwrap() = body.to_vec();
        }
        std::future::ready(scripted_answer(&method, uri.path()))
    });
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let output = Command::new("docker")
        .args(arguments)
        .env("DOCKER_HOST", format!("unix://{}", socket.display()))
        .env("DOCKER_CONFIG", folder)
        .env_remove("DOCKER_API_VERSION")
        .output()
        .await
        .unwrap();
    server.abort();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::mem::take(&mut posted.lock().unwrap())
}

fn scripted_answer(method: &Method, path: &str) -> Response {
    let named = |name| format!(r#"[{{"ID":"{name}id","Spec":{{"Name":"{name}"}}}}]"#);
    let body = match path.rsplit('/').next().unwrap_or_default() {
        "_ping" => return [("api-version", "1.50"), ("ostype", "linux")].into_response(),
        "net1" => r#"{"Id":"net1id","Name":"net1"}"#.to_owned(),
        "secrets" => named("s1"),
        "configs" => named("c1"),
        "create" if method == Method::POST => {
            return (StatusCode::CREATED, [("content-type", "application/json")], r#"{"ID":"x"}"#).into_response();
        }
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    ([("content-type", "application/json")], body).into_response()
}

#[rustfmt::skip]
const EVERY_FLAG: &[&str] = &[
    "service", "create", "--detach", "--no-resolve-image",
    "--name", "web", "--replicas", "3", "--replicas-max-per-node", "2", "--label", "a=b",
    "--container-label", "c=d", "--entrypoint", "/bin/tini --", "--env", "A=b", "--env", "B=", "--workdir", "/srv",
    "--user", "1000:1000", "--group", "audio", "--hostname", "{{.Node.Hostname}}", "--init", "--tty", "--read-only",
    "--stop-signal", "SIGQUIT", "--stop-grace-period", "1m30s", "--isolation", "default",
    "--cap-add", "NET_ADMIN", "--cap-drop", "CHOWN", "--sysctl", "net.core.somaxconn=1024",
    "--ulimit", "nofile=1024:2048", "--oom-score-adj", "100", "--host", "db:10.0.0.9",
    "--dns", "10.0.0.53", "--dns-option", "ndots:2", "--dns-search", "example.org",
    "--health-cmd", "true", "--health-interval", "3s", "--health-retries", "4", "--health-start-interval", "1s",
    "--health-start-period", "5s", "--health-timeout", "2s",
    "--mount", "type=bind,source=/srv,target=/srv,readonly,bind-propagation=rslave,bind-recursive=disabled",
    "--mount", "type=volume,source=data,target=/data,volume-nocopy,volume-label=x=y,volume-driver=local,volume-opt=o=p,volume-subpath=sub",
    "--mount", "type=tmpfs,target=/tmp,tmpfs-size=64m,tmpfs-mode=1770",
    "--secret", "source=s1,target=key,uid=1,gid=2,mode=0400", "--config", "source=c1,target=/etc/c1,mode=0440",
    "--credential-spec", "file://spec.json",
    "--limit-cpu", "1.5", "--limit-memory", "64M", "--limit-pids", "50", "--reserve-cpu", "0.25",
    "--reserve-memory", "32M", "--generic-resource", "gpu=2",
    "--constraint", "node.role==worker", "--constraint", "node.labels.zone!=b", "--placement-pref", "spread=node.labels.zone",
    "--network", "name=net1,alias=www,driver-opt=x=y", "--endpoint-mode", "vip",
    "--publish", "8080:80", "--publish", "mode=host,published=5353,target=53,protocol=udp",
    "--log-driver", "json-file", "--log-opt", "max-size=1m",
    "--restart-condition", "on-failure", "--restart-delay", "3s", "--restart-max-attempts", "7", "--restart-window", "1m",
    "--update-parallelism", "2", "--update-delay", "1s", "--update-failure-action", "rollback",
    "--update-max-failure-ratio", "0.25", "--update-monitor", "4s", "--update-order", "start-first",
    "--rollback-parallelism", "0", "--rollback-delay", "2s", "--rollback-failure-action", "continue",
    "--rollback-max-failure-ratio", "0.5", "--rollback-monitor", "6s", "--rollback-order", "start-first",
    "10.0.0.1:5000/web:1", "serve", "--port", "80",
];
