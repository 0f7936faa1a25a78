//! The files of one log: the current one and those that were rotated away, oldest first; and the kernel's word when one
//! of them changes.

use std::io::{self, SeekFrom};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::inotify;
use tokio::fs::File;
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncReadExt, AsyncSeekExt};

use crate::limits::{LOG_CHUNK_BYTES, LOG_FILES_MAX};

/// An open log file, by its inode: a name may stand for another one a moment later.
#[derive(Debug)]
pub(super) struct LogFile {
    pub(super) file: File,
    pub(super) inode: u64,
}

impl LogFile {
    pub(super) async fn open(path: &Path) -> io::Result<Option<Self>> {
        match File::open(path).await {
            Ok(file) => {
                let inode = file.metadata().await?.ino();
                Ok(Some(Self { file, inode }))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// All files of a log, oldest first. A rotation meanwhile may show one twice; that is left out.
pub(super) async fn open_all(path: &Path) -> io::Result<Vec<LogFile>> {
    let mut files: Vec<LogFile> = Vec::new();
    // The current one first: what is rotated meanwhile is then found again by its inode, never missed.
    for number in 0..LOG_FILES_MAX {
        match LogFile::open(&numbered(path, number)).await? {
            Some(file) if files.iter().any(|known| known.inode == file.inode) => {}
            Some(file) => files.push(file),
            None if number == 0 => {}
            None => break,
        }
    }
    files.reverse();
    Ok(files)
}

/// The files that followed the one with this inode, oldest first; none while it is the current one.
pub(super) async fn opened_after(path: &Path, inode: u64) -> io::Result<Vec<LogFile>> {
    match tokio::fs::metadata(path).await {
        Ok(current) if current.ino() == inode => return Ok(Vec::new()),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut files = open_all(path).await?;
    // One that was rotated out of existence is not there: all that is came later.
    let later = files.iter().position(|file| file.inode == inode).map_or(0, |place| place + 1);
    Ok(files.split_off(later))
}

/// Sets each file to where the last `lines` lines begin.
pub(super) async fn seek_to_tail(files: &mut Vec<LogFile>, lines: u64) -> io::Result<()> {
    let mut left = lines;
    let mut first = files.len();
    while left > 0 && first > 0 {
        first -= 1;
        left = seek_back(&mut files[first].file, left).await?;
    }
    if lines == 0 {
        if let Some(current) = files.last_mut() {
            current.file.seek(SeekFrom::End(0)).await?;
        }
        first = files.len().saturating_sub(1);
    }
    files.drain(..first);
    Ok(())
}

/// Sets a file to where its last `lines` lines begin; how many it lacked.
async fn seek_back(file: &mut File, lines: u64) -> io::Result<u64> {
    let end = file.seek(SeekFrom::End(0)).await?;
    let mut position = end;
    let mut found = 0;
    let mut chunk = vec![0; LOG_CHUNK_BYTES];
    while position > 0 {
        let length = usize::try_from(position).unwrap_or(LOG_CHUNK_BYTES).min(LOG_CHUNK_BYTES);
        position -= length as u64;
        file.seek(SeekFrom::Start(position)).await?;
        file.read_exact(&mut chunk[..length]).await?;
        for place in (0..length).rev() {
            let at = position + place as u64;
            // The newline at the very end closes the last line; each one before it begins another.
            if chunk[place] == b'\n' && at + 1 != end {
                found += 1;
                if found == lines {
                    file.seek(SeekFrom::Start(at + 1)).await?;
                    return Ok(0);
                }
            }
        }
    }
    file.seek(SeekFrom::Start(0)).await?;
    Ok(if end == 0 { lines } else { lines - found - 1 })
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    if number == 0 {
        return path.to_owned();
    }
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    PathBuf::from(name)
}

/// Hears of changes in the log's folder.
#[derive(Debug)]
pub(super) struct Changes {
    watch: AsyncFd<OwnedFd>,
}

impl Changes {
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let watch = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
        let folder = path.parent().unwrap_or(Path::new("/"));
        let kinds = inotify::WatchFlags::MODIFY | inotify::WatchFlags::CREATE | inotify::WatchFlags::MOVED_TO;
        inotify::add_watch(&watch, folder, kinds)?;
        #[expect(
            deprecated,
            reason = "its successor is unsafe for the sake of types that lend descriptors; an `OwnedFd` owns its own"
        )]
        let watch = AsyncFd::new(watch)?;
        Ok(Self { watch })
    }

    /// Waits until something changed since the last call.
    pub(super) async fn next(&mut self) -> io::Result<()> {
        let mut ready = self.watch.readable().await?;
        let mut buffer = [0; 4096];
        // What changed does not matter: the files are looked at.
        loop {
            match ready.try_io(|watch| Ok(rustix::io::read(watch.get_ref(), &mut buffer)?)) {
                Ok(outcome) => {
                    outcome?;
                }
                Err(_would_block) => return Ok(()),
            }
        }
    }
}
