//! Queries a second that the resolver of one host answers, and how long one takes meanwhile.

use super::Extent;
use super::compare::median;
use super::field::{Field, NETWORK, TASKS_HOST};
use super::limits::{ASKERS, PAIRS, PAIRS_SHORT, QUERIES_A_SECOND, QUERIES_AT_ONCE, RUN_SECONDS};
use super::load::{Running, Said};
use super::table::Figures;

/// The name that is asked for: every container knows it.
const NAME: &str = "client";

pub(super) fn measure(field: &Field, extent: Extent, figures: &mut Figures) {
    let constraint = format!("node.hostname==host{}", TASKS_HOST + 1);
    field.create("asker", NETWORK, &["--replicas", &ASKERS.to_string(), "--constraint", &constraint], &["wait"]);
    field.swarm.wait_running(0, "asker", ASKERS, &[]);
    let containers: Vec<String> = (0..ASKERS).map(|number| field.container(TASKS_HOST, "asker", number)).collect();
    let rounds = if extent == Extent::Whole { PAIRS } else { PAIRS_SHORT };
    let highest = (0..rounds).map(|_| ask_all(field, &containers, 0).0);
    figures.add_alone(
        format!("resolver, {ASKERS} containers of one host, {QUERIES_AT_ONCE} queries at once each"),
        "1/s",
        median(highest),
        "at least 20000",
    );
    let each = QUERIES_A_SECOND / u32::try_from(ASKERS).unwrap_or(1);
    let p99 = (0..rounds).map(|_| ask_all(field, &containers, each).1);
    figures.add_alone(
        format!("99th percentile of a query at {QUERIES_A_SECOND}/s, of the slowest container"),
        "ms",
        median(p99),
        "at most 2",
    );
    field.remove("asker");
}

/// All containers ask at once, so much a second each (0: all they can): the sum of their rates, and the highest of their
/// 99th percentiles in ms.
fn ask_all(field: &Field, containers: &[String], a_second: u32) -> (f64, f64) {
    let seconds = RUN_SECONDS + 1;
    let name = format!("{NAME}.{NETWORK}");
    let words =
        ["resolve", &QUERIES_AT_ONCE.to_string(), &a_second.to_string(), &seconds.to_string(), "127.0.0.11", &name];
    let start = |(number, container): (usize, &String)| {
        let output = field.folder().join(format!("asker-{number}.txt"));
        Running::start(&mut field.within(TASKS_HOST, container, &words), output)
    };
    let running: Vec<Running> = containers.iter().enumerate().map(start).collect();
    let said: Vec<Said> = running.into_iter().map(Running::finish).collect();
    for one in &said {
        assert!(one.value("wrong") + one.value("lost") < 1.0, "not every query was answered:\n{}", one.text());
    }
    let rate = said.iter().map(|one| one.rate("done")).sum();
    (rate, said.iter().map(|one| one.value("query_p99_us") / 1e3).fold(0.0, f64::max))
}
