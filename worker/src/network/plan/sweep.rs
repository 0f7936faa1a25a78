//! Plans that remove what nobody wishes any more.

use std::path::PathBuf;

use super::{NetworkPlan, Step};

/// Kernel objects and files of this daemon that no wish names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::network) struct Leftovers {
    /// Containers' ports.
    pub(in crate::network) ports: Vec<String>,
    /// Bridges and tunnels.
    pub(in crate::network) links: Vec<String>,
    pub(in crate::network) namespaces: Vec<PathBuf>,
}

/// Removes them.
pub(in crate::network) fn sweep_plan(leftovers: &Leftovers) -> NetworkPlan {
    let ports = leftovers.ports.iter().map(|name| Step::PortRetired { name: name.clone() });
    let links = leftovers.links.iter().map(|name| Step::LinkRemoved { name: name.clone() });
    let namespaces = leftovers.namespaces.iter().map(|path| Step::NamespaceRemoved { path: path.clone() });
    NetworkPlan::on_host(ports.chain(links).chain(namespaces))
}
