//! The daemon's flags: dockerd's, of releases 20.10 to 29, in one table.
//!
//! A flag that Shoal has a meaning for is `Meant`; any other is accepted, so that a dockerd unit file keeps working, and
//! warned about once.

/// One flag.
#[derive(Debug)]
pub(super) struct Flag {
    /// `--long`.
    pub(super) long: &'static str,
    /// `-s`.
    pub(super) short: Option<char>,
    /// What follows it.
    pub(super) kind: Kind,
    /// Its key in the configuration file; empty: it has none.
    pub(super) key: &'static str,
    /// Whether Shoal has a meaning for it.
    pub(super) used: Use,
    /// For people.
    pub(super) help: &'static str,
}

/// What follows a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing, or `=true`, `=false`.
    Switch,
    /// A value; the last one counts.
    One,
    /// A value, as often as wished.
    Many,
}

/// Whether Shoal has a meaning for a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// It has.
    Meant,
    /// It has none.
    Accepted,
}

/// The command line that the table describes.
#[must_use]
pub fn command() -> clap::Command {
    let command = clap::Command::new("shoald")
        .about("The Shoal daemon: runs this host's part of a swarm")
        .version(env!("CARGO_PKG_VERSION"))
        .disable_version_flag(true)
        .arg(
            clap::Arg::new("version")
                .long("version")
                .short('v')
                .action(clap::ArgAction::Version)
                .help("Print the version and quit"),
        );
    FLAGS.iter().fold(command, |command, flag| command.arg(argument(flag)))
}

fn argument(flag: &'static Flag) -> clap::Arg {
    let argument = clap::Arg::new(flag.long)
        .long(flag.long)
        .help(flag.help)
        .action(clap::ArgAction::Append)
        .hide(flag.used == Use::Accepted);
    let argument = match flag.short {
        Some(short) => argument.short(short),
        None => argument,
    };
    match flag.kind {
        Kind::Switch => argument.num_args(0..=1).require_equals(true).default_missing_value("true").value_name("BOOL"),
        Kind::One | Kind::Many => argument.num_args(1).value_name("VALUE").allow_hyphen_values(true),
    }
}

const fn meant(long: &'static str, short: Option<char>, kind: Kind, key: &'static str, help: &'static str) -> Flag {
    Flag { long, short, kind, key, used: Use::Meant, help }
}

const fn accepted(long: &'static str, short: Option<char>, kind: Kind, key: &'static str) -> Flag {
    Flag { long, short, kind, key, used: Use::Accepted, help: "Accepted for dockerd's sake; has no effect" }
}

/// All flags.
pub(super) const FLAGS: &[Flag] = &[
    meant("host", Some('H'), Kind::Many, "hosts", "Where the API is served: unix://PATH or tcp://ADDRESS:PORT"),
    meant("data-root", None, Kind::One, "data-root", "Persistent state"),
    meant("exec-root", None, Kind::One, "exec-root", "State of a run: sockets, namespaces"),
    meant("pidfile", Some('p'), Kind::One, "pidfile", "Holds the process id while the daemon runs"),
    meant("config-file", None, Kind::One, "", "The configuration file (JSON)"),
    meant("debug", Some('D'), Kind::Switch, "debug", "Log at level debug"),
    meant("log-level", Some('l'), Kind::One, "log-level", "debug, info, warn, error or fatal"),
    meant("log-format", None, Kind::One, "log-format", "text or json"),
    accepted("group", Some('G'), Kind::One, "group"),
    meant("insecure-registry", None, Kind::Many, "insecure-registries", "Registry spoken to without verified TLS"),
    meant("registry-mirror", None, Kind::Many, "registry-mirrors", "Registry asked before docker.io"),
    meant("cgroup-parent", None, Kind::One, "cgroup-parent", "Parent of all containers' cgroups"),
    meant(
        "vip-translation",
        None,
        Kind::One,
        "vip-translation",
        "Translator of service addresses: auto, ebpf, nftables",
    ),
    meant(
        "default-address-pool",
        None,
        Kind::Many,
        "default-address-pools",
        "Pool of node-local subnets: base=CIDR,size=PREFIX",
    ),
    meant(
        "swarm-default-advertise-addr",
        None,
        Kind::One,
        "swarm-default-advertise-addr",
        "Address or interface advertised to the swarm",
    ),
    meant("label", None, Kind::Many, "labels", "Label of this node's engine: KEY=VALUE"),
    meant("storage-driver", Some('s'), Kind::One, "storage-driver", "overlay2"),
    meant("tunnel-key-age", None, Kind::One, "tunnel-key-age", "Age at which encrypted networks get a new key: 12h"),
    meant("log-opt", None, Kind::Many, "log-opts", "Default option of container logs: KEY=VALUE"),
    accepted("dns", None, Kind::Many, "dns"),
    accepted("cri-containerd", None, Kind::Switch, "cri-containerd"),
    accepted("debug-http", None, Kind::Switch, "debug-http"),
    accepted("experimental", None, Kind::Switch, "experimental"),
    accepted("icc", None, Kind::Switch, "icc"),
    accepted("init", None, Kind::Switch, "init"),
    accepted("ip-forward", None, Kind::Switch, "ip-forward"),
    accepted("ip-forward-no-drop", None, Kind::Switch, "ip-forward-no-drop"),
    accepted("ip-masq", None, Kind::Switch, "ip-masq"),
    accepted("ip6tables", None, Kind::Switch, "ip6tables"),
    accepted("iptables", None, Kind::Switch, "iptables"),
    accepted("ipv6", None, Kind::Switch, "ipv6"),
    accepted("live-restore", None, Kind::Switch, "live-restore"),
    accepted("no-new-privileges", None, Kind::Switch, "no-new-privileges"),
    accepted("raw-logs", None, Kind::Switch, "raw-logs"),
    accepted("rootless", None, Kind::Switch, "rootless"),
    accepted("selinux-enabled", None, Kind::Switch, "selinux-enabled"),
    accepted("tls", None, Kind::Switch, "tls"),
    accepted("tlsverify", None, Kind::Switch, "tlsverify"),
    accepted("userland-proxy", None, Kind::Switch, "userland-proxy"),
    accepted("allow-direct-routing", None, Kind::Switch, "allow-direct-routing"),
    accepted("validate", None, Kind::Switch, "validate"),
    accepted("api-cors-header", None, Kind::One, "api-cors-header"),
    accepted("bip", None, Kind::One, "bip"),
    accepted("bip6", None, Kind::One, "bip6"),
    accepted("bridge", Some('b'), Kind::One, "bridge"),
    accepted("bridge-accept-fwmark", None, Kind::One, "bridge-accept-fwmark"),
    accepted("containerd", None, Kind::One, "containerd"),
    accepted("containerd-namespace", None, Kind::One, "containerd-namespace"),
    accepted("containerd-plugins-namespace", None, Kind::One, "containerd-plugins-namespace"),
    accepted("cpu-rt-period", None, Kind::One, "cpu-rt-period"),
    accepted("cpu-rt-runtime", None, Kind::One, "cpu-rt-runtime"),
    accepted("default-cgroupns-mode", None, Kind::One, "default-cgroupns-mode"),
    accepted("default-gateway", None, Kind::One, "default-gateway"),
    accepted("default-gateway-v6", None, Kind::One, "default-gateway-v6"),
    accepted("default-ipc-mode", None, Kind::One, "default-ipc-mode"),
    accepted("default-runtime", None, Kind::One, "default-runtime"),
    accepted("default-shm-size", None, Kind::One, "default-shm-size"),
    accepted("default-init-binary", None, Kind::One, "default-init-binary"),
    accepted("fixed-cidr", None, Kind::One, "fixed-cidr"),
    accepted("fixed-cidr-v6", None, Kind::One, "fixed-cidr-v6"),
    accepted("firewall-backend", None, Kind::One, "firewall-backend"),
    accepted("http-proxy", None, Kind::One, "http-proxy"),
    accepted("https-proxy", None, Kind::One, "https-proxy"),
    accepted("no-proxy", None, Kind::One, "no-proxy"),
    accepted("init-path", None, Kind::One, "init-path"),
    accepted("ip", None, Kind::One, "ip"),
    accepted("log-driver", None, Kind::One, "log-driver"),
    accepted("max-concurrent-downloads", None, Kind::One, "max-concurrent-downloads"),
    accepted("max-concurrent-uploads", None, Kind::One, "max-concurrent-uploads"),
    accepted("max-download-attempts", None, Kind::One, "max-download-attempts"),
    accepted("metrics-addr", None, Kind::One, "metrics-addr"),
    accepted("min-api-version", None, Kind::One, "min-api-version"),
    accepted("mtu", None, Kind::One, "mtu"),
    accepted("network-control-plane-mtu", None, Kind::One, "network-control-plane-mtu"),
    accepted("network-diagnostic-port", None, Kind::One, "network-diagnostic-port"),
    accepted("oom-score-adjust", None, Kind::One, "oom-score-adjust"),
    accepted("seccomp-profile", None, Kind::One, "seccomp-profile"),
    accepted("shutdown-timeout", None, Kind::One, "shutdown-timeout"),
    accepted("swarm-raft-election-tick", None, Kind::One, "swarm-raft-election-tick"),
    accepted("swarm-raft-heartbeat-tick", None, Kind::One, "swarm-raft-heartbeat-tick"),
    accepted("tlscacert", None, Kind::One, "tlscacert"),
    accepted("tlscert", None, Kind::One, "tlscert"),
    accepted("tlskey", None, Kind::One, "tlskey"),
    accepted("userland-proxy-path", None, Kind::One, "userland-proxy-path"),
    accepted("userns-remap", None, Kind::One, "userns-remap"),
    accepted("cluster-advertise", None, Kind::One, "cluster-advertise"),
    accepted("cluster-store", None, Kind::One, "cluster-store"),
    accepted("add-runtime", None, Kind::Many, "runtimes"),
    accepted("allow-nondistributable-artifacts", None, Kind::Many, "allow-nondistributable-artifacts"),
    accepted("authorization-plugin", None, Kind::Many, "authorization-plugins"),
    accepted("cdi-spec-dir", None, Kind::Many, "cdi-spec-dirs"),
    accepted("cluster-store-opt", None, Kind::Many, "cluster-store-opts"),
    accepted("default-network-opt", None, Kind::Many, "default-network-opts"),
    accepted("default-ulimit", None, Kind::Many, "default-ulimits"),
    accepted("dns-opt", None, Kind::Many, "dns-opts"),
    accepted("dns-search", None, Kind::Many, "dns-search"),
    accepted("exec-opt", None, Kind::Many, "exec-opts"),
    accepted("feature", None, Kind::Many, "features"),
    accepted("host-gateway-ip", None, Kind::Many, "host-gateway-ips"),
    accepted("node-generic-resource", None, Kind::Many, "node-generic-resources"),
    accepted("storage-opt", None, Kind::Many, "storage-opts"),
];
