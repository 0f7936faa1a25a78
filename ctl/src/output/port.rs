//! Published ports as lists show them: `*:8080->80/tcp`, neighbours drawn together as `*:8000-8002->80-82/tcp`.

use shoal_api::types::{PortConfig, PortProtocol, PublishMode};

/// The ports that every node answers.
pub(crate) fn ingress(ports: &[PortConfig]) -> String {
    let mut ports: Vec<_> = ports
        .iter()
        .filter(|port| port.publish_mode == PublishMode::Ingress)
        .map(|port| (protocol(port.protocol), port.target_port, port.published_port))
        .collect();
    ports.sort_unstable();
    let mut ranges: Vec<Range> = Vec::new();
    for (protocol, target, published) in ports {
        match ranges.last_mut() {
            Some(range) if range.continues(protocol, target, published) => range.length += 1,
            _ => ranges.push(Range { protocol, target, published, length: 1 }),
        }
    }
    ranges.iter().map(Range::show).collect::<Vec<_>>().join(", ")
}

/// The ports that a task's own node answers.
pub(crate) fn host(ports: &[PortConfig]) -> String {
    let show =
        |port: &PortConfig| format!("*:{}->{}/{}", port.published_port, port.target_port, protocol(port.protocol));
    ports.iter().map(show).collect::<Vec<_>>().join(",")
}

/// The word of a protocol.
pub(crate) fn protocol(protocol: PortProtocol) -> &'static str {
    match protocol {
        PortProtocol::Tcp => "tcp",
        PortProtocol::Udp => "udp",
        PortProtocol::Sctp => "sctp",
    }
}

struct Range {
    protocol: &'static str,
    target: u32,
    published: u32,
    length: u32,
}

impl Range {
    fn continues(&self, protocol: &str, target: u32, published: u32) -> bool {
        let next = (self.protocol, self.target + self.length, self.published + self.length);
        next == (protocol, target, published)
    }

    fn show(&self) -> String {
        let span = |first: u32| match self.length {
            1 => first.to_string(),
            length => format!("{first}-{}", first + length - 1),
        };
        format!("*:{}->{}/{}", span(self.published), span(self.target), self.protocol)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_drawn_together() {
        let port = |published_port, target_port, publish_mode| PortConfig {
            published_port,
            target_port,
            publish_mode,
            ..PortConfig::default()
        };
        let mut ports = [8001, 8000, 8002].map(|p| port(p, p - 7920, PublishMode::Ingress)).to_vec();
        ports.push(port(9000, 9000, PublishMode::Host));
        ports.push(port(443, 443, PublishMode::Ingress));
        assert_eq!(ingress(&ports), "*:8000-8002->80-82/tcp, *:443->443/tcp");
        assert_eq!(host(&ports[3..4]), "*:9000->9000/tcp");
    }
}
