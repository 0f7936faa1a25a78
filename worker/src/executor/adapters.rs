//! The image store and the networks, as the executor works with them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use shoal_proto::model::{
    NetworkAssignment, NetworkId, NetworkService, NodeId, PeerEndpoints, PortConfig, PublishMode, PullCredentials,
    ServiceEndpoints, ServiceId, ServiceSet,
};
use shoal_worker_core::{EndpointInfo, EndpointPlan, Failure, Input};
use tokio::sync::mpsc;

use super::contract::{Endpoints, Images, StandingEndpoint};
use super::failure::{fatal, temporary};
use crate::container::ContainerInterface;
use crate::events::{LocalEvent, LocalEventKind, LocalEvents, now};
use crate::image::{ImageStore, PullOptions, Reference, RegistryAuth};
use crate::network::{
    Attachment, AttachmentNetwork, Backend, Endpoint, EndpointRequest, HostPort, MacAddress, NetworkError, NetworkKind,
    NetworkPlanInput, Networks, Peer, PublishedPort, PublishedService, TunnelEnd, VirtualService, await_listeners,
};
use crate::probe::Prober;
use crate::resolver::{Resolver, Scope, Zones};

/// The image store, with the pull policy of swarm services.
#[derive(Debug, Clone)]
pub(crate) struct StoreImages {
    pub(crate) store: ImageStore,
    /// Ask a local image before the registry.
    pub(crate) prefer_offline: bool,
    pub(crate) events: LocalEvents,
}

#[async_trait]
impl Images for StoreImages {
    async fn ensure(&self, image: &str, credentials: Option<&PullCredentials>) -> Result<String, Failure> {
        let reference = Reference::parse(image).map_err(|error| fatal(&error))?;
        let local = || self.store.resolve_local(&reference).map(|record| record.id.to_string());
        // What a digest names never changes: no registry is needed for what is here.
        if (self.prefer_offline || reference.digest().is_some())
            && let Some(id) = local()
        {
            return Ok(id);
        }
        let auth = credentials.and_then(|credentials| RegistryAuth::decode(&credentials.registry_auth.0));
        match self.store.pull(&reference, PullOptions { auth, platform: None }, None).await {
            Ok(pulled) => {
                if !pulled.up_to_date {
                    self.events.publish(pull_event(&pulled.name));
                }
                Ok(pulled.id.to_string())
            }
            Err(error) => match local() {
                Some(id) => {
                    let reason = super::chain(&error);
                    tracing::warn!(image, %reason, "the registry did not serve the image; the local one is used");
                    Ok(id)
                }
                None if error.is_unreachable() => Err(temporary(&error)),
                None => Err(fatal(&error)),
            },
        }
    }
}

fn pull_event(name: &str) -> LocalEvent {
    LocalEvent {
        time: now(),
        kind: LocalEventKind::Image,
        action: "pull".to_owned(),
        id: name.to_owned(),
        attributes: BTreeMap::from([("name".to_owned(), name.to_owned())]),
    }
}

/// The networks of this host, as assignments name them, and the resolver of those who are on them.
#[derive(Debug, Clone)]
pub(crate) struct SwarmEndpoints {
    networks: Networks,
    node: NodeId,
    resolver: Resolver,
    /// What networks are called.
    names: Arc<Mutex<BTreeMap<NetworkId, String>>>,
    /// Started with the core that it reports to.
    prober: Arc<OnceLock<Prober>>,
}

impl SwarmEndpoints {
    pub(crate) fn new(networks: Networks, node: NodeId, resolver: Resolver) -> Self {
        Self { networks, node, resolver, names: Arc::default(), prober: Arc::default() }
    }

    /// What networks are called.
    fn names(&self) -> BTreeMap<NetworkId, String> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Has the resolver serve a container, whose endpoint stands.
    async fn serve_names(&self, container: &str, endpoint: &Endpoint) -> Result<(), Failure> {
        let sockets = self.networks.open_resolver(container).await.map_err(|error| failure(&error))?;
        let overlay = |(network, _): &(AttachmentNetwork, _)| match network {
            AttachmentNetwork::Overlay(id) => Some(*id),
            AttachmentNetwork::Bridge => None,
        };
        let scope = Scope {
            networks: endpoint.addresses.iter().filter_map(overlay).collect(),
            nameservers: endpoint.nameservers.clone(),
            outside: endpoint.addresses.iter().any(|(network, _)| *network == AttachmentNetwork::Bridge),
        };
        self.resolver.attach(container, sockets, scope).await;
        Ok(())
    }
}

#[async_trait]
impl Endpoints for SwarmEndpoints {
    async fn networks_found(&self) -> Result<Vec<NetworkId>, Failure> {
        self.networks.networks().await.map_err(|error| failure(&error))
    }

    async fn ensure_network(&self, network: NetworkId, assignment: &NetworkAssignment) -> Result<(), Failure> {
        let input = NetworkPlanInput {
            id: network,
            vni: assignment.vni,
            subnet: assignment.subnet,
            kind: if assignment.ingress { NetworkKind::Ingress } else { NetworkKind::Overlay },
            mtu: assignment.mtu,
            data_path_port: assignment.data_path_port,
            encrypted: assignment.encrypted,
            node_address: assignment.node_address.map(|address| address.address),
        };
        self.names.lock().unwrap_or_else(PoisonError::into_inner).insert(network, assignment.name.clone());
        self.networks.ensure_network(input).await.map_err(|error| failure(&error))
    }

    async fn remove_network(&self, network: NetworkId) -> Result<(), Failure> {
        self.networks.remove_network(network).await.map_err(|error| failure(&error))?;
        self.names.lock().unwrap_or_else(PoisonError::into_inner).remove(&network);
        Ok(())
    }

    async fn set_peers(&self, network: NetworkId, peers: &BTreeMap<NodeId, PeerEndpoints>) -> Result<(), Failure> {
        let peers = peers.iter().map(|(node, peer)| Peer {
            host: peer.host,
            addresses: peer.addresses.clone(),
            tunnel: (!peer.tunnel_keys.is_empty()).then(|| TunnelEnd::of(*node, peer.tunnel_keys.clone())),
        });
        let peers = peers.collect();
        self.networks.set_peers(network, peers).await.map_err(|error| failure(&error))
    }

    fn watch(&self, inputs: mpsc::Sender<Input>) {
        self.prober.get_or_init(|| Prober::spawn(inputs));
    }

    async fn probe(&self, network: NetworkId, hosts: BTreeMap<NodeId, IpAddr>) {
        let Some(prober) = self.prober.get() else { return };
        let hosts = hosts.into_iter().map(|(node, address)| (node, MacAddress::of(address))).collect();
        match self.networks.open_probe(network).await {
            Ok(socket) => prober.set(Some(socket), hosts).await,
            Err(error) => {
                tracing::debug!(%network, error = &error as &dyn std::error::Error, "no probes");
                prober.set(None, Vec::new()).await;
            }
        }
    }

    async fn set_services(&self, services: &ServiceSet) -> Result<(), Failure> {
        let published = services.published.iter().map(|(id, service)| self.published(*id, service)).collect();
        let of_vip = |((network, _), service): (&(NetworkId, ServiceId), &NetworkService)| {
            let tasks = service.tasks.values().map(|task| task.address).collect();
            Some(VirtualService { network: *network, address: service.vip?, tasks })
        };
        let virtuals = services.names.iter().filter_map(of_vip).collect();
        let zones = Zones::new(services, &self.names());
        self.resolver.set_zones(zones);
        self.networks.set_services(published, virtuals).await.map_err(|error| failure(&error))
    }

    async fn create(&self, container: &str, plan: &EndpointPlan) -> Result<StandingEndpoint, Failure> {
        let overlays = plan.attachments.iter().map(|attachment| Attachment {
            network: AttachmentNetwork::Overlay(attachment.network),
            address: Some(attachment.address),
        });
        let bridge = plan.bridge.then_some(Attachment { network: AttachmentNetwork::Bridge, address: None });
        let host_ports = plan.host_ports.iter().map(|port| HostPort {
            protocol: port.protocol,
            host_ip: None,
            published: port.published_port,
            target: port.target_port,
        });
        let request = EndpointRequest {
            container_id: container.to_owned(),
            attachments: overlays.chain(bridge).collect(),
            host_ports: host_ports.collect(),
            nameservers: plan.nameservers.iter().filter_map(|text| text.parse().ok()).collect(),
        };
        let endpoint = self.networks.create_endpoint(request).await.map_err(|error| failure(&error))?;
        self.serve_names(container, &endpoint).await?;
        Ok(standing(endpoint, &self.names()))
    }

    async fn remove(&self, container: &str) -> Result<(), Failure> {
        self.resolver.detach(container).await;
        self.networks.remove_endpoint(container).await.map_err(|error| failure(&error))
    }

    async fn await_ports(
        &self,
        namespace: &Path,
        ports: &BTreeSet<u16>,
        limit: Duration,
    ) -> Result<BTreeSet<u16>, Failure> {
        await_listeners(namespace, ports, limit).await.map_err(|error| temporary(&error))
    }

    async fn adopt(&self, containers: Vec<String>) -> Result<Vec<(String, StandingEndpoint)>, Failure> {
        let kept = self.networks.adopt(containers).await.map_err(|error| failure(&error))?;
        for (container, endpoint) in &kept {
            self.serve_names(container, endpoint).await?;
        }
        let names = self.names();
        Ok(kept.into_iter().map(|(container, endpoint)| (container, standing(endpoint, &names))).collect())
    }

    async fn verify(&self) -> Result<Vec<String>, Failure> {
        self.networks.verify().await.map_err(|error| failure(&error))
    }

    async fn teardown(&self) -> Result<(), Failure> {
        self.networks.teardown().await.map_err(|error| failure(&error))
    }
}

impl SwarmEndpoints {
    fn published(&self, service_id: ServiceId, service: &ServiceEndpoints) -> PublishedService {
        let ports = service.ports.iter().filter(|port| port.mode == PublishMode::Ingress).map(|port| PublishedPort {
            protocol: port.protocol,
            published: port.published_port,
            target: port.target_port,
        });
        let backends = service.backends.iter().map(|(task, backend)| Backend {
            task_id: *task,
            address: backend.address,
            local: backend.node == self.node,
        });
        PublishedService { service_id, ports: ports.collect(), backends: backends.collect() }
    }
}

/// `names` are those of networks, as far as they are known.
fn standing(endpoint: Endpoint, names: &BTreeMap<NetworkId, String>) -> StandingEndpoint {
    let ports = endpoint.host_ports.iter().map(|port| PortConfig {
        name: String::new(),
        protocol: port.protocol,
        target_port: port.target,
        published_port: port.published,
        mode: PublishMode::Host,
    });
    let interfaces = endpoint.addresses.iter().map(|(network, address)| {
        let (network, name) = match network {
            AttachmentNetwork::Bridge => (BRIDGE.to_owned(), BRIDGE.to_owned()),
            AttachmentNetwork::Overlay(id) => {
                (id.to_string(), names.get(id).cloned().unwrap_or_else(|| id.to_string()))
            }
        };
        ContainerInterface { network, name, address: *address }
    });
    StandingEndpoint {
        info: EndpointInfo { ports: ports.collect() },
        namespace: endpoint.netns_path,
        interfaces: interfaces.collect(),
    }
}

/// What the host's own network for the way out is called.
const BRIDGE: &str = "bridge";

/// What the request itself asks wrongly stays wrong; a port that is taken or a kernel that refuses may change its mind.
fn failure(error: &NetworkError) -> Failure {
    match error {
        NetworkError::Invalid { .. } => fatal(error),
        _ => temporary(error),
    }
}
