//! Flag values that are one of a few words: the API's own enums, in the API's own spelling.

use serde::de::DeserializeOwned;
use serde_json::Value;

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct WordError(serde_json::Error);

/// Reads the word of an enum of the API; the refusal lists those that there are.
pub(crate) fn word<T: DeserializeOwned>(text: &str) -> Result<T, WordError> {
    serde_json::from_value(Value::String(text.to_owned())).map_err(WordError)
}

#[cfg(test)]
mod tests {
    use shoal_api::types::RestartCondition;

    use super::*;

    #[test]
    fn the_words_are_listed() {
        assert_eq!(word::<RestartCondition>("on-failure").unwrap(), RestartCondition::OnFailure);
        let refusal = word::<RestartCondition>("maybe").unwrap_err().to_string();
        assert!(refusal.starts_with("unknown variant `maybe`, expected one of `none`, `on-failure`, "), "{refusal}");
    }
}
