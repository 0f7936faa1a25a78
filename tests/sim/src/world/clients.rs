//! Clients' turns: sends what they ask, brings back what they hear, and notes what they were promised.

use std::time::Duration;

use super::World;
use crate::client::Next;
use crate::event::{Ask, Event, Outcome};
use crate::host::Asker;
use crate::limits::ANSWER_TIMEOUT;
use crate::network::HostId;

impl World {
    /// Clients begin.
    pub(super) fn start_clients(&mut self) {
        for number in 0..self.clients.len() {
            let nodes: Vec<_> = self.hosts.iter().map(|host| host.node).collect();
            let client = &mut self.clients[number];
            client.learn_nodes(nodes.into_iter());
            let (first, attempt) = (client.draw.millis(1..1_000), client.attempt);
            self.queue.plan(first, Event::Client { client: number, attempt });
        }
    }

    /// A pause is over, or no answer came in time.
    pub(super) fn client_goes_on(&mut self, number: usize, attempt: u64) {
        let client = &mut self.clients[number];
        if client.attempt != attempt {
            return;
        }
        if std::mem::take(&mut client.waiting) {
            self.climate.tally.timeouts += 1;
            let next = client.gave_up_waiting();
            return self.client_follows(number, next);
        }
        self.send_request(number);
    }

    fn send_request(&mut self, number: usize) {
        let managers = self.managers_known();
        let client = &mut self.clients[number];
        let Some(work) = client.begin() else { return };
        self.checks.book.issued(work);
        let Some(request) = client.request() else { return };
        client.attempt += 1;
        client.waiting = true;
        let attempt = client.attempt;
        let to = client.draw.one_of(&managers).copied().unwrap_or(HostId(0));
        self.climate.tally.requests += 1;
        self.trace.note(self.queue.now(), "client", number as u64, || {
            format!("{number} asks {to:?}: {}", crate::text::request(&request))
        });
        self.queue.plan(ANSWER_TIMEOUT, Event::Client { client: number, attempt });
        self.ask(Asker::Client { client: number, attempt }, to, Ask::Control(request));
    }

    /// Where clients try: hosts whose daemon has a manager's part.
    fn managers_known(&self) -> Vec<HostId> {
        self.hosts.iter().filter(|host| host.raft_id.is_some()).map(|host| host.id).collect()
    }

    pub(super) fn client_hears(&mut self, number: usize, attempt: u64, outcome: Outcome) {
        let client = &mut self.clients[number];
        if client.attempt != attempt || !client.waiting {
            return;
        }
        client.waiting = false;
        self.trace.note(self.queue.now(), "hears", number as u64, || {
            let text = match &outcome {
                Ok(_) => "yes".to_owned(),
                Err(error) => format!("{:?}: {}", error.kind, error.message),
            };
            format!("{number} {text}")
        });
        let next = client.hear(outcome);
        self.client_follows(number, next);
    }

    fn client_follows(&mut self, number: usize, next: Next) {
        let client = &mut self.clients[number];
        let pause = match next {
            Next::Now => Duration::from_micros(10),
            Next::Pause => client.draw.millis(50..500),
            Next::Over => {
                self.climate.tally.operations += 1;
                client.draw.millis(20..1_500)
            }
        };
        let attempt = client.attempt;
        self.queue.plan(pause, Event::Client { client: number, attempt });
    }
}
