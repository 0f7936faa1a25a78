//! Elements that come and go, gathered for one transaction.

use std::collections::BTreeMap;

use super::{Change, Element};

/// Elements by set, removals before additions: a key may move from one value to another.
#[derive(Debug, Default)]
pub(super) struct ElementBatch {
    removed: BTreeMap<&'static str, Vec<Element>>,
    added: BTreeMap<&'static str, Vec<Element>>,
}

impl ElementBatch {
    pub(super) fn removed(&mut self, set: &'static str, element: Element) {
        self.removed.entry(set).or_default().push(element);
    }

    pub(super) fn added(&mut self, set: &'static str, element: Element) {
        self.added.entry(set).or_default().push(element);
    }

    pub(super) fn changes(self) -> impl Iterator<Item = Change> {
        let removed = self.removed.into_iter().map(|(set, elements)| Change::ElementsRemoved { set, elements });
        let added = self.added.into_iter().map(|(set, elements)| Change::Elements { set, elements });
        removed.chain(added)
    }
}
