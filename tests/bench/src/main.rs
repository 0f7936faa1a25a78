//! Measures Shoal beside Debian's docker.io in swarm mode: the same commands of the stock client against both, in one
//! run, as ratios. See README.md for the table.

mod footprint;
mod measure;
mod table;

use shoal_cluster_tests::Engine;
use table::Table;

fn main() {
    let mut wanted: Vec<String> = std::env::args().skip(1).collect();
    let alone = wanted.iter().position(|word| word == "--shoal-alone").map(|place| wanted.remove(place)).is_some();
    let mut table = Table::new();
    for measurement in measure::ALL {
        if !wanted.is_empty() && !wanted.iter().any(|name| name == measurement.name) {
            continue;
        }
        for engine in [Engine::Docker, Engine::Shoal].into_iter().filter(|engine| !alone || *engine == Engine::Shoal) {
            eprintln!("measuring {} with {engine:?}", measurement.name);
            for (row, value) in (measurement.run)(engine) {
                table.add(row, engine, value);
            }
        }
    }
    println!("{table}");
}
