//! A host of the test's own: a network namespace, a data-root, an image, a keeper; all gone afterwards.

use std::collections::BTreeMap;
use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use nix::sched::{CloneFlags, unshare};
use sha2::{Digest, Sha256};
use shoal_proto::model::{
    Id, LocalNetwork, Meta, NodeId, PortStatus, ServiceId, Task, TaskAssignment, TaskSpec, TaskState, TaskStatus,
    Timestamp, Version,
};
use shoal_runtime::client::Keeper;
use tokio::task::JoinHandle;

use crate::testing::{FakeManager, Plain, task_id};
use crate::{SwarmSession, Worker, WorkerConfig, WorkerHandle};

/// Nobody listens there: the registry is not in reach, and the local image serves.
const IMAGE: &str = "127.0.0.1:1/probe:1";

pub(super) struct Stage {
    root: tempfile::TempDir,
    cgroup: String,
}

/// The process.
pub(super) struct Running {
    pub(super) handle: WorkerHandle,
    serving: JoinHandle<()>,
}

/// Runs a test in a network namespace of its own, with loopback up.
pub(super) fn in_namespace(test: impl Future<Output = ()> + Send + 'static) {
    let alone = std::thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let (connection, handle, _) = rtnetlink::new_connection().unwrap();
            let connection = tokio::spawn(connection);
            handle.link().set(rtnetlink::LinkUnspec::new_with_index(1).up().build()).execute().await.unwrap();
            connection.abort();
            test.await;
        });
    });
    if let Err(panic) = alone.join() {
        std::panic::resume_unwind(panic);
    }
}

pub(super) async fn in_time<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), work).await.expect("it did not happen within 60 s")
}

/// A task on the host's network that runs `/probe` with these words, or another program.
pub(super) fn task(n: u128, words: &[&str], program: Option<&[&str]>) -> TaskAssignment {
    let own = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let mut spec = TaskSpec::default();
    spec.container.image = IMAGE.to_owned();
    spec.container.args = own(words);
    spec.container.command = own(program.unwrap_or_default());
    TaskAssignment {
        local_network: LocalNetwork::Host,
        task: Task {
            id: task_id(n),
            meta: Meta::default(),
            spec: Arc::new(spec),
            spec_version: Version(1),
            service: ServiceId::from_random(1),
            service_name: "web".to_owned(),
            service_labels: BTreeMap::new(),
            slot: 1,
            node: Some(NodeId::from_random(1)),
            status: TaskStatus {
                timestamp: Timestamp::default(),
                state: TaskState::Assigned,
                message: String::new(),
                error: String::new(),
                container_id: None,
                pid: None,
                exit: None,
                ports: PortStatus::default(),
                draining: false,
            },
            desired: TaskState::Running,
            host_ports: Vec::new(),
            attachments: Vec::new(),
            job_iteration: None,
        },
    }
}

impl Stage {
    pub(super) async fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let name = root.path().file_name().unwrap().to_string_lossy().into_owned();
        let stage = Self { cgroup: format!("/shoal-test{}", name.replace('.', "-")), root };
        let store = crate::image::StoreConfig { root: stage.data_root(), ..Default::default() };
        fs::create_dir_all(stage.data_root()).unwrap();
        let images = crate::image::ImageStore::open(&store).unwrap();
        let loaded = images.load(Cursor::new(archive(stage.root.path()))).await.unwrap();
        assert_eq!(loaded[0].names[0].to_string(), IMAGE);
        stage
    }

    fn data_root(&self) -> PathBuf {
        self.root.path().join("data")
    }

    pub(super) fn container_folder(&self, id: &str) -> PathBuf {
        self.data_root().join("container").join(id)
    }

    fn exec_root(&self) -> PathBuf {
        self.root.path().join("run")
    }

    pub(super) async fn start(&self, manager: &FakeManager) -> Running {
        let mut config = WorkerConfig::new(self.data_root(), self.exec_root(), runtime_binary());
        config.cgroup_parent = Some(self.cgroup.clone());
        let (worker, handle, _events) = Worker::start(config).await.unwrap();
        let serving = tokio::spawn(worker.run());
        let session = SwarmSession {
            node: NodeId::from_random(1),
            managers: vec![manager.address()],
            data_path_address: "127.0.0.1".parse().unwrap(),
            connect: Arc::new(Plain),
        };
        in_time(handle.join_swarm(session)).await.unwrap();
        Running { handle, serving }
    }

    pub(super) async fn until_no_containers(&self, worker: &Running) {
        let mut events = worker.handle.events().live;
        while !worker.handle.containers().list().is_empty() {
            events.recv().await.unwrap();
        }
        let left: Vec<_> = fs::read_dir(self.container_folder("")).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
    }

    /// Ends the keeper too, and removes what it made.
    pub(super) async fn end(self, worker: Running) {
        in_time(worker.handle.leave_swarm()).await.unwrap();
        worker.kill().await;
        let socket = self.exec_root().join("keeper/keeper.sock");
        tokio::task::spawn_blocking(move || Keeper::connect(socket).unwrap().shutdown().unwrap()).await.unwrap();
        for hierarchy in fs::read_dir("/sys/fs/cgroup").unwrap().flatten() {
            let _absent = fs::remove_dir(hierarchy.path().join(&self.cgroup[1..]));
        }
        let _absent = fs::remove_dir(Path::new("/sys/fs/cgroup").join(&self.cgroup[1..]));
    }
}

impl Running {
    /// As SIGKILL: nothing is said to anybody.
    pub(super) async fn kill(self) {
        self.serving.abort();
        let _killed = self.serving.await;
    }
}

/// The program beside the tests.
fn runtime_binary() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let binary = tests.parent().unwrap().parent().unwrap().join("shoal-runtime");
    assert!(binary.exists(), "{} is not there: cargo build -p shoal-runtime", binary.display());
    binary
}

/// An archive as `docker save` makes it, of one layer with `/probe`.
fn archive(folder: &Path) -> Vec<u8> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/worker/probe.c");
    let program = folder.join("probe");
    let compiled = Command::new("cc").args(["-static", "-O1", "-o"]).arg(&program).arg(source).status().unwrap();
    assert!(compiled.success());
    let mut layer = tar::Builder::new(Vec::new());
    for name in ["data/", "scratch/", "etc/"] {
        add(&mut layer, name, &[], 0o755);
    }
    add(&mut layer, "data/seed", b"seed", 0o644);
    add(&mut layer, "probe", &fs::read(program).unwrap(), 0o755);
    let layer = layer.into_inner().unwrap();
    let digest = |bytes: &[u8]| Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let config = serde_json::json!({
        "architecture": crate::image::Platform::host().architecture, "os": "linux",
        "config": { "Entrypoint": ["/probe"], "Env": ["GREETING=image"] },
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{}", digest(&layer))] },
    });
    let config = serde_json::to_vec(&config).unwrap();
    let name = format!("{}.json", digest(&config));
    let manifest = serde_json::json!([{ "Config": name, "RepoTags": [IMAGE], "Layers": ["layer.tar"] }]);
    let mut archive = tar::Builder::new(Vec::new());
    add(&mut archive, "manifest.json", &serde_json::to_vec(&manifest).unwrap(), 0o644);
    add(&mut archive, &name, &config, 0o644);
    add(&mut archive, "layer.tar", &layer, 0o644);
    archive.into_inner().unwrap()
}

fn add(archive: &mut tar::Builder<Vec<u8>>, name: &str, bytes: &[u8], mode: u32) {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(mode);
    header.set_entry_type(if name.ends_with('/') { tar::EntryType::Directory } else { tar::EntryType::Regular });
    archive.append_data(&mut header, name, bytes).unwrap();
}
