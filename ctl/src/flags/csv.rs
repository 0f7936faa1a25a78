//! The long form of structured flags: `key=value,key=value`, where a quoted field may hold commas.

/// Why a long form cannot be read at all; each flag adds its own reasons.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CsvError {
    #[error("a quote is not closed")]
    OpenQuote,
    #[error("{0:?} is not written key=value")]
    NoValue(String),
    #[error("the key {0:?} is unknown here")]
    Key(String),
    #[error("the value {value:?} of {key} is wrong: {wanted}")]
    Value { key: String, value: String, wanted: &'static str },
}

/// Cuts a line into its fields by the rules of CSV.
pub(crate) fn fields(line: &str) -> Result<Vec<String>, CsvError> {
    let mut fields = Vec::new();
    let mut rest = line;
    loop {
        let (field, left) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_field(quoted)?,
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                (rest[..end].to_owned(), &rest[end..])
            }
        };
        fields.push(field);
        match left.strip_prefix(',') {
            Some(left) => rest = left,
            None if left.is_empty() => return Ok(fields),
            None => return Err(CsvError::OpenQuote),
        }
    }
}

/// A field as its key, in lower case, and its value, if it has one.
pub(crate) fn key_value(field: &str) -> (String, Option<&str>) {
    match field.split_once('=') {
        Some((key, value)) => (key.trim().to_ascii_lowercase(), Some(value)),
        None => (field.trim().to_ascii_lowercase(), None),
    }
}

/// The value of a key that cannot be without one.
pub(crate) fn required<'a>(field: &str, value: Option<&'a str>) -> Result<&'a str, CsvError> {
    value.ok_or_else(|| CsvError::NoValue(field.to_owned()))
}

/// Reads a value that is true or false; the key alone is true.
pub(crate) fn boolean(key: &str, value: Option<&str>) -> Result<bool, CsvError> {
    match value {
        None | Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(true),
        Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(false),
        Some(other) => Err(wrong(key, other, "write true or false")),
    }
}

pub(crate) fn wrong(key: &str, value: &str, wanted: &'static str) -> CsvError {
    CsvError::Value { key: key.to_owned(), value: value.to_owned(), wanted }
}

fn quoted_field(text: &str) -> Result<(String, &str), CsvError> {
    let mut field = String::new();
    let mut rest = text;
    loop {
        let quote = rest.find('"').ok_or(CsvError::OpenQuote)?;
        field.push_str(&rest[..quote]);
        rest = &rest[quote + 1..];
        match rest.strip_prefix('"') {
            Some(left) => {
                field.push('"');
                rest = left;
            }
            None => return Ok((field, rest)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_hold_commas_together() {
        assert_eq!(fields(r#"type=volume,"volume-opt=o=a,b",x"#).unwrap(), ["type=volume", "volume-opt=o=a,b", "x"]);
        assert_eq!(fields(r#""a""b""#).unwrap(), ["a\"b"]);
        assert!(matches!(fields("\"open"), Err(CsvError::OpenQuote)));
    }
}
