//! Puts the flags that create and update share into a service spec. A flag that was not given changes nothing; a part
//! of the spec that a flag needs and that is absent is first filled with the swarm's defaults.

use std::collections::BTreeMap;

use shoal_api::types::{
    ContainerSpec, Driver, FailureAction, HealthConfig, Limit, Resources, RestartPolicy, ServiceSpec, TaskSpec,
    UpdateConfig, UpdateOrder,
};

use super::flags::{ContainerFlags, HealthFlags, ResourceFlags, RestartFlags, RollbackFlags, SharedFlags, UpdateFlags};
use crate::flags::FlagError;
use crate::flags::duration::Nanoseconds;
use crate::flags::pair::to_map;

impl SharedFlags {
    /// Everything but the number of tasks, which depends on the mode, and capabilities, which create and update merge
    /// differently.
    pub(crate) fn apply(&self, spec: &mut ServiceSpec) -> Result<(), FlagError> {
        let task = &mut spec.task_template;
        self.container.apply(container(task));
        self.health.apply(&mut container(task).healthcheck)?;
        self.resources.apply(task);
        self.restart.apply(&mut task.restart_policy);
        if let Some(name) = &self.container.log_driver {
            task.log_driver = Some(Driver { name: name.clone(), options: to_map(&self.container.log_opt) });
        }
        self.update.apply(&mut spec.update_config);
        self.rollback.apply(&mut spec.rollback_config);
        if let Some(mode) = self.scale.endpoint_mode {
            spec.endpoint_spec.get_or_insert_default().mode = Some(mode);
        }
        Ok(())
    }
}

/// The part of a task that describes its container; created when absent.
pub(crate) fn container(task: &mut TaskSpec) -> &mut ContainerSpec {
    task.container_spec.get_or_insert_default()
}

impl ContainerFlags {
    fn apply(&self, container: &mut ContainerSpec) {
        set(&mut container.hostname, &self.hostname);
        set(&mut container.isolation, &self.isolation);
        set(&mut container.oom_score_adj, &self.oom_score_adj);
        set(&mut container.read_only, &self.read_only);
        set(&mut container.stop_signal, &self.stop_signal);
        set(&mut container.tty, &self.tty);
        set(&mut container.user, &self.user);
        set(&mut container.dir, &self.workdir);
        set(&mut container.command, &self.entrypoint.as_ref().map(|words| words.0.clone()));
        set(&mut container.init, &self.init.map(Some));
        set(&mut container.stop_grace_period, &self.stop_grace_period.map(|period| Some(period.0)));
    }
}

impl HealthFlags {
    fn given(&self) -> bool {
        let times = [self.health_interval, self.health_start_interval, self.health_start_period, self.health_timeout];
        self.health_cmd.is_some() || self.health_retries.is_some() || times.iter().any(Option::is_some)
    }

    fn apply(&self, check: &mut Option<HealthConfig>) -> Result<(), FlagError> {
        if self.no_healthcheck {
            if self.given() {
                return Err(FlagError::Healthcheck);
            }
            *check = Some(HealthConfig { test: vec![NO_CHECK.to_owned()], ..HealthConfig::default() });
            return Ok(());
        }
        if !self.given() {
            return Ok(());
        }
        let check = check.get_or_insert_default();
        if check.test.first().is_some_and(|word| word == NO_CHECK) {
            check.test.clear();
        }
        if let Some(command) = &self.health_cmd {
            // An empty command gives the image's own back.
            check.test = if command.is_empty() { Vec::new() } else { vec!["CMD-SHELL".to_owned(), command.clone()] };
        }
        set(&mut check.interval, &self.health_interval.map(|time| time.0));
        set(&mut check.start_interval, &self.health_start_interval.map(|time| time.0));
        set(&mut check.start_period, &self.health_start_period.map(|time| time.0));
        set(&mut check.timeout, &self.health_timeout.map(|time| time.0));
        set(&mut check.retries, &self.health_retries);
        Ok(())
    }
}

impl ResourceFlags {
    fn apply(&self, task: &mut TaskSpec) {
        if self.limit_cpu.is_some() || self.limit_memory.is_some() || self.limit_pids.is_some() {
            let limits: &mut Limit = task.resources.get_or_insert_default().limits.get_or_insert_default();
            set(&mut limits.nano_cpus, &self.limit_cpu.map(|cpu| cpu.0));
            set(&mut limits.memory_bytes, &self.limit_memory.map(|memory| memory.0));
            set(&mut limits.pids, &self.limit_pids);
        }
        if self.reserve_cpu.is_some() || self.reserve_memory.is_some() {
            let resources = task.resources.get_or_insert_default();
            let reservations: &mut Resources = resources.reservations.get_or_insert_default();
            set(&mut reservations.nano_cpus, &self.reserve_cpu.map(|cpu| cpu.0));
            set(&mut reservations.memory_bytes, &self.reserve_memory.map(|memory| memory.0));
        }
    }
}

impl RestartFlags {
    fn apply(&self, policy: &mut Option<RestartPolicy>) {
        let times = self.restart_delay.is_some() || self.restart_window.is_some();
        if self.restart_condition.is_none() && self.restart_max_attempts.is_none() && !times {
            return;
        }
        let policy = policy.get_or_insert_with(|| RestartPolicy {
            delay: Some(FIVE_SECONDS),
            max_attempts: Some(0),
            ..RestartPolicy::default()
        });
        set(&mut policy.condition, &self.restart_condition);
        set(&mut policy.delay, &self.restart_delay.map(|delay| Some(delay.0)));
        set(&mut policy.max_attempts, &self.restart_max_attempts.map(Some));
        set(&mut policy.window, &self.restart_window.map(|window| Some(window.0)));
    }
}

/// One of the two policies by which tasks are replaced, as flags give it.
struct Replacement {
    parallelism: Option<u64>,
    delay: Option<Nanoseconds>,
    monitor: Option<Nanoseconds>,
    failure_action: Option<FailureAction>,
    max_failure_ratio: Option<f32>,
    order: Option<UpdateOrder>,
}

impl UpdateFlags {
    fn apply(&self, config: &mut Option<UpdateConfig>) {
        let given = Replacement {
            parallelism: self.update_parallelism,
            delay: self.update_delay,
            monitor: self.update_monitor,
            failure_action: self.update_failure_action,
            max_failure_ratio: self.update_max_failure_ratio,
            order: self.update_order,
        };
        given.apply(config);
    }
}

impl RollbackFlags {
    fn apply(&self, config: &mut Option<UpdateConfig>) {
        let given = Replacement {
            parallelism: self.rollback_parallelism,
            delay: self.rollback_delay,
            monitor: self.rollback_monitor,
            failure_action: self.rollback_failure_action,
            max_failure_ratio: self.rollback_max_failure_ratio,
            order: self.rollback_order,
        };
        given.apply(config);
    }
}

impl Replacement {
    fn apply(&self, config: &mut Option<UpdateConfig>) {
        let times = self.delay.is_some() || self.monitor.is_some();
        let numbers = self.parallelism.is_some() || self.max_failure_ratio.is_some();
        if !times && !numbers && self.failure_action.is_none() && self.order.is_none() {
            return;
        }
        let config = config.get_or_insert_with(|| UpdateConfig {
            parallelism: 1,
            monitor: FIVE_SECONDS,
            ..UpdateConfig::default()
        });
        set(&mut config.parallelism, &self.parallelism);
        set(&mut config.delay, &self.delay.map(|delay| delay.0));
        set(&mut config.monitor, &self.monitor.map(|monitor| monitor.0));
        set(&mut config.failure_action, &self.failure_action);
        set(&mut config.max_failure_ratio, &self.max_failure_ratio);
        set(&mut config.order, &self.order);
    }
}

/// Sets a field when the flag was given.
pub(crate) fn set<T: Clone>(field: &mut T, given: &Option<T>) {
    if let Some(value) = given {
        field.clone_from(value);
    }
}

/// Adds pairs to a map after removing keys from it.
pub(crate) fn merge(map: &mut BTreeMap<String, String>, add: BTreeMap<String, String>, remove: &[String]) {
    map.retain(|key, _| !remove.contains(key));
    map.extend(add);
}

/// The word that switches the image's health check off.
const NO_CHECK: &str = "NONE";
/// The swarm's default restart delay and monitor period, in nanoseconds.
const FIVE_SECONDS: i64 = 5_000_000_000;
