//! The system calls that no safe crate wraps, one thin function each: no policy, no path, no decision. The only module
//! of this crate with unsafe code.

mod bpf;
mod mount;
mod process;
mod seccomp;
mod single;
mod terminal;

pub(crate) use bpf::{attach_device_program, load_device_program};
pub(crate) use mount::{ATTR_NODEV, ATTR_NOEXEC, ATTR_NOSUID, ATTR_RDONLY, MountAttributes, Propagate, set_attributes};
pub(crate) use process::{
    Cloned, SignalError, WaitStatus, block_signals, clone_process, close_descriptors_between, close_descriptors_from,
    close_on_exec_from, default_signals, execute, exit_now, exit_record, join_namespaces, new_session_keyring,
    reap_any, reset_signals, send_signal, send_signal_to, set_domain_name, set_host_name, take_exit,
    unshare_namespaces, wait_for_signal,
};
pub(crate) use seccomp::{Instruction, install_filter};
pub(crate) use single::SingleThread;
pub(crate) use terminal::{open_peer, unlock_peer};
