//! Performs plans: sends steps to the kernel in the order of the plan, together where it can.
//!
//! Chooses nothing. Belongs to the network thread, whose namespace is the host's here. Invariant: after a failed plan
//! nothing of it is queued.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::Instant;

use netlink_sys::protocols::NETLINK_NETFILTER;
use nix::libc::{EINVAL, ENOENT, EOPNOTSUPP};

use super::NetworkError;
use super::ebpf::FlowTable;
use super::firewall::{NAMES_TABLE, REFUSED, Transaction, VIPS, container_rules};
use super::limits::{PORT_WAIT, PORT_WAIT_MAX};
use super::netlink::{
    Channel, Namespace, Reaper, Refusal, RouteChannel, SparePool, chains, commit, generation, mount_namespace,
    translations, unmount_namespace,
};
use super::plan::{NetworkPlan, Place, Step};

/// The doors to the kernel.
#[derive(Debug)]
pub(super) struct Executor {
    pub(super) routes: RouteChannel,
    firewall: Channel,
    spares: SparePool,
    reaper: Reaper,
    /// Doors to nftables in namespaces of containers, kept because opening one takes longer than a change.
    inside: HashMap<String, Channel>,
}

impl Executor {
    /// Opens them in the calling thread's network namespace, and deletes what a former run retired.
    pub(super) fn open(spare_namespaces: usize, retired_group: u32) -> io::Result<Self> {
        let reaper = Reaper::start(retired_group)?;
        reaper.wait()?;
        Ok(Self {
            routes: RouteChannel::open(retired_group)?,
            reaper,
            firewall: Channel::open(NETLINK_NETFILTER)?,
            spares: SparePool::start(spare_namespaces)?,
            inside: HashMap::new(),
        })
    }

    /// Performs a plan; the error names the step.
    pub(super) fn perform(&mut self, plan: &NetworkPlan) -> Result<(), NetworkError> {
        tracing::trace!(%plan, "performing");
        let mut inside = None;
        let outcome = self.perform_steps(plan, &mut inside);
        outcome.map_err(|refusal| {
            self.routes.reset();
            let step = refusal.position.and_then(|position| plan.steps.get(position));
            let step = step.map_or_else(|| "reach the kernel".to_owned(), |(_, step)| step.to_string());
            NetworkError::Kernel { step, source: refusal.error }
        })
    }

    /// Whether a container's answers can be addressed by rule, tried in a namespace that is thrown away.
    pub(super) fn can_address_answers(&mut self) -> io::Result<bool> {
        let mut scratch = self.spares.take()?;
        let tried = container_rules("lo").iter().try_for_each(|rules| commit(&mut scratch.firewall, rules));
        match tried {
            Ok(()) => Ok(true),
            Err(refusal) => match refusal.error.raw_os_error() {
                Some(EOPNOTSUPP | ENOENT | EINVAL) => Ok(false),
                _ => Err(refusal.error),
            },
        }
    }

    /// Waits until retired links are deleted.
    pub(super) fn wait_for_retired(&mut self) -> Result<(), NetworkError> {
        self.reaper.wait().map_err(|source| NetworkError::Kernel { step: "delete retired links".to_owned(), source })
    }

    /// Performs a transaction in the namespace of a container, which is kept on a file.
    pub(super) fn commit_inside(
        &mut self,
        container: &str,
        namespace: &Path,
        transaction: &Transaction,
    ) -> Result<(), Refusal> {
        tracing::trace!(%transaction, container, "committing");
        let done = commit(self.inside(container, namespace)?, transaction);
        if done.is_err() {
            // It may be a namespace that was made anew under the same name.
            self.inside.remove(container);
        }
        done
    }

    /// Whether a table of names is in the namespace of a container.
    pub(super) fn has_names_inside(&mut self, container: &str, namespace: &Path) -> io::Result<bool> {
        Ok(chains(self.inside(container, namespace)?)?.iter().any(|chain| chain.table == NAMES_TABLE))
    }

    /// A number that changes whenever anyone changes a table in the namespace of a container.
    pub(super) fn generation_inside(&mut self, container: &str, namespace: &Path) -> io::Result<Option<u32>> {
        generation(self.inside(container, namespace)?)
    }

    /// What the table of names in the namespace of a container shows.
    pub(super) fn translations_inside(
        &mut self,
        container: &str,
        namespace: &Path,
    ) -> io::Result<BTreeMap<Ipv4Addr, Vec<Ipv4Addr>>> {
        translations(self.inside(container, namespace)?, NAMES_TABLE, (VIPS, REFUSED))
    }

    /// The door to nftables in a container's namespace.
    fn inside(&mut self, container: &str, namespace: &Path) -> io::Result<&mut Channel> {
        Ok(match self.inside.entry(container.to_owned()) {
            Entry::Occupied(open) => open.into_mut(),
            Entry::Vacant(place) => place.insert(Channel::open_inside(namespace, NETLINK_NETFILTER)?),
        })
    }

    /// Has flows of datagrams forgotten too whose task is gone.
    pub(super) fn forget_flows_of(&mut self, flows: FlowTable) {
        self.reaper.forget_flows_of(flows);
    }

    /// Closes the door to a container's namespace.
    pub(super) fn close_inside(&mut self, container: &str) {
        self.inside.remove(container);
    }

    /// Has the connections to addresses that are gone forgotten soon, on the host and in these namespaces.
    pub(super) fn forget_connections(&mut self, addresses: impl IntoIterator<Item = IpAddr>, namespaces: Vec<PathBuf>) {
        if let Err(error) = self.reaper.forget(addresses, namespaces) {
            tracing::warn!(%error, "connections to addresses that are gone stay until they end");
        }
    }

    /// Performs a transaction on the host's table.
    pub(super) fn commit(&mut self, transaction: &Transaction) -> Result<(), Refusal> {
        tracing::trace!(%transaction, "committing");
        commit(&mut self.firewall, transaction)
    }

    /// Asks nftables a question.
    pub(super) fn firewall(&mut self) -> &mut Channel {
        &mut self.firewall
    }

    fn perform_steps(&mut self, plan: &NetworkPlan, inside: &mut Option<Namespace>) -> Result<(), Refusal> {
        for (position, (place, step)) in plan.steps.iter().enumerate() {
            let at_step = |error: io::Error| Refusal { position: Some(position), error };
            match (step, place, &mut *inside) {
                (Step::Setting { path, value }, ..) => {
                    self.routes.flush()?;
                    write_setting(path, value).map_err(at_step)?;
                }
                (Step::Namespace { path }, ..) => {
                    let namespace = self.spares.take().map_err(at_step)?;
                    mount_namespace(&namespace, path).map_err(at_step)?;
                    *inside = Some(namespace);
                }
                (Step::NamespaceRemoved { path }, ..) => {
                    self.routes.flush()?;
                    unmount_namespace(path).map_err(at_step)?;
                }
                (Step::Firewall(transaction), Place::Host, _) => {
                    commit(&mut self.firewall, transaction).map_err(|refusal| at_step(refusal.error))?;
                }
                (Step::Firewall(transaction), Place::Container, Some(namespace)) => {
                    // A chain on a device needs the device.
                    self.routes.flush()?;
                    commit(&mut namespace.firewall, transaction).map_err(|refusal| at_step(refusal.error))?;
                }
                (Step::PortAwaited { name }, ..) => {
                    self.routes.flush()?;
                    inside.as_mut().map_or(Ok(()), |namespace| namespace.routes.flush())?;
                    await_port(&mut self.routes, name).map_err(at_step)?;
                }
                (Step::Pair { inside: name, index, .. }, _, Some(namespace)) => {
                    self.routes.queue(step, position, Some(&namespace.handle))?;
                    namespace.routes.expect_link(name, *index);
                }
                (step, Place::Host, _) => self.routes.queue(step, position, None)?,
                (step, Place::Container, Some(namespace)) => namespace.routes.queue(step, position, None)?,
                (_, Place::Container, None) => return Err(at_step(ErrorKind::InvalidInput.into())),
            }
        }
        self.routes.flush()?;
        if plan.steps.iter().any(|(_, step)| matches!(step, Step::PortRetired { .. })) {
            self.reaper.call()?;
        }
        inside.as_mut().map_or(Ok(()), |namespace| namespace.routes.flush())
    }
}

/// Looks again and again: the kernel tells of it, but not sooner than it can be seen.
fn await_port(routes: &mut RouteChannel, name: &str) -> io::Result<()> {
    let begin = Instant::now();
    while !routes.port_forwards(name)? {
        if begin.elapsed() > PORT_WAIT_MAX {
            return Err(ErrorKind::TimedOut.into());
        }
        std::thread::sleep(PORT_WAIT);
    }
    Ok(())
}

/// Writes a setting of this thread's namespace, if it is not so already: some writes reset other settings.
fn write_setting(path: &str, value: &str) -> io::Result<()> {
    let file = Path::new("/proc/sys/net").join(path);
    match fs::read_to_string(&file) {
        Ok(now) if now.trim() == value => Ok(()),
        // A kernel without IPv6 has none to turn off.
        Err(error) if error.kind() == ErrorKind::NotFound && path.starts_with("ipv6/") => Ok(()),
        _ => fs::write(&file, value),
    }
}
