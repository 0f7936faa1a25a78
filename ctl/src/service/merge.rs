//! The `-add` and `-rm` flags of `service update`, merged into the lists of a standing spec. Lists whose order means
//! nothing come out sorted, so that the same set is the same spec and restarts no task.

use std::collections::BTreeMap;

use clap::Args;
use shoal_api::types::{
    ContainerSpec, DnsConfig, GenericResource, Mount, PlacementPreference, PortConfig, ServiceSpec, SpreadOver,
    TaskSpec, Ulimit,
};

use super::create::{generic_resource, ulimit};
use super::flags::ContainerFlags;
use super::spec::{container, merge};
use crate::flags::FlagError;
use crate::flags::capability;
use crate::flags::host_entry::{HostEntry, ip_address, search_domain};
use crate::flags::mount::MountFlag;
use crate::flags::pair::{Pair, completed, label, to_map, variable, variable_name};
use crate::flags::placement::{GenericAmount, SpreadFlag};
use crate::flags::publish::PublishedPorts;
use crate::flags::ulimit::UlimitFlag;

#[derive(Args, Debug, Default)]
pub(crate) struct MergeFlags {
    /// Add or update a placement constraint
    #[arg(long, value_name = "list")]
    constraint_add: Vec<String>,
    /// Remove a constraint
    #[arg(long, value_name = "list")]
    constraint_rm: Vec<String>,
    /// Add or update a container label
    #[arg(long, value_name = "list", value_parser = label)]
    container_label_add: Vec<Pair>,
    /// Remove a container label by its key
    #[arg(long, value_name = "list")]
    container_label_rm: Vec<String>,
    /// Add or update a custom DNS server
    #[arg(long, value_name = "list", value_parser = ip_address)]
    dns_add: Vec<String>,
    /// Remove a custom DNS server
    #[arg(long, value_name = "list")]
    dns_rm: Vec<String>,
    /// Add or update a DNS option
    #[arg(long, value_name = "list")]
    dns_option_add: Vec<String>,
    /// Remove a DNS option
    #[arg(long, value_name = "list")]
    dns_option_rm: Vec<String>,
    /// Add or update a custom DNS search domain
    #[arg(long, value_name = "list", value_parser = search_domain)]
    dns_search_add: Vec<String>,
    /// Remove a DNS search domain
    #[arg(long, value_name = "list")]
    dns_search_rm: Vec<String>,
    /// Add or update an environment variable
    #[arg(long, value_name = "list", value_parser = variable)]
    env_add: Vec<String>,
    /// Remove an environment variable
    #[arg(long, value_name = "list")]
    env_rm: Vec<String>,
    /// Add a Generic resource
    #[arg(long, value_name = "list")]
    generic_resource_add: Vec<GenericAmount>,
    /// Remove a Generic resource
    #[arg(long, value_name = "list")]
    generic_resource_rm: Vec<String>,
    /// Add an additional supplementary user group to the container
    #[arg(long, value_name = "list")]
    group_add: Vec<String>,
    /// Remove a previously added supplementary user group from the container
    #[arg(long, value_name = "list")]
    group_rm: Vec<String>,
    /// Add a custom host-to-IP mapping ("host:ip")
    #[arg(long, value_name = "list")]
    host_add: Vec<HostEntry>,
    /// Remove a custom host-to-IP mapping ("host:ip")
    #[arg(long, value_name = "list")]
    host_rm: Vec<String>,
    /// Add or update a service label
    #[arg(long, value_name = "list", value_parser = label)]
    label_add: Vec<Pair>,
    /// Remove a label by its key
    #[arg(long, value_name = "list")]
    label_rm: Vec<String>,
    /// Add or update a mount on a service
    #[arg(long, value_name = "mount")]
    mount_add: Vec<MountFlag>,
    /// Remove a mount by its target path
    #[arg(long, value_name = "list")]
    mount_rm: Vec<String>,
    /// Add a placement preference
    #[arg(long, value_name = "pref")]
    placement_pref_add: Vec<SpreadFlag>,
    /// Remove a placement preference
    #[arg(long, value_name = "pref")]
    placement_pref_rm: Vec<SpreadFlag>,
    /// Add or update a published port
    #[arg(long, value_name = "port")]
    publish_add: Vec<PublishedPorts>,
    /// Remove a published port by its target port
    #[arg(long, value_name = "port")]
    publish_rm: Vec<PublishedPorts>,
    /// Add or update a Sysctl option
    #[arg(long, value_name = "list")]
    sysctl_add: Vec<Pair>,
    /// Remove a Sysctl option
    #[arg(long, value_name = "list")]
    sysctl_rm: Vec<String>,
    /// Add or update a ulimit option
    #[arg(long, value_name = "ulimit")]
    ulimit_add: Vec<UlimitFlag>,
    /// Remove a ulimit option
    #[arg(long, value_name = "list")]
    ulimit_rm: Vec<String>,
}

impl MergeFlags {
    pub(crate) fn apply(&self, spec: &mut ServiceSpec, shared: &ContainerFlags) -> Result<(), FlagError> {
        merge(&mut spec.labels, to_map(&self.label_add), &self.label_rm);
        self.apply_placement(&mut spec.task_template);
        self.apply_generic_resources(&mut spec.task_template)?;
        if !self.publish_add.is_empty() || !self.publish_rm.is_empty() {
            let ports = &mut spec.endpoint_spec.get_or_insert_default().ports;
            *ports = self.ports(std::mem::take(ports));
        }
        let container = container(&mut spec.task_template);
        self.apply_container(container)?;
        if !shared.cap_add.is_empty() || !shared.cap_drop.is_empty() {
            let current = (container.capability_add.as_slice(), container.capability_drop.as_slice());
            (container.capability_add, container.capability_drop) =
                capability::changed(current, &shared.cap_add, &shared.cap_drop);
        }
        Ok(())
    }

    fn apply_container(&self, container: &mut ContainerSpec) -> Result<(), FlagError> {
        merge(&mut container.labels, to_map(&self.container_label_add), &self.container_label_rm);
        merge(&mut container.sysctls, to_map(&self.sysctl_add), &self.sysctl_rm);
        self.apply_env(&mut container.env);
        merge_sorted(&mut container.groups, &self.group_add, &self.group_rm);
        if !self.mount_add.is_empty() || !self.mount_rm.is_empty() {
            container.mounts = self.mounts(std::mem::take(&mut container.mounts))?;
        }
        if !self.ulimit_add.is_empty() || !self.ulimit_rm.is_empty() {
            container.ulimits = self.ulimits(std::mem::take(&mut container.ulimits));
        }
        if !self.host_add.is_empty() || !self.host_rm.is_empty() {
            container.hosts = self.hosts(&container.hosts);
        }
        let dns: usize = [&self.dns_add, &self.dns_option_add, &self.dns_search_add].map(Vec::len).iter().sum();
        let dns_rm: usize = [&self.dns_rm, &self.dns_option_rm, &self.dns_search_rm].map(Vec::len).iter().sum();
        if dns + dns_rm > 0 {
            let config: &mut DnsConfig = container.dns_config.get_or_insert_default();
            merge_sorted(&mut config.nameservers, &self.dns_add, &self.dns_rm);
            merge_sorted(&mut config.options, &self.dns_option_add, &self.dns_option_rm);
            merge_sorted(&mut config.search, &self.dns_search_add, &self.dns_search_rm);
        }
        Ok(())
    }

    fn apply_placement(&self, task: &mut TaskSpec) {
        if !self.constraint_add.is_empty() || !self.constraint_rm.is_empty() {
            let placement = task.placement.get_or_insert_default();
            merge_sorted(&mut placement.constraints, &self.constraint_add, &self.constraint_rm);
        }
        if !self.placement_pref_add.is_empty() || !self.placement_pref_rm.is_empty() {
            let preferences = &mut task.placement.get_or_insert_default().preferences;
            preferences.retain(|preference| {
                let spread = preference.spread.as_ref().map(|spread| spread.spread_descriptor.as_str());
                !self.placement_pref_rm.iter().any(|flag| Some(flag.0.as_str()) == spread)
            });
            // Their order is their rank: new ones come last.
            preferences.extend(
                self.placement_pref_add
                    .iter()
                    .map(|flag| PlacementPreference { spread: Some(SpreadOver { spread_descriptor: flag.0.clone() }) }),
            );
        }
    }

    fn apply_generic_resources(&self, task: &mut TaskSpec) -> Result<(), FlagError> {
        if self.generic_resource_add.is_empty() && self.generic_resource_rm.is_empty() {
            return Ok(());
        }
        let resources = task.resources.get_or_insert_default().reservations.get_or_insert_default();
        let mut by_kind: BTreeMap<String, GenericResource> = BTreeMap::new();
        for resource in std::mem::take(&mut resources.generic_resources) {
            let kind = resource.discrete_resource_spec.as_ref().map(|discrete| discrete.kind.clone());
            by_kind.insert(kind.unwrap_or_default(), resource);
        }
        for amount in &self.generic_resource_add {
            by_kind.insert(amount.kind.clone(), generic_resource(amount));
        }
        for kind in &self.generic_resource_rm {
            by_kind.remove(kind).ok_or_else(|| FlagError::NoGenericResource(kind.clone()))?;
        }
        resources.generic_resources = by_kind.into_values().collect();
        Ok(())
    }

    /// Variables keep their places; a changed one stays where it was, a new one comes last.
    fn apply_env(&self, env: &mut Vec<String>) {
        env.retain(|known| !self.env_rm.iter().any(|name| name == variable_name(known)));
        for added in self.env_add.iter().map(|variable| completed(variable)) {
            match env.iter_mut().find(|known| variable_name(known) == variable_name(&added)) {
                Some(known) => *known = added,
                None => env.push(added),
            }
        }
    }

    fn mounts(&self, current: Vec<Mount>) -> Result<Vec<Mount>, FlagError> {
        let mut by_target = BTreeMap::new();
        for MountFlag(mount) in &self.mount_add {
            if by_target.insert(mount.target.clone(), mount.clone()).is_some() {
                return Err(FlagError::MountTarget(mount.target.clone()));
            }
        }
        for mount in current {
            by_target.entry(mount.target.clone()).or_insert(mount);
        }
        by_target.retain(|target, _| !self.mount_rm.contains(target));
        let mut mounts: Vec<Mount> = by_target.into_values().collect();
        mounts.sort_by(|left, right| (&left.source, &left.target).cmp(&(&right.source, &right.target)));
        Ok(mounts)
    }

    fn ulimits(&self, current: Vec<Ulimit>) -> Vec<Ulimit> {
        let mut by_name: BTreeMap<String, Ulimit> =
            current.into_iter().map(|limit| (limit.name.clone(), limit)).collect();
        by_name.retain(|name, _| !self.ulimit_rm.contains(name));
        by_name.extend(self.ulimit_add.iter().map(|flag| (flag.name.clone(), ulimit(flag))));
        by_name.into_values().collect()
    }

    /// Removes names from the lines they stand in (`name`, or `name:address` for that address only), then adds lines.
    fn hosts(&self, current: &[String]) -> Vec<String> {
        let removed = |address: &str, name: &str| {
            self.host_rm.iter().any(|entry| match entry.split_once(':') {
                Some((gone, only)) => gone == name && (only.is_empty() || only == address),
                None => entry == name,
            })
        };
        let mut lines: Vec<String> = Vec::new();
        for line in current {
            let mut words = line.split_whitespace();
            let Some(address) = words.next() else { continue };
            let names: Vec<&str> = words.filter(|name| !removed(address, name)).collect();
            if !names.is_empty() {
                lines.push(format!("{address} {}", names.join(" ")));
            }
        }
        lines.extend(self.host_add.iter().map(HostEntry::line));
        let mut seen = Vec::new();
        lines.retain(|line| {
            !seen.contains(line) && {
                seen.push(line.clone());
                true
            }
        });
        lines
    }

    /// A port is removed by protocol, target port and mode, whatever port it is published on.
    fn ports(&self, mut current: Vec<PortConfig>) -> Vec<PortConfig> {
        let flat = |flags: &[PublishedPorts]| flags.iter().flat_map(|ports| ports.0.clone()).collect::<Vec<_>>();
        let removed = flat(&self.publish_rm);
        current.retain(|port| {
            let same = |gone: &PortConfig| {
                (gone.protocol, gone.target_port, gone.publish_mode)
                    == (port.protocol, port.target_port, port.publish_mode)
            };
            !removed.iter().any(same)
        });
        for port in flat(&self.publish_add) {
            if !current.contains(&port) {
                current.push(port);
            }
        }
        current.sort_by_key(|port| {
            format!("{}:{}/{:?}/{:?}", port.published_port, port.target_port, port.protocol, port.publish_mode)
        });
        current
    }
}

/// Adds to a list and removes from it; the result is sorted and holds nothing twice.
fn merge_sorted(list: &mut Vec<String>, add: &[String], remove: &[String]) {
    if add.is_empty() && remove.is_empty() {
        return;
    }
    list.extend(add.iter().cloned());
    list.retain(|entry| !remove.contains(entry));
    list.sort();
    list.dedup();
}
