//! Virtual addresses translated where a socket is connected, by programs in the kernel that all containers share.
//!
//! `tables` says what the programs' maps should hold and in which order they are changed (pure, printable), `kernel`
//! loads, attaches and pins the programs and performs those changes, `program/` has the source in C and the object that
//! is shipped. Leaves to `actor` which namespaces and addresses there are, and what to do where the kernel can't.
//!
//! The programs stand at the root of the cgroup tree and act by the cookie of a socket's network namespace, not by its
//! cgroup: what runs in a namespace is translated whatever started it, as with rules in that namespace, wherever its
//! cgroup is and on hosts whose containers are in cgroups of version 1 alone. For all other sockets of the host a
//! program ends after one look-up. Links and maps are pinned below the exec-root: they outlive the daemon, and the next
//! one takes them over. Not served: SCTP and other transports (rules serve them), and sockets of multipath TCP.

mod kernel;
mod tables;

#[cfg(test)]
mod tests;

pub(super) use kernel::{EbpfError, FlowTable, VipPrograms, remove_programs};
pub(super) use tables::{Answerers, NetworkNumber, Space, TableChange, TablePlan, VipTables};
