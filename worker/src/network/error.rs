//! Why the data path could not be made as wished: by cause, with what the reader can do about it.

use std::io;
use std::path::PathBuf;

use shoal_proto::model::{Cidr, NetworkId, PortProtocol};

/// Why the data path could not be made as wished.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The request itself can't be honoured.
    #[error("{field} '{value}' is not usable: {remedy}")]
    Invalid {
        /// What was wrong.
        field: &'static str,
        /// Its value.
        value: String,
        /// What would be right.
        remedy: &'static str,
    },
    /// An endpoint names a network that was never ensured.
    #[error("network {0} is not on this host: ensure it before attaching to it")]
    UnknownNetwork(NetworkId),
    /// A network has users.
    #[error("network {network} can't be changed while container {container} is attached to it: remove that first")]
    Attached {
        /// Which.
        network: NetworkId,
        /// One of its users.
        container: String,
    },
    /// The host's port is another's.
    #[error("host port {port}/{} is already in use by {holder}: choose another port or stop the holder", protocol_name(*protocol))]
    PortTaken {
        /// Which.
        port: u16,
        /// Transport.
        protocol: PortProtocol,
        /// Who has it: a container, or a process of the host.
        holder: String,
    },
    /// No endpoint of that name stands.
    #[error("container {0} has no network endpoint on this host")]
    UnknownEndpoint(String),
    /// Every address of the bridge is given out.
    #[error("no address is free in {0}: stop containers or give the bridge a larger subnet")]
    AddressesExhausted(Cidr),
    /// Every candidate for the bridge's subnet meets a route.
    #[error("every subnet from 172.17.0.0/16 to 172.31.0.0/16 meets a route of this host: set the bridge's subnet")]
    NoFreeSubnet,
    /// The kernel refused a step.
    #[error("failed to {step}")]
    Kernel {
        /// The step, as the plan prints it.
        step: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A file of the exec-root could not be used.
    #[error("failed to use {path}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The saved state can't be read.
    #[error("failed to read {path}: remove it to start with no saved endpoints")]
    State {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// The network thread has ended.
    #[error("the network thread has ended")]
    Stopped,
}

pub(super) fn protocol_name(protocol: PortProtocol) -> &'static str {
    match protocol {
        PortProtocol::Tcp => "tcp",
        PortProtocol::Udp => "udp",
        PortProtocol::Sctp => "sctp",
    }
}
