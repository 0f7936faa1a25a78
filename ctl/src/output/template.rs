//! Go's template language over JSON values: what `--format '{{...}}'` is written in.
//!
//! Owns parsing and evaluation: fields, variables, pipelines, `if`, `range`, `with`, and the functions that Go and
//! docker give to templates (`json`, `join`, `printf`, ...). Templates that define other templates are refused.
//! Invariant: objects are printed and walked in the order of their keys, as Go does, whatever their order in the JSON.

mod evaluate;
mod functions;
mod lex;
mod parse;
mod show;

use serde_json::Value;

/// A parsed template.
#[derive(Debug)]
pub(crate) struct Template {
    nodes: Vec<parse::Node>,
}

/// Why a template cannot be parsed, or does not fit the value.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TemplateError {
    #[error("an action is opened with {{{{ and not closed with }}}}")]
    Unclosed,
    #[error("a string is not closed")]
    OpenString,
    #[error("unexpected character {0:?} in an action")]
    Character(char),
    #[error("not a number: {0}")]
    Number(String),
    #[error("unexpected {found} where {wanted} was expected")]
    Unexpected { found: String, wanted: &'static str },
    #[error("{0:?} is not closed with an end")]
    MissingEnd(&'static str),
    #[error("there is no function {0:?}")]
    Function(String),
    #[error("{{{{{0}}}}} is not supported here")]
    Unsupported(String),
    #[error("there is no variable {0}")]
    Variable(String),
    #[error("there is no field .{name}; the fields are {known}")]
    Field { name: String, known: String },
    #[error("{function}: {reason}")]
    Argument { function: &'static str, reason: String },
    #[error("the template nests deeper than {0} levels")]
    Depth(usize),
}

impl Template {
    pub(crate) fn parse(text: &str) -> Result<Self, TemplateError> {
        Ok(Self { nodes: parse::parse(text)? })
    }

    /// The text for one value; a field that the value has not is `<no value>`.
    pub(crate) fn render(&self, value: &Value) -> Result<String, TemplateError> {
        evaluate::render(&self.nodes, value, false)
    }

    /// As `render`, but a field that the value has not is an error that names those it has.
    pub(crate) fn render_strict(&self, value: &Value) -> Result<String, TemplateError> {
        evaluate::render(&self.nodes, value, true)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(template: &str) -> String {
        let value = json!({
            "Name": "web",
            "Id": "0123456789abcdef",
            "Labels": {"b": "2", "a": "1"},
            "Args": ["-c", "top"],
            "Spec": {"Mode": {"Replicated": {"Replicas": 3}}},
            "Ratio": 0.5,
            "Nothing": null,
            "On": true,
        });
        match Template::parse(template).and_then(|template| template.render(&value)) {
            Ok(text) => text,
            Err(error) => format!("error: {error}"),
        }
    }

    #[test]
    fn fields_variables_and_pipes() {
        assert_eq!(shown("{{.Name}} {{ .Spec.Mode.Replicated.Replicas }}"), "web 3");
        assert_eq!(shown("{{.ID}}"), "0123456789abcdef");
        assert_eq!(shown("{{.Labels}} {{.Args}} {{.Ratio}} {{.On}}"), "map[a:1 b:2] [-c top] 0.5 true");
        assert_eq!(shown("{{.Missing}} {{.Missing.Deeper}} {{.Nothing}}"), "<no value> <no value> <no value>");
        assert_eq!(shown("{{json .Labels}} {{.Args | json}}"), r#"{"a":"1","b":"2"} ["-c","top"]"#);
        assert_eq!(shown(r#"{{join .Args ","}} {{upper .Name}} {{title .Name}} {{len .Args}}"#), "-c,top WEB Web 2");
        assert_eq!(shown(r#"{{index .Labels "a"}} {{index .Args 1}} {{(index .Args 0)}}"#), "1 top -c");
        assert_eq!(
            shown(r#"{{printf "%s=%d %q %v %5s|%-5s|%03d" .Name 3 .Name .Args "a" "b" 7}}"#),
            r#"web=3 "web" [-c top]     a|b    |007"#
        );
        assert_eq!(shown("{{$n := .Name}}{{range .Args}}{{$n}}{{.}};{{end}}"), "web-c;webtop;");
        assert_eq!(shown(r#"{{slice .Id 0 4}} {{truncate .Id 3}} {{println "x"}}"#), "0123 012 x\n");
    }

    #[test]
    fn conditions_loops_and_trimming() {
        assert_eq!(shown("{{if .On}}yes{{else}}no{{end}}{{if .Missing}}a{{else if eq .Name \"web\"}}b{{end}}"), "yesb");
        assert_eq!(shown("{{range $k, $v := .Labels}}{{$k}}={{$v}} {{end}}"), "a=1 b=2 ");
        assert_eq!(shown("{{range .Missing}}x{{else}}none{{end}}"), "none");
        assert_eq!(shown("{{with .Spec}}{{.Mode.Replicated.Replicas}}{{end}}"), "3");
        assert_eq!(shown("a {{- /* note */ -}} b {{- 1 -}} c"), "ab1c");
        assert_eq!(shown("{{if and .On (not .Missing)}}{{$.Name}}{{end}}"), "web");
        assert_eq!(shown("{{if lt 1 2}}{{if ge 2 2}}{{if ne .Name `x`}}ok{{end}}{{end}}{{end}}"), "ok");
        assert_eq!(shown("{{$x := 1}}{{range .Args}}{{$x = 2}}{{end}}{{$x}}"), "2");
    }

    #[test]
    fn mistakes_are_named() {
        assert_eq!(shown("{{.Name"), "error: an action is opened with {{ and not closed with }}");
        assert_eq!(shown("{{nope .Name}}"), "error: there is no function \"nope\"");
        assert_eq!(shown("{{if .On}}"), "error: \"if\" is not closed with an end");
        assert_eq!(shown("{{end}}"), "error: unexpected end where text or an action was expected");
        assert_eq!(shown("{{$x}}"), "error: there is no variable $x");
        assert_eq!(shown("{{define \"a\"}}{{end}}"), "error: {{define}} is not supported here");
        assert_eq!(shown("{{index .Args 9}}"), "error: index: 9 is outside a list of 2");
        assert_eq!(shown("{{join .Name}}"), "error: join: wants a list and a separator");
        assert_eq!(shown("{{.}} {{\"open}}"), "error: a string is not closed");
        assert_eq!(shown(&"{{(".repeat(9000)), "error: an action is opened with {{ and not closed with }}");
        assert_eq!(
            shown(&format!("{{{{{}1{}}}}}", "(".repeat(900), ")".repeat(900))),
            "error: the template nests deeper than 100 levels"
        );
    }
}
