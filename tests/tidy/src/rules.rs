//! The rules for one file each.

use super::Source;

/// A rule, by the name that exceptions use.
#[derive(Debug)]
pub struct Rule {
    /// In `// tidy: allow NAME: reason`.
    pub name: &'static str,
    /// What is wrong with the file; empty: nothing.
    pub check: fn(&Source) -> Vec<String>,
}

/// Every rule.
pub const RULES: &[Rule] = &[
    Rule { name: "head", check: head },
    Rule { name: "length", check: length },
    Rule { name: "main-length", check: main_length },
    Rule { name: "names", check: names },
    Rule { name: "unbounded", check: unbounded },
    Rule { name: "sleep-in-test", check: sleep_in_test },
    Rule { name: "unfinished", check: unfinished },
    Rule { name: "reason", check: reason },
];

/// Lines a file may have, its tests left out: one idea fits.
const LINES_MAX: usize = 500;
/// Lines of a `main.rs`: a table of contents.
const MAIN_LINES_MAX: usize = 80;

fn head(source: &Source) -> Vec<String> {
    let begins = source.text.lines().find(|line| !line.starts_with("#!")).unwrap_or_default();
    if begins.starts_with("//!") {
        Vec::new()
    } else {
        vec!["does not begin with a //! paragraph that says what it owns".to_owned()]
    }
}

fn length(source: &Source) -> Vec<String> {
    let lines = source.without_tests().lines().count();
    if lines <= LINES_MAX {
        Vec::new()
    } else {
        vec![format!("has {lines} lines without tests; {LINES_MAX} hold one idea")]
    }
}

fn main_length(source: &Source) -> Vec<String> {
    let lines = source.text.lines().count();
    if !source.path.ends_with("main.rs") || lines <= MAIN_LINES_MAX {
        return Vec::new();
    }
    vec![format!("has {lines} lines; a main is a table of contents of at most {MAIN_LINES_MAX}")]
}

fn names(source: &Source) -> Vec<String> {
    let stem = source.path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let says_nothing = ["utils", "util", "common", "helpers", "helper", "misc"].contains(&stem);
    if says_nothing { vec![format!("is called {stem}, which does not say what it owns")] } else { Vec::new() }
}

fn unbounded(source: &Source) -> Vec<String> {
    lines_with(source, &["unbounded_channel("], "has an unbounded channel")
}

fn sleep_in_test(source: &Source) -> Vec<String> {
    if !source.is_test() && !source.text.contains("#[cfg(test)]") {
        return Vec::new();
    }
    let tests = if source.is_test() { source.text.as_str() } else { &source.text[source.without_tests().len()..] };
    if tests.contains("sleep(") { vec!["sleeps in a test; wait for the event".to_owned()] } else { Vec::new() }
}

fn unfinished(source: &Source) -> Vec<String> {
    let marks = [concat!("todo", "!("), concat!("unimplemented", "!("), concat!("FIX", "ME"), concat!("TO", "DO")];
    lines_with(source, &marks, "looks unfinished")
}

fn reason(source: &Source) -> Vec<String> {
    let silent = |line: &str| {
        let line = line.trim_start();
        (line.starts_with("#[allow(") || line.starts_with("#![allow("))
            && line.ends_with(")]")
            && !line.contains("reason")
    };
    let found = source.text.lines().enumerate().filter(|(_, line)| silent(line));
    found.map(|(number, _)| format!("line {}: an allow without a reason", number + 1)).collect()
}

fn lines_with(source: &Source, words: &[&str], complaint: &str) -> Vec<String> {
    let found = source.text.lines().enumerate().filter(|(_, line)| words.iter().any(|word| line.contains(word)));
    found.map(|(number, _)| format!("line {}: {complaint}", number + 1)).collect()
}
