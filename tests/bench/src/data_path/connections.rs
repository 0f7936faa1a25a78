//! New connections a second, a byte each way, beside direct ones and beside HAProxy; and how long the opening takes at
//! half of the highest rate.

use super::Extent;
use super::compare::in_turns;
use super::field::{Field, Port};
use super::haproxy::Proxy;
use super::limits::{AT_ONCE, AT_ONCE_STEADY, PAIRS, PAIRS_SHORT, RUN_SECONDS, STEADY_TRIES};
use super::load::{Said, run_client};
use super::path::{Side, Target, Way};
use super::table::{Figure, Figures};

/// Tasks of the service.
const TASKS: usize = 2;

pub(super) fn measure(field: &Field, extent: Extent, figures: &mut Figures) {
    let pairs = if extent == Extent::Whole { PAIRS } else { PAIRS_SHORT };
    for way in Way::ALL {
        // Tasks of its own: nobody's earlier connections wait there for their end.
        let target = Target::new(field, "pair", TASKS, 8110);
        let measurement = Measurement { field, target: &target, pairs };
        let highest = measurement.rate(way, figures);
        measurement.opening_time(way, highest / 2.0, figures);
        if !way.by_vip() {
            measurement.beside_haproxy(way, figures);
        }
    }
}

struct Measurement<'a> {
    field: &'a Field,
    target: &'a Target<'a>,
    pairs: usize,
}

impl Measurement<'_> {
    /// Compares the rates, and gives Shoal's.
    fn rate(&self, way: Way, figures: &mut Figures) -> f64 {
        let run = |side| self.closed_loop(way, side);
        let compared = in_turns(self.pairs, || run(Side::Direct), || run(Side::Shoal));
        figures.add(Figure {
            name: format!("new connections, {}", way.name()),
            unit: "1/s",
            beside: Some(compared.beside),
            shoal: compared.shoal,
            ratio: Some(compared.ratio),
            wanted: if way.by_vip() { "at least 0.9" } else { "at least 0.7" },
        });
        compared.shoal
    }

    fn closed_loop(&self, way: Way, side: Side) -> f64 {
        let words = ["connections", &AT_ONCE.to_string(), "0", &RUN_SECONDS.to_string(), "0"];
        let said = run_client(&mut self.target.client(way, side, port(side), &words), RUN_SECONDS);
        check_shares(&said, &format!("{way:?} {side:?}"));
        said.rate("done_in_time")
    }

    /// Compares the 99th percentiles of the opening at one rate.
    fn opening_time(&self, way: Way, rate: f64, figures: &mut Figures) {
        let run = |side| self.steady(way, side, rate);
        let compared = in_turns(self.pairs, || run(Side::Direct), || run(Side::Shoal));
        figures.add(Figure {
            name: format!("99th percentile of connect at {rate:.0}/s, {}", way.name()),
            unit: "us",
            beside: Some(compared.beside),
            shoal: compared.shoal,
            ratio: Some(compared.ratio),
            wanted: "at most 1.2",
        });
    }

    /// Runs that did not come near their rate, for want of processors, say nothing and are made again.
    fn steady(&self, way: Way, side: Side, rate: f64) -> f64 {
        let rate_text = format!("{rate:.0}");
        let words = ["connections", &AT_ONCE_STEADY.to_string(), &rate_text, &RUN_SECONDS.to_string(), "0"];
        for _ in 0..STEADY_TRIES {
            let said = run_client(&mut self.target.client(way, side, port(side), &words), RUN_SECONDS);
            check_shares(&said, &format!("{way:?} {side:?} at {rate:.0}/s"));
            if said.rate("done_in_time") > rate * 0.9 {
                return said.value("connect_p99_us");
            }
        }
        panic!("{way:?} {side:?} did not make {rate:.0} connections a second, half of what was its highest rate");
    }

    /// HAProxy on the same host as the published port that it is compared with, before the servers of the tasks' host.
    fn beside_haproxy(&self, way: Way, figures: &mut Figures) {
        let proxy = Proxy::start(self.field, self.target, way);
        let through_proxy = || {
            let words = ["connections", &AT_ONCE.to_string(), "0", &RUN_SECONDS.to_string(), "0", &proxy.address];
            let said = run_client(&mut self.field.outside(&words), RUN_SECONDS);
            check_shares(&said, "HAProxy");
            said.rate("done_in_time")
        };
        let compared = in_turns(self.pairs, through_proxy, || self.closed_loop(way, Side::Shoal));
        figures.add(Figure {
            name: format!("new connections beside HAProxy 2.6, {}", way.name()),
            unit: "1/s",
            beside: Some(compared.beside),
            shoal: compared.shoal,
            ratio: Some(compared.ratio),
            wanted: "at least 1.5",
        });
    }
}

fn port(side: Side) -> Port {
    if side == Side::Direct { Port::ByteDirect } else { Port::Byte }
}

/// All were answered, by both tasks alike: turns and draws give each a half, a quarter is far outside of chance.
fn check_shares(said: &Said, of: &str) {
    assert!(said.failed() < 1.0, "{of}: connections failed:\n{}", said.text());
    let answers: Vec<(&str, f64)> = said.values_of("answers_").collect();
    let done = said.value("done");
    assert_eq!(answers.len(), TASKS, "{of}: answers of {answers:?}");
    assert!(answers.iter().all(|(_, count)| *count > done / 4.0), "{of}: uneven, {answers:?}");
}
