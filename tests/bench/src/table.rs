//! The table: a row a figure, a column an engine, and the ratio.

use std::fmt;

use shoal_cluster_tests::Engine;

/// What a figure is called, its unit, and what is asked of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) wanted: &'static str,
}

/// Figures by row, in the order of their first appearance.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<(Row, Option<f64>, Option<f64>)>,
}

impl Table {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(crate) fn add(&mut self, row: Row, engine: Engine, value: f64) {
        let place = self.rows.iter().position(|(known, ..)| *known == row).unwrap_or_else(|| {
            self.rows.push((row, None, None));
            self.rows.len() - 1
        });
        match engine {
            Engine::Docker => self.rows[place].1 = Some(value),
            Engine::Shoal => self.rows[place].2 = Some(value),
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "| figure | unit | docker.io | Shoal | docker.io / Shoal | wanted |")?;
        writeln!(out, "|---|---|---|---|---|---|")?;
        let figure = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"));
        for (row, docker, shoal) in &self.rows {
            let ratio = docker.zip(*shoal).map(|(docker, shoal)| docker / shoal);
            let (docker, shoal, ratio) = (figure(*docker), figure(*shoal), figure(ratio));
            writeln!(out, "| {} | {} | {docker} | {shoal} | {ratio} | {} |", row.name, row.unit, row.wanted)?;
        }
        Ok(())
    }
}
