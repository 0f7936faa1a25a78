//! What the daemon was told: command line, then configuration file, then defaults, made into one [`Settings`].
//!
//! The flags are dockerd's, in one table ([`flags`]): it makes the command line, names the keys of the configuration
//! file and knows which flags Shoal has no meaning for. Reading has no side effects; a value that can't be used is
//! refused here, with the flag's name, before anything is started.

mod file;
mod flags;
mod value;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

pub use file::FileError;
pub use flags::command;
use flags::{FLAGS, Use};
use value::Values;

use shoal_proto::model::Cidr;
use shoal_worker::network::VipTranslation;

use crate::limits::KEY_AGES;

/// All that the daemon was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Persistent state.
    pub data_root: PathBuf,
    /// State of a run: sockets, namespaces, keeper.
    pub exec_root: PathBuf,
    /// Where the API is served.
    pub hosts: Vec<ApiHost>,
    /// Holds the process id while the daemon runs.
    pub pidfile: PathBuf,
    /// The configuration file, read again at SIGHUP.
    pub config_file: PathBuf,
    /// Log level: debug, info, warn, error.
    pub log_level: String,
    /// Log lines as JSON.
    pub log_json: bool,
    /// Registries spoken to without TLS or without verifying it: host[:port] or subnet.
    pub insecure_registries: Vec<String>,
    /// Asked before docker.io.
    pub registry_mirrors: Vec<String>,
    /// Parent of all containers' cgroups.
    pub cgroup_parent: Option<String>,
    /// How services' virtual addresses are translated.
    pub vip_translation: VipTranslation,
    /// Pools of node-local subnets, each with the prefix length of a subnet.
    pub address_pools: Vec<(Cidr, u8)>,
    /// Advertised when `swarm init` and `join` name no address: address or interface.
    pub advertise_default: Option<String>,
    /// The node's engine labels.
    pub labels: Vec<(String, String)>,
    /// Default options of container logs.
    pub log_options: Vec<(String, String)>,
    /// Age at which the key of encrypted networks is replaced; `None`: the worker's own.
    pub tunnel_key_age: Option<Duration>,
    /// What to warn about once logging is set up.
    pub warnings: Vec<String>,
}

/// Where the API is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiHost {
    /// A unix socket.
    Unix(PathBuf),
    /// A TCP port.
    Tcp(SocketAddr),
}

/// Something the daemon was told can't be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A value is malformed.
    #[error("invalid value '{value}' for {name}: {remedy}")]
    Value {
        /// Flag or key.
        name: String,
        /// What was said.
        value: String,
        /// What is expected.
        remedy: String,
    },
    /// The configuration file can't be used.
    #[error(transparent)]
    File(#[from] FileError),
}

const DEFAULT_CONFIG_FILE: &str = "/etc/shoal/daemon.json";

impl Settings {
    /// Merges the parsed command line over the configuration file over the defaults.
    ///
    /// # Errors
    /// [`SettingsError`], naming the flag or key, its value and what is expected.
    pub fn load(matches: &clap::ArgMatches) -> Result<Self, SettingsError> {
        let from_flags = Values::from_matches(matches);
        let named = from_flags.last("config-file").map(PathBuf::from);
        let config_file = named.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_CONFIG_FILE));
        let from_file = file::read(&config_file, named.is_some())?;
        Self::build(&from_flags.over(from_file), config_file)
    }

    fn build(values: &Values, config_file: PathBuf) -> Result<Self, SettingsError> {
        let path = |name: &str, default: &str| PathBuf::from(values.last(name).unwrap_or(default));
        let log_level = match (values.flag("debug")?, values.last("log-level")) {
            (true, _) => "debug".to_owned(),
            (false, level) => parse_log_level(level.unwrap_or("info"))?,
        };
        Ok(Self {
            data_root: path("data-root", "/var/lib/shoal"),
            exec_root: path("exec-root", "/run/shoal"),
            hosts: parse_hosts(&values.all("host"))?,
            pidfile: path("pidfile", "/run/shoald.pid"),
            config_file,
            log_level,
            log_json: values.last("log-format") == Some("json"),
            insecure_registries: values.all("insecure-registry"),
            registry_mirrors: values.all("registry-mirror"),
            cgroup_parent: values.last("cgroup-parent").map(str::to_owned),
            vip_translation: parse_translation(values.last("vip-translation").unwrap_or("auto"))?,
            address_pools: values
                .all("default-address-pool")
                .iter()
                .map(|pool| parse_pool(pool))
                .collect::<Result<_, _>>()?,
            advertise_default: values.last("swarm-default-advertise-addr").map(str::to_owned),
            labels: parse_pairs("--label", &values.all("label"))?,
            log_options: parse_pairs("--log-opt", &values.all("log-opt"))?,
            tunnel_key_age: values.last("tunnel-key-age").map(parse_key_age).transpose()?,
            warnings: warnings(values)?,
        })
    }
}

fn warnings(values: &Values) -> Result<Vec<String>, SettingsError> {
    let mut warnings = Vec::new();
    for flag in FLAGS.iter().filter(|flag| flag.used == Use::Accepted && values.is_set(flag.long)) {
        warnings.push(format!("--{} is accepted and has no effect: Shoal has no such part", flag.long));
    }
    match values.last("storage-driver") {
        None | Some("" | "overlay2" | "overlayfs") => {}
        Some(other) => {
            let remedy = "Shoal stores images for overlayfs: leave it out or say overlay2".to_owned();
            return Err(SettingsError::Value { name: "--storage-driver".to_owned(), value: other.to_owned(), remedy });
        }
    }
    Ok(warnings)
}

fn parse_log_level(level: &str) -> Result<String, SettingsError> {
    match level {
        "debug" | "info" | "warn" | "error" => Ok(level.to_owned()),
        "fatal" | "panic" => Ok("error".to_owned()),
        other => Err(SettingsError::Value {
            name: "--log-level".to_owned(),
            value: other.to_owned(),
            remedy: "debug, info, warn, error or fatal are expected".to_owned(),
        }),
    }
}

fn parse_translation(name: &str) -> Result<VipTranslation, SettingsError> {
    name.parse().map_err(|_| SettingsError::Value {
        name: "--vip-translation".to_owned(),
        value: name.to_owned(),
        remedy: "auto, ebpf or nftables is expected".to_owned(),
    })
}

fn parse_hosts(hosts: &[String]) -> Result<Vec<ApiHost>, SettingsError> {
    if hosts.is_empty() {
        return Ok(vec![ApiHost::Unix(PathBuf::from("/var/run/shoal.sock"))]);
    }
    hosts.iter().map(|host| parse_host(host)).collect()
}

fn parse_host(host: &str) -> Result<ApiHost, SettingsError> {
    let refused = || SettingsError::Value {
        name: "--host".to_owned(),
        value: host.to_owned(),
        remedy: "unix:///path/to.sock or tcp://ADDRESS:PORT is expected".to_owned(),
    };
    if let Some(path) = host.strip_prefix("unix://") {
        return if path.starts_with('/') { Ok(ApiHost::Unix(PathBuf::from(path))) } else { Err(refused()) };
    }
    let address = host.strip_prefix("tcp://").ok_or_else(refused)?;
    let address = match address.strip_prefix(':') {
        Some(port) => format!("0.0.0.0:{port}"),
        None => address.replace("localhost", "127.0.0.1"),
    };
    let with_port = if address.parse::<std::net::IpAddr>().is_ok() { format!("{address}:2375") } else { address };
    with_port.parse().map(ApiHost::Tcp).map_err(|_| refused())
}

fn parse_pool(pool: &str) -> Result<(Cidr, u8), SettingsError> {
    let refused = || SettingsError::Value {
        name: "--default-address-pool".to_owned(),
        value: pool.to_owned(),
        remedy: "base=ADDRESS/PREFIX,size=PREFIX is expected, such as base=172.30.0.0/16,size=24".to_owned(),
    };
    let (mut base, mut size) = (None, None);
    for part in pool.split(',') {
        match part.trim().split_once('=') {
            Some(("base", value)) => base = Some(value.parse::<Cidr>().map_err(|_| refused())?),
            Some(("size", value)) => size = Some(value.parse::<u8>().map_err(|_| refused())?),
            _ => return Err(refused()),
        }
    }
    match (base, size) {
        (Some(base), Some(size)) if size >= base.prefix && size <= 29 => Ok((base, size)),
        _ => Err(refused()),
    }
}

fn parse_key_age(text: &str) -> Result<Duration, SettingsError> {
    let units = [('s', 1), ('m', 60), ('h', 3600)];
    let unit = units.iter().find_map(|(unit, seconds)| Some((text.strip_suffix(*unit)?, *seconds)));
    let (number, unit) = unit.unwrap_or((text, 1));
    let seconds = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    let age = seconds.map(Duration::from_secs).filter(|age| KEY_AGES.contains(age));
    age.ok_or_else(|| SettingsError::Value {
        name: "--tunnel-key-age".to_owned(),
        value: text.to_owned(),
        remedy: "10s to 720h is expected, such as 12h".to_owned(),
    })
}

fn parse_pairs(name: &str, pairs: &[String]) -> Result<Vec<(String, String)>, SettingsError> {
    let parse = |pair: &String| match pair.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(SettingsError::Value {
            name: name.to_owned(),
            value: pair.clone(),
            remedy: "KEY=VALUE is expected".to_owned(),
        }),
    };
    pairs.iter().map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(arguments: &[&str]) -> Result<Settings, SettingsError> {
        let arguments = std::iter::once(&"shoald").chain(arguments);
        Settings::load(&command().try_get_matches_from(arguments).unwrap())
    }

    #[test]
    fn defaults_need_nothing() {
        let settings = load(&["--config-file", "/dev/null"]).unwrap();
        assert_eq!(settings.hosts, [ApiHost::Unix(PathBuf::from("/var/run/shoal.sock"))]);
        assert_eq!(settings.log_level, "info");
        assert!(settings.warnings.is_empty());
    }

    #[test]
    fn flags_win_over_the_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = r#"{"data-root": "/from/file", "labels": ["a=b", "c=d"], "debug": true, "iptables": false}"#;
        std::fs::write(file.path(), text).unwrap();
        let settings = load(&["--data-root", "/from/flag", "--config-file", file.path().to_str().unwrap()]).unwrap();
        assert_eq!(settings.data_root, PathBuf::from("/from/flag"));
        assert_eq!(settings.labels, [("a".into(), "b".into()), ("c".into(), "d".into())]);
        assert_eq!(settings.log_level, "debug");
        assert_eq!(settings.warnings.len(), 1);
    }

    #[test]
    fn key_ages_have_units() {
        for (text, seconds) in [("10", 10), ("30s", 30), ("2m", 120), ("12h", 43_200)] {
            let settings = load(&["--config-file=/dev/null", "--tunnel-key-age", text]).unwrap();
            assert_eq!(settings.tunnel_key_age, Some(Duration::from_secs(seconds)));
        }
    }

    #[test]
    fn hosts_repeat() {
        let settings =
            load(&["--config-file=/dev/null", "-H", "unix:///tmp/a.sock", "-H", "tcp://127.0.0.1:0"]).unwrap();
        let tcp = ApiHost::Tcp("127.0.0.1:0".parse().unwrap());
        assert_eq!(settings.hosts, [ApiHost::Unix(PathBuf::from("/tmp/a.sock")), tcp]);
    }

    #[test]
    fn every_flag_of_dockerd_is_accepted_and_warned_about_once() {
        for flag in FLAGS.iter().filter(|flag| flag.used == Use::Accepted) {
            let argument = match flag.kind {
                flags::Kind::Switch => format!("--{}", flag.long),
                flags::Kind::One | flags::Kind::Many => format!("--{}=1", flag.long),
            };
            let settings = load(&["--config-file=/dev/null", &argument]).unwrap();
            assert_eq!(settings.warnings.len(), 1, "{argument}");
        }
    }

    #[test]
    fn refusals_name_flag_value_and_remedy() {
        let cases: [&[&str]; 9] = [
            &["--vip-translation", "ipvs"],
            &["-H", "http://x"],
            &["-H", "unix://relative"],
            &["--label", "novalue"],
            &["--default-address-pool", "base=10.0.0.0/8,size=4"],
            &["-l", "loud"],
            &["-s", "btrfs"],
            &["--tunnel-key-age", "9s"],
            &["--tunnel-key-age", "721h"],
        ];
        for case in cases {
            let arguments: Vec<&str> = ["--config-file=/dev/null"].iter().chain(case).copied().collect();
            let refusal = load(&arguments).unwrap_err().to_string();
            assert!(refusal.contains(case[1]) && refusal.contains("--"), "{refusal}");
        }
    }
}
