//! What is measured: each a swarm of its own, made, timed and taken down.

use std::time::{Duration, Instant};

use shoal_cluster_tests::{Client, Engine, Host, Swarm, wait_for};

use crate::encryption::ENCRYPTION;
use crate::footprint::{processes_with, proportional_kib, resident_kib};
use crate::table::Row;

/// A measurement, by the name that the command line takes.
pub(crate) struct Measurement {
    pub(crate) name: &'static str,
    pub(crate) run: fn(Engine) -> Vec<(Row, f64)>,
}

pub(crate) const ALL: &[Measurement] = &[
    Measurement { name: "scale", run: scale },
    Measurement { name: "first-answer", run: first_answer },
    Measurement { name: "failover", run: failover },
    ENCRYPTION,
];

const UP: Row = Row { name: "scale 100 -> 200, one host, host network", unit: "s", wanted: "5 times faster, aim 10" };
const DOWN: Row = Row { name: "remove 200", unit: "s", wanted: "10 times faster" };
const MEMORY: Row =
    Row { name: "memory a running container, proportional", unit: "MiB", wanted: "at most 0.5, aim 0.1" };
const IDLE: Row = Row { name: "idle manager, resident", unit: "MiB", wanted: "at most 40, aim 25" };
const ANSWER: Row =
    Row { name: "service create -> first HTTP answer, median of 10", unit: "ms", wanted: "at most 400, aim 150" };
const HOST_LOST: Row = Row { name: "host cut off -> all replicas elsewhere", unit: "s", wanted: "at most 5, aim 3" };
const LEADER_LOST: Row =
    Row { name: "leader cut off -> next write, median of 9", unit: "s", wanted: "at most 1.5, aim 0.7" };
const LEADER_LOST_WORST: Row =
    Row { name: "leader cut off -> next write, worst of 9", unit: "s", wanted: "at most 1.5" };

/// Longest wait for anything: the peer takes 20 s for some.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);

fn scale(engine: Engine) -> Vec<(Row, f64)> {
    let swarm = Swarm::of_engine(engine, Client::Docker, 1, 0);
    let host = &swarm.hosts[0];
    let idle = host.pid().map_or(0.0, |pid| mib(resident_kib(pid)));
    let registry = swarm.start_registry();
    let image = registry.push_idle("idle", "1");
    host.docker(&["pull", &image]).ok();
    let create = ["service", "create", "-d", "--name", "many", "--network", "host", "--replicas", "100"];
    host.docker(&[&create[..], &["--restart-condition", "none", &image]].concat()).ok();
    wait_containers(host, 100);
    let before = overhead_kib(engine, &swarm);
    let started = Instant::now();
    host.docker(&["service", "scale", "-d", "many=200"]).ok();
    wait_containers(host, 200);
    let up = started.elapsed();
    let each = mib(overhead_kib(engine, &swarm).saturating_sub(before)) / 100.0;
    let started = Instant::now();
    host.docker(&["service", "rm", "many"]).ok();
    wait_containers(host, 0);
    vec![(UP, up.as_secs_f64()), (DOWN, started.elapsed().as_secs_f64()), (MEMORY, each), (IDLE, idle)]
}

fn first_answer(engine: Engine) -> Vec<(Row, f64)> {
    // The peer's routing mesh needs IPVS, which not every kernel has; the figure asked for is absolute.
    if engine == Engine::Docker && !std::path::Path::new("/proc/net/ip_vs").exists() {
        return Vec::new();
    }
    let swarm = Swarm::of_engine(engine, Client::Docker, 1, 0);
    let host = &swarm.hosts[0];
    let registry = swarm.start_registry();
    let image = registry.push_web("web", "1");
    host.docker(&["pull", &image]).ok();
    let address = host.address();
    let mut times: Vec<f64> = (0..10)
        .map(|round| {
            let (name, port) = (format!("web{round}"), 8000 + round);
            let publish = format!("{port}:80");
            let started = Instant::now();
            let create =
                ["service", "create", "-d", "--no-resolve-image", "--name", &name, "--publish", &publish, &image];
            host.docker(&create).ok();
            wait_for("the service answers", PATIENCE, || host.get(&address, port));
            let took = started.elapsed().as_secs_f64() * 1000.0;
            host.docker(&["service", "rm", &name]).ok();
            wait_containers(host, 0);
            took
        })
        .collect();
    times.sort_by(f64::total_cmp);
    vec![(ANSWER, times[times.len() / 2])]
}

fn failover(engine: Engine) -> Vec<(Row, f64)> {
    let swarm = Swarm::of_engine(engine, Client::Docker, 3, 2);
    let registry = swarm.start_registry();
    let image = registry.push_idle("idle", "1");
    for host in &swarm.hosts {
        host.docker(&["pull", &image]).ok();
    }
    swarm.hosts[0].docker(&["service", "create", "--name", "web", "--replicas", "10", &image]).ok();
    swarm.wait_running(0, "web", 10, &[]);
    let started = Instant::now();
    swarm.hosts[4].cut();
    swarm.wait_running(0, "web", 10, &[4]);
    let host_lost = started.elapsed();
    swarm.hosts[4].heal();
    swarm.wait_ready(5);
    let mut times = Vec::new();
    // A leader that was cut off believes in itself for a while: the one who took the last write knows better.
    let mut asked = 0;
    for round in 0..9 {
        let leader = swarm.leader(asked);
        let other = (leader + 1) % 3;
        let name = format!("round{round}");
        let started = Instant::now();
        swarm.hosts[leader].cut();
        wait_for("a write is accepted", PATIENCE, || {
            let create = ["service", "create", "-d", "--no-resolve-image", "--replicas", "0", "--name", &name, &image];
            let made = swarm.hosts[other].docker(&create);
            if made.code == 0 || made.err.contains("already exists") { Ok(()) } else { Err(made.err) }
        });
        times.push(started.elapsed().as_secs_f64());
        swarm.hosts[leader].heal();
        swarm.wait_ready_from(other, 5);
        asked = other;
    }
    times.sort_by(f64::total_cmp);
    vec![
        (HOST_LOST, host_lost.as_secs_f64()),
        (LEADER_LOST, times[times.len() / 2]),
        (LEADER_LOST_WORST, times[times.len() - 1]),
    ]
}

/// Waits until so many containers run on the host, by the engine's own count.
fn wait_containers(host: &Host, count: usize) {
    wait_for(&format!("{count} containers run"), PATIENCE, || {
        let list = host.docker(&["ps", "-q"]);
        let running = list.out.lines().count();
        if list.code == 0 && running == count { Ok(()) } else { Err(format!("{running} run; {}", list.err)) }
    });
}

/// All of the engine's processes on the swarm's hosts but the containers' own.
fn overhead_kib(engine: Engine, swarm: &Swarm) -> u64 {
    let folder = swarm.folder().display().to_string();
    let programs: &[&str] = match engine {
        Engine::Docker => &["dockerd", "containerd", "docker-proxy"],
        Engine::Shoal => &["shoald", "shoal-runtime"],
    };
    let of = |program: &&str| processes_with(&[program, &folder]);
    let mut pids: Vec<String> = programs.iter().flat_map(of).collect();
    pids.sort_unstable();
    pids.dedup();
    pids.iter().map(|pid| proportional_kib(pid)).sum()
}

fn mib(kib: u64) -> f64 {
    // Sizes here are far below what a double holds exactly.
    f64::from(u32::try_from(kib).unwrap_or(u32::MAX)) / 1024.0
}
