//! Programs that decide about device access in a v2 cgroup: loading and attaching.
#![expect(unsafe_code, reason = "raw system calls")]

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

/// Loads a program of type BPF_PROG_TYPE_CGROUP_DEVICE.
///
/// # Errors
/// As bpf(2).
pub(crate) fn load_device_program(instructions: &[u64]) -> io::Result<OwnedFd> {
    // The first fields of the kernel's union; it takes any size and reads the rest as zero.
    #[repr(C)]
    struct Load {
        program_type: u32,
        count: u32,
        instructions: u64,
        license: u64,
    }
    const BPF_PROG_LOAD: libc::c_long = 5;
    const BPF_PROG_TYPE_CGROUP_DEVICE: u32 = 15;
    let count = u32::try_from(instructions.len()).map_err(|_| io::Error::from_raw_os_error(libc::E2BIG))?;
    let load = Load {
        program_type: BPF_PROG_TYPE_CGROUP_DEVICE,
        count,
        instructions: instructions.as_ptr() as u64,
        license: c"Apache-2.0".as_ptr() as u64,
    };
    // SAFETY: the structure has the size given, and its pointers outlive the call, which copies what they point to.
    let outcome = unsafe { libc::syscall(libc::SYS_bpf, BPF_PROG_LOAD, &raw const load, size_of::<Load>()) };
    match i32::try_from(outcome) {
        // SAFETY: the kernel has just made this descriptor for us.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Lets a program decide about a cgroup's device access.
///
/// # Errors
/// As bpf(2).
pub(crate) fn attach_device_program(cgroup: impl AsFd, program: impl AsFd) -> io::Result<()> {
    #[repr(C)]
    struct Attach {
        target: u32,
        program: u32,
        kind: u32,
        flags: u32,
    }
    const BPF_PROG_ATTACH: libc::c_long = 8;
    const BPF_CGROUP_DEVICE: u32 = 6;
    const BPF_F_ALLOW_MULTI: u32 = 2;
    let attach = Attach {
        target: cgroup.as_fd().as_raw_fd().cast_unsigned(),
        program: program.as_fd().as_raw_fd().cast_unsigned(),
        kind: BPF_CGROUP_DEVICE,
        flags: BPF_F_ALLOW_MULTI,
    };
    // SAFETY: the structure has the size given and outlives the call.
    let outcome = unsafe { libc::syscall(libc::SYS_bpf, BPF_PROG_ATTACH, &raw const attach, size_of::<Attach>()) };
    if outcome == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
