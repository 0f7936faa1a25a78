//! `--placement-pref spread=node.labels.zone` and `--generic-resource gpu=2`.

use std::str::FromStr;

/// A preference to spread tasks over the values of a label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SpreadFlag(pub(crate) String);

/// An amount of a resource that the user defined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GenericAmount {
    pub(crate) kind: String,
    pub(crate) value: i64,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum PlacementError {
    #[error("write spread=LABEL, for example spread=node.labels.zone")]
    Form,
    #[error("the strategy {0:?} is unknown: only spread is")]
    Strategy(String),
    #[error("write kind=amount with a whole number, for example gpu=2")]
    Amount,
}

impl FromStr for SpreadFlag {
    type Err = PlacementError;

    fn from_str(text: &str) -> Result<Self, PlacementError> {
        match text.split_once('=') {
            Some(("spread", descriptor)) if !descriptor.contains('=') => Ok(Self(descriptor.to_owned())),
            Some((strategy, descriptor)) if !descriptor.contains('=') => {
                Err(PlacementError::Strategy(strategy.to_owned()))
            }
            _ => Err(PlacementError::Form),
        }
    }
}

impl FromStr for GenericAmount {
    type Err = PlacementError;

    fn from_str(text: &str) -> Result<Self, PlacementError> {
        let (kind, value) = text.split_once('=').ok_or(PlacementError::Amount)?;
        match value.parse() {
            Ok(value) if !kind.is_empty() && value >= 0 => Ok(Self { kind: kind.to_owned(), value }),
            _ => Err(PlacementError::Amount),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preferences_and_amounts() {
        assert_eq!("spread=node.labels.zone".parse::<SpreadFlag>().unwrap().0, "node.labels.zone");
        assert_eq!(
            "pack=x".parse::<SpreadFlag>().unwrap_err().to_string(),
            "the strategy \"pack\" is unknown: only spread is"
        );
        assert_eq!("gpu=2".parse::<GenericAmount>().unwrap(), GenericAmount { kind: "gpu".into(), value: 2 });
        assert!("gpu=UUID1".parse::<GenericAmount>().is_err());
    }
}
