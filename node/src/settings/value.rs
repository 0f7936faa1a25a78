//! Values by flag name, before they mean anything: as the command line and the configuration file gave them.

use std::collections::BTreeMap;

use super::SettingsError;
use super::flags::FLAGS;

/// What was said for each flag, in order.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Values(BTreeMap<&'static str, Vec<String>>);

impl Values {
    /// What the command line says.
    pub(super) fn from_matches(matches: &clap::ArgMatches) -> Self {
        let said = |long: &'static str| {
            let values = matches.get_many::<String>(long)?;
            Some((long, values.cloned().collect()))
        };
        Self(FLAGS.iter().filter_map(|flag| said(flag.long)).collect())
    }

    /// Adds a value for a flag.
    pub(super) fn push(&mut self, long: &'static str, value: String) {
        self.0.entry(long).or_default().push(value);
    }

    /// These, and for flags that these do not set, the others.
    pub(super) fn over(self, mut others: Values) -> Values {
        others.0.extend(self.0);
        others
    }

    pub(super) fn is_set(&self, long: &str) -> bool {
        self.0.contains_key(long)
    }

    pub(super) fn last(&self, long: &str) -> Option<&str> {
        self.0.get(long).and_then(|values| values.last()).map(String::as_str)
    }

    pub(super) fn all(&self, long: &str) -> Vec<String> {
        self.0.get(long).cloned().unwrap_or_default()
    }

    /// A switch's value, in Go's spellings.
    pub(super) fn flag(&self, long: &str) -> Result<bool, SettingsError> {
        match self.last(long) {
            None | Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(false),
            Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(true),
            Some(other) => Err(SettingsError::Value {
                name: format!("--{long}"),
                value: other.to_owned(),
                remedy: "true or false is expected".to_owned(),
            }),
        }
    }
}
