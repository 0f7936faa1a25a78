//! This node's keys of the tunnel, on disk and readable by root alone: a restart of the daemon keeps them, so that its
//! peers need not be told anything before packets flow again.
//!
//! There is one key, or two while one replaces the other. A new key is told to all first and used beside the old one;
//! peer by peer packets go over to it when a handshake under it succeeded; once that is so everywhere the old one is
//! forgotten. So no packet is ever encrypted for a peer that can't open it.
//!
//! Invariant: what was told to others is on disk before.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rand::RngCore;
use shoal_proto::model::TunnelKey;

use super::link::OwnKey;
use crate::network::limits::TUNNEL_KEY_SETTLED;

/// The keys, the one in use first.
#[derive(Debug)]
pub(in crate::network) struct Keyring {
    path: PathBuf,
    keys: Vec<DatedKey>,
}

#[derive(Debug, Clone)]
struct DatedKey {
    key: OwnKey,
    /// Since 1970.
    born: Duration,
}

/// What is to be done with the keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::network) enum KeyStep {
    /// Nothing.
    Keep,
    /// A new key is made and told to all.
    Add,
    /// The older key is forgotten.
    Forget,
}

impl Keyring {
    /// Reads the keys, or makes the first. `now` counts from 1970.
    pub(in crate::network) fn open(path: &Path, now: Duration) -> io::Result<Self> {
        let mut ring = Self { path: path.to_owned(), keys: Vec::new() };
        match fs::read_to_string(path) {
            Ok(text) => ring.keys = text.lines().filter_map(parse).take(2).collect(),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        if ring.keys.is_empty() {
            ring.keys.push(DatedKey::draw(now));
            ring.save()?;
        }
        Ok(ring)
    }

    /// The public halves, the key in use first.
    pub(in crate::network) fn public(&self) -> Vec<TunnelKey> {
        self.keys.iter().map(|dated| dated.key.public).collect()
    }

    /// The keys themselves, in the same order.
    pub(in crate::network) fn own(&self) -> Vec<OwnKey> {
        self.keys.iter().map(|dated| dated.key.clone()).collect()
    }

    /// The key that replaces the one in use.
    pub(in crate::network) fn next(&self) -> Option<TunnelKey> {
        self.keys.get(1).map(|dated| dated.key.public)
    }

    /// What is to be done, when keys get as old as `age_max`. `settled`: the managers were told all keys, and every peer
    /// can be spoken to under the next one.
    pub(in crate::network) fn step(&self, now: Duration, age_max: Duration, settled: bool) -> KeyStep {
        match self.keys.as_slice() {
            [used] if now.saturating_sub(used.born) >= age_max => KeyStep::Add,
            [_, next] if settled && now.saturating_sub(next.born) >= TUNNEL_KEY_SETTLED.min(age_max) => KeyStep::Forget,
            _ => KeyStep::Keep,
        }
    }

    /// Does it; the file first.
    pub(in crate::network) fn take_step(&mut self, step: KeyStep, now: Duration) -> io::Result<()> {
        let before = self.keys.clone();
        match step {
            KeyStep::Keep => return Ok(()),
            KeyStep::Add => self.keys.push(DatedKey::draw(now)),
            KeyStep::Forget => drop(self.keys.remove(0)),
        }
        let saved = self.save();
        if saved.is_err() {
            self.keys = before;
        }
        saved
    }

    /// Removes the file: the swarm was left.
    pub(in crate::network) fn remove(&self) -> io::Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn save(&self) -> io::Result<()> {
        let temporary = self.path.with_extension("new");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        for dated in &self.keys {
            writeln!(file, "{} {}", dated.born.as_secs(), TunnelKey(dated.key.secret().to_bytes()))?;
        }
        file.sync_data()?;
        fs::rename(&temporary, &self.path)
    }
}

impl DatedKey {
    fn draw(now: Duration) -> Self {
        let mut secret = [0; 32];
        rand::rng().fill_bytes(&mut secret);
        Self { key: OwnKey::new(secret), born: now }
    }
}

/// A line that can't be read is none: its key is replaced by a fresh one.
fn parse(line: &str) -> Option<DatedKey> {
    let (born, secret) = line.split_once(' ')?;
    let secret: TunnelKey = secret.parse().ok()?;
    Some(DatedKey { key: OwnKey::new(secret.0), born: Duration::from_secs(born.parse().ok()?) })
}
