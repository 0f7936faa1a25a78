//! A command written as one flag value (`--entrypoint "sh -c 'exit 1'"`), split into words as a shell would.

use std::str::FromStr;

/// The words of one command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Words(pub(crate) Vec<String>);

#[derive(Debug, thiserror::Error)]
pub(crate) enum WordsError {
    #[error("a quote is not closed")]
    OpenQuote,
    #[error("nothing follows the last backslash")]
    TrailingBackslash,
}

impl FromStr for Words {
    type Err = WordsError;

    fn from_str(text: &str) -> Result<Self, WordsError> {
        let mut words = Vec::new();
        let mut word: Option<String> = None;
        let mut letters = text.chars();
        while let Some(letter) = letters.next() {
            match letter {
                ' ' | '\t' | '\r' | '\n' => words.extend(word.take()),
                '#' if word.is_none() => {
                    // A comment runs to the end of its line.
                    letters.by_ref().find(|next| *next == '\n');
                }
                '\'' => {
                    let word = word.get_or_insert_default();
                    loop {
                        match letters.next().ok_or(WordsError::OpenQuote)? {
                            '\'' => break,
                            inner => word.push(inner),
                        }
                    }
                }
                '"' => double_quoted(&mut letters, word.get_or_insert_default())?,
                '\\' => word.get_or_insert_default().push(letters.next().ok_or(WordsError::TrailingBackslash)?),
                other => word.get_or_insert_default().push(other),
            }
        }
        words.extend(word);
        Ok(Self(words))
    }
}

fn double_quoted(letters: &mut std::str::Chars<'_>, word: &mut String) -> Result<(), WordsError> {
    loop {
        match letters.next().ok_or(WordsError::OpenQuote)? {
            '"' => return Ok(()),
            '\\' => word.push(letters.next().ok_or(WordsError::OpenQuote)?),
            inner => word.push(inner),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_as_a_shell_does() {
        let split = |text: &str| text.parse::<Words>().unwrap().0;
        assert_eq!(split("sh -c 'exit 1'"), ["sh", "-c", "exit 1"]);
        assert_eq!(split(r#"a "b \"c\"" d\ e"#), ["a", "b \"c\"", "d e"]);
        assert_eq!(split("a''b \"\" # not this"), ["ab", ""]);
        assert!(split("  ").is_empty());
        assert!(matches!("'open".parse::<Words>(), Err(WordsError::OpenQuote)));
        assert!(matches!("end\\".parse::<Words>(), Err(WordsError::TrailingBackslash)));
    }
}
