//! Who a process runs as: names and numbers resolved against the container's own passwd and group files, which are
//! read through the root and believed in nothing but numbers.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use rustix::fs::OFlags;

use crate::executor::failure::{AtStage, refuse};
use crate::executor::root::Root;
use crate::failure::{Stage, StartFailure};
use crate::limits::{ACCOUNT_FILE_BYTES_MAX, GROUPS_MAX};
use crate::plan::ProcessPlan;

/// A user in numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Supplementary groups.
    pub(super) groups: Vec<u32>,
    pub(super) home: String,
}

/// Resolves the plan's user and groups.
pub(super) fn resolve(root: &Root, process: &ProcessPlan) -> Result<Identity, StartFailure> {
    let passwd = read(root, "/etc/passwd")?;
    let group = read(root, "/etc/group")?;
    resolve_in(&process.user, &process.additional_groups, &passwd, &group).map_err(|why| refuse(Stage::User, why))
}

/// A file that is not there has no entries.
fn read(root: &Root, path: &str) -> Result<String, StartFailure> {
    let file = match root.open(Path::new(path), OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY) {
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR)) => return Ok(String::new()),
        outcome => File::from(outcome.at(Stage::User, || path.to_owned())?),
    };
    if !file.metadata().at(Stage::User, || path.to_owned())?.is_file() {
        return Err(refuse(Stage::User, format!("{path} is no file")));
    }
    let mut bytes = Vec::new();
    match file.take(ACCOUNT_FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes) {
        Err(error) if error.kind() == ErrorKind::IsADirectory => return Ok(String::new()),
        outcome => outcome.at(Stage::User, || path.to_owned())?,
    };
    if bytes.len() > ACCOUNT_FILE_BYTES_MAX {
        return Err(refuse(Stage::User, format!("{path} is longer than {ACCOUNT_FILE_BYTES_MAX} bytes")));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// As Docker resolves `USER[:GROUP]`: a number stands for itself whether or not it has an entry; a name must have one.
/// The groups of which the user is a member count only when no group is given.
fn resolve_in(user: &str, additional: &[String], passwd: &str, group: &str) -> Result<Identity, String> {
    let (user, given_group) = match user.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (user, None),
    };
    if given_group == Some("") || (user.is_empty() && given_group.is_some()) || user.contains('\0') {
        return Err(format!("user {user:?} with group {given_group:?}: give USER or USER:GROUP, neither empty"));
    }
    let wanted = if user.is_empty() { "0" } else { user };
    let number = parse_number(wanted)?;
    let entry = accounts(passwd).find(|entry| number.map_or(entry.name == wanted, |uid| entry.uid == uid));
    let (uid, mut gid, home) = match (&entry, number) {
        (Some(entry), _) => (entry.uid, entry.gid, entry.home.to_owned()),
        (None, Some(uid)) => (uid, 0, "/".to_owned()),
        (None, None) => return Err(format!("unable to find user {wanted}: no matching entries in passwd file")),
    };
    let mut groups = Vec::new();
    match given_group {
        Some(name) => gid = find_group(name, group)?,
        None => {
            let member =
                |members: &str| entry.as_ref().is_some_and(|entry| members.split(',').any(|m| m == entry.name));
            groups.extend(
                lines(group).filter(|fields| fields.get(3).is_some_and(|list| member(list))).filter_map(|f| gid_of(&f)),
            );
        }
    }
    for name in additional {
        groups.push(find_group(name, group)?);
    }
    groups.sort_unstable();
    groups.dedup();
    if groups.len() > GROUPS_MAX {
        return Err(format!("user {wanted} is in {} groups, more than {GROUPS_MAX}", groups.len()));
    }
    let home = if home.is_empty() { "/".to_owned() } else { home };
    Ok(Identity { uid, gid, groups, home })
}

/// The number of a group given by name or number.
fn find_group(wanted: &str, group: &str) -> Result<u32, String> {
    if let Some(gid) = parse_number(wanted)? {
        return Ok(gid);
    }
    let found = lines(group).find(|fields| fields.first() == Some(&wanted)).and_then(|fields| gid_of(&fields));
    found.ok_or_else(|| format!("unable to find group {wanted}: no matching entries in group file"))
}

/// A number in digits alone; `None` for a name. Numbers above Docker's greatest (2^31 - 1) are refused, so that none
/// wraps around to another user.
fn parse_number(text: &str) -> Result<Option<u32>, String> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(None);
    }
    match text.parse::<u32>() {
        Ok(number) if number <= i32::MAX.cast_unsigned() => Ok(Some(number)),
        _ => Err(format!("uids and gids must be in range 0-{}: {text}", i32::MAX)),
    }
}

struct Account<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

fn accounts(passwd: &str) -> impl Iterator<Item = Account<'_>> {
    lines(passwd).filter_map(|fields| {
        let uid = parse_number(fields.get(2)?).ok()??;
        let gid = parse_number(fields.get(3)?).ok()??;
        Some(Account { name: fields[0], uid, gid, home: fields.get(5).copied().unwrap_or("/") })
    })
}

fn gid_of(fields: &[&str]) -> Option<u32> {
    parse_number(fields.get(2)?).ok()?
}

fn lines(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|l| l.split(':').collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PASSWD: &str =
        "root:x:0:0:root:/root:/bin/sh\n# comment\nbroken\nweb:x:33:34:web:/var/www:/bin/sh\nbig:x:4294967296:0::/:\n";
    const GROUP: &str = "root:x:0:\nbin:x:1:root,web\nwww:x:34:\nlog:x:4:web\n";

    fn identity(user: &str) -> Result<(u32, u32, Vec<u32>, String), String> {
        resolve_in(user, &[], PASSWD, GROUP).map(|i| (i.uid, i.gid, i.groups, i.home))
    }

    #[test]
    fn users_resolve_as_docker_resolves_them() {
        assert_eq!(identity(""), Ok((0, 0, vec![1], "/root".into())));
        assert_eq!(identity("web"), Ok((33, 34, vec![1, 4], "/var/www".into())));
        assert_eq!(identity("33"), Ok((33, 34, vec![1, 4], "/var/www".into())));
        assert_eq!(identity("web:log"), Ok((33, 4, vec![], "/var/www".into())));
        assert_eq!(identity("1234"), Ok((1234, 0, vec![], "/".into())));
        assert_eq!(identity("1234:5678"), Ok((1234, 5678, vec![], "/".into())));
        let more = resolve_in("web:34", &["7".into(), "log".into(), "7".into()], PASSWD, GROUP).unwrap();
        assert_eq!(more.groups, [4, 7]);
    }

    #[test]
    fn nobody_falls_through_to_root() {
        for user in [
            "nobody",
            "1:",
            ":1",
            ":",
            "web:nogroup",
            "4294967296",
            "2147483648",
            "root\0x",
            "-1",
            "+0",
            "0x0",
            " 0",
            "big",
        ] {
            assert!(identity(user).is_err(), "{user:?} was accepted: {:?}", identity(user));
        }
    }

    proptest! {
        #[test]
        fn only_what_says_root_is_root(user in "\\PC{0,12}") {
            if let Ok((uid, ..)) = identity(&user) {
                let name = user.split(':').next().unwrap();
                let says_root = name.is_empty() || name == "root" || name.bytes().all(|b| b == b'0');
                prop_assert!(uid != 0 || says_root, "{user:?} became root");
            }
        }
    }
}
