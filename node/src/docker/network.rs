//! Networks of the swarm.

use shoal_api::types;
use shoal_proto::model::{Cidr, HostState, HostVerification, IpamConfig, Network, NetworkDriver, NetworkSpec};

use super::word::{WordError, meta, timestamp};

/// What a client wants of a network.
///
/// # Errors
/// [`WordError`], naming the field.
pub fn network_spec(request: types::NetworkCreateRequest) -> Result<NetworkSpec, WordError> {
    let driver = match request.driver.as_str() {
        "" | "overlay" => NetworkDriver::Overlay,
        "bridge" => NetworkDriver::Bridge,
        "host" => NetworkDriver::Host,
        other => return Err(WordError::absent("Driver", other)),
    };
    if request.enable_ipv6 == Some(true) {
        return Err(WordError::absent("EnableIPv6", "true"));
    }
    if request.config_only || request.config_from.is_some_and(|from| !from.network.is_empty()) {
        return Err(WordError::absent("ConfigOnly", "true"));
    }
    let ipam = request.ipam.unwrap_or_default();
    if !matches!(ipam.driver.as_str(), "" | "default") {
        return Err(WordError::absent("IPAM.Driver", &ipam.driver));
    }
    // A client that names nothing may send an empty entry.
    let configs: Vec<_> = ipam.config.into_iter().filter(|config| *config != types::IpamConfig::default()).collect();
    Ok(NetworkSpec {
        name: request.name,
        labels: request.labels.into_iter().collect(),
        driver,
        driver_options: request.options.into_iter().collect(),
        ingress: request.ingress,
        attachable: request.attachable,
        internal: request.internal,
        ipam: configs.into_iter().map(ipam_config).collect::<Result<_, _>>()?,
    })
}

fn ipam_config(config: types::IpamConfig) -> Result<IpamConfig, WordError> {
    let cidr = |field: &str, text: &str| {
        text.parse::<Cidr>().map_err(|_| WordError::new(field, text, "a subnet such as 10.0.9.0/24 is expected"))
    };
    let gateway = if config.gateway.is_empty() { None } else { Some(config.gateway) };
    let range = if config.ip_range.is_empty() { None } else { Some(config.ip_range) };
    Ok(IpamConfig {
        subnet: cidr("IPAM.Config.Subnet", &config.subnet)?,
        range: range.map(|range| cidr("IPAM.Config.IPRange", &range)).transpose()?,
        gateway: gateway
            .map(|text| {
                text.parse().map_err(|_| WordError::new("IPAM.Config.Gateway", text, "an IP address is expected"))
            })
            .transpose()?,
    })
}

/// A network as `network ls` and `inspect` show it.
#[must_use]
pub fn network_resource(network: Network) -> types::NetworkResource {
    let options = network.vni.map(|vni| ("com.docker.network.driver.overlay.vxlanid_list".to_owned(), vni.to_string()));
    let ipam_config = shown_ipam_config(&network);
    types::NetworkResource {
        name: network.spec.name,
        id: network.id.to_string(),
        created: timestamp(network.meta.created_at),
        scope: if network.spec.driver == NetworkDriver::Overlay { "swarm" } else { "local" }.to_owned(),
        driver: driver_name(network.spec.driver).to_owned(),
        enable_ipv4: true,
        ipam: types::Ipam {
            driver: "default".to_owned(),
            config: ipam_config.into_iter().collect(),
            ..types::Ipam::default()
        },
        internal: network.spec.internal,
        attachable: network.spec.attachable,
        ingress: network.spec.ingress,
        options: network.spec.driver_options.into_iter().chain(options).collect(),
        labels: network.spec.labels.into_iter().collect(),
        ..types::NetworkResource::default()
    }
}

fn shown_ipam_config(network: &Network) -> Option<types::IpamConfig> {
    Some(types::IpamConfig {
        subnet: network.subnet?.to_string(),
        ip_range: network.range().map(|range| range.to_string()).unwrap_or_default(),
        gateway: network.gateway().map(|gateway| gateway.to_string()).unwrap_or_default(),
        ..types::IpamConfig::default()
    })
}

fn driver_name(driver: NetworkDriver) -> &'static str {
    match driver {
        NetworkDriver::Overlay => "overlay",
        NetworkDriver::Host => "host",
        NetworkDriver::Bridge => "bridge",
    }
}

/// What came of comparing a host's kernel with what the managers want.
#[must_use]
pub fn host_verification(host: HostVerification) -> types::HostVerification {
    let (state, differences) = match host.state {
        HostState::Compared { differences } if differences.is_empty() => ("ok", differences),
        HostState::Compared { differences } => ("differs", differences),
        HostState::Failed { reason } => ("failed", vec![reason]),
        HostState::Silent => ("silent", Vec::new()),
        HostState::Down => ("down", Vec::new()),
    };
    types::HostVerification {
        node_id: host.node.to_string(),
        hostname: host.hostname,
        state: state.to_owned(),
        differences,
    }
}

/// A network as tasks show what they are attached to.
pub(super) fn attached_network(network: &Network) -> types::SwarmNetwork {
    let shown = meta(network.meta);
    let driver = types::Driver { name: driver_name(network.spec.driver).to_owned(), ..types::Driver::default() };
    let config = network
        .subnet
        .map(|subnet| types::SwarmIpamConfig { subnet: subnet.to_string(), ..types::SwarmIpamConfig::default() });
    let ipam = types::SwarmIpamOptions {
        driver: types::Driver { name: "default".to_owned(), ..types::Driver::default() },
        configs: config.into_iter().collect(),
    };
    types::SwarmNetwork {
        id: network.id.to_string(),
        version: shown.version,
        created_at: shown.created_at,
        updated_at: shown.updated_at,
        spec: types::SwarmNetworkSpec {
            name: network.spec.name.clone(),
            labels: network.spec.labels.clone().into_iter().collect(),
            driver_configuration: Some(driver.clone()),
            internal: network.spec.internal,
            attachable: network.spec.attachable,
            ingress: network.spec.ingress,
            scope: "swarm".to_owned(),
            ..types::SwarmNetworkSpec::default()
        },
        driver_state: driver,
        ipam_options: Some(ipam),
    }
}
