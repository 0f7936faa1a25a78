//! What a host may have left behind: processes, mounts, cgroups.

use std::fs;
use std::path::Path;

use nix::mount::{MntFlags, umount2};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Ends the processes whose command line names the folder (the keeper), and the containers whose root lies below it.
pub(crate) fn end_processes_of(folder: &str) {
    for _ in 0..3 {
        let found = processes_of(folder);
        if found.is_empty() {
            return;
        }
        for pid in found {
            if let Err(error) = kill(pid, Signal::SIGKILL) {
                eprintln!("process {pid} can't be ended: {error}");
            }
        }
        std::thread::park_timeout(std::time::Duration::from_millis(50));
    }
}

/// Removes a cgroup and all below it, in every hierarchy, once the processes in them are gone.
pub(crate) fn remove_cgroups(name: &str) {
    let roots = fs::read_dir("/sys/fs/cgroup").map(|entries| entries.flatten().map(|entry| entry.path()).collect());
    let mut roots: Vec<_> = roots.unwrap_or_default();
    roots.push("/sys/fs/cgroup".into());
    for path in roots.iter().map(|root| root.join(name)) {
        for _ in 0..50 {
            remove_tree(&path);
            if !path.exists() {
                break;
            }
            std::thread::park_timeout(std::time::Duration::from_millis(20));
        }
        if path.exists() {
            eprintln!("the cgroup {} stays", path.display());
        }
    }
}

/// Deepest first. One that still holds a dying process stays, and is tried again.
fn remove_tree(path: &Path) {
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_tree(&entry.path());
        }
    }
    drop(fs::remove_dir(path));
}

/// Unmounts everything below the folder, deepest first.
pub(crate) fn unmount_below(folder: &str) {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mut points: Vec<&str> =
        table.lines().filter_map(|line| line.split(' ').nth(4)).filter(|point| point.starts_with(folder)).collect();
    points.sort_unstable_by_key(|point| std::cmp::Reverse(point.len()));
    for point in points {
        if let Err(error) = umount2(Path::new(point), MntFlags::MNT_DETACH) {
            eprintln!("{point} stays mounted: {error}");
        }
    }
}

fn processes_of(folder: &str) -> Vec<Pid> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let own = std::process::id().to_string();
    entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| *name != own && name.bytes().all(|byte| byte.is_ascii_digit()))
        .filter(|name| belongs(name, folder))
        .filter_map(|name| name.parse().ok().map(Pid::from_raw))
        .collect()
}

fn belongs(pid: &str, folder: &str) -> bool {
    let command_line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let names_folder = |bytes: &[u8]| String::from_utf8_lossy(bytes).contains(folder);
    let keeper = names_folder(&command_line) && String::from_utf8_lossy(&command_line).contains("shoal-runtime");
    let mounts = fs::read(format!("/proc/{pid}/mountinfo")).unwrap_or_default();
    let root_line = String::from_utf8_lossy(&mounts)
        .lines()
        .any(|line| line.split(' ').nth(4) == Some("/") && line.contains(folder));
    keeper || root_line
}
