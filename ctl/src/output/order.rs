//! The order of names in lists: numbers inside names compare by value, so that `web.2` stands before `web.10`.

use std::cmp::Ordering;

/// Compares names as people number them.
pub(crate) fn natural(left: &str, right: &str) -> Ordering {
    let (mut left, mut right) = (left, right);
    loop {
        let (left_part, left_rest) = part(left);
        let (right_part, right_rest) = part(right);
        let numbers = left_part.starts_with(digit) && right_part.starts_with(digit);
        let order = if numbers { number_order(left_part, right_part) } else { left_part.cmp(right_part) };
        if order != Ordering::Equal || left_part.is_empty() {
            return order;
        }
        (left, right) = (left_rest, right_rest);
    }
}

/// The digits, or the other characters, that a text begins with.
fn part(text: &str) -> (&str, &str) {
    let digits = text.starts_with(digit);
    text.split_at(text.find(|letter: char| digit(letter) != digits).unwrap_or(text.len()))
}

fn digit(letter: char) -> bool {
    letter.is_ascii_digit()
}

fn number_order(left: &str, right: &str) -> Ordering {
    let (left, right) = (left.trim_start_matches('0'), right.trim_start_matches('0'));
    left.len().cmp(&right.len()).then_with(|| left.cmp(right))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_compare_by_value() {
        let mut names = ["web.10", "web.2", "web", "api.1", "web.02"];
        names.sort_by(|left, right| natural(left, right));
        assert_eq!(names, ["api.1", "web", "web.2", "web.02", "web.10"]);
    }
}
