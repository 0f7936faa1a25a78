//! Builds the tree of a template from its tokens.

use serde_json::Value;

use super::TemplateError;
use super::functions;
use super::lex::{Part, Token, parts};

/// A part of a template that renders to text.
#[derive(Debug)]
pub(super) enum Node {
    Text(String),
    Output(Pipeline),
    Set { variable: String, value: Pipeline, declares: bool },
    If { branches: Vec<(Pipeline, Vec<Node>)>, otherwise: Vec<Node> },
    With { value: Pipeline, variable: Option<String>, body: Vec<Node>, otherwise: Vec<Node> },
    Range(Range),
}

#[derive(Debug)]
pub(super) struct Range {
    pub(super) over: Pipeline,
    pub(super) key: Option<String>,
    pub(super) value: Option<String>,
    pub(super) body: Vec<Node>,
    pub(super) otherwise: Vec<Node>,
}

/// Commands whose results flow into each other's last argument.
#[derive(Debug)]
pub(super) struct Pipeline(pub(super) Vec<Command>);

#[derive(Debug)]
pub(super) enum Command {
    Call { function: String, arguments: Vec<Operand> },
    Value(Operand),
}

#[derive(Debug)]
pub(super) struct Operand {
    pub(super) base: Base,
    /// Fields taken of the base, from left to right.
    pub(super) fields: Vec<String>,
}

#[derive(Debug)]
pub(super) enum Base {
    Dot,
    Variable(String),
    Literal(Value),
    Nested(Box<Pipeline>),
    /// A function without arguments, as an argument of another.
    Call(String),
}

pub(super) fn parse(template: &str) -> Result<Vec<Node>, TemplateError> {
    let mut parser = Parser { parts: parts(template)?.into_iter(), depth: 0 };
    let (nodes, stop) = parser.nodes()?;
    match stop {
        None => Ok(nodes),
        Some(stop) => Err(unexpected(stop.word(), "text or an action")),
    }
}

struct Parser {
    parts: std::vec::IntoIter<Part>,
    depth: usize,
}

/// What ended a list of nodes.
enum Stop {
    End,
    Else(Vec<Token>),
}

impl Stop {
    fn word(&self) -> &'static str {
        match self {
            Self::End => "end",
            Self::Else(_) => "else",
        }
    }
}

impl Parser {
    fn nodes(&mut self) -> Result<(Vec<Node>, Option<Stop>), TemplateError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(TemplateError::Depth(DEPTH_MAX));
        }
        let mut nodes = Vec::new();
        let mut stop = None;
        while let Some(part) = self.parts.next() {
            match part {
                Part::Text(text) => nodes.push(Node::Text(text)),
                Part::Action(tokens) => match self.action(tokens)? {
                    Ok(node) => nodes.push(node),
                    Err(end) => {
                        stop = Some(end);
                        break;
                    }
                },
            }
        }
        self.depth -= 1;
        Ok((nodes, stop))
    }

    fn action(&mut self, tokens: Vec<Token>) -> Result<Result<Node, Stop>, TemplateError> {
        let keyword = match tokens.first() {
            Some(Token::Word(word)) => word.as_str(),
            _ => "",
        };
        let rest = || tokens[1..].to_vec();
        Ok(Ok(match keyword {
            "end" => return Ok(Err(Stop::End)),
            "else" => return Ok(Err(Stop::Else(rest()))),
            "if" => self.condition(rest())?,
            "with" => self.with(rest())?,
            "range" => self.range(rest())?,
            "define" | "template" | "block" | "break" | "continue" => {
                return Err(TemplateError::Unsupported(keyword.to_owned()));
            }
            _ => match tokens.as_slice() {
                [Token::Variable(variable), sign @ (Token::Declare | Token::Assign), value @ ..] => {
                    Node::Set { variable: variable.clone(), value: pipeline(value)?, declares: *sign == Token::Declare }
                }
                tokens => Node::Output(pipeline(tokens)?),
            },
        }))
    }

    fn condition(&mut self, tokens: Vec<Token>) -> Result<Node, TemplateError> {
        let mut branches = Vec::new();
        let mut condition = pipeline(&tokens)?;
        loop {
            let (body, stop) = self.nodes()?;
            branches.push((condition, body));
            match stop.ok_or(TemplateError::MissingEnd("if"))? {
                Stop::End => return Ok(Node::If { branches, otherwise: Vec::new() }),
                Stop::Else(tokens) => match tokens.split_first() {
                    None => return Ok(Node::If { branches, otherwise: self.body_to_end("if")? }),
                    Some((Token::Word(word), tokens)) if word == "if" => condition = pipeline(tokens)?,
                    Some((other, _)) => return Err(unexpected(&format!("{other:?}"), "if or nothing after else")),
                },
            }
        }
    }

    fn with(&mut self, tokens: Vec<Token>) -> Result<Node, TemplateError> {
        let (variable, value) = match tokens.as_slice() {
            [Token::Variable(variable), Token::Declare, value @ ..] => (Some(variable.clone()), pipeline(value)?),
            value => (None, pipeline(value)?),
        };
        let (body, otherwise) = self.body_and_otherwise("with")?;
        Ok(Node::With { value, variable, body, otherwise })
    }

    fn range(&mut self, tokens: Vec<Token>) -> Result<Node, TemplateError> {
        let (key, value, over) = match tokens.as_slice() {
            [Token::Variable(key), Token::Comma, Token::Variable(value), Token::Declare, over @ ..] => {
                (Some(key.clone()), Some(value.clone()), over)
            }
            [Token::Variable(value), Token::Declare, over @ ..] => (None, Some(value.clone()), over),
            over => (None, None, over),
        };
        let over = pipeline(over)?;
        let (body, otherwise) = self.body_and_otherwise("range")?;
        Ok(Node::Range(Range { over, key, value, body, otherwise }))
    }

    fn body_and_otherwise(&mut self, keyword: &'static str) -> Result<(Vec<Node>, Vec<Node>), TemplateError> {
        let (body, stop) = self.nodes()?;
        match stop.ok_or(TemplateError::MissingEnd(keyword))? {
            Stop::End => Ok((body, Vec::new())),
            Stop::Else(tokens) if tokens.is_empty() => Ok((body, self.body_to_end(keyword)?)),
            Stop::Else(_) => Err(unexpected("a condition", "nothing after else")),
        }
    }

    fn body_to_end(&mut self, keyword: &'static str) -> Result<Vec<Node>, TemplateError> {
        match self.nodes()? {
            (body, Some(Stop::End)) => Ok(body),
            (_, Some(Stop::Else(_))) => Err(unexpected("else", "end")),
            (_, None) => Err(TemplateError::MissingEnd(keyword)),
        }
    }
}

fn pipeline(tokens: &[Token]) -> Result<Pipeline, TemplateError> {
    let mut reader = Reader { tokens, depth: 0 };
    let pipeline = reader.pipeline()?;
    match reader.tokens.first() {
        None => Ok(pipeline),
        Some(token) => Err(unexpected(&format!("{token:?}"), "the end of the action")),
    }
}

/// Reads one pipeline from a slice of tokens.
struct Reader<'a> {
    tokens: &'a [Token],
    depth: usize,
}

impl Reader<'_> {
    fn pipeline(&mut self) -> Result<Pipeline, TemplateError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(TemplateError::Depth(DEPTH_MAX));
        }
        let mut commands = vec![self.command()?];
        while self.tokens.first() == Some(&Token::Pipe) {
            self.tokens = &self.tokens[1..];
            commands.push(self.command()?);
        }
        self.depth -= 1;
        Ok(Pipeline(commands))
    }

    fn command(&mut self) -> Result<Command, TemplateError> {
        let first = self.operand()?.ok_or_else(|| unexpected("nothing", "a value"))?;
        let Operand { base: Base::Call(function), .. } = first else {
            return match self.operand()? {
                None => Ok(Command::Value(first)),
                Some(_) => Err(unexpected("an argument", "a function before it")),
            };
        };
        let mut arguments = Vec::new();
        while let Some(argument) = self.operand()? {
            arguments.push(argument);
        }
        Ok(Command::Call { function, arguments })
    }

    fn operand(&mut self) -> Result<Option<Operand>, TemplateError> {
        let Some((first, rest)) = self.tokens.split_first() else { return Ok(None) };
        let mut fields = Vec::new();
        let base = match first {
            Token::Field { name, .. } => {
                fields.extend((!name.is_empty()).then(|| name.clone()));
                Base::Dot
            }
            Token::Variable(name) => Base::Variable(name.clone()),
            Token::Text(text) => Base::Literal(Value::String(text.clone())),
            Token::Number(number) => Base::Literal(number_value(number)?),
            Token::Word(word) => match word.as_str() {
                "true" => Base::Literal(Value::Bool(true)),
                "false" => Base::Literal(Value::Bool(false)),
                "nil" => Base::Literal(Value::Null),
                name if functions::exists(name) => Base::Call(name.to_owned()),
                name => return Err(TemplateError::Function(name.to_owned())),
            },
            Token::Open => {
                self.tokens = rest;
                let nested = self.pipeline()?;
                if self.tokens.first() != Some(&Token::Close) {
                    return Err(unexpected("the end of the action", "a closing parenthesis"));
                }
                Base::Nested(Box::new(nested))
            }
            Token::Pipe | Token::Close => return Ok(None),
            other => return Err(unexpected(&format!("{other:?}"), "a value")),
        };
        self.tokens = &self.tokens[1..];
        while let Some(Token::Field { name, joined: true }) = self.tokens.first() {
            fields.push(name.clone());
            self.tokens = &self.tokens[1..];
        }
        Ok(Some(Operand { base, fields }))
    }
}

fn number_value(text: &str) -> Result<Value, TemplateError> {
    let plain = text.replace('_', "");
    if let Ok(whole) = plain.parse::<i64>() {
        return Ok(whole.into());
    }
    plain
        .parse::<f64>()
        .ok()
        .filter(|number| number.is_finite())
        .map(Value::from)
        .ok_or_else(|| TemplateError::Number(text.to_owned()))
}

fn unexpected(found: &str, wanted: &'static str) -> TemplateError {
    TemplateError::Unexpected { found: found.to_owned(), wanted }
}

/// Nesting of blocks and of parentheses: far above what people write, far below what the stack holds.
const DEPTH_MAX: usize = 100;
