//! Making the files of a layer from its entries, with Docker's whiteouts turned into overlayfs' form.
//!
//! The folder starts empty, so whatever is found in it came from the same layer: a whiteout hides only what lies
//! below, and never removes what its own layer brought, in whatever order the two come.

use std::{
    collections::BTreeSet,
    io::{self, Read, Write as _},
    path::Path,
};

use rustix::{
    fs::{FileType, Mode, Timespec, Timestamps, XattrFlags},
    io::Errno,
};

use super::{
    beneath::{self, Folder, Parts},
    tarball::{Entry, Kind, TarError, TarReader, shown},
};
use crate::image::{
    digest::{Algorithm, Digest, Hasher},
    error::ImageError,
    limits,
};

/// What unpacking a layer found out.
#[derive(Debug)]
pub(in crate::image) struct Unpacked {
    /// Digest of the uncompressed stream.
    pub(in crate::image) diff_id: Digest,
    /// Bytes of its files.
    pub(in crate::image) size: u64,
    /// Folders that it needs but does not describe; parents come before children.
    pub(in crate::image) implied: Vec<Vec<Vec<u8>>>,
}

/// Unpacks an uncompressed tar stream into `target`, an empty folder.
pub(in crate::image) fn unpack(stream: impl Read, target: &Path, algorithm: Algorithm) -> Result<Unpacked, ImageError> {
    let hashing = Hashing { stream, hasher: Hasher::new(algorithm) };
    let mut reader = TarReader::new(hashing);
    let root = Folder::root(target).map_err(|e| ImageError::storage("open", target, e))?;
    let mut layer = Layer {
        root,
        target,
        parent: None,
        folder_times: Vec::new(),
        implied: BTreeSet::from([Parts::new()]),
        entries: 0,
        bytes: 0,
        buffer: vec![0; COPY_BUFFER],
    };
    while let Some(entry) = reader.next().map_err(|e| layer.unreadable(e))? {
        layer.apply(&entry, &mut reader)?;
    }
    let hashing = reader.drain().map_err(|e| layer.unreadable(e))?;
    layer.finish()?;
    let implied = layer.implied.into_iter().collect();
    Ok(Unpacked { diff_id: hashing.hasher.finish(), size: layer.bytes, implied })
}

#[derive(Debug)]
struct Layer<'a> {
    root: Folder,
    target: &'a Path,
    /// The folder of the last entry: the next one is mostly in the same.
    parent: Option<(Parts, Folder)>,
    /// Set last, since every file made in a folder changes its time.
    folder_times: Vec<(Parts, (i64, u32))>,
    implied: BTreeSet<Parts>,
    entries: u64,
    bytes: u64,
    buffer: Vec<u8>,
}

/// Why one entry cannot be made.
enum Refusal {
    Hostile(String),
    System(io::Error),
    /// The stream, not the disk, failed.
    Stream(io::Error),
}

impl From<Errno> for Refusal {
    fn from(error: Errno) -> Self {
        Self::System(error.into())
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}

impl Layer<'_> {
    fn apply(&mut self, entry: &Entry, data: &mut impl Read) -> Result<(), ImageError> {
        self.entries += 1;
        self.bytes += entry.size;
        if self.entries > limits::LAYER_ENTRIES_MAX {
            return Err(ImageError::TooLarge {
                what: "layer",
                limit: format!("{} entries", limits::LAYER_ENTRIES_MAX),
            });
        }
        if self.bytes > limits::LAYER_BYTES_MAX {
            return Err(ImageError::TooLarge {
                what: "layer",
                limit: format!("{} bytes unpacked", limits::LAYER_BYTES_MAX),
            });
        }
        self.make(entry, data).map_err(|refusal| match refusal {
            Refusal::Hostile(reason) => ImageError::Layer { entry: entry.shown(), reason },
            Refusal::Stream(error) => self.unreadable(TarError::Read(error)),
            Refusal::System(error) => match Errno::from_io_error(&error) {
                // The layer's own fault, not the disk's.
                Some(Errno::NAMETOOLONG | Errno::MLINK | Errno::INVAL | Errno::ILSEQ) => {
                    ImageError::Layer { entry: entry.shown(), reason: error.to_string() }
                }
                _ => ImageError::storage("unpack a layer's file", self.target.join(entry.shown()), error),
            },
        })
    }

    fn make(&mut self, entry: &Entry, data: &mut impl Read) -> Result<(), Refusal> {
        let mut parts = split(&entry.path)?;
        let Some(name) = parts.pop() else { return self.make_root(entry) };
        if parts.iter().chain([&name]).any(|part| part.starts_with(WHITEOUT_META) && part != OPAQUE_MARK) {
            // Housekeeping of a filesystem that Docker once used; it skips them as well.
            return Ok(());
        }
        if parts.iter().any(|part| part.starts_with(WHITEOUT)) {
            return Err(Refusal::Hostile("a whiteout cannot be a folder".into()));
        }
        self.enter(&parts)?;
        let (parents, parent) = match self.parent.take() {
            Some(parent) => parent,
            None => (parts.clone(), self.root.open(&parts)?),
        };
        let outcome = match name.strip_prefix(WHITEOUT) {
            _ if name == OPAQUE_MARK => parent.make_opaque().map_err(Refusal::from),
            Some(hidden) => hide(&parent, hidden),
            None => {
                let path = parents.iter().chain([&name]).cloned().collect();
                self.make_named(entry, &parent, path, data)
            }
        };
        self.parent = Some((parents, parent));
        outcome
    }

    /// The entry of the layer's root gives it owner, mode and time.
    fn make_root(&mut self, entry: &Entry) -> Result<(), Refusal> {
        if entry.kind != Kind::Folder {
            return Err(Refusal::Hostile("the root of a layer must be a folder".into()));
        }
        self.describe_folder(&self.root.open(&[])?, entry)?;
        self.implied.remove(&Parts::new());
        self.folder_times.push((Parts::new(), entry.mtime));
        Ok(())
    }

    fn make_named(&mut self, entry: &Entry, parent: &Folder, path: Parts, data: &mut impl Read) -> Result<(), Refusal> {
        let Some(name) = path.last() else { return Ok(()) };
        let found = parent.look(name)?;
        if entry.kind == Kind::Folder {
            return self.make_folder(entry, parent, path, found.as_ref());
        }
        if entry.kind == Kind::HardLink && split(&entry.link)? == path {
            return Err(Refusal::Hostile("it is a hard link to itself".into()));
        }
        if entry.kind == Kind::Symlink && entry.link.is_empty() {
            return Err(Refusal::Hostile("it is a symbolic link without a target".into()));
        }
        if let Some(found) = found {
            parent.remove(name)?;
            if beneath::is_folder(&found) {
                self.implied.retain(|known| !known.starts_with(&path));
                self.folder_times.retain(|(known, _)| !known.starts_with(&path));
            }
        }
        match entry.kind {
            Kind::File => self.make_file(entry, parent, name, data),
            Kind::HardLink => self.make_hard_link(entry, parent, name),
            Kind::Symlink => {
                parent.make_symlink(name, &entry.link)?;
                describe(entry, parent, name)
            }
            Kind::CharDevice => make_node(entry, parent, name, FileType::CharacterDevice),
            Kind::BlockDevice => make_node(entry, parent, name, FileType::BlockDevice),
            Kind::Fifo => make_node(entry, parent, name, FileType::Fifo),
            Kind::Folder => Ok(()),
        }
    }

    fn make_folder(
        &mut self,
        entry: &Entry,
        parent: &Folder,
        path: Parts,
        found: Option<&rustix::fs::Stat>,
    ) -> Result<(), Refusal> {
        let Some(name) = path.last() else { return Ok(()) };
        if !found.is_some_and(beneath::is_folder) {
            if found.is_some() {
                parent.remove(name)?;
            }
            parent.make_folder(name)?;
        }
        let folder = parent.open(std::slice::from_ref(name))?;
        if found.is_some_and(beneath::is_whiteout) {
            // Removed and made anew: nothing from below shows through.
            folder.make_opaque()?;
        }
        self.describe_folder(&folder, entry)?;
        self.implied.remove(&path);
        self.folder_times.push((path, entry.mtime));
        Ok(())
    }

    fn make_file(&mut self, entry: &Entry, parent: &Folder, name: &[u8], data: &mut impl Read) -> Result<(), Refusal> {
        let mut file = parent.make_file(name)?;
        loop {
            let count = data.read(&mut self.buffer).map_err(Refusal::Stream)?;
            if count == 0 {
                break;
            }
            file.write_all(&self.buffer[..count])?;
        }
        describe_open(&file, entry)?;
        rustix::fs::futimens(&file, &times(entry.mtime))?;
        Ok(())
    }

    fn make_hard_link(&mut self, entry: &Entry, parent: &Folder, name: &[u8]) -> Result<(), Refusal> {
        let mut target = split(&entry.link)?;
        let absent =
            || Refusal::Hostile(format!("its hard link's target {:?} is not a file of this layer", shown(&entry.link)));
        let last = target.pop().ok_or_else(absent)?;
        let folder = match self.root.open(&target) {
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV) => return Err(absent()),
            outcome => outcome?,
        };
        let found = folder.look(&last)?.ok_or_else(absent)?;
        if beneath::is_folder(&found) || beneath::is_whiteout(&found) {
            return Err(absent());
        }
        Ok(parent.make_hard_link(name, &folder, &last)?)
    }

    /// Makes sure that the parent folders are there, and that [`Self::parent`] is the last of them.
    fn enter(&mut self, parts: &[Vec<u8>]) -> Result<(), Refusal> {
        if self.parent.as_ref().is_some_and(|(known, _)| known == parts) {
            return Ok(());
        }
        self.parent = None;
        let folder = match self.root.open(parts) {
            Ok(folder) => folder,
            Err(Errno::NOENT | Errno::NOTDIR) => self.make_parents(parts)?,
            Err(Errno::LOOP) => return Err(Refusal::Hostile("a folder on its path is a symbolic link".into())),
            Err(error) => return Err(error.into()),
        };
        self.parent = Some((parts.to_vec(), folder));
        Ok(())
    }

    fn make_parents(&mut self, parts: &[Vec<u8>]) -> Result<Folder, Refusal> {
        let mut folder = self.root.open(&[])?;
        for (depth, name) in parts.iter().enumerate() {
            let found = folder.look(name)?;
            let next = match &found {
                Some(stat) if beneath::is_folder(stat) => folder.open(std::slice::from_ref(name))?,
                Some(stat) if !beneath::is_whiteout(stat) => {
                    return Err(Refusal::Hostile("a folder on its path is a file of the same layer".into()));
                }
                _ => {
                    if found.is_some() {
                        folder.remove(name)?;
                    }
                    folder.make_folder(name)?;
                    let next = folder.open(std::slice::from_ref(name))?;
                    rustix::fs::fchmod(&next, Mode::from_raw_mode(0o755))?;
                    if found.is_some() {
                        next.make_opaque()?;
                    } else {
                        self.implied.insert(parts[..=depth].to_vec());
                    }
                    next
                }
            };
            folder = next;
        }
        Ok(folder)
    }

    fn describe_folder(&self, folder: &Folder, entry: &Entry) -> Result<(), Refusal> {
        describe_open(folder, entry)
    }

    fn finish(&mut self) -> Result<(), ImageError> {
        for (path, mtime) in &self.folder_times {
            let set = || -> Result<(), Errno> { rustix::fs::futimens(self.root.open(path)?, &times(*mtime)) };
            set().map_err(|error| ImageError::storage("set the times in", self.target, error.into()))?;
        }
        Ok(())
    }

    fn unreadable(&self, error: TarError) -> ImageError {
        match error {
            TarError::Malformed { entry, reason } => ImageError::Layer { entry, reason },
            TarError::Read(error) => match Errno::from_io_error(&error) {
                Some(_) => ImageError::storage("read a layer for", self.target, error),
                None => ImageError::malformed("layer", error.to_string()),
            },
        }
    }
}

/// Splits a path into its parts; leading slashes and dots mean the layer's root.
fn split(path: &[u8]) -> Result<Parts, Refusal> {
    let parts: Parts =
        path.split(|&b| b == b'/').filter(|part| !part.is_empty() && *part != b".").map(<[u8]>::to_vec).collect();
    if parts.iter().any(|part| part == b"..") {
        return Err(Refusal::Hostile(format!("the path {:?} leads out of the layer", shown(path))));
    }
    if path.contains(&0) {
        return Err(Refusal::Hostile("its path holds a NUL byte".into()));
    }
    if parts.len() > limits::PATH_DEPTH_MAX {
        return Err(Refusal::Hostile(format!("its path has more than {} parts", limits::PATH_DEPTH_MAX)));
    }
    Ok(parts)
}

/// Hides what the layers below have under the name.
fn hide(parent: &Folder, name: &[u8]) -> Result<(), Refusal> {
    if name.is_empty() || name == b"." || name == b".." {
        return Err(Refusal::Hostile("it is a whiteout of its own folder or the one above".into()));
    }
    match parent.look(name)? {
        None => Ok(parent.make_node(name, FileType::CharacterDevice, (0, 0))?),
        // The same layer brought a folder of that name: it stays, and what is below it does not show.
        Some(stat) if beneath::is_folder(&stat) => Ok(parent.open(&[name.to_vec()])?.make_opaque()?),
        Some(_) => Ok(()),
    }
}

fn make_node(entry: &Entry, parent: &Folder, name: &[u8], kind: FileType) -> Result<(), Refusal> {
    parent.make_node(name, kind, entry.device)?;
    describe(entry, parent, name)?;
    parent.set_node_mode(name, entry.mode)?;
    parent.set_times(name, &times(entry.mtime))?;
    Ok(())
}

/// Owner, attributes and times of what cannot be opened; symbolic links have no mode.
fn describe(entry: &Entry, parent: &Folder, name: &[u8]) -> Result<(), Refusal> {
    parent.own(name, entry.uid, entry.gid)?;
    for (key, value) in entry.xattrs.iter().filter(|(key, _)| is_ours_to_set(key)) {
        tolerate(parent.set_xattr_of(name, key, value), key)?;
    }
    parent.set_times(name, &times(entry.mtime))?;
    Ok(())
}

/// Owner, mode and attributes. In this order: chown takes away setuid and capabilities.
fn describe_open(file: impl std::os::fd::AsFd, entry: &Entry) -> Result<(), Refusal> {
    let (uid, gid) = (rustix::fs::Uid::from_raw(entry.uid), rustix::fs::Gid::from_raw(entry.gid));
    rustix::fs::fchown(&file, Some(uid), Some(gid))?;
    rustix::fs::fchmod(&file, Mode::from_raw_mode(entry.mode))?;
    for (key, value) in entry.xattrs.iter().filter(|(key, _)| is_ours_to_set(key)) {
        tolerate(rustix::fs::fsetxattr(&file, key.as_slice(), value, XattrFlags::empty()), key)?;
    }
    Ok(())
}

/// Overlayfs obeys its own attributes: an image must not speak to it.
pub(super) fn is_ours_to_set(key: &[u8]) -> bool {
    !key.starts_with(b"trusted.overlay.") && !key.starts_with(b"user.overlay.")
}

/// A filesystem without attributes loses them, but never a file capability, without which programs fail oddly.
pub(super) fn tolerate(outcome: Result<(), Errno>, key: &[u8]) -> Result<(), Errno> {
    match outcome {
        Err(Errno::OPNOTSUPP) if key != b"security.capability" => Ok(()),
        // `user.` attributes are for files and folders only.
        Err(Errno::PERM) if key.starts_with(b"user.") => Ok(()),
        outcome => outcome,
    }
}

pub(super) fn times((seconds, nanoseconds): (i64, u32)) -> Timestamps {
    let time = Timespec { tv_sec: seconds, tv_nsec: nanoseconds.into() };
    Timestamps { last_access: time, last_modification: time }
}

/// Computes the digest of what is read through it.
#[derive(Debug)]
struct Hashing<R> {
    stream: R,
    hasher: Hasher,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        Ok(count)
    }
}

const WHITEOUT: &[u8] = b".wh.";
const WHITEOUT_META: &[u8] = b".wh..wh.";
const OPAQUE_MARK: &[u8] = b".wh..wh..opq";
const COPY_BUFFER: usize = 256 << 10;
