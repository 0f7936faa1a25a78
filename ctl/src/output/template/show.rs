//! How values of a template print and what counts as true, by Go's rules.

use serde_json::{Map, Value};

/// A value as `{{.}}` prints it: `map[a:1 b:2]`, `[x y]`, `<no value>`.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::Null => "<no value>".into(),
        other => inner(other),
    }
}

/// JSON with the keys of objects in order.
pub(super) fn json(value: &Value) -> String {
    fn ordered(value: &Value) -> Value {
        match value {
            Value::Object(map) => {
                sorted(map).map(|(key, value)| (key.clone(), ordered(value))).collect::<Map<_, _>>().into()
            }
            Value::Array(items) => items.iter().map(ordered).collect(),
            other => other.clone(),
        }
    }
    ordered(value).to_string()
}

/// The pairs of an object in the order of their keys.
pub(super) fn sorted(map: &Map<String, Value>) -> impl Iterator<Item = (&String, &Value)> {
    let mut pairs: Vec<_> = map.iter().collect();
    pairs.sort_by_key(|(key, _)| *key);
    pairs.into_iter()
}

pub(super) fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(map) => !map.is_empty(),
    }
}

fn inner(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".into(),
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(inner).collect::<Vec<_>>().join(" ")),
        Value::Object(map) => {
            let pairs: Vec<_> = sorted(map).map(|(key, value)| format!("{key}:{}", inner(value))).collect();
            format!("map[{}]", pairs.join(" "))
        }
        other => other.to_string(),
    }
}
