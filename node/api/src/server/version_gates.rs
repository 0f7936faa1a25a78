//! What old clients do not know: fields that a client of some version cannot have meant are dropped from what it
//! sends, and fields that it expects are added to what it gets. Docker's rules, by version.

use super::version::ApiVersion;
use crate::types::{ContainerSpec, ImageInspect, ImageSummary, InitRequest, Service, ServiceSpec};

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
