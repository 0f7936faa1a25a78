//! `shoal service create`: flags to a fresh spec, names to identifiers, and the wait for convergence.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use shoal_api::types::{
    ContainerSpec, CredentialSpec, DiscreteGenericResource, DnsConfig, Empty, EndpointMode, EndpointSpec,
    GenericResource, Limit, Placement, PlacementPreference, Privileges, ReplicatedJob, ReplicatedService,
    ResourceRequirements, Resources, ServiceCreateResponse, ServiceMode, ServiceSpec, SpreadOver, TaskSpec, Ulimit,
};

use super::flags::{ScaleFlags, SharedFlags};
use super::references;
use super::watch::watch;
use crate::error::{EXIT_DONE, Error};
use crate::flags::FlagError;
use crate::flags::attachment::{FileFlag, NetworkFlag};
use crate::flags::capability;
use crate::flags::host_entry::{HostEntry, ip_address, search_domain};
use crate::flags::mount::MountFlag;
use crate::flags::pair::{Pair, environment, label, to_map, variable};
use crate::flags::placement::{GenericAmount, SpreadFlag};
use crate::flags::publish::PublishedPorts;
use crate::flags::ulimit::UlimitFlag;
use crate::output::console::{note, print_line};
use crate::transport::{Client, registry_auth};

#[derive(Args, Debug)]
pub(crate) struct CreateArgs {
    #[command(flatten)]
    shared: SharedFlags,
    /// Specify configurations to expose to the service
    #[arg(long, value_name = "config")]
    config: Vec<FileFlag>,
    /// Placement constraints
    #[arg(long, value_name = "list")]
    constraint: Vec<String>,
    /// Container labels
    #[arg(long, value_name = "list", value_parser = label)]
    container_label: Vec<Pair>,
    /// Credential spec for managed service account (Windows only)
    #[arg(long, value_name = "credential-spec", value_parser = credential_spec)]
    credential_spec: Option<CredentialSpec>,
    /// Set custom DNS servers
    #[arg(long, value_name = "list", value_parser = ip_address)]
    dns: Vec<String>,
    /// Set DNS options
    #[arg(long, value_name = "list")]
    dns_option: Vec<String>,
    /// Set custom DNS search domains
    #[arg(long, value_name = "list", value_parser = search_domain)]
    dns_search: Vec<String>,
    /// Set environment variables
    #[arg(short, long, value_name = "list", value_parser = variable)]
    env: Vec<String>,
    /// Read in a file of environment variables
    #[arg(long, value_name = "list")]
    env_file: Vec<PathBuf>,
    /// User defined resources
    #[arg(long, value_name = "list")]
    generic_resource: Vec<GenericAmount>,
    /// Set one or more supplementary user groups for the container
    #[arg(long, value_name = "list")]
    group: Vec<String>,
    /// Set one or more custom host-to-IP mappings (host:ip)
    #[arg(long, value_name = "list")]
    host: Vec<HostEntry>,
    /// Service labels
    #[arg(short, long, value_name = "list", value_parser = label)]
    label: Vec<Pair>,
    /// Service mode ("replicated", "global", "replicated-job", "global-job") (default "replicated")
    #[arg(long, value_name = "string")]
    mode: Option<Mode>,
    /// Attach a filesystem mount to the service
    #[arg(long, value_name = "mount")]
    mount: Vec<MountFlag>,
    /// Service name
    #[arg(long, value_name = "string")]
    name: Option<String>,
    /// Network attachments
    #[arg(long, value_name = "network")]
    network: Vec<NetworkFlag>,
    /// Add a placement preference
    #[arg(long, value_name = "pref")]
    placement_pref: Vec<SpreadFlag>,
    /// Publish a port as a node port
    #[arg(short, long, value_name = "port")]
    publish: Vec<PublishedPorts>,
    /// Specify secrets to expose to the service
    #[arg(long, value_name = "secret")]
    secret: Vec<FileFlag>,
    /// Sysctl options
    #[arg(long, value_name = "list")]
    sysctl: Vec<Pair>,
    /// Ulimit options
    #[arg(long, value_name = "ulimit")]
    ulimit: Vec<UlimitFlag>,
    /// The image, then the command that replaces the image's own
    #[arg(required = true, trailing_var_arg = true, value_names = ["IMAGE", "COMMAND"], num_args = 1..)]
    image_and_command: Vec<String>,
}

/// How many tasks a service has, and whether they end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Mode {
    #[default]
    Replicated,
    Global,
    ReplicatedJob,
    GlobalJob,
}

/// Creates the service and, unless told otherwise, waits until it converged.
pub(crate) async fn create(args: CreateArgs, client: &Client) -> Result<u8, Error> {
    let mut spec = args.spec()?;
    references::attach_networks(client, &args.network, &mut spec).await?;
    references::attach_files(client, &args.secret, &args.config, &mut spec).await?;
    let delivery = args.shared.delivery;
    let mut call = client.post("/services/create", "create the service");
    if delivery.with_registry_auth {
        call = call.header(registry_auth::HEADER, registry_auth::for_image(&args.image_and_command[0])?);
    }
    references::pin_image(client, delivery, &mut spec).await?;
    let created: ServiceCreateResponse = call.json(&spec).fetch().await?;
    created.warnings.iter().for_each(|warning| note(warning));
    print_line(&created.id)?;
    let wait = args.shared.wait;
    if wait.detach { Ok(EXIT_DONE) } else { watch(client, &created.id, wait.quiet).await }
}

impl CreateArgs {
    /// The spec that the flags describe, names not yet resolved.
    fn spec(&self) -> Result<ServiceSpec, Error> {
        let mode = self.mode.unwrap_or_default();
        let mut spec = ServiceSpec {
            name: self.name.clone().unwrap_or_default(),
            labels: to_map(&self.label),
            task_template: self.task()?,
            mode: mode.with(&self.shared.scale)?,
            endpoint_spec: Some(EndpointSpec {
                mode: Some(EndpointMode::Vip),
                ports: self.publish.iter().flat_map(|ports| ports.0.clone()).collect(),
            }),
            ..ServiceSpec::default()
        };
        self.shared.apply(&mut spec)?;
        let job = matches!(mode, Mode::ReplicatedJob | Mode::GlobalJob);
        if job && (spec.update_config.is_some() || spec.rollback_config.is_some()) {
            return Err(FlagError::JobUpdate.into());
        }
        Ok(spec)
    }

    fn task(&self) -> Result<TaskSpec, Error> {
        let preference =
            |flag: &SpreadFlag| PlacementPreference { spread: Some(SpreadOver { spread_descriptor: flag.0.clone() }) };
        Ok(TaskSpec {
            container_spec: Some(self.container()?),
            resources: Some(ResourceRequirements {
                limits: Some(Limit::default()),
                reservations: Some(Resources { generic_resources: self.generic_resources(), ..Resources::default() }),
                ..ResourceRequirements::default()
            }),
            placement: Some(Placement {
                constraints: self.constraint.clone(),
                preferences: self.placement_pref.iter().map(preference).collect(),
                max_replicas: self.shared.scale.replicas_max_per_node.unwrap_or(0),
                platforms: Vec::new(),
            }),
            ..TaskSpec::default()
        })
    }

    /// One reservation a kind, in the order of kinds.
    fn generic_resources(&self) -> Vec<GenericResource> {
        let by_kind: BTreeMap<&str, GenericResource> =
            self.generic_resource.iter().map(|amount| (amount.kind.as_str(), generic_resource(amount))).collect();
        by_kind.into_values().collect()
    }

    fn container(&self) -> Result<ContainerSpec, Error> {
        let (image, command) =
            self.image_and_command.split_first().map_or(("", &[][..]), |(image, rest)| (image, rest));
        let (add, drop) = capability::effective(&self.shared.container.cap_add, &self.shared.container.cap_drop);
        Ok(ContainerSpec {
            image: image.to_owned(),
            args: command.to_vec(),
            labels: to_map(&self.container_label),
            env: environment(&self.env_file, &self.env)?,
            groups: self.group.clone(),
            privileges: (self.credential_spec.clone())
                .map(|spec| Privileges { credential_spec: Some(spec), ..Privileges::default() }),
            // Sent even when false: an absent value would let each node decide.
            init: Some(false),
            mounts: self.mount.iter().map(|mount| mount.0.clone()).collect(),
            hosts: self.host.iter().map(HostEntry::line).collect(),
            dns_config: Some(DnsConfig {
                nameservers: self.dns.clone(),
                search: self.dns_search.clone(),
                options: self.dns_option.clone(),
            }),
            sysctls: to_map(&self.sysctl),
            capability_add: add,
            capability_drop: drop,
            ulimits: self.ulimit.iter().map(ulimit).collect(),
            ..ContainerSpec::default()
        })
    }
}

impl Mode {
    fn with(self, scale: &ScaleFlags) -> Result<ServiceMode, FlagError> {
        let replicated = matches!(self, Self::Replicated | Self::ReplicatedJob);
        if !replicated && scale.replicas.is_some() {
            return Err(FlagError::Replicas);
        }
        if !replicated && scale.replicas_max_per_node.is_some_and(|count| count > 0) {
            return Err(FlagError::MaxPerNode);
        }
        if self != Self::ReplicatedJob && scale.max_concurrent.is_some() {
            return Err(FlagError::MaxConcurrent);
        }
        let mut mode = ServiceMode::default();
        match self {
            Self::Replicated => mode.replicated = Some(ReplicatedService { replicas: scale.replicas }),
            Self::Global => mode.global = Some(Empty {}),
            Self::GlobalJob => mode.global_job = Some(Empty {}),
            Self::ReplicatedJob => {
                mode.replicated_job = Some(ReplicatedJob {
                    max_concurrent: scale.max_concurrent.or(scale.replicas),
                    total_completions: scale.replicas,
                });
            }
        }
        Ok(mode)
    }
}

pub(crate) fn generic_resource(amount: &GenericAmount) -> GenericResource {
    let discrete = DiscreteGenericResource { kind: amount.kind.clone(), value: amount.value };
    GenericResource { discrete_resource_spec: Some(discrete), ..GenericResource::default() }
}

pub(crate) fn ulimit(flag: &UlimitFlag) -> Ulimit {
    Ulimit { name: flag.name.clone(), hard: flag.hard, soft: flag.soft }
}

/// Reads `file://NAME`, `registry://NAME` or `config://NAME`; nothing takes a standing one away.
pub(crate) fn credential_spec(text: &str) -> Result<CredentialSpec, CredentialSpecError> {
    let mut spec = CredentialSpec::default();
    match text.split_once("://") {
        Some(("file", name)) => spec.file = name.to_owned(),
        Some(("registry", name)) => spec.registry = name.to_owned(),
        Some(("config", _)) => return Err(CredentialSpecError::Config),
        None if text.is_empty() => {}
        _ => return Err(CredentialSpecError::Form),
    }
    Ok(spec)
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum CredentialSpecError {
    #[error("write file://NAME or registry://NAME")]
    Form,
    #[error("credential specs from configs are for Windows nodes, and are not supported")]
    Config,
}
