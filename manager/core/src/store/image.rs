//! The tables as bytes: what a snapshot holds, and what replicas are compared by.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use shoal_proto::codec::{self, CodecError};
use shoal_proto::model::{Cluster, Network, Node, Payload, Service, ServiceId, TaskSpec, Version};

use super::Tables;
use super::command::TaskRecord;
use crate::ObjectKey;

/// All tables, and who takes part in the consensus.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Image {
    /// The last entry that they reflect.
    pub index: u64,
    /// Numbers of the managers that vote.
    pub voters: Vec<u64>,
    /// Numbers of the managers that catch up before they vote.
    pub learners: Vec<u64>,
    cluster: Option<Arc<Cluster>>,
    networks: Vec<Arc<Network>>,
    nodes: Vec<Arc<Node>>,
    #[serde(default)]
    payloads: Vec<Arc<Payload>>,
    services: Vec<Arc<Service>>,
    specs: Vec<(ServiceId, Version, Arc<TaskSpec>)>,
    tasks: Vec<TaskRecord>,
    spec_written: Vec<(ObjectKey, Version)>,
}

impl Image {
    /// Of these tables.
    #[must_use]
    pub fn of(tables: &Tables, voters: Vec<u64>, learners: Vec<u64>) -> Self {
        let specs = tables.task_index.specs.iter();
        let record = |task: &Arc<shoal_proto::model::Task>| TaskRecord { spec: None, ..TaskRecord::new(task, tables) };
        Self {
            index: tables.index,
            voters,
            learners,
            cluster: tables.cluster.clone(),
            networks: tables.networks.values().cloned().collect(),
            nodes: tables.nodes.values().cloned().collect(),
            payloads: tables.payloads().cloned().collect(),
            services: tables.services.values().cloned().collect(),
            specs: specs.map(|((service, version), (spec, _))| (*service, *version, spec.clone())).collect(),
            tasks: tables.tasks.values().map(record).collect(),
            spec_written: tables.spec_written.iter().map(|(key, version)| (*key, *version)).collect(),
        }
    }

    /// As bytes.
    ///
    /// # Errors
    /// When a value can't be encoded, which no admitted one is.
    pub fn encode(&self) -> Result<Vec<u8>, CodecError> {
        codec::encode(self)
    }

    /// From bytes that [`Image::encode`] made.
    ///
    /// # Errors
    /// When they are damaged or of another version.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        codec::decode(bytes)
    }

    /// The tables.
    #[must_use]
    pub fn into_tables(self) -> Tables {
        let mut tables = Tables::default();
        tables.index = self.index;
        tables.set_cluster(self.cluster);
        self.networks.into_iter().for_each(|it| drop(tables.set_network(it.id, Some(it))));
        self.payloads.into_iter().for_each(|it| drop(tables.set_payload(it.id, Some(it))));
        self.nodes.into_iter().for_each(|it| drop(tables.set_node(it.id, Some(it))));
        self.services.into_iter().for_each(|it| drop(tables.set_service(it.id, Some(it))));
        let specs: BTreeMap<_, _> = self.specs.into_iter().map(|(id, version, spec)| ((id, version), spec)).collect();
        for mut record in self.tasks {
            record.spec = record.spec.or_else(|| specs.get(&(record.service, record.spec_version)).cloned());
            if let Some(task) = record.into_task(&tables) {
                tables.set_task(task.id, Some(Arc::new(task)));
            }
        }
        tables.spec_written = self.spec_written.into_iter().collect();
        tables
    }
}

impl Tables {
    /// A number that two tables with the same content share, and others hardly ever (FNV-1a over the image).
    #[must_use]
    pub fn digest(&self) -> u64 {
        let bytes = Image::of(self, Vec::new(), Vec::new()).encode().unwrap_or_default();
        bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
    }
}
