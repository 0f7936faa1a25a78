//! The `filters` of list requests: a set of wanted values a key. Values of one key are alternatives, keys add up.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::StringMap;

/// Filters of a list request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters(BTreeMap<String, BTreeSet<String>>);

/// Why filters were refused; the text is Docker's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    #[error("invalid filter: {reason}; expected a JSON object such as {{\"name\":{{\"web\":true}}}}")]
    Malformed {
        /// What is wrong with the JSON.
        reason: String,
    },
    #[error("invalid filter '{key}'; known here: {known}")]
    UnknownKey {
        /// The key that this list does not have.
        key: String,
        /// Those it has.
        known: String,
    },
}

impl Filters {
    /// Reads the parameter's JSON in both of its forms, `{"key":{"value":true}}` and `{"key":["value"]}`.
    /// An empty text is no filter.
    ///
    /// # Errors
    /// [`FilterError::Malformed`] for anything else.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let malformed = |reason: String| FilterError::Malformed { reason };
        let object: BTreeMap<String, Value> = serde_json::from_str(text).map_err(|e| malformed(e.to_string()))?;
        let mut filters = Self::default();
        for (key, wanted) in object {
            let values = match wanted {
                Value::Object(values) => values.into_iter().map(|(value, _)| value).collect(),
                Value::Array(values) => values
                    .into_iter()
                    .map(|value| match value {
                        Value::String(value) => Ok(value),
                        other => Err(malformed(format!("value {other} of {key:?} is not text"))),
                    })
                    .collect::<Result<_, _>>()?,
                other => return Err(malformed(format!("{other} under {key:?} is neither an object nor a list"))),
            };
            filters.0.insert(key, values);
        }
        Ok(filters)
    }

    /// The parameter's JSON, in the form of maps.
    #[must_use]
    pub fn to_json(&self) -> String {
        let object: BTreeMap<&str, BTreeMap<&str, bool>> = self
            .0
            .iter()
            .map(|(key, values)| (key.as_str(), values.iter().map(|value| (value.as_str(), true)).collect()))
            .collect();
        serde_json::json!(object).to_string()
    }

    /// Adds a wanted value.
    pub fn insert(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.0.entry(key.into()).or_default().insert(value.into());
    }

    /// Whether nothing is asked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the key is given at all.
    #[must_use]
    pub fn contains(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// The values wanted for a key; none when it is not given.
    pub fn values(&self, key: &str) -> impl Iterator<Item = &str> {
        self.0.get(key).into_iter().flatten().map(String::as_str)
    }

    /// The keys given.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Refuses keys that a list does not know.
    ///
    /// # Errors
    /// [`FilterError::UnknownKey`].
    pub fn allow_only(&self, known: &[&str]) -> Result<(), FilterError> {
        match self.keys().find(|key| !known.contains(key)) {
            Some(key) => Err(FilterError::UnknownKey { key: key.to_owned(), known: known.join(", ") }),
            None => Ok(()),
        }
    }

    /// Whether a key is absent or has no values, or `accepts` one of them.
    pub fn matches(&self, key: &str, accepts: impl FnMut(&str) -> bool) -> bool {
        let mut values = self.values(key).peekable();
        values.peek().is_none() || values.any(accepts)
    }

    /// Whether a key is absent, or one of its values begins `field` (how the swarm compares names and ids).
    #[must_use]
    pub fn matches_prefix(&self, key: &str, field: &str) -> bool {
        self.matches(key, |value| field.starts_with(value))
    }

    /// Whether a key is absent, or one of its values is `field`.
    #[must_use]
    pub fn matches_exact(&self, key: &str, field: &str) -> bool {
        self.matches(key, |value| field == value)
    }

    /// Whether no value of a key, each `LABEL` or `LABEL=VALUE`, holds of `labels`.
    #[must_use]
    pub fn matches_no_label(&self, key: &str, labels: &StringMap) -> bool {
        !self.values(key).any(|wanted| holds(wanted, labels))
    }

    /// Whether all values of a key, each `LABEL` or `LABEL=VALUE`, hold of `labels`: labels add up.
    #[must_use]
    pub fn matches_labels(&self, key: &str, labels: &StringMap) -> bool {
        self.values(key).all(|wanted| holds(wanted, labels))
    }
}

/// Whether `LABEL` or `LABEL=VALUE` holds of `labels`.
fn holds(wanted: &str, labels: &StringMap) -> bool {
    match wanted.split_once('=') {
        Some((label, value)) => labels.get(label).is_some_and(|have| have == value),
        None => labels.contains_key(wanted),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn both_forms_mean_the_same() {
        let maps = Filters::parse(r#"{"label":{"a=b":true,"c":true}}"#).unwrap();
        let lists = Filters::parse(r#"{"label":["c","a=b"]}"#).unwrap();
        assert_eq!(maps, lists);
        assert_eq!(maps.to_json(), r#"{"label":{"a=b":true,"c":true}}"#);
        assert_eq!(Filters::parse("").unwrap(), Filters::default());
    }

    #[test]
    fn refusals_name_the_fault() {
        for broken in ["{", "[]", "3", r#"{"name":3}"#, r#"{"name":[3]}"#, "name=web"] {
            let error = Filters::parse(broken).unwrap_err().to_string();
            assert!(error.starts_with("invalid filter: "), "{broken}: {error}");
        }
        let error = Filters::parse(r#"{"nmae":["x"]}"#).unwrap().allow_only(&["id", "name"]).unwrap_err();
        assert_eq!(error.to_string(), "invalid filter 'nmae'; known here: id, name");
    }

    #[test]
    fn values_are_alternatives_and_labels_add_up() {
        let mut filters = Filters::default();
        assert!(filters.matches_prefix("name", "web"));
        filters.insert("name", "db");
        filters.insert("name", "we");
        assert!(filters.matches_prefix("name", "web"));
        assert!(!filters.matches_exact("name", "web"));
        let labels = StringMap::from([("a".into(), "b".into()), ("c".into(), String::new())]);
        filters.insert("label", "a=b");
        filters.insert("label", "c");
        assert!(filters.matches_labels("label", &labels));
        filters.insert("label", "a=c");
        assert!(!filters.matches_labels("label", &labels));
        assert!(!filters.matches_no_label("label", &labels) && filters.matches_no_label("label!", &labels));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".*") {
            if let Ok(filters) = Filters::parse(&text) {
                prop_assert_eq!(Filters::parse(&filters.to_json()).unwrap(), filters);
            }
        }

        #[test]
        fn any_json_is_read_or_refused(text in r#"\{("[a-z]{1,3}":(\[("[^"\\]{0,4}"|[0-9]|null)?\]|\{("x":(true|false|1))?\}|[0-9]|"y"|null))?\}"#) {
            if let Ok(filters) = Filters::parse(&text) {
                prop_assert_eq!(Filters::parse(&filters.to_json()).unwrap(), filters);
            }
        }

        #[test]
        fn what_is_written_is_read(entries in proptest::collection::vec((".{0,8}", ".{0,8}"), 0..6)) {
            let mut filters = Filters::default();
            for (key, value) in entries {
                filters.insert(key, value);
            }
            prop_assert_eq!(Filters::parse(&filters.to_json()).unwrap(), filters);
        }
    }
}
