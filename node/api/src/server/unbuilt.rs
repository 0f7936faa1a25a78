//! Routes that Docker has and Shoal has not: refused by name, so that a user knows that it is not a typing error.

use axum::http::Method;

use crate::error::ApiError;

/// The refusal of a request that belongs to Docker's API and is not built; `None` for all others.
pub(super) fn refusal(method: &Method, path: &str) -> Option<ApiError> {
    let (_, pattern, advice) =
        UNBUILT.iter().find(|(allowed, pattern, _)| *allowed == method.as_str() && matches(pattern, path))?;
    Some(ApiError::not_implemented(format!("{method} {pattern} is not part of Shoal yet: {advice}")))
}

/// Compares segment by segment; `{}` stands for one, `{*}` for one or more.
fn matches(pattern: &str, path: &str) -> bool {
    let pattern: Vec<&str> = pattern.split('/').collect();
    let path: Vec<&str> = path.split('/').collect();
    let same = |(wanted, found): (&&str, &&str)| *wanted == "{}" && !found.is_empty() || wanted == found;
    let Some(at) = pattern.iter().position(|segment| *segment == "{*}") else {
        return pattern.len() == path.len() && pattern.iter().zip(&path).all(same);
    };
    let tail = pattern.len() - at - 1;
    path.len() > at + tail
        && pattern[..at].iter().zip(&path).all(same)
        && pattern[at + 1..].iter().zip(&path[path.len() - tail..]).all(same)
}

const SERVICES: &str = "run it as a service (service create)";
const TASKS: &str = "containers here belong to services; use service update, service scale or service rm";
const READING: &str = "use exec and logs";
const IMAGES: &str = "images are pulled, loaded and removed here; build and publish them elsewhere";
const NETWORKS: &str = "services use ports (--publish) and --network host for now";
const VOLUMES: &str = "a volume is made when a service first mounts it";
const PRUNING: &str = "remove objects one by one";
const PLUGINS: &str = "drivers are built in";
const BUILDING: &str = "build elsewhere, then pull or load the image";

/// Method, path, and what to do instead.
const UNBUILT: &[(&str, &str, &str)] = &[
    ("POST", "/containers/create", SERVICES),
    ("POST", "/containers/{}/start", TASKS),
    ("POST", "/containers/{}/stop", TASKS),
    ("POST", "/containers/{}/restart", TASKS),
    ("POST", "/containers/{}/kill", TASKS),
    ("POST", "/containers/{}/pause", TASKS),
    ("POST", "/containers/{}/unpause", TASKS),
    ("POST", "/containers/{}/rename", TASKS),
    ("POST", "/containers/{}/update", TASKS),
    ("POST", "/containers/{}/wait", TASKS),
    ("DELETE", "/containers/{}", TASKS),
    ("POST", "/containers/prune", PRUNING),
    ("POST", "/containers/{}/attach", READING),
    ("GET", "/containers/{}/attach/ws", READING),
    ("POST", "/containers/{}/resize", READING),
    ("GET", "/containers/{}/stats", READING),
    ("GET", "/containers/{}/top", READING),
    ("GET", "/containers/{}/changes", READING),
    ("GET", "/containers/{}/export", READING),
    ("HEAD", "/containers/{}/archive", READING),
    ("GET", "/containers/{}/archive", READING),
    ("PUT", "/containers/{}/archive", READING),
    ("GET", "/containers/{}/checkpoints", READING),
    ("POST", "/containers/{}/checkpoints", READING),
    ("DELETE", "/containers/{}/checkpoints/{}", READING),
    ("POST", "/commit", IMAGES),
    ("POST", "/images/prune", PRUNING),
    ("POST", "/images/{*}/push", IMAGES),
    ("POST", "/images/{*}/tag", IMAGES),
    ("GET", "/images/{*}/history", IMAGES),
    ("GET", "/images/{*}/get", IMAGES),
    ("GET", "/images/{*}/attestations", IMAGES),
    ("GET", "/images/get", IMAGES),
    ("GET", "/images/search", IMAGES),
    ("POST", "/build", BUILDING),
    ("POST", "/build/prune", BUILDING),
    ("POST", "/build/cancel", BUILDING),
    ("POST", "/session", BUILDING),
    ("POST", "/grpc", BUILDING),
    ("POST", "/networks/{}/connect", NETWORKS),
    ("POST", "/networks/{}/disconnect", NETWORKS),
    ("POST", "/volumes/create", VOLUMES),
    ("PUT", "/volumes/{}", VOLUMES),
    ("DELETE", "/volumes/{}", VOLUMES),
    ("POST", "/volumes/prune", PRUNING),
    ("GET", "/plugins/privileges", PLUGINS),
    ("POST", "/plugins/{*}", PLUGINS),
    ("DELETE", "/plugins/{*}", PLUGINS),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_name_route_and_remedy() {
        let error = refusal(&Method::POST, "/images/10.0.0.1:5000/a/b/push").unwrap();
        assert_eq!(error.kind.status(), 501);
        assert!(error.message.starts_with("POST /images/{*}/push is not part of Shoal yet: "), "{error}");
        assert!(refusal(&Method::POST, "/containers/create").unwrap().message.contains("service create"));
    }

    #[test]
    fn others_pass() {
        for (method, path) in [
            (Method::GET, "/containers/json"),
            (Method::POST, "/images/create"),
            (Method::POST, "/images/push"),
            (Method::GET, "/containers//stats"),
            (Method::GET, "/images/a/b/json"),
            (Method::DELETE, "/images/a/push"),
            (Method::POST, "/"),
        ] {
            assert_eq!(refusal(&method, path), None, "{method} {path}");
        }
    }
}
