//! Bytes a second through streams that send as fast as they can, as their receiver counts them.

use super::Extent;
use super::compare::in_turns;
use super::field::{Field, Port, TASKS_HOST};
use super::limits::{PAIRS, PAIRS_SHORT, RUN_SECONDS, STREAMS};
use super::load::run_client;
use super::path::{Side, Target, Way};
use super::table::{Figure, Figures};

pub(super) fn measure(field: &Field, extent: Extent, figures: &mut Figures) {
    // One task: which of several a stream would meet is chance.
    let target = Target::new(field, "solo", 1, 8100);
    let pairs = if extent == Extent::Whole { PAIRS } else { PAIRS_SHORT };
    for way in Way::ALL {
        for streams in [1, STREAMS] {
            let run = |side| stream(field, &target, (way, side), streams);
            let compared = in_turns(pairs, || run(Side::Direct), || run(Side::Shoal));
            figures.add(Figure {
                name: format!("throughput, {}, {streams} stream{}", way.name(), if streams == 1 { "" } else { "s" }),
                unit: "GB/s",
                beside: Some(compared.beside),
                shoal: compared.shoal,
                ratio: Some(compared.ratio),
                wanted: if way.by_vip() { "at least 0.95" } else { "at least 0.85" },
            });
        }
    }
}

/// One run, in GB/s, checked to have crossed between hosts where it should, and not where it should not.
fn stream(field: &Field, target: &Target<'_>, (way, side): (Way, Side), streams: u32) -> f64 {
    let before = field.tunnel_bytes(TASKS_HOST);
    let words = ["stream", &streams.to_string(), &RUN_SECONDS.to_string()];
    let said = run_client(&mut target.client(way, side, Port::Bulk, &words), RUN_SECONDS);
    let (bytes, tunnelled) = (said.value("bytes"), field.tunnel_bytes(TASKS_HOST) - before);
    assert!(bytes > 1e6, "{way:?} {side:?} moved nothing:\n{}", said.text());
    // What managers and workers say to each other does not go through tunnels.
    let expected = if way.crosses(side) { tunnelled > bytes } else { tunnelled < bytes / 100.0 };
    assert!(expected, "{way:?} {side:?}: {tunnelled} of {bytes} bytes went through the tunnels");
    said.rate("bytes") / 1e9
}
