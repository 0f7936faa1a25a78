//! What client and keeper say to each other, and how it is framed on their unix socket. Both ends check the version,
//! the length and the number of descriptors of every message before they look into it.

mod frame;
mod message;
mod socket;

pub(crate) use frame::{Decoder, Frame, Kind};
pub(crate) use message::{Answer, Held, Hold, Request, Streams, Welcome};
pub(crate) use socket::{receive, send, send_all};
