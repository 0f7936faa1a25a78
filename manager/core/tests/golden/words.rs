//! The words of a script's line: `verb name key=value ...`.

use std::collections::BTreeMap;
use std::time::Duration;

/// A line, taken apart.
pub(crate) struct Words<'a> {
    pub(crate) verb: &'a str,
    pub(crate) name: &'a str,
    plain: Vec<&'a str>,
    values: BTreeMap<&'a str, Vec<&'a str>>,
}

impl<'a> Words<'a> {
    pub(crate) fn new(line: &'a str) -> Self {
        let mut words = line.split_whitespace();
        let (verb, name) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let mut values: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        let mut plain = Vec::new();
        for word in words {
            match word.split_once('=') {
                Some((key, value)) => values.entry(key).or_default().push(value),
                None => plain.push(word),
            }
        }
        Self { verb, name, plain, values }
    }

    pub(crate) fn has(&self, word: &str) -> bool {
        self.plain.contains(&word)
    }

    /// The first word without a value: who is asked about.
    pub(crate) fn plain_subject(&self) -> &'a str {
        self.plain.first().copied().unwrap_or_default()
    }

    pub(crate) fn get(&self, key: &str) -> Option<&'a str> {
        self.values.get(key).and_then(|values| values.last()).copied()
    }

    pub(crate) fn all(&self, key: &str) -> &[&'a str] {
        self.values.get(key).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn number(&self, key: &str) -> Result<Option<u64>, String> {
        let parse = |text: &str| text.parse().map_err(|_| format!("{key}={text} is no number"));
        self.get(key).map(parse).transpose()
    }

    /// Seconds, with a fraction.
    pub(crate) fn seconds(&self, key: &str) -> Result<Option<Duration>, String> {
        let parse =
            |text: &str| text.parse().map(Duration::from_secs_f64).map_err(|_| format!("{key}={text} is no time"));
        self.get(key).map(parse).transpose()
    }
}
