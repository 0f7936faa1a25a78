//! A host that is cut off under load: for how long new connections fail.

use std::time::Duration;

use shoal_cluster_tests::wait_for;

use super::Extent;
use super::failures::{Account, Event, now};
use super::field::{Field, HOSTS, OTHER_HOST, Port, SERVER_PORT, TASKS_HOST};
use super::interrupt;
use super::limits::{CUT_FOR, CUT_TIMEOUT_MS, PATIENCE};
use super::table::Figures;
use super::traffic::{Demand, Traffic};

const SERVICE: &str = "everywhere";
const PUBLISHED: u16 = 8220;

pub(super) fn measure(field: &Field, extent: Extent, figures: &mut Figures) {
    let (rounds, a_second) = if extent == Extent::Whole { (3, 2000) } else { (1, 500) };
    let publish = format!("{}:{}", Port::Http.after(PUBLISHED), Port::Http.after(SERVER_PORT));
    // A task on each host: so each cut takes one away, and its end brings it back.
    let vip = field.serve(SERVICE, &["--mode", "global", "--publish", &publish], HOSTS);
    let last: Vec<f64> = (0..rounds).map(|_| round(field, &vip, a_second)).collect();
    figures.add_alone(
        format!("host cut off at {a_second}/s -> last failed new connection, worst of {rounds}"),
        "s",
        last.into_iter().fold(0.0, f64::max),
        "at most 1",
    );
    field.remove(SERVICE);
}

/// Cuts the host off, and gives when the last new connection that failed was begun, in seconds after that.
fn round(field: &Field, vip: &str, a_second: u32) -> f64 {
    field.swarm.wait_running(0, SERVICE, HOSTS, &[]);
    wait_for("every task answers", PATIENCE, || {
        let seen = field.swarm.wait_answers(0, Port::Http.after(PUBLISHED), HOSTS).len();
        if seen >= HOSTS { Ok(()) } else { Err(format!("{seen} answer")) }
    });
    let demand = Demand {
        service: SERVICE,
        vip,
        published: PUBLISHED,
        a_second,
        timeout_ms: CUT_TIMEOUT_MS,
        inside: OTHER_HOST,
        without: Some(TASKS_HOST),
    };
    let mut traffic = Traffic::start(field, demand);
    std::thread::park_timeout(Duration::from_secs(1));
    let begun = now();
    field.swarm.hosts[TASKS_HOST].cut();
    let event = Event { begun, done: now() };
    std::thread::park_timeout(CUT_FOR);
    interrupt::check();
    traffic.assert_runs();
    let outcome = traffic.finish();
    field.swarm.hosts[TASKS_HOST].heal();
    outcome.check(a_second);
    eprintln!("  cut: of {:.0} requests failed {}", outcome.sum("asked"), outcome.kinds());
    eprint!("{}", Account { failures: &outcome.failures, events: &[event] });
    field.swarm.wait_ready(HOSTS);
    let (before, after): (Vec<_>, Vec<_>) =
        outcome.failures.iter().filter(|failure| failure.of_new_connection()).partition(|one| one.begun < begun);
    // What is begun just before meets the cut as well; what failed long before has another cause.
    let early = before.iter().filter(|one| begun - one.begun > Duration::from_millis(CUT_TIMEOUT_MS.into())).count();
    assert_eq!(early, 0, "connections failed before the host was cut off");
    assert!(!after.is_empty() || !before.is_empty(), "no connection met the host that was cut off");
    after.iter().map(|failure| (failure.begun - begun).as_secs_f64()).fold(0.0, f64::max)
}
