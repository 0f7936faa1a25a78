//! Many new connections of one source, more than it has ports: each must open at its first attempt.

use super::Extent;
use super::field::{Field, Port};
use super::limits::{AT_ONCE, ROW};
use super::load::{Said, run_client};
use super::path::{Side, Target, Way};
use super::table::Figures;

pub(super) fn measure(field: &Field, _extent: Extent, figures: &mut Figures) {
    for way in Way::ALL {
        // Tasks of its own: nobody's earlier connections wait there for their end.
        let target = Target::new(field, "row", 2, 8120);
        let words = ["connections", &AT_ONCE.to_string(), "0", "60", &ROW.to_string()];
        let said = run_client(&mut target.client(way, Side::Shoal, Port::Byte, &words), 60);
        tell(&said, way.name(), figures);
    }
    let target = Target::new(field, "row", 2, 8120);
    let hosts = target.published_addresses(Port::Byte);
    let words = ["connections", &AT_ONCE.to_string(), "0", "60", &ROW.to_string()];
    let words: Vec<&str> = words.into_iter().chain(hosts.iter().map(String::as_str)).collect();
    tell(&run_client(&mut field.outside(&words), 60), "mesh, all hosts in turn", figures);
}

fn tell(said: &Said, way: &str, figures: &mut Figures) {
    let made = said.value("done") + said.failed();
    assert!((made - f64::from(ROW)).abs() < 0.5, "{made} connections were begun:\n{}", said.text());
    let name = |what| format!("{ROW} connections in a row, {way}: {what}");
    figures.add_alone(name("repeated openings"), "", said.value("openings_repeated"), "0");
    figures.add_alone(name("failed"), "", said.failed(), "0");
    figures.add_alone(name("slowest opening"), "ms", said.value("connect_max_us") / 1e3, "below 1000");
}
