//! Services, how they are published and how they are updated.

use shoal_api::types;
use shoal_proto::model::{
    Endpoint, EndpointMode, EndpointSpec, FailureAction, PortConfig, PortProtocol, PublishMode, ServiceMode,
    ServiceSpec, ServiceView, UpdateConfig, UpdateOrder, UpdateState, UpdateStatus,
};

use super::task_spec::{network_attachment, shown_task_spec, task_spec};
use super::word::{WordError, duration, meta, nanoseconds, port, timestamp, version};

/// What a client wants of a service.
///
/// # Errors
/// [`WordError`], naming the field.
pub fn service_spec(spec: types::ServiceSpec) -> Result<ServiceSpec, WordError> {
    let mut task = task_spec(spec.task_template)?;
    if task.networks.is_empty() {
        task.networks = spec.networks.into_iter().map(network_attachment).collect();
    }
    Ok(ServiceSpec {
        name: spec.name,
        labels: spec.labels.into_iter().collect(),
        task,
        mode: mode(spec.mode)?,
        update: update_config("UpdateConfig", spec.update_config)?,
        rollback: update_config("RollbackConfig", spec.rollback_config)?,
        endpoint: endpoint_spec(spec.endpoint_spec.unwrap_or_default())?,
    })
}

fn mode(mode: types::ServiceMode) -> Result<ServiceMode, WordError> {
    let kinds = (mode.replicated, mode.global, mode.replicated_job, mode.global_job);
    match kinds {
        (None, None, None, None) => Ok(ServiceMode::default()),
        (Some(replicated), None, None, None) => {
            Ok(ServiceMode::Replicated { replicas: replicated.replicas.unwrap_or(1) })
        }
        (None, Some(_), None, None) => Ok(ServiceMode::Global),
        (None, None, Some(job), None) => {
            let max_concurrent = job.max_concurrent.unwrap_or(1);
            Ok(ServiceMode::ReplicatedJob {
                max_concurrent,
                total_completions: job.total_completions.unwrap_or(max_concurrent),
            })
        }
        (None, None, None, Some(_)) => Ok(ServiceMode::GlobalJob),
        _ => Err(WordError::new("Mode", "several", "must specify only one service mode")),
    }
}

fn update_config(field: &str, config: Option<types::UpdateConfig>) -> Result<UpdateConfig, WordError> {
    let Some(config) = config else { return Ok(UpdateConfig::default()) };
    Ok(UpdateConfig {
        parallelism: config.parallelism,
        delay: duration(&format!("{field}.Delay"), config.delay)?,
        failure_action: match config.failure_action {
            types::FailureAction::Pause => FailureAction::Pause,
            types::FailureAction::Continue => FailureAction::Continue,
            types::FailureAction::Rollback => FailureAction::Rollback,
        },
        monitor: match config.monitor {
            0 => UpdateConfig::default().monitor,
            monitor => duration(&format!("{field}.Monitor"), monitor)?,
        },
        max_failure_ratio: config.max_failure_ratio,
        order: match config.order {
            types::UpdateOrder::StopFirst => UpdateOrder::StopFirst,
            types::UpdateOrder::StartFirst => UpdateOrder::StartFirst,
        },
    })
}

fn endpoint_spec(spec: types::EndpointSpec) -> Result<EndpointSpec, WordError> {
    Ok(EndpointSpec {
        mode: match spec.mode {
            None | Some(types::EndpointMode::Vip) => EndpointMode::Vip,
            Some(types::EndpointMode::Dnsrr) => EndpointMode::DnsRoundRobin,
        },
        ports: spec.ports.into_iter().map(port_config).collect::<Result<_, _>>()?,
    })
}

fn port_config(config: types::PortConfig) -> Result<PortConfig, WordError> {
    Ok(PortConfig {
        name: config.name,
        protocol: match config.protocol {
            types::PortProtocol::Tcp => PortProtocol::Tcp,
            types::PortProtocol::Udp => PortProtocol::Udp,
            types::PortProtocol::Sctp => PortProtocol::Sctp,
        },
        target_port: port("EndpointSpec.Ports.TargetPort", config.target_port)?,
        published_port: port("EndpointSpec.Ports.PublishedPort", config.published_port)?,
        mode: match config.publish_mode {
            types::PublishMode::Ingress => PublishMode::Ingress,
            types::PublishMode::Host => PublishMode::Host,
        },
    })
}

/// A service as Docker shows it; its tasks are counted when a list asked for it.
#[must_use]
pub fn service(view: ServiceView, counted: bool) -> types::Service {
    let service = view.service;
    let shown = meta(service.meta);
    let status = types::ServiceStatus {
        running_tasks: view.status.running,
        desired_tasks: view.status.desired,
        completed_tasks: view.status.completed,
    };
    types::Service {
        id: service.id.to_string(),
        version: shown.version,
        created_at: shown.created_at,
        updated_at: shown.updated_at,
        job_status: service
            .job_iteration
            .map(|iteration| types::JobStatus { job_iteration: version(iteration), last_execution: shown.updated_at }),
        spec: shown_service_spec(service.spec),
        previous_spec: service.previous_spec.map(|spec| Box::new(shown_service_spec(*spec))),
        endpoint: shown_endpoint(service.endpoint),
        update_status: service.update_status.map(shown_update_status),
        service_status: counted.then_some(status),
    }
}

fn shown_service_spec(spec: ServiceSpec) -> types::ServiceSpec {
    let is_job = spec.mode.is_job();
    types::ServiceSpec {
        name: spec.name,
        labels: spec.labels.into_iter().collect(),
        task_template: shown_task_spec(spec.task),
        mode: shown_mode(&spec.mode),
        update_config: (!is_job).then(|| shown_update_config(&spec.update)),
        rollback_config: (!is_job).then(|| shown_update_config(&spec.rollback)),
        networks: Vec::new(),
        endpoint_spec: Some(shown_endpoint_spec(spec.endpoint)),
    }
}

fn shown_mode(mode: &ServiceMode) -> types::ServiceMode {
    let none = types::ServiceMode::default();
    match *mode {
        ServiceMode::Replicated { replicas } => {
            types::ServiceMode { replicated: Some(types::ReplicatedService { replicas: Some(replicas) }), ..none }
        }
        ServiceMode::Global => types::ServiceMode { global: Some(types::Empty {}), ..none },
        ServiceMode::ReplicatedJob { max_concurrent, total_completions } => types::ServiceMode {
            replicated_job: Some(types::ReplicatedJob {
                max_concurrent: Some(max_concurrent),
                total_completions: Some(total_completions),
            }),
            ..none
        },
        ServiceMode::GlobalJob => types::ServiceMode { global_job: Some(types::Empty {}), ..none },
    }
}

fn shown_update_config(config: &UpdateConfig) -> types::UpdateConfig {
    types::UpdateConfig {
        parallelism: config.parallelism,
        delay: nanoseconds(config.delay),
        failure_action: match config.failure_action {
            FailureAction::Pause => types::FailureAction::Pause,
            FailureAction::Continue => types::FailureAction::Continue,
            FailureAction::Rollback => types::FailureAction::Rollback,
        },
        monitor: nanoseconds(config.monitor),
        max_failure_ratio: config.max_failure_ratio,
        order: match config.order {
            UpdateOrder::StopFirst => types::UpdateOrder::StopFirst,
            UpdateOrder::StartFirst => types::UpdateOrder::StartFirst,
        },
    }
}

fn shown_endpoint_spec(spec: EndpointSpec) -> types::EndpointSpec {
    types::EndpointSpec {
        mode: match spec.mode {
            EndpointMode::Vip => Some(types::EndpointMode::Vip),
            EndpointMode::DnsRoundRobin => Some(types::EndpointMode::Dnsrr),
        },
        ports: spec.ports.into_iter().map(shown_port).collect(),
    }
}

fn shown_endpoint(endpoint: Endpoint) -> types::Endpoint {
    let shown_ip = |ip: shoal_proto::model::VirtualIp| types::EndpointVirtualIp {
        network_id: ip.network.to_string(),
        addr: ip.address.to_string(),
    };
    types::Endpoint {
        spec: shown_endpoint_spec(endpoint.spec),
        ports: endpoint.ports.into_iter().map(shown_port).collect(),
        virtual_ips: endpoint.virtual_ips.into_iter().map(shown_ip).collect(),
    }
}

/// A port as Docker shows it.
pub(super) fn shown_port(port: PortConfig) -> types::PortConfig {
    types::PortConfig {
        name: port.name,
        protocol: match port.protocol {
            PortProtocol::Tcp => types::PortProtocol::Tcp,
            PortProtocol::Udp => types::PortProtocol::Udp,
            PortProtocol::Sctp => types::PortProtocol::Sctp,
        },
        target_port: u32::from(port.target_port),
        published_port: u32::from(port.published_port),
        publish_mode: match port.mode {
            PublishMode::Ingress => types::PublishMode::Ingress,
            PublishMode::Host => types::PublishMode::Host,
        },
    }
}

fn shown_update_status(status: UpdateStatus) -> types::UpdateStatus {
    types::UpdateStatus {
        state: Some(match status.state {
            UpdateState::Updating => types::UpdateState::Updating,
            UpdateState::Paused => types::UpdateState::Paused,
            UpdateState::Completed => types::UpdateState::Completed,
            UpdateState::RollbackStarted => types::UpdateState::RollbackStarted,
            UpdateState::RollbackPaused => types::UpdateState::RollbackPaused,
            UpdateState::RollbackCompleted => types::UpdateState::RollbackCompleted,
        }),
        started_at: Some(timestamp(status.started_at)),
        completed_at: status.completed_at.map(timestamp),
        message: status.message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shoal_proto::model::{Id, Meta, Service, ServiceId, ServiceStatus, Version};

    fn view(spec: ServiceSpec) -> ServiceView {
        let service = Service {
            id: ServiceId::from_random(7),
            meta: Meta::default(),
            spec,
            spec_version: Version(3),
            previous_spec: None,
            previous_spec_version: None,
            endpoint: Endpoint::default(),
            update_status: None,
            job_iteration: None,
        };
        ServiceView { service, status: ServiceStatus::default() }
    }

    /// A spec with something in every field that Shoal has.
    const FULL: &str = r#"{
        "Name": "web", "Labels": {"a": "b"},
        "TaskTemplate": {
            "ContainerSpec": {
                "Image": "registry:5000/web:1@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
                "Labels": {"c": "d"}, "Command": ["/bin/x"], "Args": ["-v"], "Hostname": "h", "Env": ["A=b"], "Dir": "/d",
                "User": "1:2", "Groups": ["3"], "Privileges": {"NoNewPrivileges": true, "Seccomp": {"Mode": "unconfined"}},
                "Init": true, "StopSignal": "SIGINT", "TTY": true, "OpenStdin": true, "ReadOnly": true,
                "Mounts": [
                    {"Type": "bind", "Source": "/s", "Target": "/t", "ReadOnly": true, "BindOptions": {"Propagation": "rslave"}},
                    {"Type": "volume", "Source": "v", "Target": "/v", "VolumeOptions": {"NoCopy": true, "Labels": {"e": "f"}}},
                    {"Type": "tmpfs", "Target": "/m", "TmpfsOptions": {"SizeBytes": 4096, "Mode": 448}}
                ],
                "StopGracePeriod": 3000000000,
                "Healthcheck": {"Test": ["CMD", "true"], "Interval": 1000000000, "Retries": 2},
                "Hosts": ["10.0.0.1 db"], "DNSConfig": {"Nameservers": ["10.0.0.2"], "Search": ["x"], "Options": ["ndots:1"]},
                "Isolation": "default", "Sysctls": {"net.core.somaxconn": "1"}, "CapabilityAdd": ["CAP_NET_ADMIN"],
                "CapabilityDrop": ["CAP_CHOWN"], "Ulimits": [{"Name": "nofile", "Soft": 1, "Hard": 2}], "OomScoreAdj": 5
            },
            "Resources": {"Limits": {"NanoCPUs": 500000000, "MemoryBytes": 67108864, "Pids": 10},
                          "Reservations": {"NanoCPUs": 1000000, "MemoryBytes": 4194304}, "SwapBytes": 0},
            "RestartPolicy": {"Condition": "on-failure", "Delay": 1000000000, "MaxAttempts": 3, "Window": 2000000000},
            "Placement": {"Constraints": ["node.role==worker"], "Preferences": [{"Spread": {"SpreadDescriptor": "node.labels.z"}}],
                          "MaxReplicas": 2, "Platforms": [{"Architecture": "amd64", "OS": "linux"}]},
            "Networks": [{"Target": "host"}], "LogDriver": {"Name": "json-file", "Options": {"max-size": "1m"}},
            "ForceUpdate": 4, "Runtime": "container"
        },
        "Mode": {"Replicated": {"Replicas": 3}},
        "UpdateConfig": {"Parallelism": 2, "Delay": 1000000000, "FailureAction": "rollback", "Monitor": 6000000000,
                         "MaxFailureRatio": 0.5, "Order": "start-first"},
        "RollbackConfig": {"Parallelism": 1, "FailureAction": "continue", "Monitor": 5000000000, "MaxFailureRatio": 0.0, "Order": "stop-first"},
        "EndpointSpec": {"Mode": "vip", "Ports": [{"Name": "n", "Protocol": "udp", "TargetPort": 53, "PublishedPort": 53, "PublishMode": "host"}]}
    }"#;

    #[test]
    fn what_is_said_is_shown() {
        let sent: types::ServiceSpec = types::decode(FULL.as_bytes()).unwrap();
        let shown = service(view(service_spec(sent.clone()).unwrap()), false).spec;
        assert_eq!(shown, sent);
    }

    #[test]
    fn defaults_are_swarm_modes() {
        let spec: types::ServiceSpec =
            types::decode(br#"{"Name":"x","TaskTemplate":{"ContainerSpec":{"Image":"y"}}}"#).unwrap();
        let spec = service_spec(spec).unwrap();
        assert_eq!(spec.mode, ServiceMode::Replicated { replicas: 1 });
        assert_eq!(spec.update.monitor.as_secs(), 5);
        assert_eq!(spec.task.restart.delay.as_secs(), 5);
    }

    #[test]
    fn refusals_name_field_and_value() {
        let cases = [
            (r#"{"Mode":{"Global":{},"Replicated":{}}}"#, "Mode"),
            (r#"{"UpdateConfig":{"Delay":-1}}"#, "UpdateConfig.Delay"),
            (r#"{"EndpointSpec":{"Ports":[{"TargetPort":70000}]}}"#, "70000"),
            (r#"{"TaskTemplate":{"PluginSpec":{"Name":"p"}}}"#, "PluginSpec"),
            (r#"{"TaskTemplate":{"ContainerSpec":{"Secrets":[{"SecretName":"s"}]}}}"#, "Secrets"),
            (r#"{"TaskTemplate":{"ContainerSpec":{"Mounts":[{"Type":"npipe","Target":"/x"}]}}}"#, "npipe"),
            (
                r#"{"TaskTemplate":{"Resources":{"Reservations":{"GenericResources":[{"DiscreteResourceSpec":{"Kind":"gpu","Value":1}}]}}}}"#,
                "gpu",
            ),
        ];
        for (body, word) in cases {
            let refusal = service_spec(types::decode(body.as_bytes()).unwrap()).unwrap_err().to_string();
            assert!(refusal.contains(word), "{body}: {refusal}");
        }
    }
}
