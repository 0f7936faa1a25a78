//! Walks the tree of a template over a value.

use serde_json::Value;

use super::parse::{Base, Command, Node, Operand, Pipeline, Range};
use super::{TemplateError, functions, show};

pub(super) fn render(nodes: &[Node], value: &Value, strict: bool) -> Result<String, TemplateError> {
    let mut walk = Walk { text: String::new(), variables: vec![(String::new(), value.clone())], strict };
    walk.nodes(nodes, value)?;
    Ok(walk.text)
}

struct Walk {
    text: String,
    /// Innermost last; the first, without a name, is the whole value: `$`.
    variables: Vec<(String, Value)>,
    strict: bool,
}

impl Walk {
    fn nodes(&mut self, nodes: &[Node], dot: &Value) -> Result<(), TemplateError> {
        let scope = self.variables.len();
        for node in nodes {
            self.node(node, dot)?;
        }
        self.variables.truncate(scope);
        Ok(())
    }

    fn node(&mut self, node: &Node, dot: &Value) -> Result<(), TemplateError> {
        match node {
            Node::Text(text) => self.text.push_str(text),
            Node::Output(pipeline) => {
                let value = self.pipeline(pipeline, dot)?;
                self.text.push_str(&show::plain(&value));
            }
            Node::Set { variable, value, declares } => {
                let value = self.pipeline(value, dot)?;
                self.set(variable, value, *declares)?;
            }
            Node::If { branches, otherwise } => {
                for (condition, body) in branches {
                    if show::is_true(&self.pipeline(condition, dot)?) {
                        return self.nodes(body, dot);
                    }
                }
                self.nodes(otherwise, dot)?;
            }
            Node::With { value, variable, body, otherwise } => {
                let value = self.pipeline(value, dot)?;
                if !show::is_true(&value) {
                    return self.nodes(otherwise, dot);
                }
                let scope = self.variables.len();
                self.variables.extend(variable.clone().map(|name| (name, value.clone())));
                self.nodes(body, &value)?;
                self.variables.truncate(scope);
            }
            Node::Range(range) => self.range(range, dot)?,
        }
        Ok(())
    }

    fn range(&mut self, range: &Range, dot: &Value) -> Result<(), TemplateError> {
        let items: Vec<(Value, Value)> = match self.pipeline(&range.over, dot)? {
            Value::Array(items) => items.into_iter().enumerate().map(|(at, item)| (at.into(), item)).collect(),
            Value::Object(map) => show::sorted(&map).map(|(key, item)| (key.clone().into(), item.clone())).collect(),
            Value::Null => Vec::new(),
            other => {
                let reason = format!("cannot walk over {}", show::plain(&other));
                return Err(TemplateError::Argument { function: "range", reason });
            }
        };
        if items.is_empty() {
            return self.nodes(&range.otherwise, dot);
        }
        for (key, item) in items {
            let scope = self.variables.len();
            self.variables.extend(range.key.clone().map(|name| (name, key)));
            self.variables.extend(range.value.clone().map(|name| (name, item.clone())));
            self.nodes(&range.body, &item)?;
            self.variables.truncate(scope);
        }
        Ok(())
    }

    fn set(&mut self, variable: &str, value: Value, declares: bool) -> Result<(), TemplateError> {
        if declares {
            self.variables.push((variable.to_owned(), value));
            return Ok(());
        }
        let slot = self.variables.iter_mut().rev().find(|(name, _)| name == variable);
        slot.ok_or_else(|| TemplateError::Variable(format!("${variable}")))?.1 = value;
        Ok(())
    }

    fn pipeline(&mut self, pipeline: &Pipeline, dot: &Value) -> Result<Value, TemplateError> {
        let mut flowing: Option<Value> = None;
        for command in &pipeline.0 {
            flowing = Some(match command {
                Command::Value(_) if flowing.is_some() => {
                    return Err(TemplateError::Unexpected { found: "a value".into(), wanted: "a function after |" });
                }
                Command::Value(operand) => self.operand(operand, dot)?,
                Command::Call { function, arguments } => {
                    let mut values = Vec::new();
                    for argument in arguments {
                        values.push(self.operand(argument, dot)?);
                    }
                    values.extend(flowing);
                    functions::call(function, &values)?
                }
            });
        }
        Ok(flowing.unwrap_or_default())
    }

    fn operand(&mut self, operand: &Operand, dot: &Value) -> Result<Value, TemplateError> {
        let mut value = match &operand.base {
            Base::Dot => dot.clone(),
            Base::Variable(name) => {
                let found = self.variables.iter().rev().find(|(known, _)| known == name);
                found.ok_or_else(|| TemplateError::Variable(format!("${name}")))?.1.clone()
            }
            Base::Literal(value) => value.clone(),
            Base::Nested(pipeline) => self.pipeline(pipeline, dot)?,
            Base::Call(function) => functions::call(function, &[])?,
        };
        for name in &operand.fields {
            value = self.field(&value, name)?;
        }
        Ok(value)
    }

    /// A field of an object by its name; where case alone differs (`.ID` for `Id`) the field is still found.
    fn field(&self, value: &Value, name: &str) -> Result<Value, TemplateError> {
        let Value::Object(map) = value else {
            return if self.strict { Err(no_field(name, "none")) } else { Ok(Value::Null) };
        };
        let found = map
            .get(name)
            .or_else(|| map.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value));
        match found {
            Some(value) => Ok(value.clone()),
            None if self.strict => {
                let known: Vec<&str> = map.keys().map(String::as_str).collect();
                Err(no_field(name, &known.join(", ")))
            }
            None => Ok(Value::Null),
        }
    }
}

fn no_field(name: &str, known: &str) -> TemplateError {
    TemplateError::Field { name: name.to_owned(), known: known.to_owned() }
}
