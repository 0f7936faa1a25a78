//! From text to parts: the text between actions, and what each action names.

use super::{Scope, TemplateError};

/// A piece of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    Text(String),
    Action(Expression),
}

/// What an action is replaced by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Expression {
    Text(String),
    Field(Field),
    Call(Function, Vec<Expression>),
}

/// What is known of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Field {
    ServiceId,
    ServiceName,
    ServiceLabels,
    ServiceLabel(String),
    NodeId,
    NodeHostname,
    NodePlatform,
    NodeArchitecture,
    NodeOs,
    TaskId,
    TaskName,
    TaskSlot,
}

/// What can be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Join,
    Index,
    Env,
    Secret,
    Config,
}

/// A word of an action.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Text(String),
    Field(String),
    Word(String),
    Open,
    Close,
    Pipe,
}

/// All parts of a text.
pub(super) fn parts(mut text: &str, scope: Scope) -> Result<Vec<Part>, TemplateError> {
    let mut parts = Vec::new();
    let mut trims = false;
    while let Some(at) = text.find("{{") {
        let (before, rest) = (&text[..at], &text[at + 2..]);
        let end = end_of_action(rest).ok_or_else(|| TemplateError::Unclosed(beginning(rest)))?;
        let (action, trims_before, trims_after) = without_trim_marks(&rest[..end]);
        let before = if trims { before.trim_start() } else { before };
        parts.push(Part::Text(if trims_before { before.trim_end() } else { before }.to_owned()));
        if !is_comment(action) {
            parts.push(Part::Action(Reader::read(action, scope)?));
        }
        (trims, text) = (trims_after, &rest[end + 2..]);
    }
    parts.push(Part::Text(if trims { text.trim_start() } else { text }.to_owned()));
    parts.retain(|part| !matches!(part, Part::Text(text) if text.is_empty()));
    Ok(parts)
}

/// Where the `}}` is that closes an action: not in a string, and not in a comment.
fn end_of_action(action: &str) -> Option<usize> {
    if is_comment(action.strip_prefix('-').unwrap_or(action).trim_start()) {
        let closed = action.find("*/")?;
        return action[closed..].find("}}").map(|at| closed + at);
    }
    let mut quote = None;
    let mut escaped = false;
    for (at, char) in action.char_indices() {
        match quote {
            Some('"') if escaped => escaped = false,
            Some('"') if char == '\\' => escaped = true,
            Some(open) if open == char => quote = None,
            Some(_) => {}
            None if char == '"' || char == '`' => quote = Some(char),
            None if action[at..].starts_with("}}") => return Some(at),
            None => {}
        }
    }
    None
}

fn without_trim_marks(action: &str) -> (&str, bool, bool) {
    let starts = action.strip_prefix('-').filter(|rest| rest.starts_with(char::is_whitespace));
    let rest = starts.unwrap_or(action);
    let ends = rest.strip_suffix('-').filter(|rest| rest.ends_with(char::is_whitespace));
    (ends.unwrap_or(rest).trim(), starts.is_some(), ends.is_some())
}

fn is_comment(action: &str) -> bool {
    action.starts_with("/*")
}

fn beginning(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}

/// Reads one action.
struct Reader<'a> {
    action: &'a str,
    scope: Scope,
    tokens: std::iter::Peekable<std::vec::IntoIter<Token>>,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn read(action: &'a str, scope: Scope) -> Result<Expression, TemplateError> {
        let tokens = tokens(action)?.into_iter().peekable();
        let mut reader = Self { action, scope, tokens, depth: 0 };
        let expression = reader.pipeline()?;
        if reader.tokens.next().is_some() { Err(reader.syntax()) } else { Ok(expression) }
    }

    /// Commands, each of which gets the value of the one before as its last argument.
    fn pipeline(&mut self) -> Result<Expression, TemplateError> {
        let mut value = self.command(None)?;
        while self.tokens.next_if_eq(&Token::Pipe).is_some() {
            value = self.command(Some(value))?;
        }
        Ok(value)
    }

    fn command(&mut self, piped: Option<Expression>) -> Result<Expression, TemplateError> {
        let Some(Token::Word(name)) = self.tokens.next_if(|token| matches!(token, Token::Word(_))) else {
            return if piped.is_some() { Err(self.syntax()) } else { self.operand() };
        };
        let function = Function::named(&name, self.scope)?;
        let mut arguments = Vec::new();
        while !matches!(self.tokens.peek(), None | Some(Token::Pipe | Token::Close)) {
            arguments.push(self.operand()?);
        }
        arguments.extend(piped);
        function.check(&arguments)?;
        Ok(Expression::Call(function, arguments))
    }

    fn operand(&mut self) -> Result<Expression, TemplateError> {
        match self.tokens.next() {
            Some(Token::Text(text)) => Ok(Expression::Text(text)),
            Some(Token::Field(path)) => Field::named(&path).map(Expression::Field),
            Some(Token::Open) if self.depth < DEPTH_MAX => {
                self.depth += 1;
                let value = self.pipeline()?;
                self.depth -= 1;
                self.tokens.next_if_eq(&Token::Close).map(|_| value).ok_or_else(|| self.syntax())
            }
            _ => Err(self.syntax()),
        }
    }

    fn syntax(&self) -> TemplateError {
        TemplateError::Syntax(beginning(self.action))
    }
}

fn tokens(action: &str) -> Result<Vec<Token>, TemplateError> {
    let syntax = || TemplateError::Syntax(beginning(action));
    let is_word = |char: char| char.is_alphanumeric() || char == '_';
    let mut tokens = Vec::new();
    let mut rest = action.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '(' => {
                tokens.push(Token::Open);
                1
            }
            ')' => {
                tokens.push(Token::Close);
                1
            }
            '|' => {
                tokens.push(Token::Pipe);
                1
            }
            '`' => {
                let end = rest[1..].find('`').ok_or_else(syntax)?;
                tokens.push(Token::Text(rest[1..=end].to_owned()));
                end + 2
            }
            '"' => {
                let (text, length) = quoted(&rest[1..]).ok_or_else(syntax)?;
                tokens.push(Token::Text(text));
                length + 1
            }
            '.' => {
                let end = rest.find(|char: char| !is_word(char) && char != '.').unwrap_or(rest.len());
                tokens.push(Token::Field(rest[..end].to_owned()));
                end
            }
            char if is_word(char) => {
                let end = rest.find(|char: char| !is_word(char)).unwrap_or(rest.len());
                tokens.push(Token::Word(rest[..end].to_owned()));
                end
            }
            _ => return Err(syntax()),
        };
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

/// A string after its first quote, and how long it is with its last one.
fn quoted(text: &str) -> Option<(String, usize)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return Some((value, at + 1)),
            '\\' => value.push(match chars.next()?.1 {
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                same @ ('"' | '\\' | '\'') => same,
                _ => return None,
            }),
            other => value.push(other),
        }
    }
    None
}

impl Field {
    fn named(path: &str) -> Result<Self, TemplateError> {
        Ok(match path {
            ".Service.ID" => Self::ServiceId,
            ".Service.Name" => Self::ServiceName,
            ".Service.Labels" => Self::ServiceLabels,
            ".Node.ID" => Self::NodeId,
            ".Node.Hostname" => Self::NodeHostname,
            ".Node.Platform" => Self::NodePlatform,
            ".Node.Platform.Architecture" => Self::NodeArchitecture,
            ".Node.Platform.OS" => Self::NodeOs,
            ".Task.ID" => Self::TaskId,
            ".Task.Name" => Self::TaskName,
            ".Task.Slot" => Self::TaskSlot,
            other => match other.strip_prefix(".Service.Labels.") {
                Some(key) if !key.is_empty() && !key.contains('.') => Self::ServiceLabel(key.to_owned()),
                _ => return Err(TemplateError::UnknownField(beginning(other))),
            },
        })
    }
}

impl Function {
    fn named(name: &str, scope: Scope) -> Result<Self, TemplateError> {
        Ok(match (name, scope) {
            ("join", _) => Self::Join,
            ("index", _) => Self::Index,
            ("env", Scope::Payload) => Self::Env,
            ("secret", Scope::Payload) => Self::Secret,
            ("config", Scope::Payload) => Self::Config,
            _ => {
                let known = match scope {
                    Scope::Spec => "join and index",
                    Scope::Payload => "env, secret, config, join and index",
                };
                return Err(TemplateError::UnknownFunction { name: beginning(name), known });
            }
        })
    }

    fn check(self, arguments: &[Expression]) -> Result<(), TemplateError> {
        let is_labels = |argument: &Expression| *argument == Expression::Field(Field::ServiceLabels);
        let (fits, function, takes) = match self {
            Self::Join => (!arguments.is_empty(), "join", "a separator and the texts to join"),
            Self::Index => {
                let fits = matches!(arguments, [labels, _] if is_labels(labels));
                (fits, "index", ".Service.Labels and a key")
            }
            Self::Env => (arguments.len() == 1, "env", "the name of a variable of the service's environment"),
            Self::Secret => (arguments.len() == 1, "secret", "the target of a secret of the service"),
            Self::Config => (arguments.len() == 1, "config", "the target of a config of the service"),
        };
        if fits { Ok(()) } else { Err(TemplateError::Arguments { function, takes }) }
    }
}

/// Characters of an action that a message shows.
const SHOWN: usize = 60;

/// Parentheses within parentheses: more than anyone writes, and few enough for the stack.
const DEPTH_MAX: usize = 16;
