//! What old clients do not know: fields that a client of some version cannot have meant are dropped from what it
//! sends, and fields that it expects are added to what it gets. Docker's rules, by version.

use super::version::ApiVersion;
use crate::error::ApiError;
use crate::types::{ContainerSpec, Driver, ImageInspect, ImageSummary, InitRequest, Service, ServiceSpec};

/// Applies the rules to a service that a client sends.
pub(super) fn service_spec(version: ApiVersion, spec: &mut ServiceSpec) {
    if version.before(41) {
        spec.mode.replicated_job = None;
        spec.mode.global_job = None;
        if let Some(limits) = spec.task_template.resources.as_mut().and_then(|resources| resources.limits.as_mut()) {
            limits.pids = 0;
        }
    }
    if version.before(40)
        && let Some(placement) = &mut spec.task_template.placement
    {
        placement.max_replicas = 0;
    }
    if let Some(container) = &mut spec.task_template.container_spec {
        container_spec(version, container);
    }
    // The old place counts, for any version, when the new one is empty.
    let old_networks = std::mem::take(&mut spec.networks);
    if spec.task_template.networks.is_empty() {
        spec.task_template.networks = old_networks;
    }
}

fn container_spec(version: ApiVersion, container: &mut ContainerSpec) {
    if version.before(46) {
        container.oom_score_adj = 0;
        for tmpfs in container.mounts.iter_mut().filter_map(|mount| mount.tmpfs_options.as_mut()) {
            tmpfs.options.clear();
        }
    }
    if version.before(44) {
        if let Some(privileges) = &mut container.privileges {
            privileges.seccomp = None;
            privileges.app_armor = None;
            privileges.no_new_privileges = false;
        }
        if let Some(healthcheck) = &mut container.healthcheck {
            healthcheck.start_interval = 0;
        }
    }
    if version.before(41) {
        container.capability_add.clear();
        container.capability_drop.clear();
        container.ulimits.clear();
    }
    if version.before(40) {
        container.sysctls.clear();
        let credentials = container.privileges.as_mut().and_then(|privileges| privileges.credential_spec.as_mut());
        if let Some(credentials) = credentials {
            credentials.config.clear();
        }
        for config in &mut container.configs {
            config.runtime = None;
        }
    }
}

/// Applies the rules to a service that a client gets.
pub(super) fn service(version: ApiVersion, service: &mut Service) {
    if version.before(25) {
        service.spec.networks = service.spec.task_template.networks.clone();
    }
}

/// Applies the rules to a secret or config that a client makes.
///
/// # Errors
/// When a client that can't know of templates asks for one.
pub(super) fn templating(version: ApiVersion, kind: &str, templating: Option<&Driver>) -> Result<(), ApiError> {
    if version.before(37) && templating.is_some() {
        return Err(ApiError::invalid_parameter(format!(
            "{kind} templating is not supported on the specified API version: use 1.37 or later"
        )));
    }
    Ok(())
}

/// Applies the rules to `POST /swarm/init`.
pub(super) fn init_request(version: ApiVersion, request: &mut InitRequest) {
    if version.before(39) {
        request.default_addr_pool.clear();
        request.subnet_size = 0;
    }
    if version.before(40) {
        request.data_path_port = 0;
    }
}

/// Applies the rules to an image in a list.
pub(super) fn image_summary(version: ApiVersion, image: &mut ImageSummary) {
    if version.before(44) {
        image.virtual_size = Some(image.size);
    }
    if version.before(43) && image.repo_tags.is_empty() && image.repo_digests.is_empty() {
        image.repo_tags.push("<none>:<none>".into());
        image.repo_digests.push("<none>@<none>".into());
    }
}

/// Applies the rules to an image that is inspected.
pub(super) fn image_inspect(version: ApiVersion, image: &mut ImageInspect) {
    if version.before(44) {
        image.virtual_size = Some(image.size);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::version::take_off;
    use crate::types::decode;

    fn version(text: &str) -> ApiVersion {
        take_off(&format!("/v{text}/x")).unwrap().0
    }

    fn spec_for(text: &str) -> ServiceSpec {
        let mut spec = decode(SPEC.as_bytes()).unwrap();
        service_spec(version(text), &mut spec);
        spec
    }

    #[test]
    fn new_fields_of_old_clients_are_dropped() {
        let known = |text: &str| {
            let spec = spec_for(text);
            let limits = spec.task_template.resources.unwrap().limits.unwrap();
            let container = spec.task_template.container_spec.unwrap();
            let privileges = container.privileges.unwrap();
            [
                !container.sysctls.is_empty() && spec.task_template.placement.unwrap().max_replicas == 2,
                limits.pids == 5 && !container.capability_add.is_empty() && spec.mode.replicated_job.is_some(),
                privileges.no_new_privileges && container.healthcheck.unwrap().start_interval == 7,
                container.oom_score_adj == 3 && !container.mounts[0].tmpfs_options.as_ref().unwrap().options.is_empty(),
            ]
        };
        assert_eq!(known("1.39"), [false, false, false, false]);
        assert_eq!(known("1.40"), [true, false, false, false]);
        assert_eq!(known("1.41"), [true, true, false, false]);
        assert_eq!(known("1.44"), [true, true, true, false]);
        assert_eq!(known("1.46"), [true, true, true, true]);
    }

    #[test]
    fn the_old_place_of_networks_counts_when_the_new_one_is_empty() {
        assert_eq!(spec_for("1.51").task_template.networks[0].target, "old");
        let both = r#"{"Networks":[{"Target":"old"}],"TaskTemplate":{"Networks":[{"Target":"new"}]}}"#;
        let mut spec: ServiceSpec = decode(both.as_bytes()).unwrap();
        service_spec(version("1.24"), &mut spec);
        assert_eq!(spec.task_template.networks[0].target, "new");
        assert!(spec.networks.is_empty());
    }

    #[test]
    fn old_clients_find_images_without_names() {
        let mut image = ImageSummary { size: 7, ..ImageSummary::default() };
        image_summary(version("1.44"), &mut image);
        assert_eq!((image.virtual_size, image.repo_tags.len()), (None, 0));
        image_summary(version("1.42"), &mut image);
        assert_eq!((image.virtual_size, image.repo_tags.as_slice()), (Some(7), &["<none>:<none>".to_owned()][..]));
    }

    const SPEC: &str = r#"{
        "TaskTemplate": {
            "ContainerSpec": {
                "Sysctls": {"a": "b"}, "CapabilityAdd": ["CAP_CHOWN"], "OomScoreAdj": 3,
                "Privileges": {"NoNewPrivileges": true}, "Healthcheck": {"StartInterval": 7},
                "Mounts": [{"Type": "tmpfs", "TmpfsOptions": {"Options": [["noexec"]]}}]
            },
            "Resources": {"Limits": {"Pids": 5}},
            "Placement": {"MaxReplicas": 2}
        },
        "Mode": {"ReplicatedJob": {"MaxConcurrent": 1}},
        "Networks": [{"Target": "old"}]
    }"#;
}
