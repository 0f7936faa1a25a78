//! What can happen to a control plane. Inputs serialise, so that any run can be replayed.

use std::collections::BTreeSet;
use std::net::IpAddr;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use shoal_proto::model::{
    Availability, Cidr, ClusterId, ClusterSpec, ControlRequest, JoinTokens, NodeDescription, NodeId, Revision, Role,
    RootCa, TaskReport, Verification,
};

/// Names a request within one plane's life, so that its answer can be told. Drawn by the shell, which does not use one
/// twice while it waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestId(pub u64);

/// Names one stream between a worker and the leader. Drawn at random by the shell: never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SessionId(pub u64);

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Input {
    /// A tick has passed: see [`crate::PlaneConfig::tick`].
    Tick,
    /// Another manager sent this.
    RaftMessage {
        /// An encoded `eraftpb.Message`, as [`crate::Output::Send`] gave it.
        message: Bytes,
        /// The data of the snapshot that it names, when it names one.
        snapshot: Option<Bytes>,
    },
    /// [`crate::Output::Persist`] with this number, and all before it, are durable.
    Persisted {
        /// As in the output.
        number: u64,
    },
    /// Messages to this manager are being lost.
    PeerUnreachable {
        /// Its number in the consensus.
        raft_id: u64,
    },
    /// The sending of a snapshot has ended.
    SnapshotSent {
        /// To whom.
        raft_id: u64,
        /// How.
        outcome: SnapshotOutcome,
    },
    /// A door asks. Answered by [`crate::Answer::Control`].
    Request {
        /// For the answer.
        id: RequestId,
        /// What is asked.
        request: ControlRequest,
    },
    /// Makes a new swarm of which this is the first node. Answered by [`crate::Answer::Bootstrapped`], which is refused
    /// when this plane belongs to a swarm already.
    Bootstrap {
        /// For the answer.
        id: RequestId,
        /// What it is to be.
        swarm: Box<NewSwarm>,
    },
    /// The certificate authority admits a node. Answered by [`crate::Answer::Admitted`]; the certificate may go out
    /// after that.
    AdmitNode {
        /// For the answer.
        id: RequestId,
        /// Its identity, drawn by the shell.
        node: NodeId,
        /// By its token.
        role: Role,
        /// As it asked.
        availability: Availability,
    },
    /// A node whose certificate says manager wants to take part in the consensus. Answered by
    /// [`crate::Answer::Joined`].
    JoinMember {
        /// For the answer.
        id: RequestId,
        /// Who.
        node: NodeId,
        /// host:port where the other managers reach it.
        address: String,
    },
    /// A manager is to leave the consensus. Answered by [`crate::Answer::Left`], also when it is no member.
    LeaveMember {
        /// For the answer.
        id: RequestId,
        /// Who.
        node: NodeId,
    },
    /// The node got a certificate with this role.
    CertificateRole {
        /// Which.
        node: NodeId,
        /// What its certificate says now.
        role: Role,
    },
    /// Leads no longer, if a member can take over; asked before an orderly stop.
    TransferLeadership,
    /// A worker has opened its stream.
    SessionOpened {
        /// By its certificate.
        node: NodeId,
        /// The stream.
        session: SessionId,
        /// What it says of itself.
        description: NodeDescription,
        /// Its address as this manager sees it.
        observed_address: IpAddr,
        /// Where other hosts send overlay traffic for it, when it says so; else the observed address.
        data_path_address: Option<IpAddr>,
    },
    /// A worker is alive.
    Heartbeat {
        /// By its certificate.
        node: NodeId,
        /// The stream.
        session: SessionId,
    },
    /// What a worker observed of its tasks.
    Reports {
        /// By its certificate.
        node: NodeId,
        /// The stream.
        session: SessionId,
        /// In the order of their observation.
        reports: Vec<TaskReport>,
    },
    /// A worker's kernel shows the assignments of this revision.
    Applied {
        /// By its certificate.
        node: NodeId,
        /// The stream.
        session: SessionId,
        /// Which.
        revision: Revision,
    },
    /// Which hosts do not answer a worker's probes on the data path: all of them.
    Silent {
        /// By its certificate.
        node: NodeId,
        /// The stream.
        session: SessionId,
        /// The others.
        hosts: BTreeSet<NodeId>,
    },
    /// A worker has compared its kernel with what it was told.
    Verified {
        /// By its certificate.
        node: NodeId,
        /// The stream.
        session: SessionId,
        /// What it found.
        verification: Verification,
    },
    /// A worker's stream has ended.
    SessionClosed {
        /// By its certificate.
        node: NodeId,
        /// The stream.
        session: SessionId,
    },
}

/// How the sending of a snapshot ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SnapshotOutcome {
    /// The other side has it.
    Delivered,
    /// It was lost.
    Failed,
}

/// What a new swarm is to be, and its first node. Keys and tokens are drawn by the shell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewSwarm {
    /// Its identity.
    pub cluster: ClusterId,
    /// The settings.
    pub spec: ClusterSpec,
    /// The certificate authority.
    pub root_ca: RootCa,
    /// What joining hosts show.
    pub join_tokens: JoinTokens,
    /// Where subnets come from.
    pub default_address_pool: Vec<Cidr>,
    /// Prefix length of a subnet from the pools.
    pub subnet_size: u8,
    /// UDP port of overlay traffic.
    pub data_path_port: u16,
    /// What the first node says of itself.
    pub description: NodeDescription,
    /// Whether the first node gets tasks.
    pub availability: Availability,
    /// host:port where the other managers reach the first node.
    pub manager_address: String,
    /// Where other hosts send overlay traffic for the first node: an IP address.
    pub data_path_address: String,
}
