//! Translation by nftables: a table of names in every namespace.
//!
//! Each namespace's table is told differences; one that refuses a difference, or that is not known, is built anew.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::Ipv4Addr;
use std::path::PathBuf;

use super::super::verify::compare;
use super::{NamedSpace, Translation, Vips, WishedNames};
use crate::network::NetworkError;
use crate::network::ebpf::remove_programs;
use crate::network::executor::Executor;
use crate::network::firewall::NameRules;
use crate::network::plan::PlacedNetwork;

/// What namespaces were told.
#[derive(Debug)]
pub(super) struct RulesWay {
    exec_root: PathBuf,
    /// What the kernel was told; of a container without entry it is unknown.
    told: HashMap<String, NameRules>,
    /// Of the tables of each namespace, when its table was last found well.
    generations: HashMap<String, Option<u32>>,
    /// A former run may have left programs.
    programs_left: bool,
}

impl RulesWay {
    pub(super) fn new(exec_root: PathBuf) -> Self {
        Self { exec_root, told: HashMap::new(), generations: HashMap::new(), programs_left: true }
    }

    fn update(
        &mut self,
        (container, space): (&str, &NamedSpace),
        names: &WishedNames,
        executor: &mut Executor,
    ) -> Result<(), NetworkError> {
        let wished = NameRules { resolver: Some(space.resolver), vips: names.vips_of(space) };
        if let Some(told) = self.told.remove(container) {
            let mut steps = told.difference(&wished).into_iter();
            if steps.all(|step| executor.commit_inside(container, &space.namespace, &step).is_ok()) {
                self.told.insert(container.to_owned(), wished);
                return Ok(());
            }
            tracing::warn!(container, "the table of names is not as it was told; making it anew");
        }
        executor.commit_inside(container, &space.namespace, &wished.whole()).map_err(|refusal| {
            NetworkError::Kernel { step: format!("make the table of names of {container}"), source: refusal.error }
        })?;
        self.told.insert(container.to_owned(), wished);
        Ok(())
    }
}

impl Translation for RulesWay {
    fn set_vips(&mut self, names: &WishedNames, executor: &mut Executor) -> Result<(), NetworkError> {
        let all = names.spaces.iter();
        all.map(|(container, space)| self.update((container, space), names, executor)).fold(Ok(()), Result::and)?;
        if std::mem::take(&mut self.programs_left)
            && let Err(error) = self.remove()
        {
            self.programs_left = true;
            return Err(error);
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
        if space.inherited && !names.vips_known {
            // The table of a former run leads its virtual addresses until they are told.
            let resolver = NameRules::resolver_led(space.resolver);
            if executor.commit_inside(container, &space.namespace, &resolver).is_ok() {
                return Ok(());
            }
        }
        self.update((container, space), names, executor)
    }

    fn close_space(&mut self, container: &str, _: Option<&NamedSpace>, executor: &mut Executor) {
        self.told.remove(container);
        self.generations.remove(container);
        executor.close_inside(container);
    }

    fn keep_spaces(&mut self, _: &BTreeSet<u64>) {
        // Tables go with their namespaces.
    }

    fn serve_bridges(&mut self, _: &[&PlacedNetwork], _: &mut Executor) {
        // Echo requests are translated as all else is.
    }

    fn verify(&mut self, names: &WishedNames, executor: &mut Executor) -> Result<Vec<String>, NetworkError> {
        let mut differences = Vec::new();
        for (container, space) in &names.spaces {
            if !self.told.contains_key(container) {
                continue;
            }
            let read =
                |source| NetworkError::Kernel { step: format!("read the table of names of {container}"), source };
            let now = executor.generation_inside(container, &space.namespace).map_err(read)?;
            if self.generations.get(container) == Some(&now) {
                continue;
            }
            let shown = executor.translations_inside(container, &space.namespace).map_err(read)?;
            let name = |vip: &Ipv4Addr| format!("virtual address {vip} in container {container}");
            let found = compare(&names.vips_of(space), &shown, name, Ipv4Addr::to_string);
            if !found.is_empty() {
                differences.extend(found);
                self.told.remove(container);
                self.update((container, space), names, executor)?;
            }
            let now = executor.generation_inside(container, &space.namespace).map_err(read)?;
            self.generations.insert(container.clone(), now);
        }
        Ok(differences)
    }

    fn shown(&mut self, names: &WishedNames, executor: &mut Executor) -> Result<BTreeMap<String, Vips>, NetworkError> {
        let of_space = |(container, space): (&String, &NamedSpace)| {
            let shown = executor.translations_inside(container, &space.namespace);
            let step = || format!("read the table of names of {container}");
            let shown = shown.map_err(|source| NetworkError::Kernel { step: step(), source })?;
            Ok((container.clone(), shown))
        };
        names.spaces.iter().map(of_space).collect()
    }

    fn remove(&mut self) -> Result<(), NetworkError> {
        remove_programs(&self.exec_root).map_err(|error| NetworkError::Kernel {
            step: "remove the programs of virtual addresses".to_owned(),
            source: std::io::Error::other(error),
        })
    }
}
