//! Which system calls a container may make: profiles in Docker's format, and the generator of the kernel's programs.

mod calls_aarch64;
mod calls_x86_64;
mod compile;
mod conditions;
#[cfg(test)]
mod interpreter;
mod profile;
mod program;

pub(crate) use compile::compile;
pub(crate) use conditions::{Facts, KernelVersion};
pub use profile::{Action, Arch, ArgumentRule, Comparison, Conditions, Profile, ProfileError, Rule, SeccompProfile};
