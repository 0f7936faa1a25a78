//! `--ulimit name=soft[:hard]`.

use std::str::FromStr;

/// One resource limit of a process; -1 is no limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UlimitFlag {
    pub(crate) name: String,
    pub(crate) soft: i64,
    pub(crate) hard: i64,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum UlimitError {
    #[error("write name=soft[:hard], for example nofile=1024:2048")]
    Form,
    #[error("{0:?} is no limit of a process: use one of {known}", known = NAMES.join(", "))]
    Name(String),
    #[error("the soft limit {soft} is above the hard limit {hard}")]
    Order { soft: i64, hard: i64 },
}

impl FromStr for UlimitFlag {
    type Err = UlimitError;

    fn from_str(text: &str) -> Result<Self, UlimitError> {
        let (name, limits) = text.split_once('=').ok_or(UlimitError::Form)?;
        if !NAMES.contains(&name) {
            return Err(UlimitError::Name(name.to_owned()));
        }
        let number = |text: &str| text.parse::<i64>().map_err(|_| UlimitError::Form);
        let (soft, hard) = match limits.split_once(':') {
            Some((soft, hard)) => (number(soft)?, number(hard)?),
            None => (number(limits)?, number(limits)?),
        };
        if hard != -1 && (soft == -1 || soft > hard) {
            return Err(UlimitError::Order { soft, hard });
        }
        Ok(Self { name: name.to_owned(), soft, hard })
    }
}

const NAMES: [&str; 15] = [
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_parse_or_say_why_not() {
        let parse =
            |text: &str| text.parse::<UlimitFlag>().map(|limit| (limit.soft, limit.hard)).map_err(|e| e.to_string());
        assert_eq!(parse("nofile=1024:2048"), Ok((1024, 2048)));
        assert_eq!(parse("nofile=-1"), Ok((-1, -1)));
        assert_eq!(parse("nofile=9:3"), Err("the soft limit 9 is above the hard limit 3".into()));
        assert_eq!(parse("nofile"), Err("write name=soft[:hard], for example nofile=1024:2048".into()));
        assert!(parse("files=3").unwrap_err().starts_with("\"files\" is no limit of a process: use one of core, cpu"));
    }
}
