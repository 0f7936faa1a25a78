//! Loads, attaches and pins the programs, changes their maps, reads them back.
//!
//! Everything of one build is pinned in one directory named after the object's hash, `<exec-root>/bpf/<hash>`, and
//! appears there whole by a rename. A daemon with the same object takes the directory over as it is. One with another
//! object attaches its own beside: the former programs go on translating, and go when the new maps were first filled, so
//! that no connection misses both. Leaves the content of the maps to `tables`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use aya::maps::{HashMap, Map, MapData, MapError};
use aya::programs::cgroup_sock_addr::CgroupSockAddrLink;
use aya::programs::links::{CgroupAttachMode, FdLink};
use aya::programs::tc::{NlOptions, TcAttachOptions, qdisc_add_clsact, qdisc_detach_program};
use aya::programs::{CgroupSockAddr, ProgramError, SchedClassifier, TcAttachType};
use aya::{Ebpf, EbpfLoader};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::statfs::{BPF_FS_MAGIC, statfs};

use super::NetworkNumber;
use super::tables::{
    SPACE_BYTES, ServiceEntry, SlotKey, Space, TableChange, TablePlan, VipTables, address_bytes, address_of,
    bridge_value, chosen_task, slot_task,
};
use crate::network::MacAddress;
use crate::network::config::stable_hash;

/// Why the programs can't be used, or a map can't be changed.
#[derive(Debug, thiserror::Error)]
pub(in crate::network) enum EbpfError {
    /// The host lacks something.
    #[error("{0}")]
    Missing(&'static str),
    /// A file or a mount.
    #[error("failed to {what}")]
    File { what: String, source: io::Error },
    /// The object or one of its programs.
    #[error("failed to load the programs")]
    Load(#[source] aya::EbpfError),
    /// A program could not be loaded, attached or taken over.
    #[error("failed to {what} program {name}")]
    Program { what: &'static str, name: &'static str, source: ProgramError },
    /// A program could not be put on a bridge.
    #[error("failed to answer on {link}")]
    Bridge { link: String, source: ProgramError },
    /// A map could not be pinned, opened, changed or read.
    #[error("failed to {what}")]
    Map { what: String, source: MapError },
    /// Something could not be pinned.
    #[error("failed to pin {name}")]
    Pin { name: String, source: aya::pin::PinError },
}

/// The programs of one daemon, and the doors to their maps.
#[derive(Debug)]
pub(in crate::network) struct VipPrograms {
    /// The file system that everything is pinned in.
    root: PathBuf,
    directory: PathBuf,
    services: HashMap<MapData, [u8; 16], [u8; 32]>,
    slots: HashMap<MapData, [u8; 8], [u8; 24]>,
    spaces: HashMap<MapData, u64, [u8; SPACE_BYTES]>,
    bridges: HashMap<MapData, u32, [u8; 16]>,
    answer: SchedClassifier,
}

/// Which task each flow of datagrams without connection goes to.
#[derive(Debug)]
pub(in crate::network) struct FlowTable {
    choices: HashMap<MapData, [u8; 32], [u8; 32]>,
}

/// As `program/build.sh` made it.
pub(super) static OBJECT: &[u8] = aya::include_bytes_aligned!("program/vip.bpf.o");

/// The programs that see sockets; each is pinned as a link of this name.
const HOOKS: [&str; 8] =
    ["connect4", "sendmsg4", "recvmsg4", "getpeername4", "connect6", "sendmsg6", "recvmsg6", "getpeername6"];
const MAPS: [&str; 5] = ["services", "slots", "spaces", "bridges", "choices"];
/// The program on bridges.
const ANSWER: &str = "answer";

impl VipPrograms {
    /// Takes over what a former run pinned, or loads and attaches the programs.
    pub(in crate::network) fn open(exec_root: &Path) -> Result<Self, EbpfError> {
        if cfg!(target_endian = "big") {
            return Err(EbpfError::Missing("the programs are made for little-endian processors"));
        }
        let root = exec_root.join("bpf");
        mount_root(&root)?;
        let build = format!("{:016x}", stable_hash(OBJECT));
        let directory = root.join(&build);
        if !directory.exists() {
            // The file system takes no dots.
            let scratch = root.join(format!("new-{build}"));
            remove_directory(&scratch)?;
            load(&scratch).inspect_err(|_| forget_quietly(&scratch))?;
            fs::rename(&scratch, &directory).map_err(file("name the pinned programs"))?;
        }
        let answer = SchedClassifier::from_pin(directory.join(ANSWER));
        Ok(Self {
            services: pinned_map(&directory, "services")?,
            slots: pinned_map(&directory, "slots")?,
            spaces: pinned_map(&directory, "spaces")?,
            bridges: pinned_map(&directory, "bridges")?,
            answer: answer.map_err(|source| EbpfError::Program { what: "take over", name: ANSWER, source })?,
            root,
            directory,
        })
    }

    /// Makes changes in their order.
    pub(in crate::network) fn perform(&mut self, plan: &TablePlan) -> Result<(), EbpfError> {
        tracing::trace!(%plan, "changing the tables of virtual addresses");
        plan.changes.iter().try_for_each(|change| {
            self.change(change).map_err(|source| EbpfError::Map { what: change.to_string(), source })
        })
    }

    fn change(&mut self, change: &TableChange) -> Result<(), MapError> {
        match change {
            TableChange::Slot { key, task } => self.slots.insert(key.bytes(), key.value(*task), 0),
            TableChange::SlotRemoved(key) => gone(self.slots.remove(&key.bytes())),
            TableChange::Service { address, entry } => {
                self.services.insert(address_bytes(*address), entry.value(*address), 0)
            }
            TableChange::ServiceRemoved { address } => gone(self.services.remove(&address_bytes(*address))),
            TableChange::Space { cookie, space } => self.spaces.insert(cookie, space.value(), 0),
            TableChange::SpaceRemoved { cookie } => gone(self.spaces.remove(cookie)),
        }
    }

    /// What the kernel shows of virtual addresses.
    pub(in crate::network) fn vips(&self) -> Result<VipTables, EbpfError> {
        let read = |source| EbpfError::Map { what: "read the virtual addresses".to_owned(), source };
        let mut services = BTreeMap::new();
        for entry in &self.services {
            let (address, value) = entry.map_err(read)?;
            services.insert(address_of(address), ServiceEntry::of(value));
        }
        let mut slots = BTreeMap::new();
        for entry in &self.slots {
            let (key, value) = entry.map_err(read)?;
            slots.insert(SlotKey::of(key), slot_task(value));
        }
        Ok(VipTables::found(services, slots))
    }

    /// What the kernel shows of namespaces, by cookie.
    pub(in crate::network) fn spaces(&self) -> Result<BTreeMap<u64, Space>, EbpfError> {
        let read = |source| EbpfError::Map { what: "read the namespaces".to_owned(), source };
        self.spaces.iter().map(|entry| entry.map(|(cookie, value)| (cookie, Space::of(value))).map_err(read)).collect()
    }

    /// A door of its own to the flows of datagrams.
    pub(in crate::network) fn flows(&self) -> Result<FlowTable, EbpfError> {
        Ok(FlowTable { choices: pinned_map(&self.directory, "choices")? })
    }

    /// Answers ARP and ping for a network's virtual addresses on its bridge.
    pub(in crate::network) fn answer_on(
        &mut self,
        (link, index): (&str, u32),
        mac: MacAddress,
        network: NetworkNumber,
    ) -> Result<(), EbpfError> {
        let named = |source| EbpfError::Map { what: format!("enter bridge {link}"), source };
        self.bridges.insert(index, bridge_value(mac.0, network), 0).map_err(named)?;
        let failed = |source: ProgramError| EbpfError::Bridge { link: link.to_owned(), source };
        // It may stand already, and a former build's program too: the new one takes their place.
        let _stands = qdisc_add_clsact(link);
        let _former = qdisc_detach_program(link, TcAttachType::Ingress, ANSWER);
        let options = TcAttachOptions::Netlink(NlOptions::default());
        let attached = self.answer.attach_with_options(link, TcAttachType::Ingress, options).map_err(failed)?;
        // It goes with the bridge, and not before.
        std::mem::forget(self.answer.take_link(attached).map_err(failed)?);
        Ok(())
    }

    /// Forgets bridges that are gone: all but these.
    pub(in crate::network) fn keep_bridges(&mut self, indices: &BTreeSet<u32>) -> Result<(), EbpfError> {
        let changed = |source| EbpfError::Map { what: "forget bridges".to_owned(), source };
        let known: Vec<u32> = self.bridges.keys().collect::<Result<_, _>>().map_err(changed)?;
        let stale = known.iter().filter(|index| !indices.contains(*index));
        stale.into_iter().try_for_each(|index| gone(self.bridges.remove(index)).map_err(changed))
    }

    /// Detaches what builds before this one pinned.
    pub(in crate::network) fn remove_former(&self) -> Result<(), EbpfError> {
        builds(&self.root)?.iter().filter(|path| **path != self.directory).try_for_each(|path| remove_directory(path))
    }
}

impl FlowTable {
    /// Has flows choose anew whose task is among these.
    pub(in crate::network) fn forget(&mut self, tasks: &BTreeSet<IpAddr>) -> Result<(), EbpfError> {
        let read = |source| EbpfError::Map { what: "read the flows of datagrams".to_owned(), source };
        let mut stale = Vec::new();
        for entry in &self.choices {
            let (flow, choice) = entry.map_err(read)?;
            if tasks.contains(&chosen_task(choice)) {
                stale.push(flow);
            }
        }
        stale.iter().try_for_each(|flow| gone(self.choices.remove(flow)).map_err(read))
    }
}

fn pinned_map<K: aya::Pod, V: aya::Pod>(directory: &Path, name: &str) -> Result<HashMap<MapData, K, V>, EbpfError> {
    let opened = MapData::from_pin(directory.join(name)).and_then(Map::from_map_data).and_then(HashMap::try_from);
    opened.map_err(|source| EbpfError::Map { what: format!("open map {name}"), source })
}

/// Detaches and removes all programs and maps that were pinned below an exec-root.
pub(in crate::network) fn remove_programs(exec_root: &Path) -> Result<(), EbpfError> {
    let root = exec_root.join("bpf");
    if is_mounted(&root) {
        builds(&root)?.iter().try_for_each(|path| remove_directory(path))?;
        // Mounted twice when two daemons started at once.
        while umount2(&root, MntFlags::MNT_DETACH).is_ok() {}
    }
    match fs::remove_dir(&root) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(file("remove the directory of programs")(error)),
        _ => Ok(()),
    }
}

/// Loads the object, attaches its programs and pins all of it.
fn load(directory: &Path) -> Result<(), EbpfError> {
    let cgroup = File::open(cgroup_root()?).map_err(file("open the root of the cgroup tree"))?;
    // Nothing in the object depends on the kernel's own types.
    let mut object = EbpfLoader::new().btf(None).load(OBJECT).map_err(EbpfError::Load)?;
    fs::create_dir(directory).map_err(file("make a directory for the programs"))?;
    for name in MAPS {
        let map = object.map(name).ok_or(EbpfError::Missing("the object lacks a map"))?;
        map.pin(directory.join(name)).map_err(|source| EbpfError::Pin { name: name.to_owned(), source })?;
    }
    let answer: &mut SchedClassifier = program(&mut object, ANSWER)?;
    answer.load().map_err(|source| EbpfError::Program { what: "load", name: ANSWER, source })?;
    answer.pin(directory.join(ANSWER)).map_err(|source| EbpfError::Pin { name: ANSWER.to_owned(), source })?;
    for name in HOOKS {
        let failed = |what| move |source| EbpfError::Program { what, name, source };
        let hook: &mut CgroupSockAddr = program(&mut object, name)?;
        hook.load().map_err(failed("load"))?;
        // A link is always one of several: programs of others stay.
        let attached = hook.attach(&cgroup, CgroupAttachMode::Single).map_err(failed("attach"))?;
        let link: CgroupSockAddrLink = hook.take_link(attached).map_err(failed("attach"))?;
        let link = FdLink::try_from(link).map_err(|_| EbpfError::Missing("this kernel has no links of programs"))?;
        link.pin(directory.join(name)).map_err(|source| EbpfError::Pin { name: name.to_owned(), source })?;
    }
    Ok(())
}

fn program<'a, P>(object: &'a mut Ebpf, name: &'static str) -> Result<&'a mut P, EbpfError>
where
    &'a mut P: TryFrom<&'a mut aya::programs::Program, Error = ProgramError>,
{
    let found = object.program_mut(name).ok_or(EbpfError::Missing("the object lacks a program"))?;
    found.try_into().map_err(|source| EbpfError::Program { what: "find", name, source })
}

/// Where the one tree of cgroups is mounted that programs attach to.
fn cgroup_root() -> Result<PathBuf, EbpfError> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").map_err(file("list mounts"))?;
    let of_line = |line: &str| {
        let (left, right) = line.split_once(" - ")?;
        let mut left = left.split(' ').skip(3);
        let (root, mount) = (left.next()?, left.next()?);
        (right.starts_with("cgroup2 ") && root == "/").then(|| PathBuf::from(mount))
    };
    mounts.lines().find_map(of_line).ok_or(EbpfError::Missing("no cgroup2 file system is mounted"))
}

fn is_mounted(root: &Path) -> bool {
    statfs(root).is_ok_and(|found| found.filesystem_type() == BPF_FS_MAGIC)
}

fn mount_root(root: &Path) -> Result<(), EbpfError> {
    if is_mounted(root) {
        return Ok(());
    }
    fs::create_dir_all(root).map_err(file("make the directory of programs"))?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("shoal"), root, Some("bpf"), flags, Some("mode=0700"))
        .map_err(|error| file("mount a file system for the programs")(error.into()))
}

/// Unpins everything in a directory, by which links are detached.
fn remove_directory(directory: &Path) -> Result<(), EbpfError> {
    for path in entries(directory)? {
        fs::remove_file(&path).map_err(file("unpin a program or map"))?;
    }
    match fs::remove_dir(directory) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(file("remove pinned programs")(error)),
        _ => Ok(()),
    }
}

/// After a failure that is told already.
fn forget_quietly(directory: &Path) {
    if let Err(error) = remove_directory(directory) {
        tracing::warn!(error = &error as &dyn std::error::Error, "half-loaded programs stay until the next start");
    }
}

/// The directories of all builds; the kernel may have files of its own beside them.
fn builds(root: &Path) -> Result<Vec<PathBuf>, EbpfError> {
    let mut found = entries(root)?;
    found.retain(|path| path.is_dir());
    Ok(found)
}

fn entries(directory: &Path) -> Result<Vec<PathBuf>, EbpfError> {
    let listed = |listing: fs::ReadDir| listing.map(|entry| entry.map(|entry| entry.path())).collect();
    match fs::read_dir(directory).and_then(listed) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        outcome => outcome.map_err(file("list pinned programs")),
    }
}

/// What is not there need not be removed.
fn gone(outcome: Result<(), MapError>) -> Result<(), MapError> {
    match outcome {
        Err(MapError::KeyNotFound) => Ok(()),
        Err(MapError::SyscallError(error)) if error.io_error.kind() == ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

fn file(what: &'static str) -> impl FnOnce(io::Error) -> EbpfError {
    move |source| EbpfError::File { what: what.to_owned(), source }
}
