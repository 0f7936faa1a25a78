//! The data path, measured: what a connection by a virtual address or a published port costs beside a direct one, and
//! what it survives.
//!
//! Five namespace hosts, and a sixth namespace for clients from outside. The traffic is made by one static program of
//! ours (`tests/bench/load`), which is also the image of every service here; this module starts it, checks that each
//! figure is what its name says, and sets the figures beside each other. One file a measurement. Direct and indirect
//! runs take turns, and medians are told, for the machine is never quiet. Everything is taken down on the way out, by
//! the owners' drops: also after a failure, and at Ctrl-C, which [`interrupt`] turns into one.

mod compare;
mod connections;
mod cut;
mod failures;
mod field;
mod haproxy;
mod in_a_row;
mod interrupt;
mod limits;
mod load;
mod path;
mod resolver;
mod table;
mod throughput;
mod traffic;
mod updates;

use field::Field;
use table::Figures;

/// How much is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// As the table of README.md says.
    Whole,
    /// Few updates under less load, few rounds: whether it works.
    Short,
}

/// A measurement, by the name that the command line takes.
struct Part {
    name: &'static str,
    run: fn(&Field, Extent, &mut Figures),
}

const PARTS: &[Part] = &[
    Part { name: "throughput", run: throughput::measure },
    Part { name: "connections", run: connections::measure },
    Part { name: "in-a-row", run: in_a_row::measure },
    Part { name: "resolver", run: resolver::measure },
    Part { name: "updates", run: updates::measure },
    Part { name: "cut", run: cut::measure },
];

/// All of the parts.
const ALL: &str = "data-path";

/// Every name that [`measure`] knows.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    PARTS.iter().map(|part| part.name).chain([ALL])
}

/// Measures the parts that are named among `wanted`, all when none is, and prints the table.
pub(crate) fn measure(wanted: &[String], extent: Extent) {
    let all = wanted.is_empty() || wanted.iter().any(|name| name == ALL);
    let parts: Vec<&Part> = PARTS.iter().filter(|part| all || wanted.iter().any(|name| name == part.name)).collect();
    if parts.is_empty() {
        return;
    }
    interrupt::watch();
    let field = Field::new();
    let mut figures = Figures::default();
    for part in parts {
        eprintln!("measuring {} of the data path", part.name);
        (part.run)(&field, extent, &mut figures);
    }
    println!("{figures}");
}
