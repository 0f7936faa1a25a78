//! How fast containers start and end: one after the other, spaced, and many at a time. Needs root and a C compiler.
//!
//! `cargo run --release -p shoal-runtime --example starts` (the program `shoal-runtime` must have been built in the same
//! profile). Prints wall time from `run` to the end of `/true`, and CPU time of the keeper and the containers together.
#![expect(clippy::unwrap_used, reason = "a measurement says by panicking what went wrong")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use shoal_runtime::client::{Events, Keeper, KeeperOptions};
use shoal_runtime::seccomp::SeccompProfile;
use shoal_runtime::spec::{ContainerId, ContainerSpec, Layers, LogSpec, ProcessSpec, RootFs};
use shoal_runtime::state::Event;

fn main() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("root");
    for name in ["proc", "dev", "sys", "etc"] {
        fs::create_dir_all(root.join(name)).unwrap();
    }
    for (name, body) in [("true", "int main(){return 0;}"), ("pause", "int pause(void);int main(){return pause();}")] {
        let source = directory.path().join(format!("{name}.c"));
        fs::write(&source, body).unwrap();
        let built = Command::new("cc").args(["-O1", "-static", "-o"]).arg(root.join(name)).arg(&source).status();
        assert!(built.unwrap().success());
    }
    let mut bench = Bench::new(directory.path());
    println!("{:<34} {:>8} {:>8} {:>8} {:>10} {:>10}", "", "p50 ms", "p95 ms", "max ms", "cpu ms", "per second");
    bench.hot("run to exit, hot, seccomp", SeccompProfile::Default, 300);
    bench.hot("run to exit, hot, unconfined", SeccompProfile::Unconfined, 300);
    bench.spaced("run answered, one per 0.3 s", 30);
    for threads in [2, 8] {
        bench.many(threads, 200);
    }
    bench.end();
}

struct Bench {
    keeper: Keeper,
    events: Events,
    directory: PathBuf,
    parent: String,
    next: AtomicUsize,
}

impl Bench {
    fn new(directory: &Path) -> Self {
        let binary = std::env::current_exe().unwrap().parent().unwrap().parent().unwrap().join("shoal-runtime");
        let mut options = KeeperOptions::in_directory(binary, directory.join("run"));
        options.cgroup_parent = format!("/shoal-bench-{}", std::process::id());
        let keeper = Keeper::launch(options.clone()).unwrap();
        let events = keeper.subscribe();
        let next = AtomicUsize::new(0);
        Self { keeper, events, directory: directory.to_owned(), parent: options.cgroup_parent, next }
    }

    fn spec(&self, command: &str) -> ContainerSpec {
        let id = format!("c{}", self.next.fetch_add(1, Ordering::Relaxed));
        let base = self.directory.join(&id);
        for part in ["upper", "work", "merged"] {
            fs::create_dir_all(base.join(part)).unwrap();
        }
        let layers = Layers::Overlay {
            lower: vec![self.directory.join("root")],
            upper: base.join("upper"),
            work: base.join("work"),
        };
        let rootfs = RootFs { layers, mountpoint: base.join("merged"), read_only: false };
        let process = ProcessSpec::new(vec![command.to_owned()]);
        let mut spec = ContainerSpec::new(ContainerId::new(id).unwrap(), rootfs, process);
        spec.resources.memory = Some(64 << 20);
        spec.resources.pids = Some(100);
        spec.log =
            Some(LogSpec { path: base.join("log"), max_size: None, max_files: 1, attributes: Default::default() });
        spec
    }

    /// CPU time of everything below the parent cgroup, the keeper included.
    fn cpu(&self) -> Duration {
        let v1 = fs::read_to_string(format!("/sys/fs/cgroup/cpuacct{}/cpuacct.usage", self.parent));
        Duration::from_nanos(v1.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0))
    }

    fn wait_exit(&self, wanted: &ContainerId) {
        while let Some(event) = self.events.next() {
            if matches!(&event, Event::Exited { id, .. } if id == wanted) {
                return;
            }
        }
    }

    fn hot(&mut self, name: &str, seccomp: SeccompProfile, count: usize) {
        let (mut times, before) = (Vec::new(), self.cpu());
        for _ in 0..count {
            let mut spec = self.spec("/true");
            spec.seccomp = seccomp.clone();
            let begin = Instant::now();
            self.keeper.run(&spec).unwrap();
            self.wait_exit(&spec.id);
            times.push(begin.elapsed());
            self.keeper.delete(&spec.id).unwrap();
        }
        let total: Duration = times.iter().sum();
        report(name, &mut times, self.cpu() - before, total);
    }

    fn spaced(&mut self, name: &str, count: usize) {
        let (mut times, before) = (Vec::new(), self.cpu());
        for _ in 0..count {
            // Nothing runs, so nothing happens: this is a pause.
            assert_eq!(self.events.next_timeout(Duration::from_millis(300)), Ok(None));
            let spec = self.spec("/true");
            let begin = Instant::now();
            self.keeper.run(&spec).unwrap();
            times.push(begin.elapsed());
            self.wait_exit(&spec.id);
            self.keeper.delete(&spec.id).unwrap();
        }
        let total: Duration = times.iter().sum();
        report(name, &mut times, self.cpu() - before, total);
    }

    fn many(&mut self, threads: usize, count: usize) {
        let specs: Arc<Vec<ContainerSpec>> = Arc::new((0..count).map(|_| self.spec("/pause")).collect());
        let phase = |name: String, work: fn(&Keeper, &ContainerSpec)| {
            let (cpu, begin, next) = (self.cpu(), Instant::now(), Arc::new(AtomicUsize::new(0)));
            let workers: Vec<_> = (0..threads)
                .map(|_| {
                    let (keeper, specs, next) = (self.keeper.clone(), Arc::clone(&specs), Arc::clone(&next));
                    thread::spawn(move || {
                        let mut times = Vec::new();
                        while let Some(spec) = specs.get(next.fetch_add(1, Ordering::Relaxed)) {
                            let begin = Instant::now();
                            work(&keeper, spec);
                            times.push(begin.elapsed());
                        }
                        times
                    })
                })
                .collect();
            let mut times: Vec<_> = workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect();
            report(&name, &mut times, self.cpu() - cpu, begin.elapsed());
        };
        phase(format!("{count} starts, {threads} at a time"), |keeper, spec| {
            keeper.run(spec).unwrap();
        });
        println!("{:<34} {:>8.1} MiB in the keeper with {count} running", "", self.keeper_memory());
        phase(format!("{count} deletes, {threads} at a time"), |keeper, spec| keeper.delete(&spec.id).unwrap());
    }

    /// Private and proportional memory of the keeper, MiB.
    fn keeper_memory(&self) -> f64 {
        let pid = self.keeper.info().unwrap().pid;
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
        let kib = text.lines().find_map(|line| line.strip_prefix("Pss:")).unwrap().trim().trim_end_matches(" kB");
        kib.parse::<f64>().unwrap() / 1024.0
    }

    fn end(self) {
        self.keeper.shutdown().unwrap();
    }
}

fn report(name: &str, times: &mut [Duration], cpu: Duration, total: Duration) {
    times.sort_unstable();
    let ms = |at: usize| times[at.min(times.len() - 1)].as_secs_f64() * 1000.0;
    let count = times.len();
    println!(
        "{name:<34} {:>8.2} {:>8.2} {:>8.2} {:>10.2} {:>10.0}",
        ms(count / 2),
        ms(count * 95 / 100),
        ms(count - 1),
        cpu.as_secs_f64() * 1000.0 / count as f64,
        count as f64 / total.as_secs_f64()
    );
}
