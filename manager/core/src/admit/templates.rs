//! Texts of a spec that are templates: what they name must be there when they are expanded for a task.

use shoal_proto::model::{MountKind, ServiceSpec};
use shoal_proto::template::{Scope, TaskContext, Template};

use super::Problems;

pub(super) fn check_templates(spec: &ServiceSpec, problems: &mut Problems) {
    let task = sample(spec);
    let mut check = |field: &str, text: &str| {
        let expanded = Template::parse(text, Scope::Spec).and_then(|template| template.expand(&task));
        if let Err(error) = expanded {
            problems.add(format!("ContainerSpec.{field} '{text}': {error}"));
        }
    };
    let container = &spec.task.container;
    container.hostname.iter().for_each(|text| check("Hostname", text));
    container.env.iter().for_each(|text| check("Env", text));
    for mount in &container.mounts {
        check("Mounts.Target", &mount.target);
        match &mount.kind {
            MountKind::Bind { source, .. } => check("Mounts.Source", source),
            MountKind::Volume { source, options } => {
                check("Mounts.Source", source);
                options.labels.values().for_each(|text| check("Mounts.VolumeOptions.Labels", text));
                options.driver_options.values().for_each(|text| check("Mounts.VolumeOptions.DriverConfig", text));
            }
            MountKind::Tmpfs { .. } => {}
        }
    }
}

/// A task as it may come to be: only the service's own part is as it will be.
fn sample(spec: &ServiceSpec) -> TaskContext {
    TaskContext {
        service_id: String::new(),
        service_name: spec.name.clone(),
        service_labels: spec.labels.clone(),
        node_id: String::new(),
        node_hostname: String::new(),
        node_architecture: String::new(),
        node_os: String::new(),
        task_id: String::new(),
        task_name: String::new(),
        task_slot: String::new(),
    }
}
