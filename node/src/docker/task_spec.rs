//! What each task is: resources, restarts, placement, networks, logs. The container itself is in `container`.

use shoal_api::types;
use shoal_proto::model::{
    LogDriver, NetworkAttachmentSpec, Placement, Platform, Preference, ResourceLimits, ResourceReservations, Resources,
    RestartCondition, RestartPolicy, TaskSpec,
};

use super::container::{container_spec, shown_container_spec};
use super::word::{WordError, duration, nanoseconds};

/// What a client wants each task to be.
pub(super) fn task_spec(spec: types::TaskSpec) -> Result<TaskSpec, WordError> {
    if spec.plugin_spec.is_some() || spec.runtime == "plugin" {
        return Err(WordError::absent("TaskTemplate.PluginSpec", "plugin"));
    }
    if spec.network_attachment_spec.is_some() || !matches!(spec.runtime.as_str(), "" | "container") {
        return Err(WordError::new("TaskTemplate.Runtime", spec.runtime, "container is expected"));
    }
    Ok(TaskSpec {
        container: container_spec(spec.container_spec.unwrap_or_default())?,
        resources: resources(spec.resources.unwrap_or_default())?,
        restart: restart(spec.restart_policy)?,
        placement: placement(spec.placement.unwrap_or_default()),
        networks: spec.networks.into_iter().map(network_attachment).collect(),
        log_driver: spec
            .log_driver
            .map(|driver| LogDriver { name: driver.name, options: driver.options.into_iter().collect() }),
        force_update: spec.force_update,
    })
}

fn resources(resources: types::ResourceRequirements) -> Result<Resources, WordError> {
    let limits = resources.limits.unwrap_or_default();
    let reservations = resources.reservations.unwrap_or_default();
    if let Some(generic) = reservations.generic_resources.first() {
        let kind = generic.discrete_resource_spec.as_ref().map(|one| one.kind.clone());
        let kind = kind.or_else(|| generic.named_resource_spec.as_ref().map(|one| one.kind.clone()));
        return Err(WordError::absent(
            "TaskTemplate.Resources.Reservations.GenericResources",
            kind.unwrap_or_default(),
        ));
    }
    Ok(Resources {
        limits: ResourceLimits { nano_cpus: limits.nano_cpus, memory_bytes: limits.memory_bytes, pids: limits.pids },
        reservations: ResourceReservations {
            nano_cpus: reservations.nano_cpus,
            memory_bytes: reservations.memory_bytes,
        },
        swap_bytes: resources.swap_bytes,
        memory_swappiness: resources.memory_swappiness,
    })
}

fn restart(policy: Option<types::RestartPolicy>) -> Result<RestartPolicy, WordError> {
    let Some(policy) = policy else { return Ok(RestartPolicy::default()) };
    let default = RestartPolicy::default();
    let said = |field: &str, value: Option<i64>| value.map(|value| duration(field, value)).transpose();
    Ok(RestartPolicy {
        condition: match policy.condition {
            types::RestartCondition::None => RestartCondition::None,
            types::RestartCondition::OnFailure => RestartCondition::OnFailure,
            types::RestartCondition::Any => RestartCondition::Any,
        },
        delay: said("TaskTemplate.RestartPolicy.Delay", policy.delay)?.unwrap_or(default.delay),
        max_attempts: policy.max_attempts.unwrap_or(default.max_attempts),
        window: said("TaskTemplate.RestartPolicy.Window", policy.window)?.unwrap_or(default.window),
    })
}

fn placement(placement: types::Placement) -> Placement {
    Placement {
        constraints: placement.constraints,
        preferences: placement
            .preferences
            .into_iter()
            .filter_map(|preference| preference.spread)
            .map(|spread| Preference { spread: spread.spread_descriptor })
            .collect(),
        max_replicas: placement.max_replicas,
        platforms: placement
            .platforms
            .into_iter()
            .map(|platform| Platform { architecture: platform.architecture, os: platform.os })
            .collect(),
    }
}

/// A wish for a network.
pub(super) fn network_attachment(network: types::NetworkAttachmentConfig) -> NetworkAttachmentSpec {
    NetworkAttachmentSpec {
        target: network.target,
        aliases: network.aliases,
        driver_options: network.driver_opts.into_iter().collect(),
    }
}

/// What each task is, as Docker shows it.
pub(super) fn shown_task_spec(spec: TaskSpec) -> types::TaskSpec {
    types::TaskSpec {
        container_spec: Some(shown_container_spec(spec.container)),
        plugin_spec: None,
        network_attachment_spec: None,
        resources: Some(shown_resources(&spec.resources)),
        restart_policy: Some(shown_restart(&spec.restart)),
        placement: Some(shown_placement(spec.placement)),
        networks: spec.networks.into_iter().map(shown_network).collect(),
        log_driver: spec
            .log_driver
            .map(|driver| types::Driver { name: driver.name, options: driver.options.into_iter().collect() }),
        force_update: spec.force_update,
        runtime: "container".to_owned(),
    }
}

fn shown_resources(resources: &Resources) -> types::ResourceRequirements {
    let (limits, reservations) = (resources.limits, resources.reservations);
    let limit = types::Limit { nano_cpus: limits.nano_cpus, memory_bytes: limits.memory_bytes, pids: limits.pids };
    let reserved = types::Resources {
        nano_cpus: reservations.nano_cpus,
        memory_bytes: reservations.memory_bytes,
        generic_resources: Vec::new(),
    };
    types::ResourceRequirements {
        limits: (limits != ResourceLimits::default()).then_some(limit),
        reservations: (reservations != ResourceReservations::default()).then_some(reserved),
        swap_bytes: resources.swap_bytes,
        memory_swappiness: resources.memory_swappiness,
    }
}

fn shown_restart(policy: &RestartPolicy) -> types::RestartPolicy {
    types::RestartPolicy {
        condition: match policy.condition {
            RestartCondition::None => types::RestartCondition::None,
            RestartCondition::OnFailure => types::RestartCondition::OnFailure,
            RestartCondition::Any => types::RestartCondition::Any,
        },
        delay: Some(nanoseconds(policy.delay)),
        max_attempts: Some(policy.max_attempts),
        window: Some(nanoseconds(policy.window)),
    }
}

fn shown_placement(placement: Placement) -> types::Placement {
    let spread = |preference: Preference| types::PlacementPreference {
        spread: Some(types::SpreadOver { spread_descriptor: preference.spread }),
    };
    types::Placement {
        constraints: placement.constraints,
        preferences: placement.preferences.into_iter().map(spread).collect(),
        max_replicas: placement.max_replicas,
        platforms: placement
            .platforms
            .into_iter()
            .map(|platform| types::Platform { architecture: platform.architecture, os: platform.os })
            .collect(),
    }
}

fn shown_network(network: NetworkAttachmentSpec) -> types::NetworkAttachmentConfig {
    types::NetworkAttachmentConfig {
        target: network.target,
        aliases: network.aliases,
        driver_opts: network.driver_options.into_iter().collect(),
    }
}
