//! Makes a container out of a process: runs in a fresh child of the keeper, carries out a `StartPlan` (or joins a
//! container by an `ExecPlan`) and ends by executing the command. It chooses nothing.
//!
//! The child has one thread and a copy of the keeper's memory; it talks to the keeper over one socket and never returns
//! into the keeper's code. What it reads inside the root file system it does not believe: every path there is resolved
//! with openat2 beneath the root, and used through the descriptor.

mod accounts;
mod channel;
mod child;
mod command;
mod console;
mod credentials;
mod devices;
mod failure;
mod hide;
mod init;
mod join;
mod mounts;
mod root;
mod rootfs;
mod sources;
mod start;
mod stdio;

pub(crate) use channel::{CgroupEntry, FromChild, Inherited, Task, ToChild, Work};
pub(crate) use child::{Parking, child_main};
