//! Finding and executing the command, with Docker's words for what goes wrong.

use std::ffi::{CStr, CString};
use std::io;

use crate::defaults;
use crate::executor::accounts::Identity;
use crate::executor::child::Never;
use crate::executor::failure::refuse;
use crate::failure::{Stage, StartFailure};
use crate::plan::ProcessPlan;
use crate::sys;

/// Executes the plan's command. Returns only when that failed.
pub(super) fn execute(process: &ProcessPlan, identity: &Identity) -> Result<Never, StartFailure> {
    let mut environment = process.env.clone();
    if !environment.iter().any(|pair| pair.starts_with("HOME=")) {
        environment.push(format!("HOME={}", identity.home));
    }
    let name = process.args.first().map(String::as_str).unwrap_or_default();
    let arguments = c_strings(&process.args)?;
    let strings = c_strings(&environment)?;
    let (arguments, strings): (Vec<&CStr>, Vec<&CStr>) =
        (arguments.iter().map(CString::as_c_str).collect(), strings.iter().map(CString::as_c_str).collect());
    let try_path = |path: &str| -> io::Error {
        match CString::new(path) {
            Ok(path) => sys::execute(&path, &arguments, &strings),
            Err(_) => io::Error::from_raw_os_error(libc::EINVAL),
        }
    };
    if name.contains('/') {
        return Err(explicit_failure(name, &try_path(name)));
    }
    let mut forbidden = None;
    for candidate in candidates(name, &environment) {
        let error = try_path(&candidate);
        match error.raw_os_error() {
            Some(libc::ENOENT | libc::ENOTDIR) => {}
            // Something is there but may not be executed: a later directory may hold a better one.
            Some(libc::EACCES) => forbidden = forbidden.or(Some(candidate)),
            errno => return Err(StartFailure { stage: Stage::Execute, errno: errno.unwrap_or(0), detail: candidate }),
        }
    }
    Err(match forbidden {
        Some(path) => StartFailure { stage: Stage::Execute, errno: libc::EACCES, detail: path },
        None => refuse(Stage::CommandLookup, format!("exec: {name:?}: executable file not found in $PATH")),
    })
}

fn explicit_failure(path: &str, error: &io::Error) -> StartFailure {
    match error.raw_os_error() {
        Some(libc::ENOENT | libc::ENOTDIR) => {
            refuse(Stage::CommandLookup, format!("exec: {path:?}: stat {path}: no such file or directory"))
        }
        errno => StartFailure { stage: Stage::Execute, errno: errno.unwrap_or(0), detail: path.to_owned() },
    }
}

/// Where a bare name is looked for.
fn candidates(name: &str, environment: &[String]) -> Vec<String> {
    let path = environment.iter().rev().find_map(|pair| pair.strip_prefix("PATH=")).unwrap_or(defaults::PATH);
    path.split(':')
        .map(|directory| if directory.is_empty() { format!("./{name}") } else { format!("{directory}/{name}") })
        .collect()
}

fn c_strings(strings: &[String]) -> Result<Vec<CString>, StartFailure> {
    strings
        .iter()
        .map(|string| {
            CString::new(string.as_str()).map_err(|_| refuse(Stage::Execute, format!("{string:?} holds a zero byte")))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_name_is_looked_for_in_path() {
        assert_eq!(candidates("x", &["PATH=/a::/b".into()]), ["/a/x", "./x", "/b/x"]);
        assert_eq!(candidates("x", &[]).first().map(String::as_str), Some("/usr/local/sbin/x"));
    }
}
