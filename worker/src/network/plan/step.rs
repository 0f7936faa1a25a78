//! The steps that plans are made of.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use shoal_proto::model::Cidr;

use crate::network::MacAddress;
use crate::network::firewall::Transaction;

/// Steps in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::network) struct NetworkPlan {
    pub(in crate::network) steps: Vec<(Place, Step)>,
}

/// Where a step is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::network) enum Place {
    /// The namespace that the daemon lives in.
    Host,
    /// The namespace that the plan's namespace step made.
    Container,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::network) enum Step {
    /// A setting below /proc/sys/net.
    Setting {
        path: String,
        value: &'static str,
    },
    Bridge {
        name: String,
        mac: MacAddress,
        mtu: u32,
    },
    Vxlan {
        name: String,
        vni: u32,
        local: Option<IpAddr>,
        port: u16,
        mtu: u32,
        /// The device that alone may carry its packets, which then bear no checksums of their own.
        lower: Option<String>,
    },
    /// The tunnel's device, which its engine has made, gets its address of the link and its size of packets, and is
    /// raised. Nobody else is on its link, so nobody is asked who has an address.
    TunnelRaised {
        name: String,
        mac: MacAddress,
        mtu: u32,
    },
    /// A link becomes a port of a bridge.
    Join {
        name: String,
        bridge: String,
        port: Port,
    },
    /// A pair of links: one a port of a host's bridge, one in the container.
    Pair {
        name: String,
        bridge: String,
        port: Port,
        inside: String,
        index: u32,
        mac: MacAddress,
        mtu: u32,
    },
    LinkUp {
        name: String,
    },
    LinkRemoved {
        name: String,
    },
    /// Waits until the bridge forwards through a port: the kernel sees to that when it gets to it.
    PortAwaited {
        name: String,
    },
    /// A port carries nothing any more, and its link is deleted soon, together with others: deleting takes the kernel
    /// tens of milliseconds, for one link as for many.
    PortRetired {
        name: String,
    },
    Address {
        link: String,
        address: Cidr,
    },
    Route(Route),
    RouteRemoved(Route),
    /// Packets from `source` use the routes of `table`.
    SourceRule {
        source: IpAddr,
        table: u8,
    },
    /// Frames to `mac` leave through this port of its bridge.
    Forward {
        link: String,
        mac: MacAddress,
    },
    ForwardRemoved {
        link: String,
        mac: MacAddress,
    },
    /// A VXLAN device sends frames to `mac` to `host`.
    Tunnel {
        link: String,
        mac: MacAddress,
        host: IpAddr,
    },
    TunnelRemoved {
        link: String,
        mac: MacAddress,
        host: IpAddr,
    },
    Neighbour {
        link: String,
        address: IpAddr,
        mac: MacAddress,
    },
    NeighbourRemoved {
        link: String,
        address: IpAddr,
    },
    /// A fresh namespace on a file; the container's steps after it happen there.
    Namespace {
        path: PathBuf,
    },
    NamespaceRemoved {
        path: PathBuf,
    },
    Firewall(Transaction),
}

/// How a bridge treats a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::network) enum Port {
    /// Learns what is behind it.
    Learning,
    /// Knows what is behind it from forwarding entries only: nothing is learned, no frame to an unknown receiver.
    Stated,
}

/// A route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::network) struct Route {
    pub(in crate::network) destination: Cidr,
    pub(in crate::network) link: String,
    pub(in crate::network) gateway: Option<IpAddr>,
    /// The address that the host's own packets bear.
    pub(in crate::network) source: Option<IpAddr>,
    pub(in crate::network) metric: Option<u32>,
    pub(in crate::network) table: u8,
}

impl Route {
    /// The kernel's number of the main table.
    pub(in crate::network) const MAIN: u8 = 254;

    /// A route to what is on the link.
    pub(in crate::network) fn on_link(destination: Cidr, link: &str) -> Self {
        Self { destination, link: link.to_owned(), gateway: None, source: None, metric: None, table: Self::MAIN }
    }

    /// The default route.
    pub(in crate::network) fn default_by(gateway: IpAddr, link: &str, table: u8) -> Self {
        let address = match gateway {
            IpAddr::V4(_) => IpAddr::from([0; 4]),
            IpAddr::V6(_) => IpAddr::from([0; 16]),
        };
        let destination = Cidr { address, prefix: 0 };
        Self { gateway: Some(gateway), table, ..Self::on_link(destination, link) }
    }
}

impl NetworkPlan {
    /// A plan of steps on the host.
    pub(in crate::network) fn on_host(steps: impl IntoIterator<Item = Step>) -> Self {
        Self { steps: steps.into_iter().map(|step| (Place::Host, step)).collect() }
    }

    pub(in crate::network) fn host(&mut self, step: Step) {
        self.steps.push((Place::Host, step));
    }

    pub(in crate::network) fn container(&mut self, step: Step) {
        self.steps.push((Place::Container, step));
    }
}

impl fmt::Display for NetworkPlan {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, step) in &self.steps {
            let prefix = match place {
                Place::Host => "",
                Place::Container => "inside: ",
            };
            for line in step.to_string().lines() {
                writeln!(out, "{prefix}{line}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Step {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Setting { path, value } => write!(out, "set {path} = {value}"),
            Self::Bridge { name, mac, mtu } => write!(out, "add bridge {name} mac {mac} mtu {mtu}"),
            Self::Vxlan { name, vni, local, port, mtu, lower } => {
                write!(out, "add vxlan {name} vni {vni} port {port} mtu {mtu}")?;
                local.map_or(Ok(()), |local| write!(out, " local {local}"))?;
                lower.as_ref().map_or(Ok(()), |lower| write!(out, " dev {lower}"))
            }
            Self::TunnelRaised { name, mac, mtu } => write!(out, "raise tunnel {name} mac {mac} mtu {mtu}"),
            Self::Join { name, bridge, port } => write!(out, "join {name} to {bridge} {port}"),
            Self::Pair { name, bridge, port, inside, index, mac, mtu } => {
                write!(out, "add veth {name} on {bridge} {port} to inside {inside} ({index}) mac {mac} mtu {mtu}")
            }
            Self::LinkUp { name } => write!(out, "raise link {name}"),
            Self::LinkRemoved { name } => write!(out, "delete link {name}"),
            Self::PortAwaited { name } => write!(out, "await port {name}"),
            Self::PortRetired { name } => write!(out, "retire port {name}"),
            Self::Address { link, address } => write!(out, "add address {address} dev {link}"),
            Self::Route(route) => write!(out, "add route {route}"),
            Self::RouteRemoved(route) => write!(out, "delete route {route}"),
            Self::SourceRule { source, table } => write!(out, "add rule from {source} table {table}"),
            Self::Forward { link, mac } => write!(out, "add forward {mac} dev {link}"),
            Self::ForwardRemoved { link, mac } => write!(out, "delete forward {mac} dev {link}"),
            Self::Tunnel { link, mac, host } => write!(out, "add tunnel {mac} dev {link} to {host}"),
            Self::TunnelRemoved { link, mac, host } => write!(out, "delete tunnel {mac} dev {link} to {host}"),
            Self::Neighbour { link, address, mac } => write!(out, "add neighbour {address} mac {mac} dev {link}"),
            Self::NeighbourRemoved { link, address } => write!(out, "delete neighbour {address} dev {link}"),
            Self::Namespace { path } => write!(out, "add namespace {}", path.display()),
            Self::NamespaceRemoved { path } => write!(out, "delete namespace {}", path.display()),
            Self::Firewall(transaction) => write!(out, "{transaction}"),
        }
    }
}

impl fmt::Display for Port {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Learning => "learning",
            Self::Stated => "stated",
        })
    }
}

impl fmt::Display for Route {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} dev {}", self.destination, self.link)?;
        if let Some(gateway) = self.gateway {
            write!(out, " via {gateway}")?;
        }
        if let Some(source) = self.source {
            write!(out, " src {source}")?;
        }
        if let Some(metric) = self.metric {
            write!(out, " metric {metric}")?;
        }
        if self.table != Self::MAIN {
            write!(out, " table {}", self.table)?;
        }
        Ok(())
    }
}
