//! Texts that name the task they are for: `{{.Task.Slot}}` in an environment, `{{secret "key"}}` in a config.
//!
//! The part of Go's text/template that swarm mode's templates are made of: fields, calls of functions, pipelines,
//! comments and trim marks. Control structures are not: they are refused, as is every field and function that nobody
//! would know at expansion. The managers check a text when it is admitted; workers expand it for each task.

mod expand;
mod parse;

pub use expand::{PayloadSource, TaskContext};

use parse::Part;

/// Where a template stands, which decides what it may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// In a service's spec: fields, `join` and `index`.
    Spec,
    /// In a secret or config: also `env`, `secret` and `config`.
    Payload,
}

/// A text with actions to be replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

/// A template that can't be, or can't be expanded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// An action without its end.
    #[error("'{{{{{0}' is never closed: end it with '}}}}'")]
    Unclosed(
        /// Its beginning.
        String,
    ),
    /// A field that tasks don't have.
    #[error("there is no field {0}; the fields are {FIELDS}")]
    UnknownField(
        /// As it was written.
        String,
    ),
    /// A function that is not there, or not in this place.
    #[error("there is no function '{name}'; the functions here are {known}")]
    UnknownFunction {
        /// As it was written.
        name: String,
        /// Those that are there.
        known: &'static str,
    },
    /// A function was given too little, too much, or the wrong kind.
    #[error("'{function}' takes {takes}")]
    Arguments {
        /// Which.
        function: &'static str,
        /// What it should be given.
        takes: &'static str,
    },
    /// Anything else between the braces.
    #[error(
        "'{{{{{0}}}}}' is not understood; write a field such as {{{{.Task.Slot}}}}, or a function and its arguments"
    )]
    Syntax(
        /// What stands there.
        String,
    ),
    /// A label that the service does not have.
    #[error("the service has no label '{0}'; add it, or leave the action out")]
    NoLabel(
        /// Its key.
        String,
    ),
    /// A secret or config that the task does not have.
    #[error("{kind} target {target} not found; give the service a {kind} with this target")]
    NoPayload {
        /// `secret` or `config`.
        kind: &'static str,
        /// As it was written.
        target: String,
    },
    /// Bytes that are no text can be no template, and stand in none.
    #[error("{0} is not UTF-8 text")]
    NotText(
        /// What.
        String,
    ),
}

impl Template {
    /// Reads a text.
    ///
    /// # Errors
    /// [`TemplateError`], with the first action that can't be.
    pub fn parse(text: &str, scope: Scope) -> Result<Self, TemplateError> {
        parse::parts(text, scope).map(|parts| Self { parts })
    }
}

const FIELDS: &str = ".Service.ID, .Service.Name, .Service.Labels.KEY, .Node.ID, .Node.Hostname, \
                      .Node.Platform.Architecture, .Node.Platform.OS, .Task.ID, .Task.Name, .Task.Slot";

#[cfg(test)]
mod tests;
