//! Spreads tasks over the values of labels, level by level, and over nodes within each.

use std::collections::{BTreeMap, BTreeSet};

use shoal_proto::model::{Node, Preference, Task};

use super::Place;
use super::candidate::{Candidate, Rank};
use super::filter::refusal;

/// A branch of all nodes, or a leaf.
#[derive(Debug)]
pub(super) enum Tree {
    /// By the values of a label.
    Branch { tasks: u64, children: BTreeMap<String, Tree> },
    /// Nodes that pass the filters, best first, by their place among the candidates.
    Leaf { tasks: u64, nodes: BTreeSet<(Rank, usize)> },
}

impl Tree {
    /// All nodes make branches and count; only those that pass the filters get tasks.
    pub(super) fn new(preferences: &[Preference], nodes: &[Candidate<'_>], task: &Task) -> Self {
        let labels: Vec<&str> =
            preferences.iter().map(|it| it.spread.as_str()).filter(|it| label(it).is_some()).collect();
        let mut root = Self::empty(!labels.is_empty());
        for (place, node) in nodes.iter().enumerate() {
            let leaf = root.descend(&labels, node);
            if let Tree::Leaf { nodes, .. } = leaf
                && refusal(task, node).is_none()
            {
                nodes.insert((node.rank(), place));
            }
        }
        root
    }

    fn empty(branches: bool) -> Self {
        if branches {
            Self::Branch { tasks: 0, children: BTreeMap::new() }
        } else {
            Self::Leaf { tasks: 0, nodes: BTreeSet::new() }
        }
    }

    /// The leaf of a node; its tasks count on the way there.
    fn descend(&mut self, labels: &[&str], node: &Candidate<'_>) -> &mut Self {
        let mut tree = self;
        let mut rest = labels;
        loop {
            match tree {
                Tree::Leaf { tasks, .. } => {
                    *tasks += node.of_service;
                    return tree;
                }
                Tree::Branch { tasks, children } => {
                    *tasks += node.of_service;
                    let value = rest.first().map_or_else(String::new, |name| value(name, node.node));
                    rest = rest.get(1..).unwrap_or_default();
                    tree = children.entry(value).or_insert_with(|| Self::empty(!rest.is_empty()));
                }
            }
        }
    }

    fn tasks(&self) -> u64 {
        match self {
            Tree::Branch { tasks, .. } | Tree::Leaf { tasks, .. } => *tasks,
        }
    }

    /// Finds places for up to `count` tasks, and takes them up.
    pub(super) fn distribute(&mut self, count: usize, nodes: &mut [Candidate<'_>], task: &Task) -> Vec<Place> {
        match self {
            Tree::Leaf { tasks, nodes: ranked } => {
                let places = fill(count, ranked, nodes, task);
                *tasks += places.len() as u64;
                places
            }
            Tree::Branch { tasks, children } => {
                let places = spread(count, children, nodes, task);
                *tasks += places.len() as u64;
                places
            }
        }
    }
}

/// One by one to the best node, which is then weighed anew.
fn fill(count: usize, ranked: &mut BTreeSet<(Rank, usize)>, nodes: &mut [Candidate<'_>], task: &Task) -> Vec<Place> {
    let mut places = Vec::new();
    while places.len() < count {
        let Some((_, place)) = ranked.pop_first() else { break };
        let node = &mut nodes[place];
        // It passed before; what it took since may have filled it.
        if refusal(task, node).is_some() {
            continue;
        }
        node.take(task);
        places.push(node.node.id);
        ranked.insert((node.rank(), place));
    }
    places
}

/// So that the children come to have equally many, as far as they have room.
fn spread(count: usize, children: &mut BTreeMap<String, Tree>, nodes: &mut [Candidate<'_>], task: &Task) -> Vec<Place> {
    let mut places = Vec::new();
    let mut full: BTreeSet<String> = BTreeSet::new();
    while places.len() < count && full.len() < children.len() {
        let open = children.iter().filter(|(value, _)| !full.contains(*value));
        let usable: u64 = open.clone().map(|(_, child)| child.tasks()).sum();
        let total = usable + (count - places.len()) as u64;
        let number = (children.len() - full.len()) as u64;
        let (want, mut rest) = (total / number, total % number);
        let before = (places.len(), full.len());
        for (value, child) in children.iter_mut() {
            let had = child.tasks();
            if full.contains(value) || had > want || (had == want && rest == 0) || places.len() == count {
                continue;
            }
            let ask = usize::try_from(want - had + u64::from(rest > 0)).unwrap_or(usize::MAX).min(count - places.len());
            let got = child.distribute(ask, nodes, task);
            if got.len() < ask {
                full.insert(value.clone());
            } else {
                rest = rest.saturating_sub(1);
            }
            places.extend(got);
        }
        if (places.len(), full.len()) == before {
            break;
        }
    }
    places
}

/// The kind of label that a preference names, and its key; `None`: it names none, and is skipped.
fn label(descriptor: &str) -> Option<(bool, &str)> {
    let after = |prefix: &str| {
        let head = descriptor.get(..prefix.len())?;
        head.eq_ignore_ascii_case(prefix).then(|| &descriptor[prefix.len()..])
    };
    after("node.labels.").map(|key| (true, key)).or_else(|| after("engine.labels.").map(|key| (false, key)))
}

fn value(descriptor: &str, node: &Node) -> String {
    let labels = |of_node: bool| if of_node { &node.spec.labels } else { &node.description.engine_labels };
    label(descriptor).and_then(|(of_node, key)| labels(of_node).get(key)).cloned().unwrap_or_default()
}
