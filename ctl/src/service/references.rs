//! What a service spec refers to, looked up before it is sent: networks, secrets and configs by name, the image by the
//! digest that its registry has for it now.

use shoal_api::types::{
    Config, ConfigReference, ContainerSpec, DistributionInspect, FileTarget, NetworkAttachmentConfig, NetworkResource,
    OciPlatform, Placement, Platform, Secret, SecretReference, ServiceSpec,
};

use super::flags::DeliveryFlags;
use super::spec::container;
use crate::error::Error;
use crate::flags::attachment::{FileFlag, NetworkFlag};
use crate::output::console::note;
use crate::transport::{Client, Filters, registry_auth};

/// The identifier of a network that services can use.
pub(crate) async fn network_id(client: &Client, name: &str) -> Result<String, Error> {
    let call = client.get(format!("/networks/{name}"), "find the network").query("scope", "swarm");
    let network: NetworkResource = call.fetch().await?;
    Ok(network.id)
}

/// Attaches the networks of `--network`, in the order of their identifiers.
pub(crate) async fn attach_networks(
    client: &Client,
    flags: &[NetworkFlag],
    spec: &mut ServiceSpec,
) -> Result<(), Error> {
    let networks = &mut spec.task_template.networks;
    for flag in flags {
        networks.push(attachment(flag, network_id(client, &flag.target).await?));
    }
    networks.sort_by(|left, right| left.target.cmp(&right.target));
    Ok(())
}

pub(crate) fn attachment(flag: &NetworkFlag, id: String) -> NetworkAttachmentConfig {
    NetworkAttachmentConfig { target: id, aliases: flag.aliases.clone(), driver_opts: flag.driver_options.clone() }
}

/// Adds the secrets and configs of the flags after those that the spec has.
pub(crate) async fn attach_files(
    client: &Client,
    secrets: &[FileFlag],
    configs: &[FileFlag],
    spec: &mut ServiceSpec,
) -> Result<(), Error> {
    let container: &mut ContainerSpec = container(&mut spec.task_template);
    if !secrets.is_empty() {
        let known: Vec<Secret> = client.get("/secrets", "find the secrets").filters(&named(secrets)).fetch().await?;
        for flag in secrets {
            let secret = known.iter().find(|secret| secret.spec.name == flag.source);
            let secret = secret.ok_or_else(|| not_found("secret", flag))?;
            let reference = SecretReference {
                file: Some(file(flag)),
                secret_id: secret.id.clone(),
                secret_name: flag.source.clone(),
            };
            container.secrets.push(reference);
        }
    }
    if !configs.is_empty() {
        let known: Vec<Config> = client.get("/configs", "find the configs").filters(&named(configs)).fetch().await?;
        for flag in configs {
            let config = known.iter().find(|config| config.spec.name == flag.source);
            let config = config.ok_or_else(|| not_found("config", flag))?;
            let reference = ConfigReference {
                file: Some(file(flag)),
                runtime: None,
                config_id: config.id.clone(),
                config_name: flag.source.clone(),
            };
            container.configs.push(reference);
        }
    }
    Ok(())
}

fn file(flag: &FileFlag) -> FileTarget {
    FileTarget { name: flag.target.clone(), uid: flag.uid.clone(), gid: flag.gid.clone(), mode: flag.mode }
}

fn named(flags: &[FileFlag]) -> Filters {
    let names = flags.iter().map(|flag| (flag.source.clone(), true)).collect();
    Filters::from([("name".to_owned(), names)])
}

fn not_found(kind: &'static str, flag: &FileFlag) -> Error {
    Error::NotFound { kind, name: flag.source.clone() }
}

/// Writes the image with its tag and, when the registry answers, its digest and platforms, so that every task runs the
/// same image. Without an answer the service is made all the same, and the user is told what that means.
pub(crate) async fn pin_image(client: &Client, delivery: DeliveryFlags, spec: &mut ServiceSpec) -> Result<(), Error> {
    let task = &mut spec.task_template;
    let image = container(task).image.clone();
    if image.is_empty() || image.contains('@') {
        return Ok(());
    }
    let tagged = with_tag(&image);
    container(task).image.clone_from(&tagged);
    if delivery.no_resolve_image {
        return Ok(());
    }
    let mut call = client.get(format!("/distribution/{tagged}/json"), "find the image");
    if delivery.with_registry_auth {
        call = call.header(registry_auth::HEADER, registry_auth::for_image(&image)?);
    }
    match call.fetch::<DistributionInspect>().await {
        Ok(found) if !found.descriptor.digest.is_empty() => {
            container(task).image = format!("{tagged}@{}", found.descriptor.digest);
            let placement: &mut Placement = task.placement.get_or_insert_default();
            placement.platforms = found.platforms.into_iter().map(platform).collect();
        }
        Ok(_) | Err(Error::Api { .. }) => note(&format!(
            "image {tagged} could not be accessed on a registry to record\nits digest. Each node will access {tagged} independently,\npossibly leading to different nodes running different\nversions of the image.\n"
        )),
        Err(other) => return Err(other),
    }
    Ok(())
}

/// The reference with `:latest` where it has no tag.
pub(crate) fn with_tag(image: &str) -> String {
    let last = image.rsplit('/').next().unwrap_or(image);
    if last.contains(':') { image.to_owned() } else { format!("{image}:latest") }
}

/// A registry's platform as the scheduler compares it; ARM has variants there that nodes do not report.
fn platform(platform: OciPlatform) -> Platform {
    let architecture = if platform.architecture == "arm" { String::new() } else { platform.architecture };
    Platform { architecture, os: platform.os }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_no_tag() {
        assert_eq!(with_tag("alpine"), "alpine:latest");
        assert_eq!(with_tag("10.0.0.6:5000/web"), "10.0.0.6:5000/web:latest");
        assert_eq!(with_tag("10.0.0.6:5000/web:1"), "10.0.0.6:5000/web:1");
    }
}
