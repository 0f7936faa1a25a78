//! The functions of templates: Go's own and those that docker adds.

use std::cmp::Ordering;

use serde_json::Value;

use super::TemplateError;
use super::show::{is_true, json, plain};
use crate::output::human::capitalised;

pub(super) fn exists(name: &str) -> bool {
    NAMES.contains(&name)
}

/// Calls a function by its name.
pub(super) fn call(name: &str, arguments: &[Value]) -> Result<Value, TemplateError> {
    match name {
        "and" | "or" => logic(name == "and", arguments),
        "eq" | "ne" | "lt" | "le" | "gt" | "ge" => compare(name, arguments),
        "index" => index(arguments),
        "slice" => slice(arguments),
        "print" => Ok(arguments.iter().map(plain).collect::<Vec<_>>().join("").into()),
        "println" => Ok((arguments.iter().map(plain).collect::<Vec<_>>().join(" ") + "\n").into()),
        "printf" => printf(arguments),
        "join" => join(arguments),
        "split" => split(arguments),
        "pad" => pad(arguments),
        "truncate" => truncate(arguments),
        _ => one_argument(name, arguments),
    }
}

fn one_argument(name: &str, arguments: &[Value]) -> Result<Value, TemplateError> {
    let function = NAMES.iter().find(|known| **known == name).copied().unwrap_or("function");
    let [value] = arguments else { return Err(refusal(function, "wants one argument")) };
    Ok(match (name, value) {
        ("not", value) => (!is_true(value)).into(),
        ("json", value) => json(value).into(),
        ("len", Value::String(text)) => text.len().into(),
        ("len", Value::Array(items)) => items.len().into(),
        ("len", Value::Object(map)) => map.len().into(),
        ("len", Value::Null) => 0.into(),
        ("len", _) => return Err(refusal("len", "wants text, a list or a map")),
        ("upper", value) => plain(value).to_uppercase().into(),
        ("lower", value) => plain(value).to_lowercase().into(),
        (_, value) => plain(value).split(' ').map(capitalised).collect::<Vec<_>>().join(" ").into(),
    })
}

fn logic(all: bool, arguments: &[Value]) -> Result<Value, TemplateError> {
    let (last, first) = arguments.split_last().ok_or_else(|| refusal("and, or", "want an argument"))?;
    Ok(first.iter().find(|value| is_true(value) != all).unwrap_or(last).clone())
}

fn compare(name: &str, arguments: &[Value]) -> Result<Value, TemplateError> {
    let (first, others) = arguments.split_first().ok_or_else(|| refusal("comparison", "wants two arguments"))?;
    if others.is_empty() {
        return Err(refusal("comparison", "wants two arguments"));
    }
    let order = |other: &Value| match (first, other) {
        (Value::Number(left), Value::Number(right)) => left.as_f64().partial_cmp(&right.as_f64()),
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        (left, right) => (left == right).then_some(Ordering::Equal),
    };
    let first_order = others.first().and_then(order);
    Ok(Value::Bool(match name {
        "eq" => others.iter().any(|other| order(other) == Some(Ordering::Equal)),
        "ne" => first_order != Some(Ordering::Equal),
        "lt" => first_order == Some(Ordering::Less),
        "le" => matches!(first_order, Some(Ordering::Less | Ordering::Equal)),
        "gt" => first_order == Some(Ordering::Greater),
        _ => matches!(first_order, Some(Ordering::Greater | Ordering::Equal)),
    }))
}

fn index(arguments: &[Value]) -> Result<Value, TemplateError> {
    let (first, keys) = arguments.split_first().ok_or_else(|| refusal("index", "wants a list or a map"))?;
    keys.iter().try_fold(first.clone(), |value, key| match (&value, key) {
        (Value::Array(items), Value::Number(at)) => at
            .as_u64()
            .and_then(|at| items.get(usize::try_from(at).ok()?).cloned())
            .ok_or_else(|| refusal("index", &format!("{at} is outside a list of {}", items.len()))),
        (Value::Object(map), Value::String(key)) => Ok(map.get(key).cloned().unwrap_or_default()),
        (Value::Null, _) => Ok(Value::Null),
        _ => Err(refusal("index", &format!("cannot take {} of {}", plain(key), plain(&value)))),
    })
}

fn slice(arguments: &[Value]) -> Result<Value, TemplateError> {
    let wrong = || refusal("slice", "wants text or a list, and where to begin and end");
    let (value, bounds) = arguments.split_first().ok_or_else(wrong)?;
    let bound = |at: usize, default: usize| match bounds.get(at) {
        None => Some(default),
        Some(value) => value.as_u64().and_then(|bound| usize::try_from(bound).ok()),
    };
    match value {
        Value::String(text) => {
            let (start, end) = (bound(0, 0).ok_or_else(wrong)?, bound(1, text.len()).ok_or_else(wrong)?);
            text.get(start..end).map(Value::from).ok_or_else(|| refusal("slice", "outside the text"))
        }
        Value::Array(items) => {
            let (start, end) = (bound(0, 0).ok_or_else(wrong)?, bound(1, items.len()).ok_or_else(wrong)?);
            items.get(start..end).map(Value::from).ok_or_else(|| refusal("slice", "outside the list"))
        }
        _ => Err(wrong()),
    }
}

fn join(arguments: &[Value]) -> Result<Value, TemplateError> {
    let [Value::Array(items), Value::String(separator)] = arguments else {
        return match arguments {
            [Value::Null, Value::String(_)] => Ok("".into()),
            _ => Err(refusal("join", "wants a list and a separator")),
        };
    };
    Ok(items.iter().map(plain).collect::<Vec<_>>().join(separator).into())
}

fn split(arguments: &[Value]) -> Result<Value, TemplateError> {
    let [Value::String(text), Value::String(separator)] = arguments else {
        return Err(refusal("split", "wants text and a separator"));
    };
    Ok(text.split(separator.as_str()).map(Value::from).collect())
}

fn pad(arguments: &[Value]) -> Result<Value, TemplateError> {
    let [Value::String(text), before, after] = arguments else {
        return Err(refusal("pad", "wants text and two numbers of blanks"));
    };
    let blanks = |count: &Value| " ".repeat(count.as_u64().unwrap_or(0).min(WIDTH_MAX) as usize);
    Ok(format!("{}{text}{}", blanks(before), blanks(after)).into())
}

fn truncate(arguments: &[Value]) -> Result<Value, TemplateError> {
    let [Value::String(text), Value::Number(length)] = arguments else {
        return Err(refusal("truncate", "wants text and a length"));
    };
    Ok(text.chars().take(length.as_u64().unwrap_or(0) as usize).collect::<String>().into())
}

/// The verbs of `printf` that make sense for JSON: `%s %v %d %q %t %f %x %%`, with width, `-` and `0`.
fn printf(arguments: &[Value]) -> Result<Value, TemplateError> {
    let Some((Value::String(format), mut values)) = arguments.split_first() else {
        return Err(refusal("printf", "wants a format"));
    };
    let mut text = String::new();
    let mut letters = format.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            text.push(letter);
            continue;
        }
        let mut flags = String::new();
        while let Some(flag) = letters.next_if(|next| "-+0123456789.".contains(*next)) {
            flags.push(flag);
        }
        let verb = letters.next().ok_or_else(|| refusal("printf", "the format ends after %"))?;
        if verb == '%' {
            text.push('%');
            continue;
        }
        let (value, left) =
            values.split_first().ok_or_else(|| refusal("printf", "too few arguments for the format"))?;
        values = left;
        text.push_str(&padded(&verb_text(verb, &flags, value)?, &flags));
    }
    Ok(text.into())
}

fn verb_text(verb: char, flags: &str, value: &Value) -> Result<String, TemplateError> {
    Ok(match (verb, value) {
        ('s' | 'v', value) => plain(value),
        ('q', value) => Value::String(plain(value)).to_string(),
        ('d', Value::Number(number)) if !number.is_f64() => number.to_string(),
        ('t', Value::Bool(value)) => value.to_string(),
        ('x', Value::Number(number)) if number.is_u64() => format!("{:x}", number.as_u64().unwrap_or(0)),
        ('f', Value::Number(number)) => {
            let places = flags.split_once('.').and_then(|(_, places)| places.parse().ok()).unwrap_or(6);
            format!("{:.*}", places, number.as_f64().unwrap_or(0.0))
        }
        (verb, value) => return Err(refusal("printf", &format!("cannot print {} with %{verb}", plain(value)))),
    })
}

fn padded(text: &str, flags: &str) -> String {
    let (left, digits) = (flags.starts_with('-'), flags.trim_start_matches(['-', '+']));
    let width =
        digits.split('.').next().and_then(|width| width.parse::<u64>().ok()).unwrap_or(0).min(WIDTH_MAX) as usize;
    if left {
        format!("{text:<width$}")
    } else if digits.starts_with('0') {
        format!("{text:0>width$}")
    } else {
        format!("{text:>width$}")
    }
}

fn refusal(function: &'static str, reason: &str) -> TemplateError {
    TemplateError::Argument { function, reason: reason.to_owned() }
}

const NAMES: [&str; 23] = [
    "and", "or", "not", "eq", "ne", "lt", "le", "gt", "ge", "index", "slice", "len", "print", "printf", "println",
    "json", "join", "split", "upper", "lower", "title", "pad", "truncate",
];

/// Blanks that one padding may ask for: no terminal is wider, and memory stays bounded.
const WIDTH_MAX: u64 = 4096;
