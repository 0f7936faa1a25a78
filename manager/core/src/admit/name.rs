//! Names of services.

use super::Problems;
use crate::limits::SERVICE_NAME_LENGTH;

/// Letters and digits, with dashes and underscores between them.
pub(super) fn check_service_name(name: &str, problems: &mut Problems) {
    if name.is_empty() {
        problems.add("name must be provided: give the service one");
        return;
    }
    let is_inner = |char: char| char.is_ascii_alphanumeric() || char == '-' || char == '_';
    let ends = |char: Option<char>| char.is_some_and(|char| char.is_ascii_alphanumeric());
    let valid = name.chars().all(is_inner) && ends(name.chars().next()) && ends(name.chars().next_back());
    problems.add_if(!valid, || {
        format!(
            "name must be valid as a DNS name component: '{name}' should consist of letters, digits, '-' and '_', and \
             begin and end with a letter or digit"
        )
    });
    problems.add_if(name.len() > SERVICE_NAME_LENGTH, || {
        format!("name must be {SERVICE_NAME_LENGTH} characters or fewer: '{name}' has {}", name.len())
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_valid(name: &str) -> bool {
        let mut problems = Problems::default();
        check_service_name(name, &mut problems);
        problems.into_result().is_ok()
    }

    #[test]
    fn knows_names() {
        assert!(["a", "web", "My-web_2", "a--b", "1"].into_iter().all(is_valid));
        let long = "a".repeat(64);
        assert!(!["", "-a", "a-", "a.b", "a b", "ä", long.as_str()].into_iter().any(is_valid));
    }
}
