//! Addresses to listen on, and sockets bound to them. Owns a unix socket's file: takes over one that nobody serves,
//! refuses one that somebody does, and gives it to group `docker` where there is one.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use nix::unistd::{Group, chown};
use tokio::net::{TcpListener, UnixListener, UnixStream};

/// An address from `-H`/`--host`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// `unix://PATH`.
    Unix(PathBuf),
    /// `tcp://ADDRESS[:PORT]`; port 2375 when none is given.
    Tcp(SocketAddr),
}

/// A socket that accepts.
#[derive(Debug)]
pub enum Listener {
    Unix(UnixListener),
    Tcp(TcpListener),
}

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error("invalid listen address {address:?}: {reason}; expected unix:///PATH or tcp://IP[:PORT]")]
    Address { address: String, reason: &'static str },
    #[error("another daemon answers on {0:?}; stop it, or choose another socket with --host")]
    Taken(PathBuf),
    #[error("{0:?} exists and is not a socket; remove it, or choose another path with --host")]
    NotASocket(PathBuf),
    #[error("failed to {step} {address}")]
    Io {
        step: &'static str,
        address: String,
        #[source]
        source: io::Error,
    },
}

impl ListenAddress {
    /// Binds it.
    ///
    /// # Errors
    /// [`ListenError`]; nothing of another daemon is touched then.
    pub async fn bind(&self) -> Result<Listener, ListenError> {
        match self {
            Self::Unix(path) => bind_unix(path).await.map(Listener::Unix),
            Self::Tcp(address) => TcpListener::bind(address)
                .await
                .map(Listener::Tcp)
                .map_err(|source| ListenError::Io { step: "bind", address: self.to_string(), source }),
        }
    }
}

impl ListenAddress {
    /// Removes the file of a socket that is served no longer: clients then hear at once that nobody is there.
    pub fn forget(&self) {
        let Self::Unix(path) = self else { return };
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(path = %path.display(), %error, "failed to remove the socket");
            }
            _ => {}
        }
    }
}

impl FromStr for ListenAddress {
    type Err = ListenError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = |reason| ListenError::Address { address: text.to_owned(), reason };
        if let Some(path) = text.strip_prefix("unix://") {
            return if path.starts_with('/') {
                Ok(Self::Unix(path.into()))
            } else {
                Err(refuse("the path is not absolute"))
            };
        }
        let Some(host) = text.strip_prefix("tcp://") else { return Err(refuse("unknown scheme")) };
        let host = host.trim_end_matches('/').replace("localhost", "127.0.0.1");
        let with_port = if host.starts_with(':') { format!("0.0.0.0{host}") } else { host.clone() };
        with_port
            .parse()
            .or_else(|_| host.trim_matches(['[', ']']).parse().map(|ip| SocketAddr::new(ip, DEFAULT_TCP_PORT)))
            .map(Self::Tcp)
            .map_err(|_| refuse("not an IP address with a port"))
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp(address) => write!(f, "tcp://{address}"),
        }
    }
}

async fn bind_unix(path: &Path) -> Result<UnixListener, ListenError> {
    let failed = |step| move |source| ListenError::Io { step, address: path.display().to_string(), source };
    remove_stale(path).await?;
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed("make the folder of"))?;
    }
    let listener = UnixListener::bind(path).map_err(failed("bind"))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(SOCKET_MODE)).map_err(failed("set the mode of"))?;
    match Group::from_name(SOCKET_GROUP) {
        Ok(Some(group)) => {
            chown(path, None, Some(group.gid)).map_err(|e| failed("give to group docker")(e.into()))?;
        }
        Ok(None) => tracing::debug!(path = %path.display(), "no group docker: the socket stays with its owner"),
        Err(error) => tracing::warn!(%error, "failed to look up group docker: the socket stays with its owner"),
    }
    Ok(listener)
}

/// Removes the file of a socket that nobody serves.
async fn remove_stale(path: &Path) -> Result<(), ListenError> {
    let failed = |step| move |source| ListenError::Io { step, address: path.display().to_string(), source };
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("look at")(error)),
        Ok(found) if !found.file_type().is_socket() => return Err(ListenError::NotASocket(path.into())),
        Ok(_) => {}
    }
    match UnixStream::connect(path).await {
        Ok(_) => Err(ListenError::Taken(path.into())),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(failed("remove the stale socket"))
        }
        Err(error) => Err(failed("see who answers on")(error)),
    }
}

/// Docker's: owner and group may connect.
const SOCKET_MODE: u32 = 0o660;

/// Docker's: its members may use the daemon.
const SOCKET_GROUP: &str = "docker";

/// Docker's port without TLS.
const DEFAULT_TCP_PORT: u16 = 2375;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        let read = |text: &str| text.parse::<ListenAddress>().map(|address| address.to_string());
        assert_eq!(read("unix:///run/x.sock").unwrap(), "unix:///run/x.sock");
        assert_eq!(read("tcp://127.0.0.1:99").unwrap(), "tcp://127.0.0.1:99");
        assert_eq!(read("tcp://127.0.0.1").unwrap(), "tcp://127.0.0.1:2375");
        assert_eq!(read("tcp://:2375").unwrap(), "tcp://0.0.0.0:2375");
        assert_eq!(read("tcp://localhost:1/").unwrap(), "tcp://127.0.0.1:1");
        assert_eq!(read("tcp://[::1]:7").unwrap(), "tcp://[::1]:7");
        assert_eq!(read("tcp://[::1]").unwrap(), "tcp://[::1]:2375");
        for broken in ["", "x", "unix://x", "fd://", "tcp://a:b", "tcp://1.2.3.4:99999"] {
            assert!(read(broken).unwrap_err().to_string().contains("expected unix:///PATH"), "{broken}");
        }
    }

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_a_living_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/api.sock");
        let address = ListenAddress::Unix(path.clone());
        let first = address.bind().await.unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
        assert!(matches!(address.bind().await, Err(ListenError::Taken(_))));
        drop(first);
        address.bind().await.unwrap();

        let file = folder.path().join("file");
        std::fs::write(&file, "kept").unwrap();
        assert!(matches!(ListenAddress::Unix(file.clone()).bind().await, Err(ListenError::NotASocket(_))));
        assert_eq!(std::fs::read_to_string(file).unwrap(), "kept");
    }
}
