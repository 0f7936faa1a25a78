//! Servers outside: the container's own, else the host's; asked one after the other, from the host's network.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use super::answer::{Way, denies, is_answer_to};
use super::limits::{MESSAGE_BYTES, NEGATIVE_AGE, NEGATIVES, RESOLV_CONF_AGE, UPSTREAM_TIMEOUT, UPSTREAMS};

/// All that is shared between containers when others are asked.
#[derive(Debug)]
pub(super) struct Upstream {
    resolv_conf: PathBuf,
    host: Mutex<Option<(Instant, Vec<IpAddr>)>>,
    /// Questions that were denied lately, with the answer.
    denied: Mutex<Denials>,
}

/// When a question was denied, and how.
type Denials = HashMap<Vec<u8>, (Instant, Vec<u8>)>;

/// Number and flags stand before the question.
const HEADER: usize = 12;
const PORT: u16 = 53;

impl Upstream {
    /// Asks those that this file names when a container has none of its own.
    pub(super) fn new(resolv_conf: PathBuf) -> Self {
        Self { resolv_conf, host: Mutex::default(), denied: Mutex::default() }
    }

    /// The first answer that one of the servers gives.
    pub(super) async fn ask(&self, query: &[u8], own: &[IpAddr], way: Way) -> Option<Vec<u8>> {
        if let Some(known) = self.denied_lately(query) {
            return Some(known);
        }
        let servers = if own.is_empty() { self.host_servers() } else { own.to_vec() };
        for server in servers.into_iter().take(UPSTREAMS) {
            let asked = match way {
                Way::Datagram => timeout(UPSTREAM_TIMEOUT, by_datagram(server, query)).await,
                Way::Connection => timeout(UPSTREAM_TIMEOUT, by_connection(server, query)).await,
            };
            match asked {
                Ok(Ok(answer)) => {
                    if denies(&answer) {
                        self.note_denied(query, &answer);
                    }
                    return Some(answer);
                }
                Ok(Err(error)) => tracing::debug!(%server, %error, "a name server was not reached"),
                Err(_) => tracing::debug!(%server, "a name server did not answer in time"),
            }
        }
        None
    }

    /// The host's servers, read again now and then: networks of laptops and routers change them.
    fn host_servers(&self) -> Vec<IpAddr> {
        let mut host = self.host.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((read, servers)) = &*host
            && read.elapsed() < RESOLV_CONF_AGE
        {
            return servers.clone();
        }
        let text = std::fs::read_to_string(&self.resolv_conf).unwrap_or_else(|error| {
            tracing::debug!(path = %self.resolv_conf.display(), %error, "the host names no name servers");
            String::new()
        });
        let servers = servers_in(&text);
        *host = Some((Instant::now(), servers.clone()));
        servers
    }

    fn denied_lately(&self, query: &[u8]) -> Option<Vec<u8>> {
        let denied = self.denied.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, answer) = denied.get(query.get(HEADER..)?)?;
        let mut answer = answer.clone();
        answer.get_mut(..2)?.copy_from_slice(query.get(..2)?);
        (at.elapsed() < NEGATIVE_AGE).then_some(answer)
    }

    fn note_denied(&self, query: &[u8], answer: &[u8]) {
        let Some(question) = query.get(HEADER..) else { return };
        let mut denied = self.denied.lock().unwrap_or_else(PoisonError::into_inner);
        if denied.len() >= NEGATIVES {
            denied.retain(|_, (at, _)| at.elapsed() < NEGATIVE_AGE);
        }
        if denied.len() < NEGATIVES {
            denied.insert(question.to_vec(), (Instant::now(), answer.to_vec()));
        }
    }
}

async fn by_datagram(server: IpAddr, query: &[u8]) -> io::Result<Vec<u8>> {
    let any: SocketAddr = match server {
        IpAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        IpAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    // A port of its own for each query makes forged answers unlikely (RFC 5452).
    let socket = UdpSocket::bind(any).await?;
    socket.connect((server, PORT)).await?;
    socket.send(query).await?;
    let mut buffer = vec![0; MESSAGE_BYTES];
    loop {
        let length = socket.recv(&mut buffer).await?;
        if is_answer_to(query, &buffer[..length]) {
            buffer.truncate(length);
            return Ok(buffer);
        }
    }
}

async fn by_connection(server: IpAddr, query: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect((server, PORT)).await?;
    let length = u16::try_from(query.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    stream.write_all(&[&length.to_be_bytes(), query].concat()).await?;
    let mut answer = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut answer).await?;
    if is_answer_to(query, &answer) { Ok(answer) } else { Err(io::ErrorKind::InvalidData.into()) }
}

/// The name servers that a resolv.conf(5) names; zones of addresses are left out.
fn servers_in(text: &str) -> Vec<IpAddr> {
    let of_line = |line: &str| line.trim().strip_prefix("nameserver")?.trim().parse().ok();
    text.lines().filter_map(of_line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_read_from_their_lines() {
        let text = "# nameserver 1.1.1.1\nnameserver 127.0.0.53\n nameserver\t::1\nnameserver fe80::1%eth0\nsearch a\n";
        let expected: Vec<IpAddr> = vec!["127.0.0.53".parse().unwrap(), "::1".parse().unwrap()];
        assert_eq!(servers_in(text), expected);
    }

    #[test]
    fn a_denial_is_remembered_for_the_same_question() {
        let upstream = Upstream::new(PathBuf::from("/nonexistent"));
        let query = [&[0, 1][..], &[0; 10], b"question"].concat();
        upstream.note_denied(&query, b"\0\x01answer");
        let again = [&[9, 9][..], &[0; 10], b"question"].concat();
        assert_eq!(upstream.denied_lately(&again).as_deref(), Some(&b"\x09\x09answer"[..]));
        assert_eq!(upstream.denied_lately(b"short"), None);
    }
}
