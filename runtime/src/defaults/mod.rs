//! What a container gets when nobody says otherwise: Docker's own defaults, as constants.

mod container;
mod seccomp;

pub use container::{CAPABILITIES, MASKED_PATHS, PATH, READONLY_PATHS, SHM_SIZE, STOP_SIGNAL};
pub(crate) use container::{masked_paths, readonly_paths, shm_size, stop_signal};
pub use seccomp::seccomp_profile;
