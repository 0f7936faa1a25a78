//! The syntax of flag values, one file each, as docker writes them. A value is checked while the arguments are read;
//! what only several flags together can get wrong is a `FlagError` of the command.

pub(crate) mod attachment;
pub(crate) mod capability;
pub(crate) mod csv;
pub(crate) mod duration;
pub(crate) mod host_entry;
pub(crate) mod listing_flags;
pub(crate) mod log_flags;
pub(crate) mod moment;
pub(crate) mod mount;
pub(crate) mod network_address;
pub(crate) mod pair;
pub(crate) mod placement;
pub(crate) mod problem;
pub(crate) mod publish;
pub(crate) mod quantity;
pub(crate) mod ulimit;
pub(crate) mod word;
pub(crate) mod words;

pub(crate) use listing_flags::ListFlags;
pub(crate) use log_flags::LogFlags;
pub(crate) use problem::FlagError;
