//! Which system calls a container may make: profiles in Docker's format, and the generator of the kernel's programs.

mod profile;

pub use profile::{Action, Arch, ArgumentRule, Comparison, Conditions, Profile, ProfileError, Rule, SeccompProfile};
