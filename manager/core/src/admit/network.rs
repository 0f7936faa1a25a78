//! What a network may be, and when it may go.

use std::net::IpAddr;

use shoal_proto::model::{
    Cidr, ControlError, ControlErrorKind, IpamConfig, Network, NetworkDriver, NetworkSpec, ServiceSpec, TaskState,
};

use super::Problems;
use crate::deciders::subnet::{free_subnet, free_vni, is_vni_taken, overlapped};
use crate::limits::{NETWORK_NAME_LENGTH, VNIS};
use crate::store::Tables;

/// Docker's names of options that mean something here.
const OPTION_MTU: &str = "com.docker.network.driver.mtu";
const OPTION_VNI: &str = "com.docker.network.driver.overlay.vxlanid_list";
const OPTION_ENCRYPTED: &str = "encrypted";

/// Subnet and VXLAN identifier of a new network, when it may be. `turn` rises from network to network.
pub(crate) fn place_network(tables: &Tables, spec: &NetworkSpec, turn: u64) -> Result<(Cidr, u32), ControlError> {
    if let Some(other) = tables.network_named(&spec.name) {
        let text =
            format!("network with name {} already exists: choose another name, or remove it first", other.spec.name);
        return Err(ControlError::new(ControlErrorKind::Conflict, text));
    }
    let mut problems = Problems::default();
    check_name(&spec.name, &mut problems);
    check_kind(spec, &mut problems);
    let subnet = check_ipam(tables, &spec.ipam, &mut problems);
    let vni = check_options(tables, spec, &mut problems);
    problems.into_result()?;
    let exhausted = |text: String| ControlError::new(ControlErrorKind::FailedPrecondition, text);
    let subnet = subnet.or_else(|| free_subnet(tables)).ok_or_else(|| {
        exhausted(format!(
            "no subnet is left for network {}: every one of the swarm's default address pools is another network's; \
             remove networks, or name one with --subnet",
            spec.name
        ))
    })?;
    let vni = vni.or_else(|| free_vni(tables, turn));
    let vni = vni.ok_or_else(|| exhausted("every VXLAN identifier is in use: remove networks".to_owned()))?;
    Ok((subnet, vni))
}

/// Whether nobody needs the network any more.
pub(crate) fn check_network_removal(tables: &Tables, network: &Network) -> Result<(), ControlError> {
    let refuse = |text| Err(ControlError::new(ControlErrorKind::FailedPrecondition, text));
    let name = &network.spec.name;
    if network.spec.ingress || network.spec.driver != NetworkDriver::Overlay {
        return refuse(format!("{name} is a pre-defined network and cannot be removed"));
    }
    let wishes = |spec: &ServiceSpec| {
        let wished = spec.task.networks.iter().filter_map(|wish| tables.network_wished(&wish.target));
        wished.into_iter().any(|wished| wished.id == network.id)
    };
    let users: Vec<&str> =
        tables.services().filter(|service| wishes(&service.spec)).map(|service| service.spec.name.as_str()).collect();
    if !users.is_empty() {
        return refuse(format!(
            "network {name} is in use by service {}: remove them, or take them off it with `service update --network-rm \
             {name}`",
            users.join(", ")
        ));
    }
    let mut wanted = tables.network_tasks(network.id).filter(|task| task.desired <= TaskState::Running);
    match wanted.next() {
        Some(task) => refuse(format!(
            "network {name} is in use by task {}, which its service's update has not reached: let the update end, or \
             update the service again",
            task.name()
        )),
        None => Ok(()),
    }
}

/// The size of packets that the user named for a network.
pub(crate) fn wished_mtu(spec: &NetworkSpec) -> Option<u32> {
    spec.driver_options.get(OPTION_MTU)?.parse().ok()
}

/// Whether the network's packets go between hosts encrypted.
pub(crate) fn is_encrypted(spec: &NetworkSpec) -> bool {
    spec.driver_options.get(OPTION_ENCRYPTED).and_then(|text| encryption(text)).unwrap_or(false)
}

/// What the option's value means, in Docker's words; none: yes.
fn encryption(text: &str) -> Option<bool> {
    match text {
        "" | "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

fn check_name(name: &str, problems: &mut Problems) {
    let is_inner = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | '.');
    let begins = name.chars().next().is_some_and(|char| char.is_ascii_alphanumeric());
    problems.add_if(!begins || !name.chars().all(is_inner) || name.len() > NETWORK_NAME_LENGTH, || {
        format!(
            "network name '{name}' is invalid: give 1 to {NETWORK_NAME_LENGTH} letters, digits, '-', '_' and '.', \
             beginning with a letter or digit"
        )
    });
    problems.add_if(matches!(name, "host" | "bridge" | "none" | "default"), || {
        format!("network name '{name}' is reserved: choose another one")
    });
}

fn check_kind(spec: &NetworkSpec, problems: &mut Problems) {
    problems.add_if(spec.driver != NetworkDriver::Overlay, || {
        "a network of the swarm needs the driver overlay: create it with --driver overlay".to_owned()
    });
    problems.add_if(spec.ingress, || "the swarm has its ingress network already: leave --ingress out".to_owned());
}

/// The subnet that the user named, if any.
fn check_ipam(tables: &Tables, configs: &[IpamConfig], problems: &mut Problems) -> Option<Cidr> {
    problems.add_if(configs.len() > 1, || {
        format!("{} subnets were named, and this release gives a network one: name one", configs.len())
    });
    let config = configs.first()?;
    let subnet = config.subnet;
    let Some((lowest, highest)) = subnet.ipv4_bounds() else {
        problems.add(format!("subnet {subnet} is IPv6, which this release does not carry: name an IPv4 subnet"));
        return None;
    };
    problems.add_if(highest - lowest < 3, || format!("subnet {subnet} has no room for tasks: name a /30 or larger"));
    problems.add_if(subnet.network() != subnet, || {
        format!("subnet {subnet} has bits beyond its prefix: write {}", subnet.network())
    });
    let reserved = ["127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3"].map(|text| text.parse::<Cidr>());
    problems.add_if(reserved.iter().flatten().any(|other| other.overlaps(&subnet)), || {
        format!("subnet {subnet} can't be used: hosts keep its addresses for themselves; name a private one")
    });
    if let Some(other) = overlapped(tables, &subnet) {
        let (name, taken) = (&other.spec.name, other.subnet.map_or_else(String::new, |subnet| subnet.to_string()));
        problems.add(format!(
            "Pool overlaps with other one on this address space: {subnet} meets {taken} of network {name}; name another"
        ));
    }
    let inside = |address: IpAddr| subnet.contains(address);
    problems.add_if(config.gateway.is_some_and(|gateway| !inside(gateway)), || {
        format!("no matching subnet for gateway {}: name one in {subnet}", shown(config.gateway))
    });
    problems.add_if(config.range.is_some_and(|range| !inside(range.address) || range.prefix < subnet.prefix), || {
        format!("no matching subnet for range {}: name a part of {subnet}", shown(config.range))
    });
    Some(subnet)
}

/// The VXLAN identifier that the user named, if any.
fn check_options(tables: &Tables, spec: &NetworkSpec, problems: &mut Problems) -> Option<u32> {
    let encrypted = spec.driver_options.get(OPTION_ENCRYPTED).map_or("", String::as_str);
    problems.add_if(encryption(encrypted).is_none(), || {
        format!("option {OPTION_ENCRYPTED} '{encrypted}' is invalid: give it without a value, or true or false")
    });
    if let Some(text) = spec.driver_options.get(OPTION_MTU) {
        let fits = text.parse::<u32>().is_ok_and(|mtu| (576..=65_485).contains(&mtu));
        problems.add_if(!fits, || format!("option {OPTION_MTU} '{text}' is invalid: give 576 to 65485 bytes"));
    }
    let text = spec.driver_options.get(OPTION_VNI)?;
    let vni = text.parse::<u32>().ok().filter(|vni| VNIS.contains(vni));
    problems.add_if(vni.is_none(), || {
        format!("option {OPTION_VNI} '{text}' is invalid: give one number from {} to {}", VNIS.start(), VNIS.end())
    });
    problems.add_if(vni.is_some_and(|vni| is_vni_taken(tables, vni)), || {
        format!("option {OPTION_VNI} '{text}' is another network's identifier: choose another one")
    });
    vni
}

fn shown(value: Option<impl std::fmt::Display>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}
