//! Writes, to a leader's draft: checked first, then made whole or not at all.

use shoal_proto::model::{
    Cluster, ClusterSpec, ControlError, ControlErrorKind, ControlReply, ControlRequest, Endpoint, Id, Meta, Network,
    NetworkDriver, NetworkId, NetworkSpec, NodeId, NodeSpec, Rollback, Service, ServiceId, ServiceSpec, TokenRotation,
    UpdateState, UpdateStatus, Version,
};

use super::{find_network, find_node, find_service, payloads};
use crate::ObjectKey;
use crate::admit::{
    check_cluster, check_network_removal, check_node_removal, check_node_update, check_service, check_service_change,
    place_network,
};
use crate::deciders::membership::MembersView;
use crate::random::Random;
use crate::store::{Draft, Tables};

/// Makes what was asked for.
pub(crate) fn write(
    draft: &mut Draft,
    random: &mut Random,
    members: &MembersView,
    request: ControlRequest,
) -> Result<ControlReply, ControlError> {
    match request {
        ControlRequest::UpdateCluster { version, spec, rotation } => update_cluster(draft, version, *spec, rotation),
        ControlRequest::UpdateNode { node, version, spec } => update_node(draft, members, (node, version), spec),
        ControlRequest::RemoveNode { reference, force } => {
            let node = find_node(draft.tables(), &reference)?;
            check_node_removal(node, force)?;
            let id = node.id;
            draft.remove(ObjectKey::Node(id));
            Ok(ControlReply::Done)
        }
        ControlRequest::CreateService { spec } => create_service(draft, random, *spec),
        ControlRequest::UpdateService { service, version, spec, rollback } => {
            update_service(draft, (service, version), *spec, rollback)
        }
        ControlRequest::RemoveService { reference } => {
            let id = find_service(draft.tables(), &reference)?.id;
            draft.remove(ObjectKey::Service(id));
            Ok(ControlReply::ServiceRemoved { warnings: Vec::new() })
        }
        ControlRequest::CreateNetwork { spec } => create_network(draft, random, *spec),
        ControlRequest::RemoveNetwork { reference } => {
            let network = find_network(draft.tables(), &reference)?;
            check_network_removal(draft.tables(), network)?;
            let id = network.id;
            draft.remove(ObjectKey::Network(id));
            Ok(ControlReply::Done)
        }
        ControlRequest::CreatePayload { kind, spec } => payloads::create(draft, random, kind, *spec),
        ControlRequest::UpdatePayload { kind, reference, version, spec } => {
            payloads::update(draft, (kind, &reference), version, *spec)
        }
        ControlRequest::RemovePayload { kind, reference } => payloads::remove(draft, kind, &reference),
        read => {
            debug_assert!(!super::is_read(&read), "reads go elsewhere");
            Ok(ControlReply::Done)
        }
    }
}

/// Whether the writer has seen all that people did to the object. What the managers did since then does not matter:
/// their writes and people's do not touch.
pub(super) fn check_version(draft: &Draft, key: ObjectKey, seen: Version) -> Result<(), ControlError> {
    let tables = draft.tables();
    let newest = tables.version(key).unwrap_or_default();
    if seen >= tables.spec_written(key) && seen <= newest {
        return Ok(());
    }
    let text = format!("update out of sequence: version {} was changed to {} since; read it again", seen.0, newest.0);
    Err(ControlError::new(ControlErrorKind::OutOfSequence, text))
}

fn not_found(kind: &str, id: impl std::fmt::Display) -> ControlError {
    ControlError::new(ControlErrorKind::NotFound, format!("{kind} {id} not found"))
}

fn update_cluster(
    draft: &mut Draft,
    version: Version,
    spec: ClusterSpec,
    rotation: TokenRotation,
) -> Result<ControlReply, ControlError> {
    let cluster = draft.tables().cluster().ok_or_else(|| not_found("cluster", "default"))?;
    let mut cluster = Cluster::clone(cluster);
    check_version(draft, ObjectKey::Cluster, version)?;
    check_cluster(&spec)?;
    cluster.spec = spec;
    if let Some(token) = rotation.worker {
        cluster.join_tokens.worker = token;
    }
    if let Some(token) = rotation.manager {
        cluster.join_tokens.manager = token;
    }
    draft.put_cluster(cluster);
    Ok(ControlReply::Done)
}

fn update_node(
    draft: &mut Draft,
    members: &MembersView,
    (id, version): (NodeId, Version),
    spec: NodeSpec,
) -> Result<ControlReply, ControlError> {
    let node = draft.tables().node(id).ok_or_else(|| not_found("node", id))?;
    check_version(draft, ObjectKey::Node(id), version)?;
    check_node_update(node, &spec, members)?;
    draft.change_node(id, |node| node.spec = spec);
    Ok(ControlReply::Done)
}

fn create_network(draft: &mut Draft, random: &mut Random, spec: NetworkSpec) -> Result<ControlReply, ControlError> {
    let (subnet, vni) = place_network(draft.tables(), &spec, draft.index())?;
    let id = fresh(random, |id: &NetworkId| draft.tables().network(*id).is_none());
    let meta = Meta { created_at: draft.now(), ..Meta::default() };
    draft.put_network(Network { id, meta, spec, subnet: Some(subnet), vni: Some(vni) });
    Ok(ControlReply::NetworkCreated { network: id })
}

/// An identifier that no object has.
pub(super) fn fresh<T: Id>(random: &mut Random, is_free: impl Fn(&T) -> bool) -> T {
    loop {
        let id = random.id();
        if is_free(&id) {
            return id;
        }
    }
}

/// Names of networks become their identifiers, which stay right when a name becomes another network's.
fn name_networks(tables: &Tables, spec: &mut ServiceSpec) {
    for wish in &mut spec.task.networks {
        let network = tables.network_wished(&wish.target);
        if let Some(network) = network.filter(|network| network.spec.driver == NetworkDriver::Overlay) {
            wish.target = network.id.to_string();
        }
    }
}

fn create_service(draft: &mut Draft, random: &mut Random, mut spec: ServiceSpec) -> Result<ControlReply, ControlError> {
    check_service(draft.tables(), None, &spec)?;
    name_networks(draft.tables(), &mut spec);
    let id = fresh(random, |id: &ServiceId| draft.tables().service(*id).is_none());
    let version = draft.version();
    draft.put_service(Service {
        id,
        meta: Meta { created_at: draft.now(), ..Meta::default() },
        job_iteration: spec.mode.is_job().then_some(version),
        spec,
        spec_version: version,
        previous_spec: None,
        previous_spec_version: None,
        endpoint: Endpoint::default(),
        update_status: None,
    });
    Ok(ControlReply::ServiceCreated { service: id, warnings: Vec::new() })
}

fn update_service(
    draft: &mut Draft,
    (id, version): (ServiceId, Version),
    mut spec: ServiceSpec,
    rollback: Rollback,
) -> Result<ControlReply, ControlError> {
    let service = draft.tables().service(id).ok_or_else(|| not_found("service", id))?;
    check_version(draft, ObjectKey::Service(id), version)?;
    check_service_change(service, &spec)?;
    check_service(draft.tables(), Some(service), &spec)?;
    name_networks(draft.tables(), &mut spec);
    let mut service = Service::clone(service);
    let fresh = draft.version();
    match rollback {
        Rollback::No => {
            service.previous_spec = Some(Box::new(std::mem::replace(&mut service.spec, spec)));
            service.previous_spec_version = Some(std::mem::replace(&mut service.spec_version, fresh));
            service.update_status = None;
        }
        Rollback::Previous => roll_back(&mut service, draft)?,
    }
    if service.spec.mode.is_job() {
        service.job_iteration = Some(fresh);
    }
    draft.put_service(service);
    Ok(ControlReply::Done)
}

fn roll_back(service: &mut Service, draft: &Draft) -> Result<(), ControlError> {
    let (Some(spec), Some(version)) = (service.previous_spec.take(), service.previous_spec_version) else {
        let text = format!(
            "service {} does not have a previous spec: it was not updated, or was rolled back since",
            service.spec.name
        );
        return Err(ControlError::new(ControlErrorKind::FailedPrecondition, text));
    };
    // The ports of the previous spec may be another service's by now.
    check_service(draft.tables(), Some(service), &spec)?;
    service.previous_spec = Some(Box::new(std::mem::replace(&mut service.spec, *spec)));
    service.previous_spec_version = Some(std::mem::replace(&mut service.spec_version, version));
    service.update_status = Some(UpdateStatus {
        state: UpdateState::RollbackStarted,
        started_at: draft.now(),
        completed_at: None,
        message: "manually requested rollback".to_owned(),
    });
    Ok(())
}
