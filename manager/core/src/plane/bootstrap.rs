//! The birth of a swarm: its first tables, its first member.

use std::net::IpAddr;

use bytes::Bytes;
use shoal_proto::model::{
    Cidr, Cluster, ControlError, ControlErrorKind, Id, ManagerStatus, Meta, Network, NetworkDriver, NetworkSpec, Node,
    NodeState, Role,
};

use super::{ControlPlane, resynced};
use crate::leader::new_node;
use crate::limits::{INGRESS_SUBNET, INGRESS_VNI};
use crate::replica::Replica;
use crate::store::{Draft, Image, Tables};
use crate::{Answer, NewSwarm, Output, RequestId, SnapshotRecord};

/// The log of a swarm begins behind this entry, which is its first tables.
const FIRST_INDEX: u64 = 1;
const FIRST_TERM: u64 = 1;

impl ControlPlane {
    pub(super) fn bootstrap(&mut self, id: RequestId, swarm: NewSwarm) {
        let cluster = swarm.cluster;
        let outcome = self.make_swarm(swarm).map(|()| Answer::Bootstrapped { cluster });
        self.outputs.push(Output::Reply { id, outcome, index: self.tables.index() });
    }

    fn make_swarm(&mut self, swarm: NewSwarm) -> Result<(), ControlError> {
        if self.tables.cluster().is_some() || self.replica.next_index() > 1 {
            let text =
                "This node is already part of a swarm: leave it first (swarm leave) if it should belong to another one";
            return Err(ControlError::new(ControlErrorKind::FailedPrecondition, text));
        }
        crate::admit::check_cluster(&swarm.spec)?;
        let mut draft = Draft::new(Tables::default(), FIRST_INDEX, self.now);
        self.fill(&mut draft, swarm);
        draft.seal();
        let tables = draft.tables().clone();
        let internal = |_| ControlError::new(ControlErrorKind::Internal, "the swarm's first tables can't be encoded");
        let bytes = Image::of(&tables, vec![self.config.raft_id], Vec::new()).encode().map_err(internal)?;
        let record = SnapshotRecord { index: FIRST_INDEX, term: FIRST_TERM, bytes: Bytes::from(bytes) };
        let started = Replica::bootstrap(&self.config, &record, self.random.fork());
        let (replica, persist) = started.map_err(|error| {
            ControlError::new(ControlErrorKind::Internal, format!("the consensus does not start: {error}"))
        })?;
        self.replica = replica;
        self.tables = tables;
        self.outputs.push(Output::Persist(persist));
        self.publish(resynced(&self.tables));
        Ok(())
    }

    fn fill(&mut self, draft: &mut Draft, swarm: NewSwarm) {
        let meta = Meta { created_at: self.now, ..Meta::default() };
        draft.put_cluster(Cluster {
            id: swarm.cluster,
            meta,
            spec: swarm.spec,
            root_ca: swarm.root_ca,
            join_tokens: swarm.join_tokens,
            default_address_pool: swarm.default_address_pool,
            subnet_size: swarm.subnet_size,
            data_path_port: swarm.data_path_port,
        });
        let (address, prefix) = INGRESS_SUBNET;
        let networks = [
            ("ingress", NetworkDriver::Overlay, Some(Cidr { address: IpAddr::V4(address), prefix })),
            ("host", NetworkDriver::Host, None),
            ("bridge", NetworkDriver::Bridge, None),
        ];
        for (name, driver, subnet) in networks {
            let ingress = subnet.is_some();
            let spec = NetworkSpec { name: name.to_owned(), driver, ingress, ..NetworkSpec::default() };
            let vni = ingress.then_some(INGRESS_VNI);
            let id = self.fresh();
            draft.put_network(Network { id, meta, spec, subnet, vni });
        }
        let mut node: Node = new_node(self.config.node, Role::Manager, swarm.availability, self.now);
        node.description = swarm.description;
        node.status.state = NodeState::Ready;
        node.data_path_address = swarm.data_path_address;
        node.manager = Some(ManagerStatus { raft_id: self.config.raft_id, address: swarm.manager_address });
        draft.put_node(node);
    }

    fn fresh<T: Id>(&mut self) -> T {
        self.random.id()
    }
}
