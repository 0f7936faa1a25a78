//! Folders that a layer implies: it holds `usr/bin/tool`, but says nothing of `usr` and `usr/bin`.
//!
//! Overlayfs shows the topmost folder's owner and mode, so a folder made up here would change that of the layers below
//! (a `/tmp` that loses its sticky bit). They take their description from the first layer below that has them.

use std::path::{Path, PathBuf};

use rustix::{
    fs::{Mode, Timespec, Timestamps, XattrFlags},
    io::Errno,
};

use super::{
    apply::{is_ours_to_set, tolerate},
    beneath::Folder,
};
use crate::image::error::ImageError;

/// Describes the implied folders of the tree at `target` by the layers `below`, given top first.
pub(in crate::image) fn adopt(target: &Path, implied: &[Vec<Vec<u8>>], below: &[PathBuf]) -> Result<(), ImageError> {
    let failed = |error: std::io::Error| ImageError::storage("describe the folders of", target, error);
    let root = Folder::root(target).map_err(failed)?;
    let layers = below.iter().map(|path| Folder::root(path)).collect::<Result<Vec<_>, _>>().map_err(failed)?;
    for parts in implied {
        let adopt_one = || -> Result<(), Errno> {
            let ours = root.open(parts)?;
            for layer in &layers {
                match search(layer, parts)? {
                    Search::Found(theirs) => return copy_description(&theirs, &ours),
                    Search::Hidden => return Ok(()),
                    Search::Absent => {}
                }
            }
            Ok(())
        };
        adopt_one().map_err(|error| failed(error.into()))?;
    }
    Ok(())
}

enum Search {
    Found(Folder),
    /// Not here, and this layer hides what lies further down.
    Hidden,
    Absent,
}

fn search(layer: &Folder, parts: &[Vec<u8>]) -> Result<Search, Errno> {
    let mut folder = layer.open(&[])?;
    for part in parts {
        match folder.open(std::slice::from_ref(part)) {
            Ok(next) => folder = next,
            Err(Errno::NOENT) if !folder.is_opaque() => return Ok(Search::Absent),
            // A whiteout, a file or a link stands where the folder would be.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(Search::Hidden),
            Err(error) => return Err(error),
        }
    }
    Ok(Search::Found(folder))
}

fn copy_description(from: &Folder, to: &Folder) -> Result<(), Errno> {
    let stat = rustix::fs::fstat(from)?;
    rustix::fs::fchown(to, Some(rustix::fs::Uid::from_raw(stat.st_uid)), Some(rustix::fs::Gid::from_raw(stat.st_gid)))?;
    rustix::fs::fchmod(to, Mode::from_raw_mode(stat.st_mode))?;
    for key in attribute_names(from)? {
        if is_ours_to_set(&key) {
            let value = attribute(from, &key)?;
            tolerate(rustix::fs::fsetxattr(to, key.as_slice(), &value, XattrFlags::empty()), &key)?;
        }
    }
    let time = Timespec { tv_sec: stat.st_mtime, tv_nsec: stat.st_mtime_nsec.try_into().unwrap_or(0) };
    rustix::fs::futimens(to, &Timestamps { last_access: time, last_modification: time })
}

fn attribute_names(folder: &Folder) -> Result<Vec<Vec<u8>>, Errno> {
    let mut list = vec![0; XATTR_BYTES_MAX];
    match rustix::fs::flistxattr(folder, &mut list[..]) {
        Ok(length) => list.truncate(length),
        Err(Errno::OPNOTSUPP) => list.clear(),
        Err(error) => return Err(error),
    }
    Ok(list.split(|&b| b == 0).filter(|name| !name.is_empty()).map(<[u8]>::to_vec).collect())
}

fn attribute(folder: &Folder, key: &[u8]) -> Result<Vec<u8>, Errno> {
    let mut value = vec![0; XATTR_BYTES_MAX];
    let length = rustix::fs::fgetxattr(folder, key, &mut value[..])?;
    value.truncate(length);
    Ok(value)
}

/// The kernel's own limit for a list of names, and for a value.
const XATTR_BYTES_MAX: usize = 64 << 10;
