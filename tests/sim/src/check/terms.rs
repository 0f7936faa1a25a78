//! One leader a term, read from what planes send: only a leader sends appends, heartbeats and snapshots.

use std::collections::BTreeMap;

use super::Violation;

/// Who led in which term.
#[derive(Debug, Default)]
pub(crate) struct Terms {
    leaders: BTreeMap<u64, u64>,
}

/// The head of an `eraftpb.Message`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) kind: u64,
    pub(crate) from: u64,
    pub(crate) term: u64,
}

impl Terms {
    /// A plane sends a message.
    pub(crate) fn sent(&mut self, raft_id: u64, message: &[u8]) -> Result<(), Violation> {
        let Some(head) = Head::read(message) else {
            return Err(Violation { invariant: "messages can be read", found: format!("{message:?}") });
        };
        if !head.is_leaders() {
            return Ok(());
        }
        let leader = *self.leaders.entry(head.term).or_insert(raft_id);
        if leader == raft_id {
            return Ok(());
        }
        let found = format!("term {}: {leader:x} and {raft_id:x}", head.term);
        Err(Violation { invariant: "one leader a term", found })
    }
}

impl Head {
    /// Reads the fields of a message that are numbers; `None` when it is none.
    pub(crate) fn read(mut message: &[u8]) -> Option<Self> {
        let mut head = Self { kind: 0, from: 0, term: 0 };
        while !message.is_empty() {
            let tag = varint(&mut message)?;
            match tag & 7 {
                0 => {
                    let value = varint(&mut message)?;
                    match tag >> 3 {
                        1 => head.kind = value,
                        3 => head.from = value,
                        4 => head.term = value,
                        _ => {}
                    }
                }
                2 => {
                    let length = usize::try_from(varint(&mut message)?).ok()?;
                    message = message.get(length..)?;
                }
                _ => return None,
            }
        }
        Some(head)
    }

    /// Whether only a leader says this.
    pub(crate) fn is_leaders(self) -> bool {
        matches!(self.kind, APPEND | SNAPSHOT | HEARTBEAT | TIMEOUT_NOW)
    }

    /// The message's kind, for people.
    pub(crate) fn name(self) -> &'static str {
        const NAMES: [&str; 19] = [
            "hup",
            "beat",
            "propose",
            "append",
            "append response",
            "request vote",
            "request vote response",
            "snapshot",
            "heartbeat",
            "heartbeat response",
            "unreachable",
            "snapshot status",
            "check quorum",
            "transfer leader",
            "timeout now",
            "read index",
            "read index response",
            "request pre-vote",
            "request pre-vote response",
        ];
        usize::try_from(self.kind).ok().and_then(|kind| NAMES.get(kind)).copied().unwrap_or("unknown")
    }
}

const APPEND: u64 = 3;
const SNAPSHOT: u64 = 7;
const HEARTBEAT: u64 = 8;
const TIMEOUT_NOW: u64 = 14;

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message of this kind and term: fields 1 and 4.
    fn message(kind: u8, term: u8) -> Vec<u8> {
        vec![8, kind, 32, term]
    }

    #[test]
    fn two_leaders_in_a_term_are_told() {
        let mut terms = Terms::default();
        assert_eq!(terms.sent(1, &message(8, 3)), Ok(()));
        assert_eq!(terms.sent(1, &message(3, 3)), Ok(()));
        assert_eq!(terms.sent(2, &message(4, 3)), Ok(()), "a follower answers");
        assert_eq!(terms.sent(2, &message(8, 4)), Ok(()));
        assert!(terms.sent(2, &message(3, 3)).is_err());
        assert!(terms.sent(2, &[8]).is_err(), "a message cut in half");
    }
}
