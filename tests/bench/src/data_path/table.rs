//! The table of the data path: a row a figure, beside what it was measured against.

use std::fmt;

/// One figure.
#[derive(Debug)]
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) unit: &'static str,
    /// Without Shoal in between; `None`: the figure stands alone.
    pub(crate) beside: Option<f64>,
    pub(crate) shoal: f64,
    /// The median of the ratios of pairs, where there are pairs.
    pub(crate) ratio: Option<f64>,
    pub(crate) wanted: &'static str,
}

/// Figures, in the order of their measurement.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    rows: Vec<Figure>,
}

impl Figures {
    pub(crate) fn add(&mut self, figure: Figure) {
        eprintln!("  {figure}");
        self.rows.push(figure);
    }

    /// A figure with nothing beside it.
    pub(crate) fn add_alone(&mut self, name: impl Into<String>, unit: &'static str, shoal: f64, wanted: &'static str) {
        self.add(Figure { name: name.into(), unit, beside: None, shoal, ratio: None, wanted });
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "| figure | unit | beside | Shoal | Shoal / beside | wanted |")?;
        writeln!(out, "|---|---|---|---|---|---|")?;
        self.rows.iter().try_for_each(|row| writeln!(out, "{row}"))
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"));
        let (beside, ratio) = (text(self.beside), text(self.ratio));
        write!(out, "| {} | {} | {beside} | {:.2} | {ratio} | {} |", self.name, self.unit, self.shoal, self.wanted)
    }
}
