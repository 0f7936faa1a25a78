//! Translation by eBPF: one set of maps that all namespaces share.
//!
//! A namespace is admitted with one entry and costs nothing when virtual addresses change. What the maps hold is read
//! from the kernel at the start and after every failure. Leaves layouts and order to `ebpf`.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use shoal_proto::model::NetworkId;

use super::super::verify::compare;
use super::{NamedSpace, Translation, Vips, WishedNames};
use crate::network::ebpf::{
    Answerers, EbpfError, NetworkNumber, Space, TableChange, TablePlan, VipPrograms, VipTables, remove_programs,
};
use crate::network::executor::Executor;
use crate::network::firewall::NameRules;
use crate::network::plan::PlacedNetwork;
use crate::network::{MacAddress, NetworkError};

/// The programs, and what their maps hold.
#[derive(Debug)]
pub(super) struct ProgramsWay {
    exec_root: PathBuf,
    programs: VipPrograms,
    /// None: unknown, because telling it failed half-way.
    told: Option<VipTables>,
    /// Programs of a former build may still translate beside these.
    former_left: bool,
    /// Containers in whose namespaces a former run made a table of names.
    tables_left: BTreeSet<String>,
    /// Bridges that answer, by the index of their links.
    answering: BTreeMap<u32, (MacAddress, NetworkId)>,
}

impl ProgramsWay {
    pub(super) fn open(exec_root: &Path, executor: &mut Executor) -> Result<Self, NetworkError> {
        let programs = VipPrograms::open(exec_root).map_err(failed("load the programs of virtual addresses"))?;
        let told = programs.vips().map_err(failed("read the virtual addresses"))?;
        executor.forget_flows_of(programs.flows().map_err(failed("read the flows of datagrams"))?);
        Ok(Self {
            exec_root: exec_root.to_owned(),
            programs,
            told: Some(told),
            former_left: true,
            tables_left: BTreeSet::new(),
            answering: BTreeMap::new(),
        })
    }

    fn lead(&mut self, wished: &Answerers) -> Result<(), EbpfError> {
        let told = match self.told.take() {
            Some(told) => told,
            None => self.programs.vips()?,
        };
        let (plan, newer) = told.difference(wished);
        self.programs.perform(&plan)?;
        self.told = Some(newer);
        Ok(())
    }

    /// Takes the virtual addresses out of tables that a former run made: its connections go on by what is left.
    fn empty_tables(&mut self, names: &WishedNames, executor: &mut Executor) -> Result<(), NetworkError> {
        while let Some(container) = self.tables_left.first().cloned() {
            if let Some(space) = names.spaces.get(&container) {
                // One rule that translates stays: without any the kernel would track no connection here.
                let empty = NameRules { resolver: Some(space.resolver), ..NameRules::default() }.whole();
                executor.commit_inside(&container, &space.namespace, &empty).map_err(|refusal| {
                    let step = format!("empty the table of names of {container}");
                    NetworkError::Kernel { step, source: refusal.error }
                })?;
                executor.close_inside(&container);
            }
            self.tables_left.remove(&container);
        }
        Ok(())
    }

    fn answer_on(&mut self, network: &PlacedNetwork, executor: &mut Executor) -> Result<Option<u32>, NetworkError> {
        let step = || format!("answer for virtual addresses on {}", network.bridge);
        let found = executor.routes.find_link(&network.bridge);
        let found = found.map_err(|source| NetworkError::Kernel { step: step(), source })?;
        let Some(link) = found else { return Ok(None) };
        let face = MacAddress::of(network.wish.node_address.unwrap_or(network.wish.subnet.address));
        if self.answering.get(&link.index) != Some(&(face, network.wish.id)) {
            let number = NetworkNumber::of(network.wish.id);
            let answered = self.programs.answer_on((&link.name, link.index), face, number);
            answered.map_err(|error| NetworkError::Kernel { step: step(), source: io::Error::other(error) })?;
            self.answering.insert(link.index, (face, network.wish.id));
        }
        Ok(Some(link.index))
    }
}

impl Translation for ProgramsWay {
    fn set_vips(&mut self, names: &WishedNames, executor: &mut Executor) -> Result<(), NetworkError> {
        self.lead(&answerers(names)).map_err(failed("lead virtual addresses to tasks"))?;
        self.empty_tables(names, executor)?;
        if self.former_left {
            self.programs.remove_former().map_err(failed("remove the programs of a former build"))?;
            self.former_left = false;
        }
        Ok(())
    }

    fn open_space(
        &mut self,
        container: &str,
        names: &WishedNames,
        executor: &mut Executor,
    ) -> Result<(), NetworkError> {
        let Some(space) = names.spaces.get(container) else { return Ok(()) };
        let step = || format!("admit the namespace of {container}");
        let Some(cookie) = space.cookie else {
            return Err(NetworkError::Kernel { step: step(), source: io::ErrorKind::Unsupported.into() });
        };
        let plan = TablePlan { changes: vec![TableChange::Space { cookie, space: entry(space) }] };
        self.programs
            .perform(&plan)
            .map_err(|error| NetworkError::Kernel { step: step(), source: io::Error::other(error) })?;
        if space.inherited {
            let made = executor.has_names_inside(container, &space.namespace);
            if made.map_err(|source| NetworkError::Kernel { step: step(), source })? {
                self.tables_left.insert(container.to_owned());
            } else {
                executor.close_inside(container);
            }
            if names.vips_known {
                self.empty_tables(names, executor)?;
            }
        }
        Ok(())
    }

    fn close_space(&mut self, container: &str, space: Option<&NamedSpace>, executor: &mut Executor) {
        self.tables_left.remove(container);
        executor.close_inside(container);
        let Some(cookie) = space.and_then(|space| space.cookie) else { return };
        let plan = TablePlan { changes: vec![TableChange::SpaceRemoved { cookie }] };
        if let Err(error) = self.programs.perform(&plan) {
            // No other namespace ever has its cookie.
            tracing::warn!(
                container,
                error = &error as &dyn std::error::Error,
                "a namespace that is gone stays admitted"
            );
        }
    }

    fn keep_spaces(&mut self, cookies: &BTreeSet<u64>) {
        let swept = self.programs.spaces().and_then(|known| {
            let stale = known.into_keys().filter(|cookie| !cookies.contains(cookie));
            let changes = stale.map(|cookie| TableChange::SpaceRemoved { cookie }).collect();
            self.programs.perform(&TablePlan { changes })
        });
        if let Err(error) = swept {
            tracing::warn!(error = &error as &dyn std::error::Error, "namespaces that are gone stay admitted");
        }
    }

    fn serve_bridges(&mut self, networks: &[&PlacedNetwork], executor: &mut Executor) {
        let mut indices = BTreeSet::new();
        for network in networks {
            match self.answer_on(network, executor) {
                Ok(index) => indices.extend(index),
                Err(error) => {
                    let (bridge, error) = (&network.bridge, &error as &dyn std::error::Error);
                    tracing::warn!(bridge, error, "virtual addresses do not answer to ping on this network");
                }
            }
        }
        self.answering.retain(|index, _| indices.contains(index));
        if let Err(error) = self.programs.keep_bridges(&indices) {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "bridges that are gone stay among those that answer"
            );
        }
    }

    fn verify(&mut self, names: &WishedNames, _: &mut Executor) -> Result<Vec<String>, NetworkError> {
        let read = || failed("read the virtual addresses");
        let found = self.programs.vips().map_err(read())?;
        let (shown, wished) = (found.answerers(), answerers(names));
        let mut differences = Vec::new();
        if shown != wished {
            let tasks = |all: &Answerers| all.iter().map(|(vip, (_, tasks))| (*vip, tasks.clone())).collect();
            let name = |vip: &IpAddr| format!("virtual address {vip}");
            differences.extend(compare(&tasks(&wished), &tasks(&shown), name, IpAddr::to_string));
            self.told = Some(found);
            self.lead(&wished).map_err(failed("lead virtual addresses to tasks"))?;
        }
        let admitted = self.programs.spaces().map_err(read())?;
        let mut missing = TablePlan::default();
        for (container, space) in &names.spaces {
            let Some(cookie) = space.cookie else { continue };
            let entry = entry(space);
            if admitted.get(&cookie) != Some(&entry) {
                differences.push(format!("container {container}: its namespace is not admitted as it should be"));
                missing.changes.push(TableChange::Space { cookie, space: entry });
            }
        }
        self.programs.perform(&missing).map_err(failed("admit namespaces"))?;
        Ok(differences)
    }

    fn shown(&mut self, names: &WishedNames, _: &mut Executor) -> Result<BTreeMap<String, Vips>, NetworkError> {
        let read = || failed("read the virtual addresses");
        let answerers = self.programs.vips().map_err(read())?.answerers();
        let spaces = self.programs.spaces().map_err(read())?;
        let of_space = |(container, space): (&String, &NamedSpace)| {
            let admitted = space.cookie.and_then(|cookie| spaces.get(&cookie));
            let reached = answerers.iter().filter_map(|(vip, (network, tasks))| {
                admitted.filter(|space| space.networks.contains(network))?;
                Some((as_v4(*vip)?, tasks.iter().copied().filter_map(as_v4).collect()))
            });
            (container.clone(), reached.collect())
        };
        Ok(names.spaces.iter().map(of_space).collect())
    }

    fn remove(&mut self) -> Result<(), NetworkError> {
        remove_programs(&self.exec_root).map_err(failed("remove the programs of virtual addresses"))
    }
}

/// Who answers for virtual addresses, as the maps have it.
fn answerers(names: &WishedNames) -> Answerers {
    let of_network = |(network, vips): (&NetworkId, &Vips)| {
        let number = NetworkNumber::of(*network);
        let answerer = |(vip, tasks): (&Ipv4Addr, &Vec<Ipv4Addr>)| {
            (IpAddr::V4(*vip), (number, tasks.iter().copied().map(IpAddr::V4).collect()))
        };
        vips.iter().map(answerer).collect::<Vec<_>>()
    };
    names.vips.iter().flat_map(of_network).collect()
}

/// What a namespace may reach, as the maps have it.
fn entry(space: &NamedSpace) -> Space {
    Space { resolver: Some(space.resolver), networks: space.networks.iter().copied().map(NetworkNumber::of).collect() }
}

fn as_v4(address: IpAddr) -> Option<Ipv4Addr> {
    match address {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    }
}

fn failed(step: &'static str) -> impl FnOnce(EbpfError) -> NetworkError {
    move |error| NetworkError::Kernel { step: step.to_owned(), source: io::Error::other(error) }
}
