//! Scripts: text in, text out. A line builds the tables or asks a decider; lines with `>` are what it answered.
//!
//! `UPDATE_GOLDEN=1 cargo test -p shoal-manager-core --test deciders` writes the answers anew.

mod build;
mod words;

use std::fs;
use std::path::{Path, PathBuf};

use build::Stage;

/// Runs a script; with `UPDATE_GOLDEN` set, writes its answers into it.
pub(crate) fn run_script(name: &str) {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts").join(name);
    let script = fs::read_to_string(&path).unwrap();
    let mut stage = Stage::new();
    let mut told = String::new();
    for (number, line) in script.lines().enumerate() {
        if line.starts_with('>') {
            continue;
        }
        told.push_str(line);
        told.push('\n');
        let command = line.split('#').next().unwrap_or_default().trim();
        if command.is_empty() {
            continue;
        }
        let answer = stage.obey(command).unwrap_or_else(|error| panic!("{name}:{}: {error}", number + 1));
        for line in answer.lines() {
            told.push_str("> ");
            told.push_str(line);
            told.push('\n');
        }
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, told).unwrap();
    } else {
        assert_eq!(told, script, "{name} tells another story; UPDATE_GOLDEN=1 writes it anew");
    }
}
