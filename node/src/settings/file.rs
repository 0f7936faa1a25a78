//! The configuration file: JSON with dockerd's keys. An empty file, as /dev/null is, sets nothing.

use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::flags::FLAGS;
use super::value::Values;

/// The configuration file can't be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It can't be read.
    #[error("failed to read the configuration file {path}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is no JSON object.
    #[error("failed to parse the configuration file {path}: a JSON object is expected")]
    Parse {
        /// Which.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
    /// A key is unknown.
    #[error("the configuration file {path} has the key '{key}', which no setting has: mend or remove it")]
    UnknownKey {
        /// Which file.
        path: PathBuf,
        /// Which key.
        key: String,
    },
    /// A value has a type that its setting cannot have.
    #[error(
        "the configuration file {path} has for '{key}' the value {value}: a text, number, true, false or list is expected"
    )]
    Type {
        /// Which file.
        path: PathBuf,
        /// Which key.
        key: String,
        /// What was there.
        value: String,
    },
}

/// Reads the file; one that is not there sets nothing unless it was asked for by name.
pub(super) fn read(path: &Path, named: bool) -> Result<Values, FileError> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound && !named => return Ok(Values::default()),
        Err(source) => return Err(FileError::Read { path: path.to_owned(), source }),
    };
    if text.trim().is_empty() {
        return Ok(Values::default());
    }
    let object: serde_json::Map<String, Value> =
        serde_json::from_str(&text).map_err(|source| FileError::Parse { path: path.to_owned(), source })?;
    let mut values = Values::default();
    for (key, value) in &object {
        let flag = FLAGS
            .iter()
            .find(|flag| flag.key == key)
            .ok_or_else(|| FileError::UnknownKey { path: path.to_owned(), key: key.clone() })?;
        let items = texts(value).ok_or_else(|| FileError::Type {
            path: path.to_owned(),
            key: key.clone(),
            value: value.to_string(),
        })?;
        for item in items {
            values.push(flag.long, item);
        }
    }
    Ok(values)
}

/// A JSON value as what the command line would say: lists repeat, objects are `key=value` (joined by commas inside a list).
fn texts(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::Array(items) => items
            .iter()
            .map(|item| match item {
                Value::Object(_) => texts(item).map(|pairs| pairs.join(",")),
                other => scalar(other),
            })
            .collect(),
        Value::Object(pairs) => pairs
            .iter()
            .map(|(key, value)| match value {
                Value::Object(_) | Value::Array(_) => Some(format!("{key}={value}")),
                other => scalar(other).map(|text| format!("{key}={text}")),
            })
            .collect(),
        other => scalar(other).map(|text| vec![text]),
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(switch) => Some(switch.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<Values, FileError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        read(file.path(), true)
    }

    #[test]
    fn empty_sets_nothing() {
        assert_eq!(read_text("").unwrap(), Values::default());
        assert_eq!(read(Path::new("/dev/null"), true).unwrap(), Values::default());
        assert_eq!(read(Path::new("/nonexistent/daemon.json"), false).unwrap(), Values::default());
    }

    #[test]
    fn pools_and_options_are_as_on_the_command_line() {
        let values = read_text(
            r#"{"default-address-pools": [{"base": "10.1.0.0/16", "size": 24}], "log-opts": {"max-size": "1m"}}"#,
        )
        .unwrap();
        assert_eq!(values.all("default-address-pool"), ["base=10.1.0.0/16,size=24"]);
        assert_eq!(values.all("log-opt"), ["max-size=1m"]);
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        assert!(matches!(read_text(r#"{"data-rot": "/x"}"#), Err(FileError::UnknownKey { .. })));
        assert!(matches!(read_text(r#"{"data-root": "/x""#), Err(FileError::Parse { .. })));
        assert!(matches!(read_text(r#"{"data-root": null}"#), Err(FileError::Type { .. })));
        assert!(matches!(read(Path::new("/nonexistent/daemon.json"), true), Err(FileError::Read { .. })));
    }
}
