//! What a service may be, and how it may change.

use std::collections::BTreeSet;

use shoal_proto::codec;
use shoal_proto::model::{
    ControlError, ControlErrorKind, NetworkDriver, PublishMode, Service, ServiceId, ServiceMode, ServiceSpec,
    UpdateConfig,
};

use super::Problems;
use super::name::check_service_name;
use super::payload_references::check_payload_references;
use super::ports::{check_conflicts, check_endpoint};
use super::task::check_task;
use super::templates::check_templates;
use crate::limits::{OVERLAYS_MAX, REPLICAS_MAX, SPEC_BYTES};
use crate::store::Tables;

/// Whether the spec may be that of the service `own`, or of a new one.
pub(crate) fn check_service(tables: &Tables, own: Option<&Service>, spec: &ServiceSpec) -> Result<(), ControlError> {
    check_name_free(tables, own.map(|own| own.id), &spec.name)?;
    let mut problems = Problems::default();
    check_service_name(&spec.name, &mut problems);
    check_task(&spec.task, &mut problems);
    check_mode(&spec.mode, &mut problems);
    check_update("update", &spec.update, &mut problems);
    check_update("rollback", &spec.rollback, &mut problems);
    check_endpoint(&spec.endpoint, &mut problems);
    check_networks(tables, spec, &mut problems);
    check_payload_references(tables, &spec.task.container, &mut problems);
    check_templates(spec, &mut problems);
    if own.is_none_or(|own| own.spec.endpoint != spec.endpoint) {
        check_conflicts(tables, own.map(|own| own.id), &spec.endpoint, &mut problems);
    }
    let bytes = codec::encode(spec).map_or(usize::MAX, |bytes| bytes.len());
    problems.add_if(bytes > SPEC_BYTES, || {
        format!(
            "the service's spec is too large: {bytes} bytes, at most {SPEC_BYTES}; shorten its environment and labels"
        )
    });
    problems.into_result()
}

/// Whether a service may change so.
pub(crate) fn check_service_change(service: &Service, spec: &ServiceSpec) -> Result<(), ControlError> {
    let refuse = |text: String| Err(ControlError::new(ControlErrorKind::FailedPrecondition, text));
    if service.spec.name != spec.name {
        return refuse(format!(
            "renaming services is not supported: keep the name '{}', or create '{}' anew",
            service.spec.name, spec.name
        ));
    }
    if std::mem::discriminant(&service.spec.mode) != std::mem::discriminant(&spec.mode) {
        return refuse(format!(
            "service mode change is not allowed: '{}' keeps its mode; remove it and create it anew",
            service.spec.name
        ));
    }
    Ok(())
}

fn check_name_free(tables: &Tables, own: Option<ServiceId>, name: &str) -> Result<(), ControlError> {
    match tables.service_named(name) {
        Some(other) if Some(other.id) != own => {
            let text = format!(
                "name conflicts with an existing object: service {} already exists; choose another name, or update it",
                other.spec.name
            );
            Err(ControlError::new(ControlErrorKind::Conflict, text))
        }
        _ => Ok(()),
    }
}

fn check_mode(mode: &ServiceMode, problems: &mut Problems) {
    let counts: &[(&str, u64)] = match mode {
        ServiceMode::Replicated { replicas } => &[("Replicas", *replicas)],
        ServiceMode::ReplicatedJob { max_concurrent, total_completions } => {
            &[("MaxConcurrent", *max_concurrent), ("TotalCompletions", *total_completions)]
        }
        ServiceMode::Global | ServiceMode::GlobalJob => &[],
    };
    for (field, count) in counts {
        problems.add_if(*count > REPLICAS_MAX, || format!("{field} {count} is too many: use at most {REPLICAS_MAX}"));
    }
}

fn check_update(kind: &str, config: &UpdateConfig, problems: &mut Problems) {
    let ratio = config.max_failure_ratio;
    problems.add_if(!(0.0..=1.0).contains(&ratio), || {
        format!("TaskSpec: {kind}-maxfailureratio cannot be less than 0 or bigger than 1: it is {ratio}")
    });
}

fn check_networks(tables: &Tables, spec: &ServiceSpec, problems: &mut Problems) {
    let ingress_ports = spec.endpoint.ports.iter().any(|port| port.mode == PublishMode::Ingress);
    let mut seen = BTreeSet::new();
    let (mut of_host, mut overlays) = (0, 0);
    for wish in &spec.task.networks {
        let target = wish.target.as_str();
        let network = tables.network_wished(target);
        let is_local = matches!(target, "host" | "bridge" | "none");
        if network.is_none() && !is_local {
            problems.add(format!(
                "network {target} not found: create it first with `network create --driver overlay {target}`"
            ));
            continue;
        }
        if network.is_some_and(|network| network.spec.ingress) {
            problems.add(format!(
                "Service cannot be explicitly attached to the ingress network \"{target}\": leave it out"
            ));
            continue;
        }
        let driver = network.map(|network| network.spec.driver);
        problems.add_if((target == "host" || driver == Some(NetworkDriver::Host)) && ingress_ports, || {
            format!("network '{target}' can't be combined with ports in ingress mode: publish them with mode=host")
        });
        if !is_local && driver == Some(NetworkDriver::Overlay) {
            overlays += 1;
        } else {
            of_host += 1;
        }
        problems.add_if(!seen.insert(network.map(|network| network.id)), || {
            format!("network '{target}' is named twice: name each once")
        });
    }
    problems.add_if(of_host > 1 || (of_host > 0 && overlays > 0), || {
        "a task on one of the networks host, bridge and none can be on no other: name it alone, or overlay networks only"
            .to_owned()
    });
    problems.add_if(overlays > OVERLAYS_MAX, || {
        format!("a task can be on {OVERLAYS_MAX} networks at most: {overlays} were named")
    });
    problems.add_if(ingress_ports && tables.ingress().is_none(), || {
        "service needs ingress network, but no ingress network is present: publish with mode=host".to_owned()
    });
}
