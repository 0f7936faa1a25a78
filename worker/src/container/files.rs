//! Secrets and configs as files: on a file system in memory, one a container, which nobody may write once it is laid out.
//!
//! The container gets each file by a read-only bind, so that what else is there stays unseen. The file system goes with
//! the container's folders; a restart of the daemon leaves it.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use shoal_runtime::spec as runtime;
use shoal_worker_core::ContainerFile;

use super::ContainerError;

/// Mounts the file system and writes the files. What stood there before is gone.
pub(super) fn lay_out(folder: &Path, files: &[ContainerFile]) -> Result<(), ContainerError> {
    clear_away(folder)?;
    if files.is_empty() {
        return Ok(());
    }
    let failed = |error| ContainerError::file("create", folder, error);
    DirBuilder::new().mode(0o700).create(folder).map_err(failed)?;
    mount_memory(folder, files).map_err(|error| ContainerError::file("mount memory at", folder, error.into()))?;
    for (number, file) in files.iter().enumerate() {
        let path = place(folder, number);
        write(&path, file).map_err(|error| ContainerError::file("write", path, error))?;
    }
    let seal = MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY | FLAGS;
    mount(None::<&str>, folder, None::<&str>, seal, None::<&str>)
        .map_err(|error| ContainerError::file("make read-only", folder, error.into()))
}

/// Unmounts the file system; it is gone when the last container that sees a file of it is.
pub(super) fn clear_away(folder: &Path) -> Result<(), ContainerError> {
    match umount2(folder, MntFlags::MNT_DETACH) {
        // Nothing is mounted there, or nothing is there at all.
        Ok(()) | Err(Errno::EINVAL | Errno::ENOENT) => {}
        Err(error) => return Err(ContainerError::file("unmount", folder, error.into())),
    }
    match fs::remove_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(ContainerError::file("remove", folder, error)),
        _ => Ok(()),
    }
}

/// The mounts that show each file to the container.
pub(super) fn file_mounts(folder: &Path, files: &[ContainerFile]) -> Vec<runtime::Mount> {
    let shown = |(number, file): (usize, &ContainerFile)| runtime::Mount {
        target: PathBuf::from(&file.path),
        kind: runtime::MountKind::Bind(runtime::BindMount {
            source: place(folder, number),
            read_only: true,
            recursive: false,
            propagation: runtime::Propagation::Rprivate,
        }),
    };
    files.iter().enumerate().map(shown).collect()
}

/// Never on a disk: without swap where the kernel can (Linux 6.4).
fn mount_memory(folder: &Path, files: &[ContainerFile]) -> nix::Result<()> {
    let bytes: usize = files.iter().map(|file| file.data.len().next_multiple_of(PAGE)).sum();
    // The root directory is one more inode.
    let size = format!("mode=0700,size={},nr_inodes={}", bytes + PAGE, files.len() + 1);
    let attempt = |options: &str| mount(Some("shoal"), folder, Some("tmpfs"), FLAGS, Some(options));
    match attempt(&format!("{size},noswap")) {
        Err(Errno::EINVAL) => attempt(&size),
        outcome => outcome,
    }
}

fn write(path: &Path, file: &ContainerFile) -> io::Result<()> {
    let mut made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    made.write_all(file.data.reveal())?;
    fchown(&made, Some(file.uid), Some(file.gid))?;
    made.set_permissions(Permissions::from_mode(file.mode))
}

/// Numbers, so that no name of a user's is a path of the host.
fn place(folder: &Path, number: usize) -> PathBuf {
    folder.join(number.to_string())
}

const FLAGS: MsFlags = MsFlags::MS_NODEV.union(MsFlags::MS_NOSUID).union(MsFlags::MS_NOEXEC);

/// What a tmpfs gives out at least; larger pages only make the limit generous.
const PAGE: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use shoal_proto::model::SensitiveBytes;

    use super::*;

    fn file(path: &str, owner: u32, mode: u32, data: Vec<u8>) -> ContainerFile {
        ContainerFile { path: path.to_owned(), uid: owner, gid: owner + 1, mode, data: SensitiveBytes::from(data) }
    }

    #[test]
    fn files_are_in_memory_read_only_and_gone_when_cleared() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("payloads");
        let files = [file("/run/secrets/a", 0, 0o444, b"one".to_vec()), file("/b", 1000, 0o400, vec![7; 1_023_999])];
        lay_out(&folder, &files).unwrap();
        let [first, second] = [0, 1].map(|number| place(&folder, number));
        assert_eq!(fs::read(&first).unwrap(), b"one");
        assert_eq!(fs::read(&second).unwrap().len(), 1_023_999);
        let seen = fs::metadata(&second).unwrap();
        assert_eq!((seen.uid(), seen.gid(), seen.mode() & 0o7777), (1000, 1001, 0o400));
        assert_ne!(seen.dev(), fs::metadata(root.path()).unwrap().dev(), "on a file system of its own");
        let refused = fs::write(&first, "two").unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ReadOnlyFilesystem);
        lay_out(&folder, &files[..1]).unwrap();
        assert!(!second.exists(), "what stood there before is gone");
        clear_away(&folder).unwrap();
        assert!(!folder.exists());
        clear_away(&folder).unwrap();
    }

    #[test]
    fn each_file_is_shown_where_it_is_wished() {
        let shown = file_mounts(Path::new("/x"), &[file("/run/secrets/a", 0, 0o444, Vec::new())]);
        assert_eq!(shown[0].target, Path::new("/run/secrets/a"));
        let runtime::MountKind::Bind(bind) = &shown[0].kind else { panic!("it is a bind") };
        assert_eq!((bind.source.as_path(), bind.read_only), (Path::new("/x/0"), true));
    }
}
