//! What a replica wants done, in order.

use bytes::Bytes;

use crate::Output;
use crate::store::Command;

/// One thing to do. Those that are [`Output`]s go out as they are.
#[derive(Debug)]
pub(crate) enum Effect {
    /// For the shell.
    Output(Output),
    /// The tables begin anew from this image.
    Install {
        /// Which entry it reflects.
        index: u64,
        /// The image.
        image: Bytes,
    },
    /// An entry is committed: the tables follow.
    Committed(Committed),
    /// Followers need an image of the tables: [`super::Replica::offer_image`].
    ImageWanted,
}

/// A committed entry.
#[derive(Debug)]
pub(crate) struct Committed {
    pub(crate) index: u64,
    pub(crate) term: u64,
    /// What it does to the tables; `None`: nothing, or it is not of this version's words.
    pub(crate) command: Option<Bytes>,
}

impl Committed {
    /// The command, decoded.
    pub(crate) fn decode(&self) -> Option<Command> {
        self.command.as_ref().and_then(|bytes| shoal_proto::codec::decode(bytes).ok())
    }
}
