//! Draws lines of progress: in place on a terminal, and otherwise one plain line for each change.

use std::collections::HashMap;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::console::{is_terminal, print_line};
use crate::error::Error;

/// A line of progress. The same line keeps its `id` from one moment to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) id: String,
    pub(crate) text: String,
    /// How far, of how much.
    pub(crate) bar: Option<(u64, u64)>,
}

impl Line {
    /// A line without a bar.
    pub(crate) fn new(id: impl Into<String>, text: impl Into<String>) -> Self {
        Self { id: id.into(), text: text.into(), bar: None }
    }
}

/// Where progress is shown.
#[derive(Debug)]
pub(crate) enum Screen {
    Terminal { lines: MultiProgress, bars: HashMap<String, ProgressBar> },
    Plain { last: HashMap<String, String> },
    Quiet,
}

impl Screen {
    pub(crate) fn new(quiet: bool) -> Self {
        if quiet {
            Self::Quiet
        } else if is_terminal() {
            let lines = MultiProgress::with_draw_target(ProgressDrawTarget::stdout());
            Self::Terminal { lines, bars: HashMap::new() }
        } else {
            Self::Plain { last: HashMap::new() }
        }
    }

    /// Shows all lines that there are; those of an earlier moment that are not among them go.
    pub(crate) fn replace(&mut self, shown: &[Line]) -> Result<(), Error> {
        if let Self::Terminal { lines, bars } = self {
            bars.retain(|id, bar| {
                let kept = shown.iter().any(|line| line.id == *id);
                if !kept {
                    lines.remove(bar);
                }
                kept
            });
        }
        shown.iter().try_for_each(|line| self.show(line))
    }

    /// Shows one line; it takes the place of an earlier one with its id.
    pub(crate) fn show(&mut self, line: &Line) -> Result<(), Error> {
        match self {
            Self::Quiet => {}
            Self::Plain { last } => {
                // A countdown is for eyes that watch; in a log its first line says all.
                let news = if line.text.starts_with(COUNTDOWN) { COUNTDOWN } else { &line.text };
                if !news.is_empty() && last.insert(line.id.clone(), news.to_owned()).as_deref() != Some(news) {
                    print_line(&format!("{}: {}", line.id, line.text))?;
                }
            }
            Self::Terminal { lines, bars } => {
                let added = || lines.add(ProgressBar::new(1).with_prefix(line.id.clone()));
                draw(bars.entry(line.id.clone()).or_insert_with(added), line);
            }
        }
        Ok(())
    }

    /// Prints a line that is not drawn over.
    pub(crate) fn say(&mut self, text: &str) -> Result<(), Error> {
        match self {
            Self::Quiet => Ok(()),
            Self::Plain { .. } => print_line(text),
            Self::Terminal { lines, .. } => lines.suspend(|| print_line(text)),
        }
    }

    /// Leaves the lines where they are, so that what is printed next stands below them.
    pub(crate) fn close(&mut self) {
        if let Self::Terminal { bars, .. } = self {
            bars.values().for_each(ProgressBar::abandon);
        }
    }
}

fn draw(bar: &ProgressBar, line: &Line) {
    let template = if line.bar.is_some() { "{prefix}: {msg:10} [{bar:50}]" } else { "{prefix}: {msg}" };
    // The templates are ours and sound; without one the default still shows the line.
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner());
    bar.set_style(style.progress_chars("=> "));
    bar.set_message(line.text.clone());
    if let Some((current, total)) = line.bar {
        bar.set_length(total);
        bar.set_position(current);
    }
    bar.tick();
}

/// How the countdown of a verification begins.
const COUNTDOWN: &str = "Waiting ";
