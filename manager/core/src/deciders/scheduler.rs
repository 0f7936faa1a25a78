//! Chooses nodes for tasks: filters say where a task may run, then it goes where its service, then everything, is least.
//!
//! Tasks of one version of a service are placed together. What a placement takes up counts for the next at once. A task
//! that fits nowhere says which filter refused how many nodes, and why.

mod candidate;
mod filter;
mod tree;

use std::collections::BTreeMap;
use std::sync::Arc;

use shoal_proto::model::{NodeId, ServiceId, Task, Timestamp, Version};

use super::memory::Memory;
use super::plan::{Plan, Step};
use crate::store::Tables;
use candidate::Candidate;
use filter::{Refusals, refusal};
use tree::Tree;

/// For all tasks that wait for a node.
#[must_use]
pub fn decide(tables: &Tables, memory: &Memory, now: Timestamp) -> Plan {
    let mut plan = Plan::default();
    let (bound, free): (Vec<&Arc<Task>>, Vec<&Arc<Task>>) =
        tables.unplaced_tasks().partition(|task| task.node.is_some());
    if bound.is_empty() && free.is_empty() {
        return plan;
    }
    let mut nodes: Vec<Candidate<'_>> = tables.nodes().map(|node| Candidate::new(tables, node)).collect();
    for task in bound {
        confirm(task, &mut nodes, &mut plan);
    }
    let mut groups: BTreeMap<(ServiceId, Version), Vec<&Arc<Task>>> = BTreeMap::new();
    for task in free {
        groups.entry((task.service, task.spec_version)).or_default().push(task);
    }
    for ((service, version), mut tasks) in groups {
        tasks.sort_by_key(|task| (task.slot, task.id));
        let failures = memory.failures(service, version, now);
        nodes.iter_mut().for_each(|node| node.look_at(tables, service, &failures));
        place(&tasks, &mut nodes, &mut plan);
    }
    plan
}

/// A task of a global service has its node already; it must only fit there.
fn confirm(task: &Arc<Task>, nodes: &mut [Candidate<'_>], plan: &mut Plan) {
    let Some(node) = nodes.iter_mut().find(|node| Some(node.node.id) == task.node) else { return };
    match refusal(task, node) {
        None => {
            node.take(task);
            let message = "scheduler confirmed task can run on preassigned node";
            plan.push(Step::Place { task: task.id, node: node.node.id, message });
        }
        Some(refused) => {
            let mut refusals = Refusals::default();
            refusals.add(refused);
            explain(task, refusals.to_string(), plan);
        }
    }
}

fn place(tasks: &[&Arc<Task>], nodes: &mut [Candidate<'_>], plan: &mut Plan) {
    let Some(first) = tasks.first() else { return };
    let mut refusals = Refusals::default();
    for node in nodes.iter() {
        if let Some(refused) = refusal(first, node) {
            refusals.add(refused);
        }
    }
    let mut tree = Tree::new(&first.spec.placement.preferences, nodes, first);
    let mut waiting = tasks.iter();
    let places = tree.distribute(tasks.len(), nodes, first);
    for (node, task) in places.into_iter().zip(waiting.by_ref()) {
        plan.push(Step::Place { task: task.id, node, message: "scheduler assigned task to node" });
    }
    let mut left = waiting.peekable();
    if left.peek().is_none() {
        return;
    }
    // What was placed above takes up room: the reasons are those of now.
    let mut refusals_now = Refusals::default();
    nodes.iter().filter_map(|node| refusal(first, node)).for_each(|refused| refusals_now.add(refused));
    let refusals = if refusals_now.is_empty() { refusals } else { refusals_now };
    left.for_each(|task| explain(task, refusals.to_string(), plan));
}

fn explain(task: &Task, error: String, plan: &mut Plan) {
    if task.status.error != error {
        plan.push(Step::Explain { task: task.id, error });
    }
}

/// Where a task was put.
type Place = NodeId;
