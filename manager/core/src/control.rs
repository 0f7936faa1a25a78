//! Requests of the doors: reads from the committed tables, writes to the leader's draft.

mod lookup;
mod payloads;
mod read;
mod write;

pub(crate) use lookup::{find_network, find_node, find_payload, find_service, find_task};
pub(crate) use read::{Reader, is_read};
pub(crate) use write::write;
