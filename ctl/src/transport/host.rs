//! Which daemon to speak to: `--host`, else `SHOAL_HOST`, else `DOCKER_HOST`, else the first of the two usual sockets
//! that exists.

use std::fmt;
use std::path::{Path, PathBuf};

/// The address of a daemon's API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    Unix(PathBuf),
    /// Host name or address, and port.
    Tcp(String, u16),
}

/// Where the address was found, for messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Flag,
    ShoalHost,
    DockerHost,
    Default,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum HostError {
    #[error("{0:?} is not a way to reach a daemon: use unix:///path/to/socket or tcp://address:port")]
    Scheme(String),
    #[error("the path of the socket must be absolute, as in unix:///var/run/shoal.sock")]
    RelativePath,
    #[error("no address stands before the port")]
    NoAddress,
    #[error("{0:?} is not a port number")]
    Port(String),
}

impl Host {
    /// Chooses the daemon. `lookup` reads an environment variable.
    pub(crate) fn choose(
        flag: Option<String>,
        lookup: impl Fn(&str) -> Option<String>,
    ) -> (Origin, Result<Self, (String, HostError)>) {
        let given = |name| lookup(name).filter(|value: &String| !value.is_empty());
        let (origin, text) = match (flag, given("SHOAL_HOST"), given("DOCKER_HOST")) {
            (Some(text), ..) => (Origin::Flag, text),
            (None, Some(text), _) => (Origin::ShoalHost, text),
            (None, None, Some(text)) => (Origin::DockerHost, text),
            (None, None, None) => return (Origin::Default, Ok(Self::usual())),
        };
        let parsed = Self::parse(&text).map_err(|error| (text, error));
        (origin, parsed)
    }

    /// Shoal's socket, or docker's where only that exists.
    fn usual() -> Self {
        let exists = Path::new(SOCKETS[0]).exists() || !Path::new(SOCKETS[1]).exists();
        Self::Unix(PathBuf::from(if exists { SOCKETS[0] } else { SOCKETS[1] }))
    }

    pub(crate) fn parse(text: &str) -> Result<Self, HostError> {
        let (scheme, rest) = match text.split_once("://") {
            Some(pair) => pair,
            None if text.starts_with('/') => ("unix", text),
            None => ("tcp", text),
        };
        match scheme {
            "unix" if rest.is_empty() => Ok(Self::usual()),
            "unix" if rest.starts_with('/') => Ok(Self::Unix(PathBuf::from(rest))),
            "unix" => Err(HostError::RelativePath),
            "tcp" | "http" => {
                let rest = rest.trim_end_matches('/');
                let (address, port) = match rest.rsplit_once(':') {
                    // The colons of a bracketed IPv6 address are its own.
                    Some((address, port)) if !port.ends_with(']') => {
                        (address, port.parse().map_err(|_| HostError::Port(port.to_owned()))?)
                    }
                    _ => (rest, TCP_PORT),
                };
                let address = address.trim_start_matches('[').trim_end_matches(']');
                if address.is_empty() {
                    return Err(HostError::NoAddress);
                }
                Ok(Self::Tcp(address.to_owned(), port))
            }
            other => Err(HostError::Scheme(other.to_owned())),
        }
    }

    /// The `Host` header of requests; a socket has no name, and any will do.
    pub(crate) fn header(&self) -> String {
        match self {
            Self::Unix(_) => "shoal".into(),
            Self::Tcp(address, port) => authority(address, *port),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(out, "unix://{}", path.display()),
            Self::Tcp(address, port) => write!(out, "tcp://{}", authority(address, *port)),
        }
    }
}

fn authority(address: &str, port: u16) -> String {
    if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") }
}

/// The sockets that are tried without an address, in order.
const SOCKETS: [&str; 2] = ["/var/run/shoal.sock", "/var/run/docker.sock"];
/// Docker's port for its API without TLS.
const TCP_PORT: u16 = 2375;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_wins_then_shoal_host_then_docker_host() {
        let both = |name: &str| Some(format!("tcp://{}", if name == "SHOAL_HOST" { "shoal" } else { "docker" }));
        let docker = |name: &str| (name == "DOCKER_HOST").then(|| "unix:///d.sock".to_owned());
        let chosen = |flag: Option<&str>, env: &dyn Fn(&str) -> Option<String>| {
            let (origin, host) = Host::choose(flag.map(str::to_owned), env);
            (origin, host.unwrap().to_string())
        };
        assert_eq!(chosen(Some("tcp://f:1"), &both), (Origin::Flag, "tcp://f:1".into()));
        assert_eq!(chosen(None, &both), (Origin::ShoalHost, "tcp://shoal:2375".into()));
        assert_eq!(chosen(None, &docker), (Origin::DockerHost, "unix:///d.sock".into()));
        assert_eq!(Host::choose(None, |_| Some(String::new())).0, Origin::Default);
    }

    #[test]
    fn addresses_parse_or_say_why_not() {
        assert_eq!(Host::parse("tcp://[fe80::1]:77").unwrap(), Host::Tcp("fe80::1".into(), 77));
        assert_eq!(Host::parse("tcp://[fe80::1]").unwrap().to_string(), "tcp://[fe80::1]:2375");
        assert_eq!(Host::parse("10.0.0.1:99").unwrap(), Host::Tcp("10.0.0.1".into(), 99));
        assert_eq!(Host::parse("/tmp/x.sock").unwrap(), Host::Unix("/tmp/x.sock".into()));
        assert!(matches!(Host::parse("ssh://me@there"), Err(HostError::Scheme(scheme)) if scheme == "ssh"));
        assert!(matches!(Host::parse("tcp://a:b"), Err(HostError::Port(_))));
        assert!(matches!(Host::parse("unix://x"), Err(HostError::RelativePath)));
        assert!(matches!(Host::parse("tcp://:1"), Err(HostError::NoAddress)));
    }
}
