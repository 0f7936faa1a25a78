//! `shoal service update`: the standing spec with the flags merged into it, by docker's rules of merging.

use clap::Args;
use shoal_api::types::{CredentialSpec, Privileges, Service, ServiceSpec, ServiceUpdateResponse};

use super::create::credential_spec;
use super::flags::SharedFlags;
use super::merge::MergeFlags;
use super::progress::Goal;
use super::references;
use super::spec::container;
use super::watch::watch_for;
use crate::error::{EXIT_DONE, Error};
use crate::flags::FlagError;
use crate::flags::attachment::{FileFlag, NetworkFlag};
use crate::flags::words::Words;
use crate::output::console::{note, print_line};
use crate::transport::{Client, registry_auth};

#[derive(Args, Debug)]
pub(crate) struct UpdateArgs {
    #[command(flatten)]
    shared: SharedFlags,
    #[command(flatten)]
    merge: MergeFlags,
    #[command(flatten)]
    references: ReferenceFlags,
    /// Service command args
    #[arg(long, value_name = "command")]
    args: Option<Words>,
    /// Credential spec for managed service account (Windows only)
    #[arg(long, value_name = "credential-spec", value_parser = credential_spec)]
    credential_spec: Option<CredentialSpec>,
    /// Force update even if no changes require it
    #[arg(long)]
    force: bool,
    /// Service image tag
    #[arg(long, value_name = "string")]
    image: Option<String>,
    /// Rollback to previous specification
    #[arg(long)]
    rollback: bool,
    /// The service's name or ID
    #[arg(value_name = "SERVICE")]
    service: String,
}

/// Flags whose names must be looked up in the swarm.
#[derive(Args, Debug, Default)]
struct ReferenceFlags {
    /// Add or update a config file on a service
    #[arg(long, value_name = "config")]
    config_add: Vec<FileFlag>,
    /// Remove a configuration file
    #[arg(long, value_name = "list")]
    config_rm: Vec<String>,
    /// Add a network
    #[arg(long, value_name = "network")]
    network_add: Vec<NetworkFlag>,
    /// Remove a network
    #[arg(long, value_name = "list")]
    network_rm: Vec<String>,
    /// Add or update a secret on a service
    #[arg(long, value_name = "secret")]
    secret_add: Vec<FileFlag>,
    /// Remove a secret
    #[arg(long, value_name = "list")]
    secret_rm: Vec<String>,
}

/// How a changed spec is sent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sending {
    /// Have the daemon go back to the previous spec.
    pub(crate) rollback: bool,
    pub(crate) credentials: Credentials,
}

/// Which credentials for the image the daemon shall use from now on.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Credentials {
    /// Nothing is said of them, so that they stay.
    #[default]
    Unsaid,
    /// Those of the present spec.
    Standing,
    /// The user's own.
    Sent,
}

/// Updates the service and, unless told otherwise, waits until it converged.
pub(crate) async fn update(args: UpdateArgs, client: &Client) -> Result<u8, Error> {
    let service = fetch(client, &args.service).await?;
    let mut spec = service.spec.clone();
    if args.rollback {
        args.refuse_others(&spec)?;
    }
    args.apply(&mut spec)?;
    args.references.apply(client, &mut spec).await?;
    if args.image.is_some() {
        references::pin_image(client, args.shared.delivery, &mut spec).await?;
    }
    let sends = args.shared.delivery.with_registry_auth;
    let credentials = if sends { Credentials::Sent } else { Credentials::Standing };
    let sending = Sending { rollback: args.rollback, credentials };
    send(client, &service, &spec, sending).await?;
    print_line(&args.service)?;
    let wait = args.shared.wait;
    if wait.detach {
        return Ok(EXIT_DONE);
    }
    let goal = if args.rollback { Goal::Rollback } else { Goal::Forward };
    watch_for(client, &args.service, wait.quiet, goal).await
}

/// One service by name or identifier, as it stands.
pub(crate) async fn fetch(client: &Client, name: &str) -> Result<Service, Error> {
    client.get(format!("/services/{name}"), "inspect the service").query("insertDefaults", "false").fetch().await
}

/// Posts a changed spec for the version that was read, and shows the daemon's warnings.
pub(crate) async fn send(
    client: &Client,
    service: &Service,
    spec: &ServiceSpec,
    sending: Sending,
) -> Result<(), Error> {
    let path = format!("/services/{}/update", service.id);
    let mut call = client.post(path, "update the service").query("version", service.version.index.to_string());
    if sending.rollback {
        call = call.query("rollback", "previous");
    }
    match sending.credentials {
        Credentials::Unsaid => {}
        Credentials::Standing => call = call.query("registryAuthFrom", "spec"),
        Credentials::Sent => {
            let image = spec.task_template.container_spec.as_ref().map_or("", |container| container.image.as_str());
            call = call.header(registry_auth::HEADER, registry_auth::for_image(image)?);
        }
    }
    let answer: ServiceUpdateResponse = call.json(spec).fetch().await?;
    answer.warnings.iter().for_each(|warning| note(warning));
    Ok(())
}

impl UpdateArgs {
    /// All that needs no look into the swarm.
    fn apply(&self, spec: &mut ServiceSpec) -> Result<(), FlagError> {
        self.shared.apply(spec)?;
        self.merge.apply(spec, &self.shared.container)?;
        if let Some(replicas) = self.shared.scale.replicas {
            spec.mode.replicated.as_mut().ok_or(FlagError::Replicas)?.replicas = Some(replicas);
        }
        if let Some(concurrent) = self.shared.scale.max_concurrent {
            spec.mode.replicated_job.as_mut().ok_or(FlagError::MaxConcurrent)?.max_concurrent = Some(concurrent);
        }
        if let Some(count) = self.shared.scale.replicas_max_per_node {
            spec.task_template.placement.get_or_insert_default().max_replicas = count;
        }
        let container = container(&mut spec.task_template);
        if let Some(image) = &self.image {
            container.image.clone_from(image);
        }
        if let Some(words) = &self.args {
            container.args.clone_from(&words.0);
        }
        if let Some(credentials) = &self.credential_spec {
            let given = (*credentials != CredentialSpec::default()).then(|| credentials.clone());
            let privileges: &mut Privileges = container.privileges.get_or_insert_default();
            privileges.credential_spec = given;
        }
        if self.force {
            spec.task_template.force_update += 1;
        }
        Ok(())
    }

    /// A rollback goes back to what was: a flag that changes anything would be lost.
    fn refuse_others(&self, spec: &ServiceSpec) -> Result<(), FlagError> {
        let mut changed = spec.clone();
        self.apply(&mut changed)?;
        let delivery = self.shared.delivery;
        if changed != *spec || self.references.given() || delivery.no_resolve_image || delivery.with_registry_auth {
            return Err(FlagError::RollbackAlone);
        }
        Ok(())
    }
}

impl ReferenceFlags {
    fn given(&self) -> bool {
        let files = self.config_add.len() + self.secret_add.len() + self.config_rm.len() + self.secret_rm.len();
        files + self.network_add.len() + self.network_rm.len() > 0
    }

    async fn apply(&self, client: &Client, spec: &mut ServiceSpec) -> Result<(), Error> {
        if !self.network_add.is_empty() || !self.network_rm.is_empty() {
            self.apply_networks(client, spec).await?;
        }
        let container = container(&mut spec.task_template);
        container.secrets.retain(|secret| !self.secret_rm.contains(&secret.secret_name));
        // A config that is no file belongs to the credential spec.
        container.configs.retain(|config| config.file.is_none() || !self.config_rm.contains(&config.config_name));
        references::attach_files(client, &self.secret_add, &self.config_add, spec).await
    }

    async fn apply_networks(&self, client: &Client, spec: &mut ServiceSpec) -> Result<(), Error> {
        let mut removed = Vec::new();
        for name in &self.network_rm {
            removed.push(references::network_id(client, name).await?);
        }
        // Old specs hold their networks beside the task; this is the moment to move them.
        let old = std::mem::take(&mut spec.networks);
        let networks = &mut spec.task_template.networks;
        if networks.is_empty() {
            *networks = old;
        }
        networks.retain(|network| !removed.contains(&network.target));
        for flag in &self.network_add {
            let id = references::network_id(client, &flag.target).await?;
            if networks.iter().any(|network| network.target == id) {
                return Err(FlagError::Attached(flag.target.clone()).into());
            }
            networks.push(references::attachment(flag, id));
        }
        networks.sort_by(|left, right| left.target.cmp(&right.target));
        Ok(())
    }
}
