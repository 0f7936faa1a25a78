//! The contents of `/etc/hosts`, `/etc/hostname` and `/etc/resolv.conf` of a container. Text in, text out.

use std::fmt::Write;
use std::net::IpAddr;

use shoal_proto::model::DnsConfig;

/// `/etc/hosts` of a container with its own network: the usual names, the spec's, and itself.
pub(super) fn hosts(hostname: &str, addresses: &[IpAddr], extra: &[String]) -> String {
    let mut text = String::from(
        "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::\tip6-localnet\nff00::\tip6-mcastprefix\n\
         ff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n",
    );
    add_extra(&mut text, extra);
    for address in addresses {
        // Writing to a string does not fail.
        let _written = writeln!(text, "{address}\t{hostname}");
    }
    text
}

/// `/etc/hosts` of a container on the host's network: the host's, and the spec's.
pub(super) fn hosts_of_host(host: &str, extra: &[String]) -> String {
    let mut text = host.to_owned();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    add_extra(&mut text, extra);
    text
}

fn add_extra(text: &mut String, extra: &[String]) {
    for line in extra {
        let mut words = line.split_whitespace();
        if let Some(address) = words.next() {
            text.push_str(address);
            text.push('\t');
            text.push_str(&words.collect::<Vec<_>>().join(" "));
            text.push('\n');
        }
    }
}

/// `/etc/resolv.conf`: the spec's settings over the host's. In a network namespace of its own a container asks the
/// resolver there, which asks the others.
pub(super) fn resolv_conf(host: &str, dns: &DnsConfig, shares_host_network: bool) -> String {
    let servers: Vec<String> = if !shares_host_network {
        vec![RESOLVER.to_owned()]
    } else if dns.nameservers.is_empty() {
        values(host, "nameserver").map(str::to_owned).collect()
    } else {
        dns.nameservers.clone()
    };
    let inherited = |own: &[String], key: &str| {
        if own.is_empty() { values(host, key).last().unwrap_or_default().to_owned() } else { own.join(" ") }
    };
    let mut options = inherited(&dns.options, "options");
    if !shares_host_network && !options.contains("ndots:") {
        // Names of services have no dots, and search domains come after them.
        options = format!("{options} ndots:0").trim_start().to_owned();
    }
    let mut text = String::new();
    for server in servers {
        text.push_str(&format!("nameserver {server}\n"));
    }
    for (key, value) in [("search", inherited(&dns.search, "search")), ("options", options)] {
        // A single dot asks for no search domain at all.
        if !value.is_empty() && value != "." {
            text.push_str(&format!("{key} {value}\n"));
        }
    }
    text
}

fn values<'a>(text: &'a str, key: &'a str) -> impl Iterator<Item = &'a str> {
    text.lines().filter_map(move |line| {
        let rest = line.trim().strip_prefix(key)?;
        rest.starts_with([' ', '\t']).then(|| rest.trim())
    })
}

/// Where containers find their resolver.
const RESOLVER: &str = "127.0.0.11";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_names_itself_and_what_the_spec_adds() {
        let text = hosts("web", &["10.0.0.3".parse().unwrap()], &["10.1.1.1  db  db.local".into(), String::new()]);
        assert!(text.ends_with("10.1.1.1\tdb db.local\n10.0.0.3\tweb\n"), "{text}");
        assert_eq!(hosts_of_host("127.0.0.1 localhost", &["1.2.3.4 a".into()]), "127.0.0.1 localhost\n1.2.3.4\ta\n");
    }

    #[test]
    fn containers_ask_their_own_resolver() {
        let host = "# made by hand\nnameserver 127.0.0.53\nnameserver 10.0.0.2\nsearch a.example\noptions edns0\n";
        let dns = DnsConfig::default();
        let own = "nameserver 127.0.0.11\nsearch a.example\noptions edns0 ndots:0\n";
        assert_eq!(resolv_conf(host, &dns, false), own);
        assert!(resolv_conf(host, &dns, true).starts_with("nameserver 127.0.0.53\nnameserver 10.0.0.2\n"));
        let wished = DnsConfig {
            nameservers: vec!["1.1.1.1".into()],
            search: vec![".".into()],
            options: vec!["ndots:2".into()],
        };
        assert_eq!(resolv_conf(host, &wished, false), "nameserver 127.0.0.11\noptions ndots:2\n");
        assert_eq!(resolv_conf(host, &wished, true), "nameserver 1.1.1.1\noptions ndots:2\n");
    }
}
