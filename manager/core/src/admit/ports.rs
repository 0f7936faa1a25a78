//! Published ports: within one service, and against those of the others.

use std::collections::BTreeSet;

use shoal_proto::model::{EndpointMode, EndpointSpec, PortConfig, PublishMode, ServiceId};

use super::Problems;
use crate::store::Tables;

pub(super) fn check_endpoint(spec: &EndpointSpec, problems: &mut Problems) {
    let ingress = spec.ports.iter().filter(|port| port.mode == PublishMode::Ingress);
    problems.add_if(spec.mode == EndpointMode::DnsRoundRobin && ingress.count() > 0, || {
        "EndpointSpec: port published with ingress mode can't be used with dnsrr mode: publish with mode=host, or use \
         endpoint mode vip"
            .to_owned()
    });
    let mut seen = BTreeSet::new();
    for port in &spec.ports {
        problems.add_if(port.target_port == 0, || {
            "EndpointSpec: target port 0 is invalid: name the container's port, 1 to 65535".to_owned()
        });
        let published = port.published_port;
        problems.add_if(published != 0 && !seen.insert((port.protocol, published)), || {
            format!("EndpointSpec: duplicate published ports provided: {published} is there twice; publish it once")
        });
    }
}

/// Whether another service has one of the ports already. Two services may share a port in host mode: tasks of both then
/// never share a node.
pub(super) fn check_conflicts(tables: &Tables, own: Option<ServiceId>, spec: &EndpointSpec, problems: &mut Problems) {
    for wish in spec.ports.iter().filter(|port| port.published_port != 0) {
        for service in tables.services().filter(|service| Some(service.id) != own) {
            let theirs = service.spec.endpoint.ports.iter().chain(&service.endpoint.ports);
            if let Some(taken) = theirs.into_iter().find(|port| conflicts(port, wish)) {
                let how = match taken.mode {
                    PublishMode::Ingress => "an ingress port",
                    PublishMode::Host => "a host-published port",
                };
                let (port, name, id) = (wish.published_port, &service.spec.name, service.id);
                problems.add(format!("port '{port}' is already in use by service '{name}' ({id}) as {how}"));
                break;
            }
        }
    }
}

fn conflicts(one: &PortConfig, other: &PortConfig) -> bool {
    one.published_port == other.published_port
        && one.protocol == other.protocol
        && (one.mode == PublishMode::Ingress || other.mode == PublishMode::Ingress)
}
