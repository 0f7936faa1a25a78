//! `--publish`: `8080:80/tcp`, ranges `8000-8002:80-82`, or `published=8080,target=80,protocol=tcp,mode=host`.

use std::str::FromStr;

use shoal_api::types::{PortConfig, PortProtocol, PublishMode};

use super::csv::{CsvError, fields, key_value, required, wrong};
use super::word::word;

/// The ports that one flag publishes: several for a range.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PublishedPorts(pub(crate) Vec<PortConfig>);

#[derive(Debug, thiserror::Error)]
pub(crate) enum PublishError {
    #[error(transparent)]
    Csv(#[from] CsvError),
    #[error("a port inside the container is missing: write PUBLISHED:TARGET or target=PORT")]
    NoTarget,
    #[error("{0:?} is not a port from 1 to 65535, nor a range of them")]
    Port(String),
    #[error("{0:?} is not a protocol: use tcp, udp or sctp")]
    Protocol(String),
    #[error("the ranges {published} and {target} differ in length")]
    Ranges { published: String, target: String },
    #[error("a host address cannot be given for a service ({0}): every node answers on all its addresses")]
    HostAddress(String),
}

impl FromStr for PublishedPorts {
    type Err = PublishError;

    fn from_str(text: &str) -> Result<Self, PublishError> {
        if text.split(',').any(|field| field.contains('=')) { long(text) } else { short(text) }
    }
}

fn long(text: &str) -> Result<PublishedPorts, PublishError> {
    let mut port = config(0, 0, PortProtocol::Tcp);
    for field in fields(text)? {
        let (key, value) = key_value(&field);
        let value = required(&field, value)?;
        match key.as_str() {
            "target" => port.target_port = number(value)?.into(),
            "published" => port.published_port = if value == "0" { 0 } else { number(value)?.into() },
            "protocol" => port.protocol = protocol(value)?,
            "mode" => {
                let mode = word::<PublishMode>(&value.to_ascii_lowercase());
                port.publish_mode = mode.map_err(|_| wrong("mode", value, "use ingress or host"))?;
            }
            _ => return Err(CsvError::Key(key).into()),
        }
    }
    if port.target_port == 0 { Err(PublishError::NoTarget) } else { Ok(PublishedPorts(vec![port])) }
}

fn short(text: &str) -> Result<PublishedPorts, PublishError> {
    let (ports, proto) = match text.rsplit_once('/') {
        Some((ports, proto)) => (ports, protocol(proto)?),
        None => (text, PortProtocol::Tcp),
    };
    let (published, target) = match ports.rsplit_once(':') {
        Some((published, target)) => (published, target),
        None => ("", ports),
    };
    if published.contains([':', '.', '[']) {
        return Err(PublishError::HostAddress(published.to_owned()));
    }
    if target.is_empty() {
        return Err(PublishError::NoTarget);
    }
    let targets = range(target)?;
    // Port 0 asks the swarm to choose, as no port does.
    if matches!(published, "" | "0") {
        return Ok(PublishedPorts(targets.map(|target| config(0, target, proto)).collect()));
    }
    let publishes = range(published)?;
    if publishes.len() != targets.len() && targets.len() != 1 {
        return Err(PublishError::Ranges { published: published.to_owned(), target: target.to_owned() });
    }
    let single = targets.len() == 1;
    let first = *targets.start();
    let targets = targets.chain(std::iter::repeat(first));
    let pairs =
        publishes.zip(targets).map(|(published, target)| if single { (published, first) } else { (published, target) });
    Ok(PublishedPorts(pairs.map(|(published, target)| config(published, target, proto)).collect()))
}

fn config(published: u16, target: u16, protocol: PortProtocol) -> PortConfig {
    PortConfig {
        name: String::new(),
        protocol,
        target_port: target.into(),
        published_port: published.into(),
        publish_mode: PublishMode::Ingress,
    }
}

fn protocol(text: &str) -> Result<PortProtocol, PublishError> {
    word(&text.to_ascii_lowercase()).map_err(|_| PublishError::Protocol(text.to_owned()))
}

fn range(text: &str) -> Result<std::ops::RangeInclusive<u16>, PublishError> {
    let (start, end) = text.split_once('-').unwrap_or((text, text));
    let (start, end) = (number(start)?, number(end)?);
    if end < start { Err(PublishError::Port(text.to_owned())) } else { Ok(start..=end) }
}

fn number(text: &str) -> Result<u16, PublishError> {
    text.parse().ok().filter(|port| *port > 0).ok_or_else(|| PublishError::Port(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        match text.parse::<PublishedPorts>() {
            Err(error) => error.to_string(),
            Ok(PublishedPorts(ports)) => {
                let show = |port: &PortConfig| {
                    let (published, target) = (port.published_port, port.target_port);
                    format!("{published}:{target}/{:?}/{:?}", port.protocol, port.publish_mode).to_lowercase()
                };
                ports.iter().map(show).collect::<Vec<_>>().join(" ")
            }
        }
    }

    #[test]
    fn short_and_long_forms_and_ranges() {
        assert_eq!(shown("8080:80"), "8080:80/tcp/ingress");
        assert_eq!(shown("80/UDP"), "0:80/udp/ingress");
        assert_eq!(shown("0:80"), "0:80/tcp/ingress");
        assert_eq!(shown("8000-8001:80-81"), "8000:80/tcp/ingress 8001:81/tcp/ingress");
        assert_eq!(shown("8000-8001:80"), "8000:80/tcp/ingress 8001:80/tcp/ingress");
        assert_eq!(shown("published=8080,target=80,mode=host,protocol=udp"), "8080:80/udp/host");
        assert_eq!(shown("target=80,published=0"), "0:80/tcp/ingress");
    }

    #[test]
    fn mistakes_are_named() {
        assert_eq!(
            shown("1.2.3.4:80:80"),
            "a host address cannot be given for a service (1.2.3.4:80): every node answers on all its addresses"
        );
        assert_eq!(shown("abc:80"), "\"abc\" is not a port from 1 to 65535, nor a range of them");
        assert_eq!(shown("8000:80-82"), "the ranges 8000 and 80-82 differ in length");
        assert_eq!(shown("9-8:80-81"), "\"9-8\" is not a port from 1 to 65535, nor a range of them");
        assert_eq!(shown("8080:80/icmp"), "\"icmp\" is not a protocol: use tcp, udp or sctp");
        assert_eq!(
            shown("published=80"),
            "a port inside the container is missing: write PUBLISHED:TARGET or target=PORT"
        );
        assert_eq!(shown("target=80,mode=swarm"), "the value \"swarm\" of mode is wrong: use ingress or host");
        assert_eq!(shown("target=80,prot=tcp"), "the key \"prot\" is unknown here");
        assert_eq!(shown("70000:80"), "\"70000\" is not a port from 1 to 65535, nor a range of them");
    }
}
