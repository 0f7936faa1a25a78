//! Sizes, ages and identifiers as people read them: the words and roundings that docker prints.

use time::{OffsetDateTime, UtcOffset};

/// How long ago a Unix time (seconds) was.
pub(crate) fn age_unix(moment: i64, now: OffsetDateTime) -> String {
    lasting(now.unix_timestamp() - moment)
}

/// A moment as Go prints one.
pub(crate) fn moment(moment: OffsetDateTime) -> String {
    let moment = moment.to_offset(UtcOffset::UTC);
    let (date, time) = (moment.date(), moment.time());
    let fraction = match moment.nanosecond() {
        0 => String::new(),
        nanoseconds => format!(".{nanoseconds:09}").trim_end_matches('0').to_owned(),
    };
    format!("{date} {:02}:{:02}:{:02}{fraction} +0000 UTC", time.hour(), time.minute(), time.second())
}

/// A Unix time (seconds) as Go prints it; empty beyond the years that there are.
pub(crate) fn moment_unix(seconds: i64) -> String {
    OffsetDateTime::from_unix_timestamp(seconds).map(moment).unwrap_or_default()
}

/// A length of time in seconds, in words.
pub(crate) fn lasting(seconds: i64) -> String {
    let minutes = seconds / 60;
    // Hours round to the nearest, as docker's do.
    let hours = (seconds + 1800) / 3600;
    match seconds {
        ..1 => "Less than a second".into(),
        1 => "1 second".into(),
        2..60 => format!("{seconds} seconds"),
        _ if minutes == 1 => "About a minute".into(),
        _ if minutes < 60 => format!("{minutes} minutes"),
        _ if hours == 1 => "About an hour".into(),
        _ if hours < 48 => format!("{hours} hours"),
        _ if hours < 24 * 14 => format!("{} days", hours / 24),
        _ if hours < 24 * 60 => format!("{} weeks", hours / 24 / 7),
        _ if hours < 24 * 365 * 2 => format!("{} months", hours / 24 / 30),
        _ => format!("{} years", seconds / 3600 / 24 / 365),
    }
}

/// A size in powers of 1000 with `digits` significant digits: `7.8MB`.
pub(crate) fn size(bytes: i64, digits: usize) -> String {
    scaled(bytes, 1000.0, &["B", "kB", "MB", "GB", "TB", "PB", "EB"], digits)
}

/// A size in powers of 1024: `64MiB`.
pub(crate) fn size_binary(bytes: i64) -> String {
    scaled(bytes, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"], 4)
}

/// The first twelve characters of an identifier, without its algorithm.
pub(crate) fn short_id(id: &str) -> &str {
    let id = id.strip_prefix("sha256:").unwrap_or(id);
    id.char_indices().nth(SHORT_ID).map_or(id, |(end, _)| &id[..end])
}

/// `text` cut to at most `width` characters, the last of them an ellipsis.
pub(crate) fn ellipsis(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

/// The first letter in upper case, the rest as it is.
pub(crate) fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

fn scaled(bytes: i64, base: f64, units: &[&str], digits: usize) -> String {
    let mut value = bytes as f64;
    let mut unit = 0;
    while value.abs() >= base && unit + 1 < units.len() {
        value /= base;
        unit += 1;
    }
    format!("{}{}", significant(value, digits), units[unit])
}

/// `value` with so many significant digits and no trailing zeros, as C's `%g` prints it.
fn significant(value: f64, digits: usize) -> String {
    if value == 0.0 {
        return "0".into();
    }
    let whole = value.abs().log10().floor() as i32 + 1;
    let places = (digits as i32 - whole).max(0) as usize;
    let text = format!("{value:.places$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// Characters of an identifier that lists show.
const SHORT_ID: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_use_dockers_words() {
        for (seconds, words) in [
            (0, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (60, "About a minute"),
            (150, "2 minutes"),
            (3599, "59 minutes"),
            (3600, "About an hour"),
            (2 * 3600, "2 hours"),
            (50 * 3600, "2 days"),
            (15 * 86400, "2 weeks"),
            (70 * 86400, "2 months"),
            (800 * 86400, "2 years"),
        ] {
            assert_eq!(lasting(seconds), words);
        }
    }

    #[test]
    fn sizes_are_rounded_as_docker_rounds() {
        assert_eq!(size(7_800_000, 3), "7.8MB");
        assert_eq!(size(133_456_789, 3), "133MB");
        assert_eq!(size(0, 3), "0B");
        assert_eq!(size(999, 3), "999B");
        assert_eq!(size_binary(64 << 20), "64MiB");
        assert_eq!(size_binary(16_756_318_208), "15.61GiB");
    }

    #[test]
    fn identifiers_and_errors_are_cut() {
        assert_eq!(short_id("sha256:0123456789abcdef"), "0123456789ab");
        assert_eq!(short_id("abc"), "abc");
        assert_eq!(ellipsis("abcdef", 4), "abc…");
        assert_eq!(ellipsis("abcd", 4), "abcd");
        assert_eq!(capitalised("running"), "Running");
    }
}
