//! `--cap-add` and `--cap-drop`: names of Linux capabilities, put into the one form that the API compares.

use std::collections::BTreeSet;

/// A set of capabilities, by their normal names.
pub(crate) type Capabilities = BTreeSet<String>;

/// Capabilities in upper case with `CAP_` in front; `ALL` and `RESET` stay words of their own.
pub(crate) fn normal(names: &[String]) -> Capabilities {
    let normal = |name: &String| {
        let name = name.trim().to_ascii_uppercase();
        if name == ALL || name == RESET || name.starts_with("CAP_") { name } else { format!("CAP_{name}") }
    };
    names.iter().map(normal).collect()
}

/// What a fresh service gets: `ALL` swallows the rest of its list, and what is added is not dropped.
pub(crate) fn effective(add: &[String], drop: &[String]) -> (Vec<String>, Vec<String>) {
    let (add, mut drop) = (swallowed(normal(add)), swallowed(normal(drop)));
    drop.retain(|name| !add.contains(name));
    (add, drop)
}

/// What a standing service has after an update. Adding what is dropped only ends the drop, and the other way round;
/// `RESET` clears a list first.
pub(crate) fn changed(current: (&[String], &[String]), add: &[String], drop: &[String]) -> (Vec<String>, Vec<String>) {
    let (mut added, mut dropped) = (normal(current.0), normal(current.1));
    let (to_add, mut to_drop) = (normal(add), normal(drop));
    if to_add.contains(RESET) {
        added.clear();
    }
    if to_drop.contains(RESET) {
        dropped.clear();
    }
    to_drop.retain(|name| !to_add.contains(name));
    for name in to_drop.iter().filter(|name| *name != RESET) {
        if !added.remove(name) {
            dropped.insert(name.clone());
        }
    }
    for name in to_add.iter().filter(|name| *name != RESET) {
        if !dropped.remove(name) {
            added.insert(name.clone());
        }
    }
    (swallowed(added), swallowed(dropped))
}

fn swallowed(mut names: Capabilities) -> Vec<String> {
    names.remove(RESET);
    if names.contains(ALL) { vec![ALL.to_owned()] } else { names.into_iter().collect() }
}

const ALL: &str = "ALL";
const RESET: &str = "RESET";

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn a_fresh_service_drops_nothing_that_it_adds() {
        let effective = |add, drop| effective(&names(add), &names(drop));
        assert_eq!(
            effective("net_admin chown", "CAP_CHOWN kill"),
            (names("CAP_CHOWN CAP_NET_ADMIN"), names("CAP_KILL"))
        );
        assert_eq!(effective("ALL net_admin", "sys_time"), (names("ALL"), names("CAP_SYS_TIME")));
        assert_eq!(effective("net_admin", "all"), (names("CAP_NET_ADMIN"), names("ALL")));
    }

    #[test]
    fn an_update_first_undoes_the_opposite() {
        let current = (names("CAP_KILL"), names("CAP_CHOWN"));
        let changed = |add, drop| changed((&current.0, &current.1), &names(add), &names(drop));
        assert_eq!(changed("chown", ""), (names("CAP_KILL"), names("")));
        assert_eq!(changed("", "kill"), (names(""), names("CAP_CHOWN")));
        assert_eq!(changed("net_raw", "net_raw"), (names("CAP_KILL CAP_NET_RAW"), names("CAP_CHOWN")));
        assert_eq!(changed("reset", "RESET setuid"), (names(""), names("CAP_SETUID")));
    }
}
