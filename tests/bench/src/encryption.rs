//! What encryption costs: one connection between containers of two hosts, on a clear network and on an encrypted one, in
//! turns on the same cores.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use shoal_cluster_tests::{Client, Engine, Swarm, wait_for, within};

use crate::measure::{Measurement, PATIENCE};
use crate::table::Row;

pub(crate) const ENCRYPTION: Measurement = Measurement { name: "encryption", run: encryption };

const CLEAR: Row = Row { name: "throughput between hosts, clear network", unit: "Gbit/s", wanted: "-" };
const SEALED: Row = Row { name: "throughput between hosts, encrypted network", unit: "Gbit/s", wanted: "-" };
const RATIO: Row = Row { name: "encrypted / clear", unit: "", wanted: "at least 0.5, aim 0.6" };
const CLEAR_TRIP: Row = Row { name: "round trip between hosts, clear network, median", unit: "us", wanted: "-" };
const SEALED_TRIP: Row = Row { name: "round trip between hosts, encrypted network, median", unit: "us", wanted: "-" };

/// Rounds on each network, in turns: what else the machine does falls on both.
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(2);
const TRIPS: usize = 2000;

/// A service on both networks, and where its two containers are.
struct Pair {
    namespaces: [PathBuf; 2],
    swarm: Swarm,
}

fn encryption(engine: Engine) -> Vec<(Row, f64)> {
    // The peer's needs IPsec, which not every kernel has; the figure asked for is a ratio of our own.
    if engine == Engine::Docker {
        return Vec::new();
    }
    let pair = Pair::new();
    let [clear, sealed] = ["10.8.", "10.7."].map(|prefix| pair.address(prefix));
    let (mut of_clear, mut of_sealed) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let port = 7000 + round as u16;
        of_clear.push(pair.throughput(SocketAddr::new(clear, port)));
        of_sealed.push(pair.throughput(SocketAddr::new(sealed, port)));
    }
    let trips = [clear, sealed].map(|address| pair.round_trip(SocketAddr::new(address, 7100)));
    let [of_clear, of_sealed] = [of_clear, of_sealed].map(median);
    let rows = [(CLEAR, of_clear), (SEALED, of_sealed), (RATIO, of_sealed / of_clear)];
    rows.into_iter().chain([(CLEAR_TRIP, trips[0]), (SEALED_TRIP, trips[1])]).collect()
}

impl Pair {
    fn new() -> Self {
        let swarm = Swarm::new(Client::Docker, 1, 1);
        let registry = swarm.start_registry();
        let image = registry.push_idle("idle", "1");
        let create = ["network", "create", "--driver", "overlay"];
        for rest in
            [&["--opt", "encrypted", "--subnet", "10.7.0.0/24", "sealed"][..], &["--subnet", "10.8.0.0/24", "clear"]]
        {
            swarm.ask(0, &[&create[..], rest].concat()).ok();
        }
        let create = ["service", "create", "-d", "--name", "idle", "--mode", "global", "--network", "sealed"];
        swarm.ask(0, &[&create[..], &["--network", "clear", &image]].concat()).ok();
        swarm.wait_running(0, "idle", 2, &[]);
        let namespaces = [0, 1].map(|host: usize| {
            let listed = std::fs::read_dir(swarm.hosts[host].exec_root().join("netns")).into_iter().flatten().flatten();
            listed.map(|entry| entry.path()).next().unwrap_or_default()
        });
        Self { namespaces, swarm }
    }

    /// The address of the second host's container on a network.
    fn address(&self, prefix: &str) -> IpAddr {
        wait_for("the container has an address", PATIENCE, || {
            let list = self.swarm.hosts[1].docker(&["ps", "-q"]);
            let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}";
            let found = self.swarm.hosts[1].docker(&["inspect", "--format", format, list.ok()]);
            let word = found.out.split_whitespace().find(|word| word.starts_with(prefix));
            word.and_then(|word| word.parse().ok()).ok_or(found.out)
        })
    }

    /// Gigabits a second of one connection.
    fn throughput(&self, to: SocketAddr) -> f64 {
        self.connected(to, |mut near, mut far| {
            let received = std::thread::spawn(move || {
                let (mut buffer, mut total, begin) = (vec![0; 1 << 20], 0, Instant::now());
                while let Ok(bytes @ 1..) = far.read(&mut buffer) {
                    total += bytes;
                }
                total as f64 * 8.0 / begin.elapsed().as_secs_f64() / 1e9
            });
            let (data, begin) = (vec![7; 1 << 18], Instant::now());
            while begin.elapsed() < ROUND && near.write_all(&data).is_ok() {}
            drop(near);
            received.join().unwrap_or_default()
        })
    }

    /// Microseconds from a byte to its echo.
    fn round_trip(&self, to: SocketAddr) -> f64 {
        self.connected(to, |mut near, mut far| {
            let echo = std::thread::spawn(move || {
                let mut byte = [0];
                while far.read_exact(&mut byte).and_then(|()| far.write_all(&byte)).is_ok() {}
            });
            let trip = |_| {
                let begin = Instant::now();
                let done = near.write_all(&[1]).and_then(|()| near.read_exact(&mut [0]));
                done.map_or(f64::NAN, |()| begin.elapsed().as_secs_f64() * 1e6)
            };
            let trips = (0..TRIPS).map(trip).collect();
            drop(near);
            drop(echo.join());
            median(trips)
        })
    }

    /// Both ends of a connection from the first host's container to the second's.
    fn connected<T>(&self, to: SocketAddr, work: impl FnOnce(TcpStream, TcpStream) -> T) -> T {
        let [first, second] = &self.namespaces;
        let listener = inside(second, || TcpListener::bind(to));
        let near = wait_for("the connection is made", PATIENCE, || {
            within(first, || TcpStream::connect_timeout(&to, Duration::from_secs(2))).map_err(|error| error.to_string())
        });
        let far = wait_for("it is taken", PATIENCE, || listener.accept().map_err(|error| error.to_string())).0;
        for end in [&near, &far] {
            wait_for("small segments leave at once", PATIENCE, || {
                end.set_nodelay(true).map_err(|error| error.to_string())
            });
        }
        work(near, far)
    }
}

/// Does what must succeed in a namespace.
fn inside<T: Send>(namespace: &Path, mut work: impl FnMut() -> std::io::Result<T> + Send) -> T {
    wait_for("the namespace can be used", PATIENCE, || within(namespace, &mut work).map_err(|error| error.to_string()))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
