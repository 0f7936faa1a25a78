//! Two things measured in turns, so that what else the machine does falls on both.

/// Medians of each side, and of the ratios of pairs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Compared {
    pub(super) beside: f64,
    pub(super) shoal: f64,
    pub(super) ratio: f64,
}

/// Measures so many pairs; who is first changes from pair to pair.
pub(super) fn in_turns(pairs: usize, mut beside: impl FnMut() -> f64, mut shoal: impl FnMut() -> f64) -> Compared {
    let mut figures = Vec::with_capacity(pairs);
    for pair in 0..pairs {
        figures.push(if pair % 2 == 0 {
            let first = beside();
            (first, shoal())
        } else {
            let first = shoal();
            (beside(), first)
        });
    }
    Compared {
        beside: median(figures.iter().map(|(beside, _)| *beside)),
        shoal: median(figures.iter().map(|(_, shoal)| *shoal)),
        ratio: median(figures.iter().map(|(beside, shoal)| shoal / beside)),
    }
}

/// The middle one of an odd number of values.
pub(super) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
