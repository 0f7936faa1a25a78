//! The workspace's Rust files, as text.

use std::fs;
use std::path::{Path, PathBuf};

/// One Rust file.
#[derive(Debug)]
pub struct Source {
    /// From the workspace's root.
    pub path: PathBuf,
    /// All of it.
    pub text: String,
}

impl Source {
    /// Whether the file says that the rule does not hold for it, and why.
    #[must_use]
    pub fn excepts(&self, rule: &str) -> bool {
        let mark = format!("// tidy: allow {rule}: ");
        self.text.lines().any(|line| line.trim_start().strip_prefix(&mark).is_some_and(|reason| reason.len() > 10))
    }

    /// The part before the tests.
    #[must_use]
    pub fn without_tests(&self) -> &str {
        self.text.split("\n#[cfg(test)]\nmod ").next().unwrap_or_default()
    }

    /// Whether the file belongs to tests, benches or examples.
    #[must_use]
    pub fn is_test(&self) -> bool {
        let in_tests = |part: &std::ffi::OsStr| part == "tests" || part == "benches" || part == "examples";
        self.path.components().any(|part| in_tests(part.as_os_str())) || self.path.ends_with("tests.rs")
    }
}

/// The workspace's root.
///
/// # Panics
/// When this crate is not two folders below it.
#[must_use]
fn root() -> &'static Path {
    #[expect(clippy::expect_used, reason = "the crate lies at tests/tidy")]
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("tests/tidy has two parents")
}

/// Every Rust file that is the workspace's own.
///
/// # Panics
/// When a folder can't be read.
#[must_use]
#[expect(clippy::expect_used, reason = "a rule that can't be checked has failed")]
pub fn workspace_sources() -> Vec<Source> {
    let mut folders = vec![root().to_owned()];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the folder is readable") {
            let path = entry.expect("the entry is readable").path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
            if path.is_dir() && name != "target" && !name.starts_with('.') {
                folders.push(path);
            } else if name.ends_with(".rs") {
                let text = fs::read_to_string(&path).expect("the file is readable");
                let path = path.strip_prefix(root()).expect("the file lies below the root").to_owned();
                sources.push(Source { path, text });
            }
        }
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    sources
}
