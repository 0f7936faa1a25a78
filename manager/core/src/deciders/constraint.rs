//! Placement constraints: `KEY==VALUE` and `KEY!=VALUE`, as swarm mode reads them.

use std::fmt;
use std::net::IpAddr;

use shoal_proto::model::{Cidr, Node, Role};

/// One constraint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Constraint {
    key: String,
    operator: Operator,
    value: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equals,
    Differs,
}

/// The text is no constraint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConstraintError {
    /// No operator.
    #[error("constraint '{0}' has no operator: write KEY==VALUE or KEY!=VALUE")]
    Operator(String),
    /// What stands before the operator.
    #[error(
        "constraint '{text}': key '{key}' is invalid: it begins with a letter or '_' and goes on with letters, digits, '.', '-' and '_'"
    )]
    Key {
        /// The whole.
        text: String,
        /// Its key.
        key: String,
    },
    /// What stands after the operator.
    #[error(
        "constraint '{text}': value '{value}' is invalid: it must not be empty, and holds letters, digits, blanks and : - _ . * ( ) ? + [ ] \\ ^ $ | /"
    )]
    Value {
        /// The whole.
        text: String,
        /// Its value.
        value: String,
    },
}

impl Constraint {
    /// Reads a constraint. An unknown key is not an error: such a constraint never holds.
    ///
    /// # Errors
    /// [`ConstraintError`] names the part that is wrong.
    pub fn parse(text: &str) -> Result<Self, ConstraintError> {
        let split = |operator: &str| text.split_once(operator);
        let (key, operator, value) = match (split("=="), split("!=")) {
            (Some((key, value)), _) => (key, Operator::Equals, value),
            (None, Some((key, value))) => (key, Operator::Differs, value),
            (None, None) => return Err(ConstraintError::Operator(text.to_owned())),
        };
        let (key, value) = (key.trim(), value.trim());
        if !is_key(key) {
            return Err(ConstraintError::Key { text: text.to_owned(), key: key.to_owned() });
        }
        if value.is_empty() || !value.chars().all(is_value_char) {
            return Err(ConstraintError::Value { text: text.to_owned(), value: value.to_owned() });
        }
        Ok(Self { key: key.to_owned(), operator, value: value.to_owned() })
    }

    /// Whether a node fulfils it.
    #[must_use]
    pub fn holds_on(&self, node: &Node) -> bool {
        match self.key.to_ascii_lowercase().as_str() {
            "node.id" => self.compares(&node.id.to_string()),
            "node.hostname" => self.compares(&node.description.hostname),
            "node.ip" => self.compares_address(&node.status.address),
            "node.role" => self.compares(match node.role {
                Role::Manager => "manager",
                Role::Worker => "worker",
            }),
            "node.platform.os" => self.compares(&node.description.platform.os),
            "node.platform.arch" => self.compares(&node.description.platform.architecture),
            key if key.starts_with("node.labels.") => self.compares_label(&node.spec.labels, "node.labels."),
            key if key.starts_with("engine.labels.") => {
                self.compares_label(&node.description.engine_labels, "engine.labels.")
            }
            _ => false,
        }
    }

    fn compares(&self, found: &str) -> bool {
        let equal = self.value.eq_ignore_ascii_case(found) || self.value.to_lowercase() == found.to_lowercase();
        (self.operator == Operator::Equals) == equal
    }

    /// Keys of labels are compared to the letter; a label that is missing is an empty one.
    fn compares_label(&self, labels: &shoal_proto::model::Labels, prefix: &str) -> bool {
        self.compares(labels.get(&self.key[prefix.len()..]).map_or("", String::as_str))
    }

    fn compares_address(&self, found: &str) -> bool {
        let Ok(found) = found.parse::<IpAddr>() else { return false };
        let matches = match (self.value.parse::<IpAddr>(), self.value.parse::<Cidr>()) {
            (Ok(address), _) => address == found,
            (_, Ok(subnet)) => subnet.contains(found),
            _ => return false,
        };
        (self.operator == Operator::Equals) == matches
    }
}

/// Whether a node fulfils all of them. One that can't be read never holds; admission lets none through.
#[must_use]
pub fn all_hold(constraints: &[String], node: &Node) -> bool {
    first_unmet(constraints, node).is_none()
}

/// The first that a node does not fulfil.
#[must_use]
pub fn first_unmet<'a>(constraints: &'a [String], node: &Node) -> Option<&'a str> {
    let unmet = |text: &&String| !Constraint::parse(text).is_ok_and(|constraint| constraint.holds_on(node));
    constraints.iter().find(unmet).map(String::as_str)
}

impl fmt::Display for Constraint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operator = match self.operator {
            Operator::Equals => "==",
            Operator::Differs => "!=",
        };
        write!(out, "{}{operator}{}", self.key, self.value)
    }
}

fn is_key(key: &str) -> bool {
    let mut chars = key.chars();
    let first = chars.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_');
    first && key.len() > 1 && chars.all(|rest| rest.is_ascii_alphanumeric() || "-_.".contains(rest))
}

fn is_value_char(char: char) -> bool {
    char.is_ascii_alphanumeric() || char.is_ascii_whitespace() || ":-_.*()?+[]\\^$|/".contains(char)
}
