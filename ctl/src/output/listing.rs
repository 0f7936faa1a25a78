//! A list of objects, ready to print in the way that the user asked for: table, JSON lines, template or identifiers.
//!
//! Owns the meaning of `--format` and `--quiet` for lists. A row maps docker's placeholder names (`ID`, `Name`, ...)
//! to text, so that one set of rows serves all four ways.

use serde_json::{Map, Value};

use super::table::aligned;
use super::template::{Template, TemplateError};

/// One column of a list: the placeholder and the header above it.
pub(crate) type Column = (&'static str, &'static str);

/// Rows, the columns of the default table, and the headers of every placeholder that a template may name.
#[derive(Debug)]
pub(crate) struct Listing {
    /// The columns of the default table, in order.
    pub(crate) table: Vec<Column>,
    /// The other placeholders, known to templates.
    pub(crate) further: Vec<Column>,
    /// The placeholder that `--quiet` prints.
    pub(crate) identifier: &'static str,
    pub(crate) rows: Vec<Row>,
}

/// One object of a list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row(Map<String, Value>);

/// How a list is printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Table,
    TableTemplate(String),
    Json,
    Template(String),
    Quiet,
}

impl Style {
    /// Reads `--format` and `--quiet`; as in docker, a given format wins.
    pub(crate) fn new(format: Option<&str>, quiet: bool) -> Self {
        match format {
            None | Some("") if quiet => Self::Quiet,
            None | Some("" | "table") if quiet => Self::Quiet,
            None | Some("" | "table") => Self::Table,
            Some("json") => Self::Json,
            Some(format) => match format.strip_prefix("table ") {
                Some(template) => Self::TableTemplate(template.to_owned()),
                None => Self::Template(format.to_owned()),
            },
        }
    }
}

impl Style {
    /// Are the rows set out in columns?
    pub(crate) fn is_table(&self) -> bool {
        matches!(self, Self::Table | Self::TableTemplate(_))
    }
}

impl Row {
    pub(crate) fn with(mut self, placeholder: &str, text: impl Into<String>) -> Self {
        self.0.insert(placeholder.to_owned(), Value::String(text.into()));
        self
    }

    /// Something that is so or not; templates can ask for it.
    pub(crate) fn with_flag(mut self, placeholder: &str, value: bool) -> Self {
        self.0.insert(placeholder.to_owned(), Value::Bool(value));
        self
    }

    fn text(&self, placeholder: &str) -> String {
        self.0.get(placeholder).and_then(Value::as_str).unwrap_or_default().to_owned()
    }
}

impl Listing {
    /// The whole list as text, lines ended.
    pub(crate) fn render(&self, style: &Style) -> Result<String, TemplateError> {
        match style {
            Style::Table => Ok(self.default_table()),
            Style::TableTemplate(template) => self.template_table(&unescaped(template)),
            Style::Json => Ok(self.rows.iter().map(|row| format!("{}\n", sorted_json(row))).collect()),
            Style::Template(template) => {
                let template = Template::parse(&unescaped(template))?;
                self.rows.iter().map(|row| Ok(template.render_strict(&Value::Object(row.0.clone()))? + "\n")).collect()
            }
            Style::Quiet => Ok(self.rows.iter().map(|row| row.text(self.identifier) + "\n").collect()),
        }
    }

    fn default_table(&self) -> String {
        let headers = self.table.iter().map(|(_, header)| (*header).to_owned()).collect();
        let rows =
            self.rows.iter().map(|row| self.table.iter().map(|(placeholder, _)| row.text(placeholder)).collect());
        aligned(&std::iter::once(headers).chain(rows).collect::<Vec<_>>())
    }

    /// A table whose columns are the tab-separated parts of a template; the header row is the template over the headers.
    fn template_table(&self, template: &str) -> Result<String, TemplateError> {
        let template = Template::parse(template)?;
        let headers: Map<String, Value> = (self.table.iter().chain(&self.further))
            .map(|(placeholder, header)| ((*placeholder).to_owned(), Value::String((*header).to_owned())))
            .collect();
        let mut lines = vec![template.render_strict(&Value::Object(headers))?];
        for row in &self.rows {
            lines.push(template.render_strict(&Value::Object(row.0.clone()))?);
        }
        let cells = |line: &String| line.split('\t').map(str::to_owned).collect();
        Ok(aligned(&lines.iter().map(cells).collect::<Vec<_>>()))
    }
}

/// A row as JSON with its keys in alphabetical order, as docker prints it.
fn sorted_json(row: &Row) -> Value {
    let mut pairs: Vec<_> = row.0.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    pairs.sort_by(|left, right| left.0.cmp(&right.0));
    Value::Object(pairs.into_iter().collect())
}

/// Lets a shell's single-quoted template say `\t` and `\n`.
fn unescaped(template: &str) -> String {
    template.replace("\\t", "\t").replace("\\n", "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing() -> Listing {
        Listing {
            table: vec![("ID", "ID"), ("Name", "NAME")],
            further: vec![("Mode", "MODE")],
            identifier: "ID",
            rows: vec![Row::default().with("Name", "web").with("ID", "abc").with("Mode", "global")],
        }
    }

    fn rendered(format: Option<&str>, quiet: bool) -> String {
        listing().render(&Style::new(format, quiet)).unwrap()
    }

    #[test]
    fn one_list_prints_in_every_style() {
        assert_eq!(rendered(None, false), "ID        NAME\nabc       web\n");
        assert_eq!(rendered(None, true), "abc\n");
        assert_eq!(rendered(Some("json"), true), "{\"ID\":\"abc\",\"Mode\":\"global\",\"Name\":\"web\"}\n");
        assert_eq!(rendered(Some("{{.Name}}: {{.Mode}}"), false), "web: global\n");
        assert_eq!(rendered(Some(r"table {{.Name}}\t{{.Mode}}"), false), "NAME      MODE\nweb       global\n");
    }

    #[test]
    fn an_unknown_placeholder_is_named_with_those_that_exist() {
        let refusal = listing().render(&Style::new(Some("{{.Nmae}}"), false)).unwrap_err().to_string();
        assert_eq!(refusal, "there is no field .Nmae; the fields are Name, ID, Mode");
    }
}
