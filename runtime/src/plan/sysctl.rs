//! Which kernel settings a container may have: only those of a namespace that is its own.

use crate::failure::Failure;
use crate::spec::{Namespace, Namespaces};

/// The path below `/proc/sys` of a setting.
///
/// # Errors
/// When it is not the container's to set, or holds what no setting can.
pub(super) fn check_sysctl(
    name: &str,
    value: &str,
    own_network: bool,
    namespaces: &Namespaces,
) -> Result<String, Failure> {
    let refuse = |remedy: &str| {
        Err(Failure::Invalid { field: format!("sysctls.{name}"), value: value.to_owned(), remedy: remedy.to_owned() })
    };
    let path = to_path(name);
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | ':' | '@');
    if !path.chars().all(plain) || path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return refuse("the name is not that of a kernel setting");
    }
    if value.chars().any(|c| c.is_control() && c != '\t') {
        return refuse("the value holds a control character");
    }
    let own_ipc = namespaces.ipc == Namespace::New;
    let own_uts = namespaces.uts == Namespace::New;
    match path.as_str() {
        "kernel/domainname" if own_uts => Ok(path),
        "kernel/hostname" => refuse("set hostname instead"),
        _ if path.starts_with("net/") => {
            if own_network {
                Ok(path)
            } else {
                refuse("the container shares the host's network")
            }
        }
        _ if IPC.contains(&path.as_str()) || path.starts_with("fs/mqueue/") => {
            if own_ipc {
                Ok(path)
            } else {
                refuse("the container shares the host's IPC namespace")
            }
        }
        _ => refuse("it is a setting of the whole host; set it there"),
    }
}

/// `net.ipv4.conf.eth0/1.x` has dots between parts and slashes for dots in a part; `net/ipv4/...` has it the other way.
fn to_path(name: &str) -> String {
    let first = name.find(['.', '/']).map(|at| name.as_bytes()[at]);
    if first == Some(b'/') {
        return name.to_owned();
    }
    name.chars()
        .map(|c| match c {
            '.' => '/',
            '/' => '.',
            other => other,
        })
        .collect()
}

const IPC: &[&str] = &[
    "kernel/msgmax",
    "kernel/msgmnb",
    "kernel/msgmni",
    "kernel/sem",
    "kernel/shmall",
    "kernel/shmmax",
    "kernel/shmmni",
    "kernel/shm_rmid_forced",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_the_containers_own() {
        let own = Namespaces::default();
        let host_ipc = Namespaces { ipc: Namespace::Host, ..Namespaces::default() };
        let cases: [(&str, &str, bool, &Namespaces, Option<&str>); 14] = [
            ("net.core.somaxconn", "1024", true, &own, Some("net/core/somaxconn")),
            ("net.ipv4.conf.eth0/1.forwarding", "1", true, &own, Some("net/ipv4/conf/eth0.1/forwarding")),
            ("net/ipv4/conf/eth0.1/forwarding", "1", true, &own, Some("net/ipv4/conf/eth0.1/forwarding")),
            ("net.ipv4.ping_group_range", "0\t100", true, &own, Some("net/ipv4/ping_group_range")),
            ("net.core.somaxconn", "1024", false, &own, None),
            ("kernel.shmmax", "1", true, &own, Some("kernel/shmmax")),
            ("kernel.shmmax", "1", true, &host_ipc, None),
            ("fs.mqueue.msg_max", "10", true, &own, Some("fs/mqueue/msg_max")),
            ("kernel.domainname", "x", true, &own, Some("kernel/domainname")),
            ("kernel.core_pattern", "|/bin/x", true, &own, None),
            ("kernel.hostname", "x", true, &own, None),
            ("vm.swappiness", "1", true, &own, None),
            ("net.core.somaxconn", "1\nx", true, &own, None),
            ("net/../kernel/core_pattern", "1", true, &own, None),
        ];
        for (name, value, network, namespaces, expected) in cases {
            let outcome = check_sysctl(name, value, network, namespaces).ok();
            assert_eq!(outcome.as_deref(), expected, "{name} = {value:?}");
        }
    }
}
