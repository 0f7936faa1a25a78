//! Steady requests to one service from outside and from inside, half of them over kept connections.

use super::failures::Failure;
use super::field::{Field, HOSTS, Port, SERVER_PORT};
use super::limits::CLIENT_SECONDS_MAX;
use super::load::{FAILURES, Running, Said};

/// Who asks for what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Demand<'a> {
    pub(super) service: &'a str,
    pub(super) vip: &'a str,
    /// The first published port.
    pub(super) published: u16,
    /// Requests a second, from outside and inside together.
    pub(super) a_second: u32,
    pub(super) timeout_ms: u32,
    /// Index of the host whose container asks by the virtual address.
    pub(super) inside: usize,
    /// Index of a host that nobody outside speaks to.
    pub(super) without: Option<usize>,
}

/// Requests that were not begun, for as many as a client can have were under way without an answer.
const UNSERVED: &str = "unserved";

/// Clients that run.
#[derive(Debug)]
pub(super) struct Traffic {
    outside: Running,
    inside: Running,
}

/// What both clients said.
#[derive(Debug)]
pub(super) struct Outcome {
    said: [Said; 2],
    pub(super) failures: Vec<Failure>,
}

impl Traffic {
    /// Starts both clients, half of the requests each.
    pub(super) fn start(field: &Field, demand: Demand<'_>) -> Self {
        let hosts = (0..HOSTS).filter(|host| Some(*host) != demand.without);
        let port = Port::Http.after(demand.published);
        let outside: Vec<String> = hosts.map(|host| format!("{}:{port}", field.swarm.hosts[host].address())).collect();
        let vip = format!("{}:{}", demand.vip, Port::Http.after(SERVER_PORT));
        let half = (demand.a_second / 2).to_string();
        let (seconds, timeout) = (CLIENT_SECONDS_MAX.to_string(), demand.timeout_ms.to_string());
        let head = ["requests", &half, &seconds, &timeout, demand.service];
        let outside: Vec<&str> = head.into_iter().chain(outside.iter().map(String::as_str)).collect();
        let inside = [&head[..], &[&vip]].concat();
        let output = |name| field.folder().join(format!("{}-{name}.txt", demand.service));
        Self {
            outside: Running::start(&mut field.outside(&outside), output("outside")),
            inside: Running::start(&mut field.inside(demand.inside, &inside), output("inside")),
        }
    }

    /// Goes on, unless a client ended.
    pub(super) fn assert_runs(&mut self) {
        self.outside.assert_runs();
        self.inside.assert_runs();
    }

    /// Ends both and gives what they said.
    pub(super) fn finish(self) -> Outcome {
        let said = [self.outside.finish(), self.inside.finish()];
        let mut failures: Vec<Failure> =
            said.iter().flat_map(|said| &said.failures).map(|line| Failure::parse(line)).collect();
        failures.sort_by_key(|failure| failure.begun);
        Outcome { said, failures }
    }
}

impl Outcome {
    /// Of both clients.
    pub(super) fn sum(&self, name: &str) -> f64 {
        self.said.iter().map(|said| said.value(name)).sum()
    }

    /// How many failed of each kind that occurred.
    pub(super) fn kinds(&self) -> String {
        let count = |name: &str| (self.sum(name) > 0.0).then(|| format!("{} {name}", self.sum(name)));
        let kinds: Vec<String> = FAILURES.iter().chain([&UNSERVED]).filter_map(|name| count(name)).collect();
        if kinds.is_empty() { "none".to_owned() } else { kinds.join(", ") }
    }

    /// All that failed, of whatever kind.
    pub(super) fn failed(&self) -> f64 {
        self.said.iter().map(Said::failed).sum::<f64>() + self.sum(UNSERVED)
    }

    /// Which tasks of which versions answered, as `HOST/VERSION`.
    pub(super) fn answers(&self) -> Vec<&str> {
        let mut answers: Vec<&str> =
            self.said.iter().flat_map(|said| said.values_of("answers_")).map(|(who, _)| who).collect();
        answers.sort_unstable();
        answers.dedup();
        answers
    }

    /// Checks that the demand was made, and that each host it went through had its share.
    ///
    /// # Panics
    /// When not.
    pub(super) fn check(&self, a_second: u32) {
        for said in &self.said {
            let (asked, wanted) = (said.rate("asked"), f64::from(a_second) / 2.0);
            assert!(asked > wanted * 0.8, "{asked:.0} requests a second of {wanted:.0} were made:\n{}", said.text());
            let through: Vec<(&str, f64)> = said.values_of("through_").collect();
            let share = said.value("answered") / f64::from(u32::try_from(through.len()).unwrap_or(1));
            assert!(through.iter().all(|(_, count)| *count > share / 2.0), "unevenly through {through:?}");
        }
    }
}
