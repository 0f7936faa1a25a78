//! Listing images, with Docker's filters.
//!
//! Pure but for taking a snapshot. Values of one filter are alternatives, different filters must all hold, and labels
//! must all hold, as in Docker.

use super::{error::ImageError, record::ImageRecord, reference::Reference, store::ImageStore};

/// Which images to list; the default is all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageFilters {
    /// Patterns (`*`, `?`, `[a-z]`) of familiar names, with or without a tag.
    pub reference: Vec<String>,
    /// Whether it must have no tag, or must have one.
    pub dangling: Option<bool>,
    /// `key` or `key=value`.
    pub label: Vec<String>,
    /// Built before this image (name or id).
    pub before: Option<String>,
    /// Built after this image (name or id).
    pub since: Option<String>,
    /// Built before this time, in seconds since 1970.
    pub until: Option<i64>,
}

impl ImageStore {
    /// The images that pass the filters, newest first. Of an image whose names a `reference` filter picks, only those
    /// names are shown.
    ///
    /// # Errors
    /// When `before` or `since` name no image.
    pub fn list(&self, filters: &ImageFilters) -> Result<Vec<ImageRecord>, ImageError> {
        let created = |name: &Option<String>| -> Result<Option<i64>, ImageError> {
            name.as_deref().map(|name| self.inspect(name).map(|record| record.created_seconds())).transpose()
        };
        let (before, since) = (created(&filters.before)?, created(&filters.since)?);
        let snapshot = self.snapshot();
        let mut records: Vec<ImageRecord> = snapshot.images.keys().filter_map(|id| snapshot.record(id)).collect();
        records.retain_mut(|record| {
            let built = record.created_seconds();
            before.is_none_or(|limit| built < limit)
                && since.is_none_or(|limit| built > limit)
                && filters.until.is_none_or(|limit| built < limit)
                && filters.dangling.is_none_or(|wanted| wanted == record.repo_tags.is_empty())
                && filters.label.iter().all(|label| has_label(record, label))
                && keep_names(record, &filters.reference)
        });
        records.sort_by(|a, b| (b.created_seconds(), &a.id).cmp(&(a.created_seconds(), &b.id)));
        Ok(records)
    }
}

fn has_label(record: &ImageRecord, wanted: &str) -> bool {
    match wanted.split_once('=') {
        Some((key, value)) => record.config.labels.get(key).is_some_and(|known| known == value),
        None => record.config.labels.contains_key(wanted),
    }
}

/// Keeps only the names that a pattern matches; false when patterns were given and none is left.
fn keep_names(record: &mut ImageRecord, patterns: &[String]) -> bool {
    if patterns.is_empty() {
        return true;
    }
    let matches = |familiar: &String| {
        let name = Reference::parse(familiar).map(|reference| reference.familiar_name()).unwrap_or_default();
        patterns
            .iter()
            .any(|pattern| glob(pattern.as_bytes(), familiar.as_bytes()) || glob(pattern.as_bytes(), name.as_bytes()))
    };
    record.repo_tags.retain(matches);
    record.repo_digests.retain(matches);
    !(record.repo_tags.is_empty() && record.repo_digests.is_empty())
}

/// Go's `path.Match`: `*` and `?` stop at slashes.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    // Where the last star stands, and how far it has reached: only that one need be tried again.
    let (mut p, mut t, mut star) = (0, 0, None);
    loop {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
                continue;
            }
            None if t == text.len() => return true,
            _ => {}
        }
        match text.get(t).and_then(|&byte| one(&pattern[p..], byte)) {
            Some(used) => {
                p += used;
                t += 1;
            }
            None => match star {
                Some((at, reached)) if text.get(reached).is_some_and(|&b| b != b'/') => {
                    star = Some((at, reached + 1));
                    (p, t) = (at + 1, reached + 1);
                }
                _ => return false,
            },
        }
    }
}

/// How many bytes of the pattern match this one byte of text.
fn one(pattern: &[u8], byte: u8) -> Option<usize> {
    match *pattern.first()? {
        b'?' => (byte != b'/').then_some(1),
        b'\\' => (*pattern.get(1)? == byte).then_some(2),
        b'[' => {
            let negated = pattern.get(1) == Some(&b'^');
            let start = if negated { 2 } else { 1 };
            let end = start + 1 + pattern.get(start + 1..)?.iter().position(|&b| b == b']')?;
            let (mut at, mut found) = (start, false);
            while at < end {
                let is_range = pattern[at + 1] == b'-' && at + 2 < end;
                let high = if is_range { pattern[at + 2] } else { pattern[at] };
                found |= (pattern[at]..=high).contains(&byte);
                at += if is_range { 3 } else { 1 };
            }
            (found != negated && byte != b'/').then_some(end + 1)
        }
        literal => (literal == byte).then_some(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_gos_do() {
        for (pattern, text, expected) in [
            ("alpine", "alpine", true),
            ("alp*", "alpine", true),
            ("*:3.2?", "alpine:3.20", true),
            ("team/*", "team/web", true),
            ("*", "team/web", false),
            ("*/*b", "team/web", true),
            ("[a-c]x", "bx", true),
            ("[^a-c]x", "bx", false),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("[", "[", false),
            ("\\*", "*", true),
            ("", "", true),
        ] {
            assert_eq!(glob(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_pattern_ends(pattern in "[ab*?\\[\\]^\\\\/-]{0,24}", text in "[ab/]{0,24}") {
            let _ = glob(pattern.as_bytes(), text.as_bytes());
        }
    }
}
