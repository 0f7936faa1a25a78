//! The command line of `shoal-runtime keep`.

use std::path::PathBuf;

use crate::limits::SPARES_MAX;

/// How a keeper is to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeepOptions {
    /// Its socket.
    pub socket: PathBuf,
    /// Where it keeps what must outlive it.
    pub state_directory: PathBuf,
    /// Absolute cgroup path for containers that name none.
    pub cgroup_parent: String,
    /// Go on in the background, in a session of its own; the command ends once the keeper serves.
    pub detach: bool,
    /// Processes kept parked in cgroups of their own; 0 for none.
    pub spares: usize,
    /// This process runs from a read-only copy of the program already.
    pub sealed: bool,
}

/// A command line that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}; usage: shoal-runtime keep --socket PATH --state-dir PATH [--cgroup-parent PATH] [--spares N] [--detach]")]
pub struct OptionsError(String);

impl KeepOptions {
    /// Reads the arguments after `keep`.
    ///
    /// # Errors
    /// When one is unknown, lacks its value or is missing.
    pub fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self, OptionsError> {
        let mut arguments = arguments.into_iter();
        let (mut socket, mut state) = (None, None);
        let mut options = Self {
            socket: PathBuf::new(),
            state_directory: PathBuf::new(),
            cgroup_parent: "/shoal".to_owned(),
            detach: false,
            spares: SPARES_MAX,
            sealed: false,
        };
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| OptionsError(format!("{argument} lacks its value")));
            match argument.as_str() {
                "--socket" => socket = Some(value()?),
                "--state-dir" => state = Some(value()?),
                "--cgroup-parent" => options.cgroup_parent = value()?,
                "--spares" => {
                    let text = value()?;
                    options.spares = text.parse().ok().filter(|count| *count <= SPARES_MAX).ok_or_else(|| {
                        OptionsError(format!("--spares {text:?} is no number from 0 to {SPARES_MAX}"))
                    })?;
                }
                "--detach" => options.detach = true,
                "--sealed" => options.sealed = true,
                other => return Err(OptionsError(format!("{other:?} is no option"))),
            }
        }
        let absolute = |name: &str, path: Option<String>| match path.map(PathBuf::from) {
            Some(path) if path.is_absolute() => Ok(path),
            Some(path) => Err(OptionsError(format!("{name} {} is not absolute", path.display()))),
            None => Err(OptionsError(format!("{name} is missing"))),
        };
        options.socket = absolute("--socket", socket)?;
        options.state_directory = absolute("--state-dir", state)?;
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<KeepOptions, OptionsError> {
        KeepOptions::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn a_command_line_is_read() {
        let options = parse("--socket /run/k.sock --state-dir /run/k --cgroup-parent /x --detach --spares 0").unwrap();
        assert_eq!((options.cgroup_parent.as_str(), options.detach, options.spares), ("/x", true, 0));
        for bad in [
            "",
            "--socket /a",
            "--socket a --state-dir /b",
            "--socket",
            "--nope",
            "--socket /a --state-dir /b --spares 99",
        ] {
            assert!(parse(bad).is_err(), "{bad:?} was accepted");
        }
    }
}
