//! What a container is: the description that `shoald` hands to the keeper, complete and already resolved (image
//! configuration, service and host defaults merged). Nothing here has effects; `plan` checks a description before
//! anything is done with it.

mod container;
mod exec;
mod log;
mod mount;
mod process;
mod resources;
mod rootfs;

pub use container::{ContainerId, ContainerIdError, ContainerSpec, Namespace, Namespaces, NetworkNamespace};
pub use exec::ExecSpec;
pub use log::LogSpec;
pub use mount::{BindMount, Mount, MountKind, Propagation, TmpfsMount};
pub use process::{ProcessSpec, Rlimit, RlimitKind};
pub use resources::Resources;
pub use rootfs::{Layers, RootFs};
