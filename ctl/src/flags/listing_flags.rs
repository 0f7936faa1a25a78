//! The flags that every list has.

use clap::Args;

use super::pair::{Filter, to_filters};
use crate::output::Style;
use crate::transport::Filters;

/// `--filter`, `--format` and `--quiet`.
#[derive(Args, Debug, Default)]
pub(crate) struct ListFlags {
    /// Filter output based on conditions provided
    #[arg(short, long, value_name = "filter")]
    pub(crate) filter: Vec<Filter>,
    /// Format output: 'table', 'table TEMPLATE', 'json' or a Go template
    #[arg(long, value_name = "string")]
    pub(crate) format: Option<String>,
    /// Only display IDs
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

impl ListFlags {
    pub(crate) fn style(&self) -> Style {
        Style::new(self.format.as_deref(), self.quiet)
    }

    pub(crate) fn filters(&self) -> Filters {
        to_filters(&self.filter)
    }
}
