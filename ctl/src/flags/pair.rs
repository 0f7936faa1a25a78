//! `key=value` flags: labels, options, environment variables, filters.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::Path;
use std::str::FromStr;

use crate::error::Error;
use crate::transport::Filters;

/// One `key=value`; the value is empty when there is no sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) key: String,
    pub(crate) value: String,
}

/// A filter of a list: `key=value`, the key in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Filter(Pair);

#[derive(Debug, thiserror::Error)]
pub(crate) enum PairError {
    #[error("no name stands before the =")]
    NoKey,
    #[error("a filter is written key=value")]
    NoValue,
    #[error("a name cannot hold blanks")]
    Blank,
}

impl FromStr for Pair {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        Ok(Self { key: key.to_owned(), value: value.to_owned() })
    }
}

impl FromStr for Filter {
    type Err = PairError;

    fn from_str(text: &str) -> Result<Self, PairError> {
        let (key, value) = text.split_once('=').ok_or(PairError::NoValue)?;
        Ok(Self(Pair { key: key.trim().to_ascii_lowercase(), value: value.trim().to_owned() }))
    }
}

/// Reads a label: any text, but with a name.
pub(crate) fn label(text: &str) -> Result<Pair, PairError> {
    named(text).map(|()| match text.parse() {
        Ok(pair) => pair,
        Err(never) => match never {},
    })
}

/// Reads an environment variable; one without a value takes the caller's, which happens in `completed`.
pub(crate) fn variable(text: &str) -> Result<String, PairError> {
    named(text).map(|()| text.to_owned())
}

fn named(text: &str) -> Result<(), PairError> {
    if text.is_empty() || text.starts_with('=') { Err(PairError::NoKey) } else { Ok(()) }
}

/// Pairs as a map, the last of a key winning.
pub(crate) fn to_map(pairs: &[Pair]) -> BTreeMap<String, String> {
    pairs.iter().map(|pair| (pair.key.clone(), pair.value.clone())).collect()
}

/// Filters as the API wants them.
pub(crate) fn to_filters(filters: &[Filter]) -> Filters {
    let mut all = Filters::new();
    for Filter(pair) in filters {
        all.entry(pair.key.clone()).or_default().insert(pair.value.clone(), true);
    }
    all
}

/// The part of a variable before its sign.
pub(crate) fn variable_name(variable: &str) -> &str {
    variable.split_once('=').map_or(variable, |(name, _)| name)
}

/// The environment of `--env-file` and `--env`: files first, in the order given; of a name given twice the later one
/// stands, at its later place. A name alone takes its value from this process, and is dropped from files when unset.
pub(crate) fn environment(files: &[impl AsRef<Path>], variables: &[String]) -> Result<Vec<String>, Error> {
    let mut all = Vec::new();
    for path in files {
        all.extend(environment_file(path.as_ref())?);
    }
    all.extend(variables.iter().map(|variable| completed(variable)));
    let mut kept: Vec<String> = Vec::new();
    for variable in all {
        let name = variable_name(&variable);
        kept.retain(|known| variable_name(known) != name || !known.contains('='));
        kept.push(variable);
    }
    Ok(kept)
}

/// A variable with a value: its own, or this process's. One that has neither stays a name.
pub(crate) fn completed(variable: &str) -> String {
    let own = variable.contains('=').then(|| variable.to_owned());
    own.or_else(|| inherited(variable)).unwrap_or_else(|| variable.to_owned())
}

fn environment_file(path: &Path) -> Result<Vec<String>, Error> {
    let failed = |source| Error::ReadFile { path: path.to_owned(), source };
    let text = std::fs::read_to_string(path).map_err(failed)?;
    let mut variables = Vec::new();
    for line in text.trim_start_matches('\u{feff}').lines() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let name = variable_name(line);
        let problem = if name.is_empty() {
            Some(PairError::NoKey)
        } else {
            name.contains(char::is_whitespace).then_some(PairError::Blank)
        };
        if let Some(problem) = problem {
            return Err(failed(std::io::Error::new(std::io::ErrorKind::InvalidData, problem)));
        }
        variables.extend(if line.contains('=') { Some(line.to_owned()) } else { inherited(line) });
    }
    Ok(variables)
}

fn inherited(name: &str) -> Option<String> {
    std::env::var(name).ok().map(|value| format!("{name}={value}"))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn files_come_first_and_the_later_of_a_name_stands() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "# note\nA=file\n\n  B=two words \nSURELY_UNSET_NAME").unwrap();
        let variables = ["C=3", "A=flag"].map(str::to_owned);
        assert_eq!(environment(&[file.path()], &variables).unwrap(), ["B=two words ", "C=3", "A=flag"]);
        writeln!(file, "BAD NAME=1").unwrap();
        assert!(environment(&[file.path()], &[]).is_err());
    }

    #[test]
    fn filters_gather_by_key() {
        let filters: Vec<Filter> = ["Name=web", "name=db", "label=a=b"].map(|text| text.parse().unwrap()).into();
        let text = serde_json::to_string(&to_filters(&filters)).unwrap();
        assert_eq!(text, r#"{"label":{"a=b":true},"name":{"db":true,"web":true}}"#);
        assert_eq!("name".parse::<Filter>().unwrap_err().to_string(), "a filter is written key=value");
        assert_eq!(label("=x").unwrap_err().to_string(), "no name stands before the =");
    }
}
