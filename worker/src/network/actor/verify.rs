//! What the kernel shows, read back and compared with what it was told; what differs is told anew.
//!
//! Done every few seconds and whenever somebody asks. Leaves reading and telling to `rules`, `networks` and `names`.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt::Display;

use super::Actor;
use crate::network::NetworkError;
use crate::network::limits::DIFFERENCES_MAX;

impl Actor {
    /// Compares all of it and repairs what differs. Says what differed, a line each.
    pub(super) fn verify(&mut self) -> Result<Vec<String>, NetworkError> {
        let parts = [self.verify_rules(), self.verify_peers(), self.verify_names()];
        let mut found = Vec::new();
        for part in parts {
            found.extend(part?);
        }
        for difference in &found {
            tracing::warn!(difference, "the kernel did not show what it was told; it was told anew");
        }
        if found.len() > DIFFERENCES_MAX {
            let more = found.len() - DIFFERENCES_MAX;
            found.truncate(DIFFERENCES_MAX);
            found.push(format!("and {more} more"));
        }
        Ok(found)
    }

    /// The same with nobody to tell.
    pub(super) fn verify_quietly(&mut self) {
        if let Err(error) = self.verify() {
            tracing::warn!(
                error = &error as &dyn Error,
                "what the kernel shows could not be compared with what it was told"
            );
        }
    }
}

/// A line for each key whose values are not those that are wished.
pub(super) fn compare<K: Ord, V: PartialEq>(
    wished: &BTreeMap<K, Vec<V>>,
    shown: &BTreeMap<K, Vec<V>>,
    name: impl Fn(&K) -> String,
    value: impl Fn(&V) -> String,
) -> Vec<String> {
    let keys: BTreeSet<&K> = wished.keys().chain(shown.keys()).collect();
    let differing = keys.into_iter().filter(|key| wished.get(key) != shown.get(key));
    let line = |key: &K| {
        let list = |values: Option<&Vec<V>>| match values {
            None => "nothing".to_owned(),
            Some(values) if values.is_empty() => "a refusal".to_owned(),
            Some(values) => values.iter().map(&value).collect::<Vec<_>>().join(" "),
        };
        format!("{}: shows {}, should show {}", name(key), list(shown.get(key)), list(wished.get(key)))
    };
    differing.map(line).collect()
}

/// As [`compare`], where each key has one value.
pub(super) fn compare_each<K: Ord + Clone, V: PartialEq + Clone + Display>(
    wished: &BTreeMap<K, V>,
    shown: &BTreeMap<K, V>,
    name: impl Fn(&K) -> String,
) -> Vec<String> {
    let listed = |table: &BTreeMap<K, V>| table.iter().map(|(key, value)| (key.clone(), vec![value.clone()])).collect();
    compare(&listed(wished), &listed(shown), name, V::to_string)
}
