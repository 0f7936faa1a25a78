//! What a task may be: container, resources, restart policy, placement.

use std::collections::BTreeSet;
use std::time::Duration;

use shoal_proto::model::{ContainerSpec, HealthCheck, MountKind, Resources, TaskSpec};

use super::Problems;
use super::image::is_reference;
use crate::deciders::constraint::Constraint;
use crate::limits::{HEALTH_DURATION_MIN, MEMORY_MIN, NANO_CPUS_MIN};

pub(super) fn check_task(spec: &TaskSpec, problems: &mut Problems) {
    check_container(&spec.container, problems);
    check_resources(&spec.resources, problems);
    for text in &spec.placement.constraints {
        if let Err(error) = Constraint::parse(text) {
            problems.add(error.to_string());
        }
    }
    if let Some(driver) = &spec.log_driver {
        let known = ["", "json-file", "none"].contains(&driver.name.as_str());
        problems.add_if(!known, || {
            format!("log driver '{}' is not one that nodes have: use json-file or none", driver.name)
        });
    }
}

fn check_container(container: &ContainerSpec, problems: &mut Problems) {
    if container.image.is_empty() {
        problems.add("ContainerSpec: image reference must be provided");
    } else {
        problems.add_if(!is_reference(&container.image), || {
            format!(
                "ContainerSpec: \"{}\" is not a valid repository/tag: write [host[:port]/]path[:tag]",
                container.image
            )
        });
    }
    let mut targets = BTreeSet::new();
    for mount in &container.mounts {
        let target = mount.target.as_str();
        problems.add_if(!targets.insert(target.trim_end_matches('/')), || {
            format!("ContainerSpec: duplicate mount point: {target}: give each mount a target of its own")
        });
        problems.add_if(!target.starts_with('/'), || {
            format!("ContainerSpec: mount target '{target}' must be an absolute path")
        });
        if let MountKind::Bind { source, .. } = &mount.kind {
            problems.add_if(!source.starts_with('/'), || {
                format!("ContainerSpec: bind mount source '{source}' must be an absolute path on the node")
            });
        }
    }
    for ulimit in &container.ulimits {
        let (soft, hard) = (ulimit.soft, ulimit.hard);
        let above = hard >= 0 && (soft > hard || soft < 0);
        problems.add_if(above, || {
            format!("ulimit {}: soft limit {soft} must not be above the hard limit {hard}", ulimit.name)
        });
    }
    if !(-1000..=1000).contains(&container.oom_score_adj) {
        problems.add(format!("OomScoreAdj {} is out of range: use -1000 to 1000", container.oom_score_adj));
    }
    if let Some(check) = &container.health_check {
        check_health(check, problems);
    }
}

fn check_health(check: &HealthCheck, problems: &mut Problems) {
    let durations = [
        ("Interval", check.interval),
        ("Timeout", check.timeout),
        ("StartPeriod", check.start_period),
        ("StartInterval", check.start_interval),
    ];
    for (field, duration) in durations {
        problems.add_if(duration != Duration::ZERO && duration < HEALTH_DURATION_MIN, || {
            format!(
                "ContainerSpec: {field} in HealthConfig cannot be less than 1ms: it is {duration:?}; 0 is the default"
            )
        });
    }
}

fn check_resources(resources: &Resources, problems: &mut Problems) {
    let (limits, reservations) = (&resources.limits, &resources.reservations);
    for (field, nano_cpus) in [("limit", limits.nano_cpus), ("reservation", reservations.nano_cpus)] {
        problems.add_if(nano_cpus != 0 && nano_cpus < NANO_CPUS_MIN, || {
            #[expect(clippy::cast_precision_loss, reason = "for people")]
            let (value, least) = (nano_cpus as f64 / 1e9, NANO_CPUS_MIN as f64 / 1e9);
            format!("invalid cpu value {value}: Must be at least {least} (CPU {field}; leave it out for none)")
        });
    }
    for (field, bytes) in [("limit", limits.memory_bytes), ("reservation", reservations.memory_bytes)] {
        problems.add_if(bytes != 0 && bytes < MEMORY_MIN, || {
            format!("invalid memory value {bytes}: Must be at least 4MiB (memory {field}; leave it out for none)")
        });
    }
    problems
        .add_if(limits.pids < 0, || format!("invalid pids limit {}: 0 means none, it can't be negative", limits.pids));
    let swap = resources.swap_bytes;
    problems.add_if(swap.is_some_and(|bytes| bytes != 0) && limits.memory_bytes == 0, || {
        "memory swap provided, but no memory-limit was set: set a memory limit as well".to_owned()
    });
    problems.add_if(swap.is_some_and(|bytes| bytes < -1), || {
        format!("invalid memory swap {}: use bytes, or -1 for no limit", swap.unwrap_or_default())
    });
    let swappiness = resources.memory_swappiness;
    problems.add_if(swappiness.is_some_and(|value| !(-1..=100).contains(&value)), || {
        format!("invalid memory swappiness {}: use 0 to 100, or -1 for the node's", swappiness.unwrap_or_default())
    });
    let above = |reserved: i64, limit: i64| limit > 0 && reserved > limit;
    problems.add_if(above(reservations.memory_bytes, limits.memory_bytes), || {
        format!(
            "memory reservation {} is above the memory limit {}: lower one or raise the other",
            reservations.memory_bytes, limits.memory_bytes
        )
    });
}
