//! Differences lead where they should: on a table that refuses what the kernel refuses.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use proptest::prelude::*;
use shoal_proto::model::PortProtocol;

use super::{
    Change, ElementValue, HostRules, NameRules, PortKey, ResolverPorts, Rule, SourceRange, Target, Transaction,
    TunnelGuard,
};

/// A table as the kernel keeps it.
#[derive(Debug, Default, PartialEq)]
struct Table {
    chains: BTreeMap<String, Vec<Rule>>,
    sets: BTreeMap<String, BTreeMap<String, ElementValue>>,
}

impl Table {
    fn commit(&mut self, transaction: &Transaction) {
        for change in &transaction.changes {
            self.change(change);
        }
    }

    fn change(&mut self, change: &Change) {
        match change {
            Change::Table => {}
            Change::TableRemoved => *self = Self::default(),
            Change::Chain { name, .. } => assert!(self.chains.insert(name.clone(), Vec::new()).is_none(), "{name}"),
            Change::ChainEmptied { name } => self.chains.get_mut(name).unwrap().clear(),
            Change::ChainRemoved { name } => {
                let used = self.sets.values().flat_map(BTreeMap::values);
                assert!(!used.into_iter().any(|value| *value == ElementValue::Chain(name.clone())), "{name} is in use");
                self.chains.remove(name).unwrap();
            }
            Change::Set { name, .. } => assert!(self.sets.insert((*name).to_owned(), BTreeMap::new()).is_none()),
            Change::Elements { set, elements } => {
                for element in elements {
                    if let ElementValue::Chain(chain) = &element.value {
                        assert!(self.chains.contains_key(chain), "{chain}");
                    }
                    let key = format!("{:?}", element.key);
                    let before = self.sets.get_mut(*set).unwrap().insert(key, element.value.clone());
                    assert_eq!(before, None, "{element}");
                }
            }
            Change::ElementsRemoved { set, elements } => {
                for element in elements {
                    let key = format!("{:?}", element.key);
                    assert_eq!(self.sets.get_mut(*set).unwrap().remove(&key), Some(element.value.clone()), "{element}");
                }
            }
            Change::Rule(rule) => self.chains.get_mut(&rule.chain).unwrap().push(rule.clone()),
        }
    }

    fn of_names(rules: &NameRules) -> Self {
        let mut table = Self::default();
        table.commit(&rules.whole());
        table
    }

    fn of(rules: &HostRules) -> Self {
        let mut table = Self::default();
        table.commit(&rules.whole("t"));
        table
    }
}

fn key() -> impl Strategy<Value = PortKey> {
    (prop_oneof![Just(PortProtocol::Tcp), Just(PortProtocol::Udp)], 1..6u16)
}

fn target() -> impl Strategy<Value = Target> {
    (1..5u8, 80..82u16).prop_map(|(last, port)| (Ipv4Addr::new(10, 0, 0, last), port))
}

fn host_rules() -> impl Strategy<Value = HostRules> {
    let address = prop_oneof![Just(None), Just(Some(Ipv4Addr::LOCALHOST))];
    let host_ports = proptest::collection::btree_map((address, key()), target(), 0..5);
    let services = proptest::collection::btree_map(key(), proptest::collection::vec(target(), 0..4), 0..6);
    let range = |name: &str, subnet: &str| SourceRange {
        link: name.to_owned(),
        subnet: subnet.parse().unwrap(),
        hides_clients: false,
    };
    let all = [range("a", "172.17.0.0/16"), range("b", "10.0.0.0/24")];
    let tunnel = proptest::option::of((1..3u16).prop_map(|port| TunnelGuard { device: "sw".to_owned(), port }));
    let overlay_port = proptest::option::of(1..3u16);
    let wish = (0..=2usize, any::<bool>(), host_ports, services, tunnel, overlay_port);
    wish.prop_map(move |(count, hides_clients, host_ports, services, tunnel, overlay_port)| HostRules {
        ranges: all[..count].iter().map(|range| SourceRange { hides_clients, ..range.clone() }).collect(),
        host_ports,
        services,
        tunnel,
        overlay_port,
    })
}

fn name_rules() -> impl Strategy<Value = NameRules> {
    let address = |third: u8| (1..6u8).prop_map(move |last| Ipv4Addr::new(10, 0, third, last));
    let vips = proptest::collection::btree_map(address(1), proptest::collection::vec(address(2), 0..4), 0..6);
    let resolver = proptest::option::of((1..3u16, 1..3u16).prop_map(|(udp, tcp)| ResolverPorts { udp, tcp }));
    (resolver, vips).prop_map(|(resolver, vips)| NameRules { resolver, vips })
}

proptest! {
    #[test]
    fn differences_of_names_lead_from_one_wish_to_the_next(old in name_rules(), new in name_rules()) {
        let mut table = Table::of_names(&old);
        for step in old.difference(&new) {
            table.commit(&step);
        }
        prop_assert_eq!(&table, &Table::of_names(&new));
        table.commit(&old.whole());
        prop_assert_eq!(&table, &Table::of_names(&old));
    }

    #[test]
    fn differences_lead_from_one_wish_to_the_next(old in host_rules(), new in host_rules()) {
        let mut table = Table::of(&old);
        for step in old.difference(&new, "t") {
            table.commit(&step);
        }
        prop_assert_eq!(&table, &Table::of(&new));
        // Whatever is there, the whole is built anew.
        table.commit(&old.whole("t"));
        prop_assert_eq!(&table, &Table::of(&old));
        prop_assert_eq!(old.chains().len(), table.chains.len());
    }
}
