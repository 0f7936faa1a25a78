//! Whole objects, as `inspect` prints them: a JSON array, one JSON line each, or a template over each.

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{PrettyFormatter, Serializer};

use super::template::{Template, TemplateError};

/// How objects are printed. A template is parsed before anything is asked of the API, so that a broken one costs nothing.
#[derive(Debug)]
pub(crate) enum Inspection {
    Pretty,
    JsonLines,
    Template(Template),
}

impl Inspection {
    /// Reads `--format`.
    pub(crate) fn new(format: Option<&str>) -> Result<Self, TemplateError> {
        Ok(match format {
            None | Some("") => Self::Pretty,
            Some("json") => Self::JsonLines,
            Some(template) => Self::Template(Template::parse(template)?),
        })
    }

    /// All objects as text, lines ended.
    pub(crate) fn render(&self, objects: &[Value]) -> Result<String, TemplateError> {
        match self {
            Self::Pretty => Ok(indented(&Value::Array(objects.to_vec()))),
            Self::JsonLines => Ok(objects.iter().map(|object| format!("{object}\n")).collect()),
            Self::Template(template) => objects.iter().map(|object| Ok(template.render(object)? + "\n")).collect(),
        }
    }
}

/// JSON indented by four blanks, as docker prints it.
fn indented(value: &Value) -> String {
    let mut bytes = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut bytes, PrettyFormatter::with_indent(b"    "));
    match value.serialize(&mut serializer) {
        Ok(()) => String::from_utf8_lossy(&bytes).into_owned() + "\n",
        // A JSON value always serialises into memory; its compact form says the same.
        Err(_) => format!("{value}\n"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn objects_print_as_an_array_as_lines_or_by_template() {
        let objects = [json!({"ID": "a"}), json!({"ID": "b"})];
        let rendered = |format| Inspection::new(format).unwrap().render(&objects).unwrap();
        assert_eq!(rendered(None), "[\n    {\n        \"ID\": \"a\"\n    },\n    {\n        \"ID\": \"b\"\n    }\n]\n");
        assert_eq!(rendered(Some("json")), "{\"ID\":\"a\"}\n{\"ID\":\"b\"}\n");
        assert_eq!(rendered(Some("{{.ID}}")), "a\nb\n");
        assert_eq!(Inspection::new(None).unwrap().render(&[]).unwrap(), "[]\n");
    }
}
