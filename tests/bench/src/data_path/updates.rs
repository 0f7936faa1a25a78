//! Updates of an image under load: what fails, and when.

use shoal_cluster_tests::wait_for;

use super::Extent;
use super::failures::{Account, Event, now};
use super::field::{Field, OTHER_HOST, Port, SERVER_PORT};
use super::interrupt;
use super::limits::{REQUEST_TIMEOUT_MS, UPDATE_MAX, UPDATE_PAUSE, UPDATES_MAX};
use super::table::Figures;
use super::traffic::{Demand, Traffic};

/// How the service is updated.
struct Form {
    service: &'static str,
    replicas: usize,
    order: &'static str,
    published: u16,
}

const FORMS: [Form; 2] = [
    Form { service: "single", replicas: 1, order: "start-first", published: 8200 },
    Form { service: "triple", replicas: 3, order: "stop-first", published: 8210 },
];

pub(super) fn measure(field: &Field, extent: Extent, figures: &mut Figures) {
    let (updates, a_second) = if extent == Extent::Whole { (20, 2000) } else { (3, 500) };
    for form in &FORMS {
        roll(field, form, (updates, a_second), figures);
    }
}

fn roll(field: &Field, form: &Form, (updates, a_second): (usize, u32), figures: &mut Figures) {
    let publish = format!("{}:{}", Port::Http.after(form.published), Port::Http.after(SERVER_PORT));
    let replicas = form.replicas.to_string();
    let flags = ["--publish", &publish, "--replicas", &replicas, "--update-order", form.order];
    let vip = field.serve(form.service, &[&flags[..], &["--update-monitor", "100ms"]].concat(), form.replicas);
    for host in 0..super::field::HOSTS {
        wait_for("the port answers on every host", UPDATE_MAX, || {
            let address = field.swarm.hosts[host].address();
            field.swarm.hosts[host].get(&address, Port::Http.after(form.published))
        });
    }
    let demand = Demand {
        service: form.service,
        vip: &vip,
        published: form.published,
        a_second,
        timeout_ms: REQUEST_TIMEOUT_MS,
        inside: OTHER_HOST,
        without: None,
    };
    let mut traffic = Traffic::start(field, demand);
    std::thread::park_timeout(UPDATE_PAUSE);
    let mut events = Vec::with_capacity(updates);
    let started = now();
    for number in 1..=updates {
        if now() - started > UPDATES_MAX {
            eprintln!("  {}: {} of {updates} updates in {UPDATES_MAX:?}: no more are made", form.service, number - 1);
            break;
        }
        interrupt::check();
        traffic.assert_runs();
        events.push(update(field, form.service, number));
        std::thread::park_timeout(UPDATE_PAUSE);
    }
    let outcome = traffic.finish();
    outcome.check(a_second);
    let updates = events.len();
    // Every task there was: those that the updates found, and those that they made.
    assert_eq!(outcome.answers().len(), form.replicas * (updates + 1), "answers of {:?}", outcome.answers());
    let name = |what| {
        format!(
            "{updates} updates at {a_second}/s, {} replica{}, {}: {what}",
            form.replicas,
            if form.replicas == 1 { "" } else { "s" },
            form.order
        )
    };
    figures.add_alone(name("failed"), "", outcome.failed(), "0");
    figures.add_alone(name("slower than 0.9 s"), "", outcome.sum("slow"), "0");
    figures.add_alone(name("in the queue of a task when it was told to end"), "", outcome.sum("late"), "0");
    let longest = events.iter().map(|event| (event.done - event.begun).as_secs_f64()).fold(0.0, f64::max);
    eprintln!(
        "  {}: of {:.0} requests failed {}; longest update {longest:.2} s",
        form.service,
        outcome.sum("asked"),
        outcome.kinds()
    );
    eprint!("{}", Account { failures: &outcome.failures, events: &events });
    field.remove(form.service);
}

/// One update, from the command to the word that it is completed.
fn update(field: &Field, service: &str, version: usize) -> Event {
    let before = status(field, service).unwrap_or_default();
    let begun = now();
    let image = field.image(version);
    field.swarm.ask(0, &["service", "update", "-d", "--no-resolve-image", "--image", image, service]).ok();
    wait_for("the update is completed", UPDATE_MAX, || {
        interrupt::check();
        let said = status(field, service)?;
        if said.starts_with("completed ") && said != before { Ok(()) } else { Err(said) }
    });
    Event { begun, done: now() }
}

/// `STATE STARTED`, which tells one update from another.
fn status(field: &Field, service: &str) -> Result<String, String> {
    let format = "{{if .UpdateStatus}}{{.UpdateStatus.State}} {{.UpdateStatus.StartedAt}}{{end}}";
    let said = field.swarm.ask(0, &["service", "inspect", "--format", format, service]);
    if said.code == 0 { Ok(said.out.trim().to_owned()) } else { Err(said.err) }
}
