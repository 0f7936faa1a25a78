//! mount_setattr(2).
#![expect(unsafe_code, reason = "raw system call")]

use std::io;
use std::os::fd::{AsFd, AsRawFd};

pub(crate) const ATTR_RDONLY: u64 = 0x1;
pub(crate) const ATTR_NOSUID: u64 = 0x2;
pub(crate) const ATTR_NODEV: u64 = 0x4;
pub(crate) const ATTR_NOEXEC: u64 = 0x8;

/// What changes on a mount.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct MountAttributes {
    /// ATTR_* to set.
    pub(crate) set: u64,
    /// ATTR_* to clear.
    pub(crate) clear: u64,
    pub(crate) propagation: Option<Propagate>,
    /// The mounts below too.
    pub(crate) recursive: bool,
}

/// Mount propagation of one mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum Propagate {
    Private = 1 << 18,
    Slave = 1 << 19,
    Shared = 1 << 20,
}

/// Changes the mount whose root the descriptor is.
///
/// # Errors
/// As mount_setattr(2).
pub(crate) fn set_attributes(mount: impl AsFd, attributes: MountAttributes) -> io::Result<()> {
    #[repr(C)]
    struct MountAttr {
        set: u64,
        clear: u64,
        propagation: u64,
        userns: u64,
    }
    let attr = MountAttr {
        set: attributes.set,
        clear: attributes.clear,
        propagation: attributes.propagation.map_or(0, |propagation| propagation as u64),
        userns: 0,
    };
    let flags = libc::AT_EMPTY_PATH | if attributes.recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path is an empty C string, the structure has the size given, and both outlive the call.
    let outcome = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_fd().as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attr,
            size_of::<MountAttr>(),
        )
    };
    if outcome == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
