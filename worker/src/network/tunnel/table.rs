//! Who the tunnel's peers are, for the threads that carry packets: one table, replaced as a whole.
//!
//! Owns the sessions' numbers. Invariant: a session of two keys lives as long as both are in the table, whatever else
//! changes.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use boringtun::noise::handshake::parse_handshake_anon;
use boringtun::noise::{Packet, Tunn, TunnResult};
use boringtun::x25519::PublicKey;
use shoal_proto::model::TunnelKey;

use super::TunnelPeer;
use super::link::{Link, OwnKey};

/// A peer and its sessions.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) address: Ipv6Addr,
    pub(super) endpoint: SocketAddr,
    /// The newest keys first.
    pub(super) links: Vec<Arc<Link>>,
    /// The keys in use, which both sides have known longest.
    usual: Arc<Link>,
}

impl Peer {
    /// The session that packets go by: the newest that can carry some, else that of the keys in use.
    pub(super) fn link(&self) -> &Arc<Link> {
        self.links.iter().find(|link| link.is_ready()).unwrap_or(&self.usual)
    }
}

/// Whose session a message is for.
#[derive(Debug)]
pub(super) enum Addressee<'a> {
    Session(&'a Arc<Peer>, &'a Arc<Link>),
    /// Too many handshakes come in: the sender is to prove its address with this.
    Cookie(Vec<u8>),
    /// Nobody's, or it is malformed.
    Nobody,
}

/// All peers.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) own: Vec<OwnKey>,
    peers: HashMap<Ipv6Addr, Arc<Peer>>,
    by_index: HashMap<u32, (Arc<Peer>, Arc<Link>)>,
    last_index: u32,
}

impl Table {
    /// An empty one whose sessions get the numbers after this one. Drawn at random it keeps apart what is meant for the
    /// sessions of a former run.
    pub(super) fn numbered_from(number: u32) -> Self {
        Self { last_index: number, ..Self::default() }
    }

    /// The table of these peers and keys of this node, the key in use first; sessions of `self` go on.
    pub(super) fn replaced(&self, own: Vec<OwnKey>, wished: &[TunnelPeer]) -> Self {
        let kept: BTreeMap<(TunnelKey, TunnelKey), Arc<Link>> =
            self.by_index.values().map(|(_, link)| ((link.own, link.peer), Arc::clone(link))).collect();
        let mut table = Self { own, last_index: self.last_index, ..Self::default() };
        for wish in wished {
            let mut links = Vec::new();
            for own in table.own.clone().iter().rev() {
                for key in wish.keys.iter().rev() {
                    let known = kept.get(&(own.public, *key)).cloned();
                    links.push(known.unwrap_or_else(|| {
                        table.last_index = self.next_index(table.last_index);
                        Arc::new(Link::new(own, *key, table.last_index))
                    }));
                }
            }
            let Some(usual) = links.last().cloned() else { continue };
            let peer = Arc::new(Peer { address: wish.address, endpoint: wish.endpoint, links, usual });
            for link in &peer.links {
                table.by_index.insert(link.index, (Arc::clone(&peer), Arc::clone(link)));
            }
            table.peers.insert(wish.address, peer);
        }
        table
    }

    pub(super) fn peer(&self, address: Ipv6Addr) -> Option<&Arc<Peer>> {
        self.peers.get(&address)
    }

    pub(super) fn peers(&self) -> impl Iterator<Item = &Arc<Peer>> {
        self.peers.values()
    }

    /// Whose session a message is for.
    pub(super) fn addressee(&self, from: IpAddr, message: &[u8]) -> Addressee<'_> {
        // Packets first: type 4, then the receiver's number.
        if let [4, 0, 0, 0, a, b, c, d, ..] = message {
            return self.by_number(u32::from_le_bytes([*a, *b, *c, *d]));
        }
        match Tunn::parse_incoming_packet(message) {
            Ok(Packet::HandshakeInit(_)) => self.initiator(from, message),
            Ok(Packet::HandshakeResponse(response)) => self.by_number(response.receiver_idx),
            Ok(Packet::PacketCookieReply(reply)) => self.by_number(reply.receiver_idx),
            Ok(Packet::PacketData(_)) | Err(_) => Addressee::Nobody,
        }
    }

    fn by_number(&self, number: u32) -> Addressee<'_> {
        self.by_index.get(&(number >> 8)).map_or(Addressee::Nobody, |(peer, link)| Addressee::Session(peer, link))
    }

    /// Who begins a handshake, and with which key of this node. What is not made for one of them costs a hash.
    fn initiator(&self, from: IpAddr, message: &[u8]) -> Addressee<'_> {
        let mut cookie = [0; 64];
        for own in &self.own {
            let begun = match own.limiter.verify_packet(Some(from), message, &mut cookie) {
                Ok(Packet::HandshakeInit(begun)) => begun,
                Err(TunnResult::WriteToNetwork(cookie)) => return Addressee::Cookie(cookie.to_vec()),
                _ => continue,
            };
            let public = PublicKey::from(own.secret());
            let Ok(half) = parse_handshake_anon(own.secret(), &public, &begun) else { return Addressee::Nobody };
            let key = TunnelKey(half.peer_static_public);
            let found = self.by_index.values().find(|(_, link)| link.own == own.public && link.peer == key);
            return found.map_or(Addressee::Nobody, |(peer, link)| Addressee::Session(peer, link));
        }
        Addressee::Nobody
    }

    /// The next number that no session of the present table has: 24 bits.
    fn next_index(&self, last: u32) -> u32 {
        let mut next = last;
        loop {
            next = next.wrapping_add(1) & 0x00ff_ffff;
            if !self.by_index.contains_key(&next) {
                return next;
            }
        }
    }
}
