//! Who calls, and whether they may.

use std::net::SocketAddr;

use shoal_proto::model::{ClusterId, NodeId, Role};
use tonic::{Request, Status};

use crate::ca::Identity;

/// The other end of a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller {
    /// Where it calls from.
    pub(crate) remote: SocketAddr,
    certificate: Certificate,
}

#[derive(Debug, Clone, Copy)]
enum Certificate {
    None,
    /// Of our root, but not of a node.
    Unreadable,
    Node(Identity),
}

impl Caller {
    pub(super) fn new(remote: SocketAddr, certificate: Option<&[u8]>) -> Self {
        let certificate = match certificate.map(Identity::from_der) {
            None => Certificate::None,
            Some(Err(_)) => Certificate::Unreadable,
            Some(Ok(identity)) => Certificate::Node(identity),
        };
        Self { remote, certificate }
    }

    /// Who sent `request`.
    pub(super) fn of<T>(request: &Request<T>) -> Result<Self, Status> {
        let caller = request.extensions().get::<Self>().copied();
        caller.ok_or_else(|| Status::internal("the connection does not say who calls"))
    }

    /// The node that calls, if it is one of `cluster`.
    pub(super) fn node(&self, cluster: ClusterId) -> Result<Identity, Status> {
        match self.certificate {
            Certificate::None => Err(Status::unauthenticated(
                "this call needs a node's certificate, and none was shown: join the swarm first",
            )),
            Certificate::Unreadable => {
                Err(Status::unauthenticated("the certificate shown is not a node's: join the swarm first"))
            }
            Certificate::Node(identity) if identity.cluster != cluster => Err(Status::permission_denied(format!(
                "the certificate of node {} is of swarm {}, this is swarm {cluster}: leave that swarm and join this one",
                identity.node, identity.cluster,
            ))),
            Certificate::Node(identity) => Ok(identity),
        }
    }

    /// The node that calls, if it is a manager of `cluster`.
    pub(super) fn manager(&self, cluster: ClusterId) -> Result<NodeId, Status> {
        let identity = self.node(cluster)?;
        match identity.role {
            Role::Manager => Ok(identity.node),
            Role::Worker => Err(Status::permission_denied(format!(
                "node {} is a worker, and this call is for managers: promote the node first",
                identity.node,
            ))),
        }
    }
}
