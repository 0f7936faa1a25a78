//! What a service refers to by name: networks, secrets and configs, in short and long form.

use std::collections::BTreeMap;
use std::str::FromStr;

use super::csv::{CsvError, fields, key_value, required, wrong};

/// A network and how the service is attached to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NetworkFlag {
    pub(crate) target: String,
    pub(crate) aliases: Vec<String>,
    pub(crate) driver_options: BTreeMap<String, String>,
}

/// A secret or config and the file that it becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileFlag {
    /// Its name in the swarm.
    pub(crate) source: String,
    /// Its name in the container.
    pub(crate) target: String,
    pub(crate) uid: String,
    pub(crate) gid: String,
    pub(crate) mode: u32,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum AttachmentError {
    #[error(transparent)]
    Csv(#[from] CsvError),
    #[error("the name is missing: add source=NAME")]
    NoSource,
    #[error("the network's name is missing: add name=NETWORK")]
    NoName,
    #[error("{0:?} cannot be chosen for a service: its tasks get addresses of the network's own pool")]
    Address(String),
}

impl FromStr for NetworkFlag {
    type Err = AttachmentError;

    fn from_str(text: &str) -> Result<Self, AttachmentError> {
        let mut network = Self::default();
        if !text.contains('=') {
            network.target = text.to_owned();
            return if text.is_empty() { Err(AttachmentError::NoName) } else { Ok(network) };
        }
        for field in fields(text)? {
            let (key, value) = key_value(&field);
            let value = required(&field, value)?;
            match key.as_str() {
                "name" => network.target = value.to_owned(),
                "alias" => network.aliases.push(value.to_owned()),
                "driver-opt" => {
                    let (key, value) =
                        value.split_once('=').ok_or_else(|| wrong("driver-opt", value, "write key=value"))?;
                    network.driver_options.insert(key.trim().to_ascii_lowercase(), value.trim().to_owned());
                }
                "ip" | "ip6" | "mac-address" | "link-local-ip" | "gw-priority" => {
                    return Err(AttachmentError::Address(key));
                }
                _ => return Err(CsvError::Key(key).into()),
            }
        }
        if network.target.is_empty() { Err(AttachmentError::NoName) } else { Ok(network) }
    }
}

impl FromStr for FileFlag {
    type Err = AttachmentError;

    fn from_str(text: &str) -> Result<Self, AttachmentError> {
        let mut file =
            Self { source: String::new(), target: String::new(), uid: "0".into(), gid: "0".into(), mode: 0o444 };
        for field in fields(text)? {
            let (key, value) = key_value(&field);
            // The short form is the name alone.
            if value.is_none() && !text.contains(',') {
                file.source = field.clone();
                continue;
            }
            let value = required(&field, value)?;
            match key.as_str() {
                "source" | "src" => file.source = value.to_owned(),
                "target" => file.target = value.to_owned(),
                "uid" => file.uid = value.to_owned(),
                "gid" => file.gid = value.to_owned(),
                "mode" => file.mode = mode(value)?,
                _ => return Err(CsvError::Key(key).into()),
            }
        }
        if file.source.is_empty() {
            return Err(AttachmentError::NoSource);
        }
        if file.target.is_empty() {
            file.target.clone_from(&file.source);
        }
        Ok(file)
    }
}

/// A file mode in C's notation: `0444` is octal, `292` decimal.
fn mode(text: &str) -> Result<u32, CsvError> {
    let digits = text.strip_prefix("0o").or_else(|| text.strip_prefix('0').filter(|rest| !rest.is_empty()));
    let parsed = match digits {
        Some(octal) => u32::from_str_radix(octal, 8),
        None => text.parse(),
    };
    parsed.map_err(|_| wrong("mode", text, "write an octal mode, as 0444"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_in_short_and_long_form() {
        assert_eq!("ov1".parse::<NetworkFlag>().unwrap().target, "ov1");
        let long: NetworkFlag = "name=ov1,alias=a,alias=b,driver-opt=K=v".parse().unwrap();
        assert_eq!(long.aliases, ["a", "b"]);
        assert_eq!(long.driver_options["k"], "v");
        assert!(matches!("alias=a".parse::<NetworkFlag>(), Err(AttachmentError::NoName)));
        assert!(matches!("name=a,ip=10.0.0.9".parse::<NetworkFlag>(), Err(AttachmentError::Address(_))));
    }

    #[test]
    fn files_in_short_and_long_form() {
        let short: FileFlag = "s1".parse().unwrap();
        assert_eq!((short.target.as_str(), short.uid.as_str(), short.mode), ("s1", "0", 0o444));
        let long: FileFlag = "source=s1,target=/run/x,uid=5,mode=0440".parse().unwrap();
        assert_eq!((long.target.as_str(), long.uid.as_str(), long.mode), ("/run/x", "5", 0o440));
        assert_eq!(
            "source=s1,mode=9z".parse::<FileFlag>().unwrap_err().to_string(),
            "the value \"9z\" of mode is wrong: write an octal mode, as 0444"
        );
        assert!(matches!("target=x".parse::<FileFlag>(), Err(AttachmentError::NoSource)));
    }
}
