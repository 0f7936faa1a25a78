//! The house rules that a machine can check, as tests.
//!
//! Owns nothing but the rules: who may import whom (the table of ARCHITECTURE.md), how large a file may be, what must
//! stand at its head, what may not stand in it. A file is excepted from a rule by a line of its own,
//! `// tidy: allow RULE: reason`.

mod rules;
mod tree;

pub use rules::{RULES, Rule};
pub use tree::{Source, workspace_sources};
