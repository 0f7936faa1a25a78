//! Who may import whom: the table of ARCHITECTURE.md.

#![expect(clippy::unwrap_used, reason = "a rule that cannot be checked has failed")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Folder, and the crates of ours that it may name.
const TABLE: &[(&str, &[&str])] = &[
    ("proto", &[]),
    ("manager/core", &["shoal-proto"]),
    ("manager", &["shoal-proto", "shoal-manager-core"]),
    ("worker/core", &["shoal-proto"]),
    ("worker", &["shoal-proto", "shoal-worker-core", "shoal-runtime"]),
    ("runtime", &[]),
    ("node/api", &[]),
    ("node", &["shoal-api", "shoal-manager", "shoal-worker", "shoal-proto"]),
    ("ctl", &["shoal-api"]),
    ("tests/sim", &["shoal-manager-core", "shoal-worker-core", "shoal-proto"]),
    ("tests/cluster", &[]),
    ("tests/bench", &["shoal-cluster-tests"]),
    ("tests/tidy", &[]),
];

/// What a core may not name: anything that has effects.
const BANNED_IN_CORES: &[&str] = &["tokio", "tonic", "hyper", "nix", "rustix", "libc", "rand", "time", "anyhow"];

fn manifest(folder: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    fs::read_to_string(root.join(folder).join("Cargo.toml")).unwrap()
}

/// Names in `[dependencies]` and `[build-dependencies]`; what tests need is their own affair.
fn dependencies(manifest: &str) -> BTreeSet<String> {
    let mut inside = false;
    let mut names = BTreeSet::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line == "[dependencies]" || line == "[build-dependencies]";
        } else if inside && let Some((name, _)) = line.split_once(['.', ' ', '=']) {
            names.insert(name.trim().to_owned());
        }
    }
    names
}

#[test]
fn no_crate_imports_upward() {
    for (folder, allowed) in TABLE {
        let ours = |name: &String| name.starts_with("shoal") && !allowed.contains(&name.as_str());
        let wrong: Vec<String> = dependencies(&manifest(folder)).into_iter().filter(ours).collect();
        assert!(wrong.is_empty(), "{folder} may not import {wrong:?}");
    }
}

#[test]
fn the_table_is_whole() {
    let members: BTreeSet<String> = manifest(".")
        .split_once("members = [")
        .and_then(|(_, rest)| rest.split_once(']'))
        .map(|(list, _)| list.split(',').map(|name| name.trim().trim_matches('"').to_owned()).collect())
        .unwrap();
    for member in members.iter().filter(|member| !member.is_empty()) {
        assert!(TABLE.iter().any(|(folder, _)| folder == member), "{member} is not in the table");
    }
}

#[test]
fn cores_have_no_effects() {
    for core in ["manager/core", "worker/core"] {
        let wrong: Vec<String> =
            dependencies(&manifest(core)).into_iter().filter(|name| BANNED_IN_CORES.contains(&name.as_str())).collect();
        assert!(wrong.is_empty(), "{core} may not depend on {wrong:?}");
    }
}

#[test]
fn nothing_below_the_door_uses_anyhow() {
    for (folder, _) in TABLE {
        assert!(!dependencies(&manifest(folder)).contains("anyhow"), "{folder} uses anyhow");
    }
}
