//! Installing a seccomp filter.
#![expect(unsafe_code, reason = "raw system call")]

use std::io;

/// One instruction of a classic BPF program, as the kernel has it (struct sock_filter).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct Instruction {
    pub(crate) code: u16,
    pub(crate) jt: u8,
    pub(crate) jf: u8,
    pub(crate) k: u32,
}

/// Filters the system calls of this process from now on. Needs no-new-privileges or CAP_SYS_ADMIN.
///
/// # Errors
/// As seccomp(2).
pub(crate) fn install_filter(program: &[Instruction]) -> io::Result<()> {
    #[repr(C)]
    struct Program {
        length: u16,
        instructions: *const Instruction,
    }
    let length = u16::try_from(program.len()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    let filter = Program { length, instructions: program.as_ptr() };
    // SAFETY: the structure is the kernel's sock_fprog, and it and the program outlive the call, which copies them.
    let outcome = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const filter) };
    if outcome == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
