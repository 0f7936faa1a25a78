//! What deciders answer, as scripts.

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test reads and writes its scripts")]

mod golden;

use golden::run_script;

#[test]
fn replicated() {
    run_script("replicated.txt");
}

#[test]
fn global() {
    run_script("global.txt");
}

#[test]
fn jobs() {
    run_script("jobs.txt");
}

#[test]
fn restart() {
    run_script("restart.txt");
}

#[test]
fn update() {
    run_script("update.txt");
}

#[test]
fn reaper() {
    run_script("reaper.txt");
}

#[test]
fn allocator() {
    run_script("allocator.txt");
}

#[test]
fn networks() {
    run_script("networks.txt");
}

#[test]
fn scheduler() {
    run_script("scheduler.txt");
}

#[test]
fn nodes() {
    run_script("nodes.txt");
}
