//! Measures Shoal beside Debian's docker.io in swarm mode, as ratios: the same commands of the stock client against
//! both, in one run; and its data path beside direct connections and HAProxy. See README.md for the tables.

mod data_path;
mod encryption;
mod footprint;
mod measure;
mod table;

use data_path::Extent;
use shoal_cluster_tests::Engine;
use table::Table;

fn main() {
    let mut wanted: Vec<String> = std::env::args().skip(1).collect();
    let mut flag = |name| wanted.iter().position(|word| word == name).map(|place| wanted.remove(place)).is_some();
    let (alone, short) = (flag("--shoal-alone"), flag("--short"));
    let known: Vec<&str> = measure::ALL.iter().map(|measurement| measurement.name).chain(data_path::names()).collect();
    if let Some(unknown) = wanted.iter().find(|name| !known.contains(&name.as_str())) {
        eprintln!("there is no measurement {unknown}; there are {}", known.join(", "));
        std::process::exit(2);
    }
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
    if !table.is_empty() {
        println!("{table}");
    }
    data_path::measure(&wanted, if short { Extent::Short } else { Extent::Whole });
}
