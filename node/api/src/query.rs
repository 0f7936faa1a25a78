//! What requests ask for besides their body, as typed values: the server fills them, backends read them.

use crate::types::{AuthConfig, Filters, Timestamp};

/// `POST /swarm/update`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SwarmUpdateQuery {
    /// Version of the swarm that the client saw.
    pub version: u64,
    pub rotate: TokenRotation,
}

/// Which secrets of the swarm to replace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenRotation {
    pub worker_token: bool,
    pub manager_token: bool,
    pub unlock_key: bool,
}

/// `GET /services`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceListQuery {
    /// Keys: name, id, label, mode, runtime.
    pub filters: Filters,
    /// Fill `ServiceStatus`.
    pub status: bool,
}

/// `POST /services/create`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceCreateQuery {
    /// For the registry that has the image; kept with the service, so that every worker can pull.
    pub registry_auth: Option<AuthConfig>,
    /// The client is old and leaves pinning the image's digest to the daemon.
    pub resolve_image: bool,
}

/// `POST /services/{id}/update`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceUpdateQuery {
    /// Version of the service that the client saw.
    pub version: u64,
    /// New credentials; without any, those of `registry_auth_from` stay.
    pub registry_auth: Option<AuthConfig>,
    pub registry_auth_from: RegistryAuthFrom,
    /// Go back to the previous specification; the one sent is checked only.
    pub rollback: bool,
    /// The client is old and leaves pinning the image's digest to the daemon.
    pub resolve_image: bool,
}

/// Where a service's registry credentials come from when an update brings none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RegistryAuthFrom {
    #[default]
    Spec,
    PreviousSpec,
}

/// Logs of a container, a task or a service. The server writes times and details before the lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogsQuery {
    /// Stay and send what comes.
    pub follow: bool,
    pub streams: LogStreams,
    /// Not before.
    pub since: Option<Timestamp>,
    /// Not after.
    pub until: Option<Timestamp>,
    /// The last lines only; `None` is all.
    pub tail: Option<u64>,
    /// Fill [`LogRecord::details`](crate::LogRecord::details).
    pub details: bool,
}

/// Which of the two streams; at least one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogStreams {
    pub stdout: bool,
    pub stderr: bool,
}

/// `POST /images/create`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PullRequest {
    /// Name, with or without a tag or digest.
    pub image: String,
    /// Tag or digest; wins over one in the name.
    pub tag: String,
    /// `OS[/ARCHITECTURE[/VARIANT]]`; empty is this host's.
    pub platform: String,
    pub auth: AuthConfig,
}

impl PullRequest {
    /// Name and tag (or digest) as one reference.
    #[must_use]
    pub fn reference(&self) -> String {
        if self.tag.is_empty() {
            return self.image.clone();
        }
        let separator = if self.tag.contains(':') { '@' } else { ':' };
        format!("{}{separator}{}", name_without_tag(&self.image), self.tag)
    }
}

/// Cuts off `:TAG` and `@DIGEST`; a colon before the last slash belongs to a registry's port.
fn name_without_tag(reference: &str) -> &str {
    let name = reference.split_once('@').map_or(reference, |(name, _)| name);
    let last_part = name.rfind('/').map_or(0, |slash| slash + 1);
    name[last_part..].find(':').map_or(name, |colon| &name[..last_part + colon])
}

/// `GET /images/json`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageListQuery {
    /// Images without a name, too.
    pub all: bool,
    /// Keys: before, dangling, label, reference, since, until.
    pub filters: Filters,
    /// Fill `SharedSize`.
    pub shared_size: bool,
}

/// `DELETE /images/{name}`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImageRemoveQuery {
    /// Even when it has several names or stopped containers use it.
    pub force: bool,
    /// Keep parents without a name.
    pub keep_parents: bool,
}

/// `GET /containers/json`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerListQuery {
    /// Those that do not run, too.
    pub all: bool,
    /// The newest only, whether they run or not.
    pub limit: Option<u64>,
    /// Fill `SizeRw` and `SizeRootFs`.
    pub size: bool,
    /// Keys: ancestor, before, exited, expose, health, id, is-task, isolation, label, name, network, publish, since,
    /// status, volume.
    pub filters: Filters,
}

/// Size of a terminal, in characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TerminalSize {
    pub rows: u16,
    pub columns: u16,
}

/// `GET /networks/{id}`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkInspectQuery {
    /// Services and their tasks, too.
    pub verbose: bool,
    /// `local`, `swarm`, `global`; empty is any.
    pub scope: String,
}

/// `POST /networks/prune`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkPruneQuery {
    /// Those that were made before.
    pub until: Option<Timestamp>,
    /// Keys: label, `label!`.
    pub filters: Filters,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_put_together() {
        let reference = |image: &str, tag: &str| {
            PullRequest { image: image.into(), tag: tag.into(), ..PullRequest::default() }.reference()
        };
        assert_eq!(reference("docker.io/library/alpine", "latest"), "docker.io/library/alpine:latest");
        assert_eq!(reference("10.0.0.1:5000/web", "1"), "10.0.0.1:5000/web:1");
        assert_eq!(reference("10.0.0.1:5000/web:1", "2"), "10.0.0.1:5000/web:2");
        assert_eq!(reference("web:1@sha256:ab", "sha256:cd"), "web@sha256:cd");
        assert_eq!(reference("alpine:3", ""), "alpine:3");
    }
}
