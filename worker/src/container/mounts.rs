//! A container's file systems beside its root: the spec's mounts, and a volume of its own for each path that the image
//! names.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use shoal_proto::model::{
    BindOptions, ContainerSpec, Labels, Mount, MountKind, MountPropagation, TaskId, TmpfsOptions, VolumeOptions,
};
use shoal_runtime::spec as runtime;

use super::{ContainerError, MountPoint};
use crate::volumes::{Content, VolumeError, Volumes, Wanted, subpath};

/// What the mounts of one container are made from.
#[derive(Debug, Clone, Copy)]
pub(super) struct MountContext<'a> {
    pub(super) task: TaskId,
    pub(super) volumes: &'a Volumes,
    /// The image's unpacked layers, top first.
    pub(super) layers: &'a [PathBuf],
}

/// A mount, for the runtime and for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mounted {
    pub(super) mount: runtime::Mount,
    pub(super) point: MountPoint,
}

/// Makes what the mounts need, and names them. Everything is checked before anything is made.
pub(super) fn mounts(
    spec: &ContainerSpec,
    image_volumes: &[String],
    context: MountContext<'_>,
) -> Result<Vec<Mounted>, ContainerError> {
    check(&spec.mounts)?;
    let named: BTreeSet<&str> = spec.mounts.iter().map(|mount| trimmed(&mount.target)).collect();
    let own = image_volumes.iter().filter(|target| !named.contains(trimmed(target))).map(|target| Mount {
        kind: MountKind::Volume { source: String::new(), options: VolumeOptions::default() },
        target: target.clone(),
        read_only: false,
    });
    spec.mounts.iter().cloned().chain(own).map(|mount| mounted(&mount, context)).collect()
}

/// The name of the anonymous volume of a task at a target: the same one when the task starts again.
pub(super) fn anonymous_name(task: TaskId, target: &str) -> String {
    super::plan::hex(&Sha256::digest(format!("shoal volume {task} {}", trimmed(target))))
}

fn check(mounts: &[Mount]) -> Result<(), ContainerError> {
    let mut targets = BTreeSet::new();
    for mount in mounts {
        let target = mount.target.as_str();
        if !target.starts_with('/') || trimmed(target).is_empty() {
            return Err(ContainerError::invalid("mount target", target, "give an absolute path below the root"));
        }
        if !targets.insert(trimmed(target)) {
            return Err(ContainerError::invalid("mount target", target, "mount at each path only once"));
        }
        match &mount.kind {
            MountKind::Bind { source, options } => check_bind(source, options)?,
            MountKind::Volume { options, .. } => check_volume(options)?,
            MountKind::Tmpfs { .. } => {}
        }
    }
    Ok(())
}

fn check_bind(source: &str, options: &BindOptions) -> Result<(), ContainerError> {
    if !source.starts_with('/') {
        return Err(ContainerError::invalid("bind source", source, "give an absolute path of the host"));
    }
    if !options.create_source && fs::symlink_metadata(source).is_err() {
        return Err(ContainerError::BindSourceMissing(PathBuf::from(source)));
    }
    Ok(())
}

fn check_volume(options: &VolumeOptions) -> Result<(), ContainerError> {
    if !matches!(options.driver.as_str(), "" | "local") {
        return Err(VolumeError::Driver(options.driver.clone()).into());
    }
    match options.driver_options.keys().next() {
        Some(option) => Err(VolumeError::DriverOption(option.clone()).into()),
        None => Ok(()),
    }
}

fn mounted(mount: &Mount, context: MountContext<'_>) -> Result<Mounted, ContainerError> {
    match &mount.kind {
        MountKind::Bind { source, options } => bind(mount, source, options),
        MountKind::Volume { source, options } => volume(mount, source, options, context),
        MountKind::Tmpfs { options } => Ok(tmpfs(mount, options)),
    }
}

fn bind(mount: &Mount, source: &str, options: &BindOptions) -> Result<Mounted, ContainerError> {
    let source = PathBuf::from(source);
    if options.create_source {
        fs::create_dir_all(&source).map_err(|error| ContainerError::file("create", &source, error))?;
    }
    let (propagation, word) = propagation(options.propagation);
    let bind = runtime::BindMount {
        source: source.clone(),
        read_only: mount.read_only,
        recursive: !options.non_recursive,
        propagation,
    };
    let point = MountPoint {
        kind: "bind".to_owned(),
        name: None,
        source,
        target: mount.target.clone(),
        writable: !mount.read_only,
        propagation: word.to_owned(),
    };
    Ok(Mounted { mount: of(mount, runtime::MountKind::Bind(bind)), point })
}

fn volume(
    mount: &Mount,
    source: &str,
    options: &VolumeOptions,
    context: MountContext<'_>,
) -> Result<Mounted, ContainerError> {
    let anonymous = source.is_empty();
    let name = if anonymous { anonymous_name(context.task, &mount.target) } else { source.to_owned() };
    let content = Content { layers: context.layers, target: &mount.target };
    let labels: &Labels = &options.labels;
    let copies = !options.no_copy && options.subpath.is_none();
    let wanted = Wanted { name: &name, labels, anonymous, content: copies.then_some(content) };
    let mut data = context.volumes.ensure(wanted)?;
    if let Some(inner) = &options.subpath {
        data = subpath(&data, inner)?;
    }
    let bind = runtime::BindMount {
        source: data.clone(),
        read_only: mount.read_only,
        recursive: true,
        propagation: runtime::Propagation::Rprivate,
    };
    let point = MountPoint {
        kind: "volume".to_owned(),
        name: Some(name),
        source: data,
        target: mount.target.clone(),
        writable: !mount.read_only,
        propagation: String::new(),
    };
    Ok(Mounted { mount: of(mount, runtime::MountKind::Bind(bind)), point })
}

fn tmpfs(mount: &Mount, options: &TmpfsOptions) -> Mounted {
    let read_only = mount.read_only.then(|| "ro".to_owned());
    let tmpfs = runtime::TmpfsMount {
        size: (options.size_bytes > 0).then_some(options.size_bytes),
        mode: options.mode,
        options: read_only.into_iter().collect(),
    };
    let point = MountPoint {
        kind: "tmpfs".to_owned(),
        name: None,
        source: PathBuf::new(),
        target: mount.target.clone(),
        writable: !mount.read_only,
        propagation: String::new(),
    };
    Mounted { mount: of(mount, runtime::MountKind::Tmpfs(tmpfs)), point }
}

fn of(mount: &Mount, kind: runtime::MountKind) -> runtime::Mount {
    runtime::Mount { target: Path::new(&mount.target).to_owned(), kind }
}

fn propagation(wanted: MountPropagation) -> (runtime::Propagation, &'static str) {
    match wanted {
        MountPropagation::RPrivate => (runtime::Propagation::Rprivate, "rprivate"),
        MountPropagation::Private => (runtime::Propagation::Private, "private"),
        MountPropagation::RShared => (runtime::Propagation::Rshared, "rshared"),
        MountPropagation::Shared => (runtime::Propagation::Shared, "shared"),
        MountPropagation::RSlave => (runtime::Propagation::Rslave, "rslave"),
        MountPropagation::Slave => (runtime::Propagation::Slave, "slave"),
    }
}

fn trimmed(target: &str) -> &str {
    target.trim_end_matches('/')
}

#[cfg(test)]
mod tests {
    use super::*;
    use shoal_proto::model::Id;

    fn spec(mounts: Vec<Mount>) -> ContainerSpec {
        ContainerSpec { mounts, ..ContainerSpec::default() }
    }

    fn bind_of(source: &str, target: &str) -> Mount {
        let kind = MountKind::Bind { source: source.into(), options: BindOptions::default() };
        Mount { kind, target: target.into(), read_only: true }
    }

    #[test]
    fn sources_are_made_and_named() {
        let root = tempfile::tempdir().unwrap();
        let volumes = Volumes::open(root.path()).unwrap();
        let layers = [root.path().to_owned()];
        let context = MountContext { task: TaskId::from_random(1), volumes: &volumes, layers: &layers };
        let named = Mount {
            kind: MountKind::Volume { source: "db".into(), options: VolumeOptions::default() },
            target: "/db/".into(),
            read_only: false,
        };
        let tmpfs = Mount {
            kind: MountKind::Tmpfs { options: TmpfsOptions { size_bytes: 5, mode: None } },
            target: "/tmp".into(),
            read_only: false,
        };
        let spec = spec(vec![named, tmpfs, bind_of("/etc", "/host")]);
        let made = mounts(&spec, &["/db".into(), "/cache".into()], context).unwrap();
        let shown: Vec<_> = made.iter().map(|made| (made.point.kind.as_str(), made.point.target.as_str())).collect();
        assert_eq!(shown, [("volume", "/db/"), ("tmpfs", "/tmp"), ("bind", "/host"), ("volume", "/cache")]);
        assert_eq!(made[3].point.name, Some(anonymous_name(TaskId::from_random(1), "/cache")));
        assert_eq!(volumes.list().unwrap().len(), 2);
    }

    #[test]
    fn what_can_not_be_mounted_is_named_before_anything_is_made() {
        let root = tempfile::tempdir().unwrap();
        let volumes = Volumes::open(root.path()).unwrap();
        let context = MountContext { task: TaskId::from_random(1), volumes: &volumes, layers: &[] };
        let refused =
            |mounts_wanted| mounts(&spec(mounts_wanted), &["/cache".into()], context).unwrap_err().to_string();
        assert_eq!(
            refused(vec![bind_of("/no/such", "/x")]),
            "invalid mount config for type \"bind\": bind source path does not exist: /no/such"
        );
        assert!(refused(vec![bind_of("etc", "/x")]).contains("'etc'"));
        assert!(refused(vec![bind_of("/etc", "x")]).contains("'x'"));
        assert!(refused(vec![bind_of("/etc", "/x"), bind_of("/etc", "/x/")]).contains("only once"));
        let options = VolumeOptions { driver: "nfs".into(), ..VolumeOptions::default() };
        let foreign =
            Mount { kind: MountKind::Volume { source: "a".into(), options }, target: "/a".into(), read_only: false };
        assert!(refused(vec![foreign]).contains("'nfs'"));
        assert_eq!(volumes.list().unwrap(), []);
    }
}
