//! One WireGuard session state: this node under one of its keys, and a peer under one of its keys.
//!
//! The protocol is the library's; here is what it leaves to its user: the lock, when to begin a handshake, whether the
//! state can carry packets. Invariant: what `seal` and `open` give is what the library made.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use boringtun::noise::errors::WireGuardError;
use boringtun::noise::rate_limiter::RateLimiter;
use boringtun::noise::{Tunn, TunnResult};
use boringtun::x25519::{PublicKey, StaticSecret};
use shoal_proto::model::TunnelKey;

use crate::network::limits::{TUNNEL_HANDSHAKE_FIRST, TUNNEL_HANDSHAKE_LATE, TUNNEL_HANDSHAKES_A_SECOND};

/// Bytes that encryption adds.
pub(super) const OVERHEAD: usize = 32;

/// Bytes of the longest message that is no packet.
pub(super) const MESSAGE_MAX: usize = 148;

/// A key of this node, ready for use.
#[derive(Clone)]
pub(in crate::network) struct OwnKey {
    secret: StaticSecret,
    pub(super) public: TunnelKey,
    pub(super) limiter: Arc<RateLimiter>,
}

impl OwnKey {
    pub(super) fn new(secret: [u8; 32]) -> Self {
        let secret = StaticSecret::from(secret);
        let public = PublicKey::from(&secret);
        let limiter = Arc::new(RateLimiter::new(&public, TUNNEL_HANDSHAKES_A_SECOND));
        Self { secret, public: TunnelKey(public.to_bytes()), limiter }
    }

    pub(super) fn secret(&self) -> &StaticSecret {
        &self.secret
    }
}

impl std::fmt::Debug for OwnKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "OwnKey({})", self.public)
    }
}

/// The session state of two keys.
pub(super) struct Link {
    pub(super) own: TunnelKey,
    pub(super) peer: TunnelKey,
    /// In the messages of the peer: which state is meant. 24 bits.
    pub(super) index: u32,
    state: Mutex<State>,
    /// Packets can be sent at once.
    ready: AtomicBool,
}

struct State {
    tunnel: Tunn,
    attempts: u32,
    attempted: Option<Instant>,
}

/// What came of a message of the peer.
#[derive(Debug)]
pub(super) enum Opened {
    /// A packet of so many bytes, at the place that was given.
    Packet(usize),
    /// Nothing for the device; so many bytes are to be sent back.
    Answer(usize),
    Nothing,
}

impl Link {
    pub(super) fn new(own: &OwnKey, peer: TunnelKey, index: u32) -> Self {
        let public = PublicKey::from(peer.0);
        let limiter = Some(Arc::clone(&own.limiter));
        let tunnel = Tunn::new(own.secret.clone(), public, None, None, index, limiter);
        let state = Mutex::new(State { tunnel, attempts: 0, attempted: None });
        Self { own: own.public, peer, index, state, ready: AtomicBool::new(false) }
    }

    /// Whether packets can be sent at once.
    pub(super) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    /// Encrypts a packet into `place`; gives the bytes of what is to be sent: it, or a handshake's message while the
    /// library keeps the packet until there is a session.
    pub(super) fn seal(&self, packet: &[u8], place: &mut [u8]) -> usize {
        let mut state = self.lock();
        match state.tunnel.encapsulate(packet, place) {
            TunnResult::WriteToNetwork(message) => message.len(),
            _ => 0,
        }
    }

    /// Decrypts a message into `place`.
    pub(super) fn open(&self, from: IpAddr, message: &[u8], place: &mut [u8]) -> Result<Opened, WireGuardError> {
        let mut state = self.lock();
        let opened = match state.tunnel.decapsulate(Some(from), message, place) {
            TunnResult::WriteToTunnelV6(packet, _) => Opened::Packet(packet.len()),
            TunnResult::WriteToNetwork(answer) => Opened::Answer(answer.len()),
            TunnResult::Done | TunnResult::WriteToTunnelV4(..) => Opened::Nothing,
            TunnResult::Err(error) => return Err(error),
        };
        if !self.is_ready() {
            self.note_state(&mut state);
        }
        Ok(opened)
    }

    /// Gives what the library kept until there was a session, one message a call, until nothing is left.
    pub(super) fn next_kept(&self, place: &mut [u8]) -> Option<usize> {
        match self.lock().tunnel.decapsulate(None, &[], place) {
            TunnResult::WriteToNetwork(message) => Some(message.len()),
            _ => None,
        }
    }

    /// Lets the library's timers run, and begins a handshake where there should be a session and is none; both sides may
    /// do so at once, and then both get one. Gives the bytes of what is to be sent.
    pub(super) fn tend(&self, now: Instant, place: &mut [u8]) -> Option<usize> {
        let mut state = self.lock();
        let told = match state.tunnel.update_timers(place) {
            TunnResult::WriteToNetwork(message) => Some(message.len()),
            _ => None,
        };
        self.note_state(&mut state);
        if told.is_some() || self.is_ready() {
            return told;
        }
        let pause = TUNNEL_HANDSHAKE_FIRST.saturating_mul(state.attempts).min(TUNNEL_HANDSHAKE_LATE);
        if state.attempted.is_some_and(|at| now.duration_since(at) < pause) {
            return None;
        }
        state.attempts = state.attempts.saturating_add(1);
        state.attempted = Some(now);
        match state.tunnel.format_handshake_initiation(place, true) {
            TunnResult::WriteToNetwork(message) => Some(message.len()),
            _ => None,
        }
    }

    fn note_state(&self, state: &mut State) {
        let ready = state.tunnel.time_since_last_handshake().is_some();
        if ready {
            (state.attempts, state.attempted) = (0, None);
        }
        self.ready.store(ready, Ordering::Relaxed);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Link({} to {}, {})", self.own, self.peer, if self.is_ready() { "ready" } else { "not ready" })
    }
}
