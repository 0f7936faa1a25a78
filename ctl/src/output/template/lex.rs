//! Cuts a template into text and actions, and an action into tokens.

use super::TemplateError;

/// A part of a template before parsing.
#[derive(Debug, PartialEq)]
pub(super) enum Part {
    Text(String),
    Action(Vec<Token>),
}

/// One token inside an action.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// `.Name`, without its dot; empty for the dot alone. `joined` when no blank stands before it.
    Field {
        name: String,
        joined: bool,
    },
    /// `$name`, without the sign; empty for `$` alone.
    Variable(String),
    Word(String),
    Text(String),
    Number(String),
    Pipe,
    Open,
    Close,
    Comma,
    Declare,
    Assign,
}

/// Cuts the whole template; `{{-` and `-}}` trim the text beside them.
pub(super) fn parts(template: &str) -> Result<Vec<Part>, TemplateError> {
    let mut parts = Vec::new();
    let mut rest = template;
    let mut trim_start = false;
    loop {
        let (mut text, action) = match rest.find("{{") {
            Some(at) => (&rest[..at], Some(&rest[at + 2..])),
            None => (rest, None),
        };
        if trim_start {
            text = text.trim_start();
        }
        let Some(action) = action else {
            push_text(&mut parts, text);
            return Ok(parts);
        };
        let (trim_end, action) = match action.strip_prefix('-').filter(|after| after.starts_with([' ', '\t', '\n'])) {
            Some(action) => (true, action),
            None => (false, action),
        };
        push_text(&mut parts, if trim_end { text.trim_end() } else { text });
        let end = action_end(action)?;
        let body = &action[..end];
        rest = &action[end + 2..];
        let trimmed = body.strip_suffix('-').filter(|before| before.ends_with([' ', '\t', '\n', '/']));
        trim_start = trimmed.is_some();
        let body = trimmed.unwrap_or(body).trim();
        if !(body.starts_with("/*") && body.ends_with("*/")) {
            parts.push(Part::Action(tokens(body)?));
        }
    }
}

fn push_text(parts: &mut Vec<Part>, text: &str) {
    if !text.is_empty() {
        parts.push(Part::Text(text.to_owned()));
    }
}

/// Where the closing braces stand, those inside strings not counted.
fn action_end(action: &str) -> Result<usize, TemplateError> {
    let mut quote = None;
    let mut letters = action.char_indices();
    while let Some((at, letter)) = letters.next() {
        match quote {
            Some('"') if letter == '\\' => {
                letters.next();
            }
            Some(open) if letter == open => quote = None,
            Some(_) => {}
            None if letter == '"' || letter == '`' => quote = Some(letter),
            None if action[at..].starts_with("}}") => return Ok(at),
            None => {}
        }
    }
    Err(if quote.is_some() { TemplateError::OpenString } else { TemplateError::Unclosed })
}

fn tokens(body: &str) -> Result<Vec<Token>, TemplateError> {
    let mut tokens = Vec::new();
    let mut rest = body;
    let mut joined = false;
    while let Some(letter) = rest.chars().next() {
        let after = &rest[letter.len_utf8()..];
        if letter.is_whitespace() {
            joined = false;
            rest = after;
            continue;
        }
        let (token, left) = match letter {
            '.' => {
                let (name, left) = word(after);
                (Token::Field { name: name.to_owned(), joined }, left)
            }
            '$' => {
                let (name, left) = word(after);
                (Token::Variable(name.to_owned()), left)
            }
            '"' => quoted(after)?,
            '`' => {
                let end = after.find('`').ok_or(TemplateError::OpenString)?;
                (Token::Text(after[..end].to_owned()), &after[end + 1..])
            }
            '|' => (Token::Pipe, after),
            '(' => (Token::Open, after),
            ')' => (Token::Close, after),
            ',' => (Token::Comma, after),
            ':' if after.starts_with('=') => (Token::Declare, &after[1..]),
            '=' => (Token::Assign, after),
            '-' | '+' | '0'..='9' => {
                let end =
                    after.find(|c: char| !c.is_ascii_alphanumeric() && c != '.' && c != '_').unwrap_or(after.len());
                (Token::Number(format!("{letter}{}", &after[..end])), &after[end..])
            }
            _ if letter.is_alphabetic() || letter == '_' => {
                let (name, left) = word(rest);
                (Token::Word(name.to_owned()), left)
            }
            other => return Err(TemplateError::Character(other)),
        };
        tokens.push(token);
        joined = true;
        rest = left;
    }
    Ok(tokens)
}

/// The letters, digits and underscores that `text` begins with, and what follows them.
fn word(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len()))
}

/// A double-quoted string whose opening quote has been taken.
fn quoted(text: &str) -> Result<(Token, &str), TemplateError> {
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Ok((Token::Text(value), &text[at + 1..])),
            '\\' => match letters.next().ok_or(TemplateError::OpenString)?.1 {
                'n' => value.push('\n'),
                't' => value.push('\t'),
                'r' => value.push('\r'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    Err(TemplateError::OpenString)
}
