//! From parts to text, for one task.

use std::fmt::Write as _;

use super::parse::{Expression, Field, Function, Part};
use super::{Template, TemplateError};
use crate::model::{Labels, NodeDescription, Task};

/// What a template may say of its task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskContext {
    /// Of its service.
    pub service_id: String,
    /// Of its service.
    pub service_name: String,
    /// Of its service.
    pub service_labels: Labels,
    /// Its node's.
    pub node_id: String,
    /// Its node's.
    pub node_hostname: String,
    /// Its node's, as uname(2) says it.
    pub node_architecture: String,
    /// Its node's.
    pub node_os: String,
    /// Its own.
    pub task_id: String,
    /// Its own.
    pub task_name: String,
    /// Its number; of a global service's task, the id of its node.
    pub task_slot: String,
}

/// What a payload's template may ask for beside its task.
pub trait PayloadSource {
    /// The value of a variable in the task's environment; empty when there is none, as in swarm mode.
    fn env(&self, name: &str) -> String;
    /// The data of the task's secret with this target.
    ///
    /// # Errors
    /// When there is none, or it is no text.
    fn secret(&self, target: &str) -> Result<String, TemplateError>;
    /// The data of the task's config with this target.
    ///
    /// # Errors
    /// When there is none, or it is no text.
    fn config(&self, target: &str) -> Result<String, TemplateError>;
}

impl TaskContext {
    /// Of a task on a node.
    #[must_use]
    pub fn new(task: &Task, node: &NodeDescription) -> Self {
        let node_id = task.node.map(|node| node.to_string()).unwrap_or_default();
        Self {
            service_id: task.service.to_string(),
            service_name: task.service_name.clone(),
            service_labels: task.service_labels.clone(),
            node_hostname: node.hostname.clone(),
            node_architecture: node.platform.architecture.clone(),
            node_os: node.platform.os.clone(),
            task_id: task.id.to_string(),
            task_name: task.name(),
            task_slot: if task.slot == 0 { node_id.clone() } else { task.shown_slot().to_string() },
            node_id,
        }
    }

    fn label(&self, key: &str) -> Result<String, TemplateError> {
        self.service_labels.get(key).cloned().ok_or_else(|| TemplateError::NoLabel(key.to_owned()))
    }

    /// As Go prints a map.
    fn labels(&self) -> String {
        let pairs: Vec<String> = self.service_labels.iter().map(|(key, value)| format!("{key}:{value}")).collect();
        format!("map[{}]", pairs.join(" "))
    }

    fn field(&self, field: &Field) -> Result<String, TemplateError> {
        Ok(match field {
            Field::ServiceId => self.service_id.clone(),
            Field::ServiceName => self.service_name.clone(),
            Field::ServiceLabels => self.labels(),
            Field::ServiceLabel(key) => return self.label(key),
            Field::NodeId => self.node_id.clone(),
            Field::NodeHostname => self.node_hostname.clone(),
            // As Go prints a structure.
            Field::NodePlatform => format!("{{{} {}}}", self.node_architecture, self.node_os),
            Field::NodeArchitecture => self.node_architecture.clone(),
            Field::NodeOs => self.node_os.clone(),
            Field::TaskId => self.task_id.clone(),
            Field::TaskName => self.task_name.clone(),
            Field::TaskSlot => self.task_slot.clone(),
        })
    }
}

impl Template {
    /// The text for a task.
    ///
    /// # Errors
    /// When the service lacks a label that is named.
    pub fn expand(&self, task: &TaskContext) -> Result<String, TemplateError> {
        self.expand_payload(task, &Nothing)
    }

    /// The text for a task whose environment and payloads are known.
    ///
    /// # Errors
    /// When something is named that the task does not have.
    pub fn expand_payload(&self, task: &TaskContext, payloads: &dyn PayloadSource) -> Result<String, TemplateError> {
        let mut text = String::new();
        for part in &self.parts {
            // Writing to a string does not fail.
            let _written = match part {
                Part::Text(part) => text.write_str(part),
                Part::Action(expression) => text.write_str(&evaluate(expression, task, payloads)?),
            };
        }
        Ok(text)
    }
}

fn evaluate(
    expression: &Expression,
    task: &TaskContext,
    payloads: &dyn PayloadSource,
) -> Result<String, TemplateError> {
    let (function, arguments) = match expression {
        Expression::Text(text) => return Ok(text.clone()),
        Expression::Field(field) => return task.field(field),
        Expression::Call(function, arguments) => (*function, arguments),
    };
    let values: Vec<String> =
        arguments.iter().map(|argument| evaluate(argument, task, payloads)).collect::<Result<_, _>>()?;
    let last = values.last().map(String::as_str).unwrap_or_default();
    match function {
        Function::Join => Ok(values.split_first().map_or_else(String::new, |(separator, texts)| texts.join(separator))),
        Function::Index => task.label(last),
        Function::Env => Ok(payloads.env(last)),
        Function::Secret => payloads.secret(last),
        Function::Config => payloads.config(last),
    }
}

/// For texts outside payloads, which can't ask.
struct Nothing;

impl PayloadSource for Nothing {
    fn env(&self, _name: &str) -> String {
        String::new()
    }

    fn secret(&self, target: &str) -> Result<String, TemplateError> {
        Err(TemplateError::NoPayload { kind: "secret", target: target.to_owned() })
    }

    fn config(&self, target: &str) -> Result<String, TemplateError> {
        Err(TemplateError::NoPayload { kind: "config", target: target.to_owned() })
    }
}
