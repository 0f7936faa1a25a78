//! The nodes and links of a container's `/dev`, made in a fresh tmpfs through its descriptor.

use std::os::fd::OwnedFd;

use rustix::fs::{FileType, Mode, makedev, mkdirat, mknodat, symlinkat};

use crate::executor::failure::AtStage;
use crate::failure::{Stage, StartFailure};

/// Fills an empty `/dev`.
pub(super) fn populate(dev: &OwnedFd) -> Result<(), StartFailure> {
    for (name, major, minor) in NODES {
        mknodat(dev, *name, FileType::CharacterDevice, Mode::from_raw_mode(0o666), makedev(*major, *minor))
            .at(Stage::Device, || format!("/dev/{name}"))?;
    }
    for (name, target) in LINKS {
        symlinkat(*target, dev, *name).at(Stage::Device, || format!("/dev/{name}"))?;
    }
    for name in DIRECTORIES {
        mkdirat(dev, *name, Mode::from_raw_mode(0o755)).at(Stage::Device, || format!("/dev/{name}"))?;
    }
    Ok(())
}

const NODES: &[(&str, u32, u32)] =
    &[("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];

const LINKS: &[(&str, &str)] = &[
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("core", "/proc/kcore"),
    ("ptmx", "pts/ptmx"),
];

const DIRECTORIES: &[&str] = &["pts", "shm", "mqueue"];
