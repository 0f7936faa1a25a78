//! How Go reads and writes JSON where it differs from serde: `null` means "not given" for every field, and a field
//! marked `omitempty` is left out when it holds its type's zero value.

use serde::de::DeserializeOwned;
use serde_json::Value;

/// Why a JSON document could not be read as an API object.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Not JSON, or cut short; the source names line and column.
    #[error("malformed JSON")]
    Syntax(#[source] serde_json::Error),
    /// JSON, but a field has the wrong shape.
    #[error("field {path}")]
    Field {
        /// Dotted path of the field, such as `TaskTemplate.Resources.Limits.NanoCPUs`; `.` is the whole document.
        path: String,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
}

/// Reads an API object: unknown fields are ignored, `null` counts as absent.
///
/// # Errors
/// [`DecodeError::Syntax`] for text that is not one JSON document, [`DecodeError::Field`] for a value of the wrong type.
pub fn decode<T: DeserializeOwned>(document: &[u8]) -> Result<T, DecodeError> {
    let mut value: Value = serde_json::from_slice(document).map_err(DecodeError::Syntax)?;
    drop_nulls(&mut value);
    serde_path_to_error::deserialize(value)
        .map_err(|error| DecodeError::Field { path: error.path().to_string(), source: error.into_inner() })
}

/// Removes the members of objects that are `null`; `null` elements of lists keep their place.
fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            members.values_mut().for_each(drop_nulls);
        }
        Value::Array(elements) => elements.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

/// Go's `omitempty`: whether a field holds its type's zero value.
pub(super) fn unset<T: Default + PartialEq>(field: &T) -> bool {
    *field == T::default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::ServiceSpec;

    #[test]
    fn null_counts_as_absent_at_any_depth() {
        let spec: ServiceSpec = decode(
            br#"{"Name":"web","Labels":null,"TaskTemplate":{"ContainerSpec":{"Image":"x","Env":null}},"Mode":{"Replicated":{"Replicas":null}},"Unknown":1}"#,
        )
        .unwrap();
        assert_eq!(spec.name, "web");
        assert!(spec.labels.is_empty());
        assert!(spec.task_template.container_spec.unwrap().env.is_empty());
        assert_eq!(spec.mode.replicated.unwrap().replicas, None);
    }

    #[test]
    fn errors_name_the_place() {
        let cut = decode::<ServiceSpec>(br#"{"Name":"web","#).unwrap_err();
        let DecodeError::Syntax(source) = cut else { panic!("{cut}") };
        assert!(source.to_string().contains("line 1 column 14"), "{source}");

        let wrong =
            decode::<ServiceSpec>(br#"{"TaskTemplate":{"Resources":{"Limits":{"NanoCPUs":"two"}}}}"#).unwrap_err();
        let DecodeError::Field { path, source } = wrong else { panic!("{wrong}") };
        assert_eq!(path, "TaskTemplate.Resources.Limits.NanoCPUs");
        assert!(source.to_string().contains("expected i64"), "{source}");
    }
}
