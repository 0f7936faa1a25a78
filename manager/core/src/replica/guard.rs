//! Refuses bytes that the decoder of consensus messages can't be trusted with.
//!
//! rust-protobuf 2 skips unknown groups by recursion (RUSTSEC-2024-0437): nested ones, two bytes each, overflow the
//! stack. No message of the consensus has groups, so that a walk over the fields, without recursion into unknown ones,
//! tells good from bad before the decoder sees them.

/// Which fields of a message are messages, and of what shape.
struct Shape {
    parts: &'static [(u32, &'static Shape)],
}

static FLAT: Shape = Shape { parts: &[] };
static SNAPSHOT_METADATA: Shape = Shape { parts: &[(1, &FLAT)] };
static SNAPSHOT: Shape = Shape { parts: &[(2, &SNAPSHOT_METADATA)] };
static MESSAGE: Shape = Shape { parts: &[(7, &FLAT), (9, &SNAPSHOT)] };

/// Whether the bytes of an `eraftpb.Message` hold no groups, at any level that a decoder would look into.
pub(super) fn is_decodable(message: &[u8]) -> bool {
    check(message, &MESSAGE).is_some()
}

/// Whether the bytes of a message without parts (an entry, a hard state, a change of membership) hold no groups.
pub(super) fn is_flat(bytes: &[u8]) -> bool {
    check(bytes, &FLAT).is_some()
}

fn check(mut bytes: &[u8], shape: &Shape) -> Option<()> {
    while !bytes.is_empty() {
        let tag = varint(&mut bytes)?;
        let field = u32::try_from(tag >> 3).ok()?;
        match tag & 7 {
            0 => drop(varint(&mut bytes)?),
            1 => drop(take(&mut bytes, 8)?),
            2 => {
                let length = usize::try_from(varint(&mut bytes)?).ok()?;
                let content = take(&mut bytes, length)?;
                if let Some((_, part)) = shape.parts.iter().find(|(number, _)| *number == field) {
                    check(content, part)?;
                }
            }
            5 => drop(take(&mut bytes, 4)?),
            _ => return None,
        }
    }
    Some(())
}

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

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    if length > bytes.len() {
        return None;
    }
    let (taken, rest) = bytes.split_at(length);
    *bytes = rest;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use protobuf::Message as _;
    use raft::eraftpb::{ConfState, Entry, Message, Snapshot};

    use super::*;

    #[test]
    fn accepts_what_the_consensus_writes() {
        let mut message = Message::new();
        message.set_entries(vec![Entry { data: vec![0x0b; 9].into(), index: 7, ..Entry::default() }].into());
        let mut snapshot = Snapshot::new();
        snapshot.mut_metadata().set_conf_state(ConfState::from((vec![1, 2], vec![3])));
        message.set_snapshot(snapshot);
        assert!(is_decodable(&message.write_to_bytes().unwrap()));
    }

    #[test]
    fn refuses_groups_at_every_level() {
        // Field 15, start of a group: tag 0x7b.
        let nested = vec![0x7b; 100_000];
        assert!(!is_decodable(&nested));
        let within = |field: u8, content: &[u8]| {
            let mut bytes = vec![field << 3 | 2, u8::try_from(content.len()).unwrap()];
            bytes.extend_from_slice(content);
            bytes
        };
        assert!(!is_decodable(&within(7, &[0x7b])));
        assert!(!is_decodable(&within(9, &within(2, &within(1, &[0x7b])))));
        assert!(!is_decodable(&[0x3a, 9, 0]), "a length beyond the end");
    }
}
