//! Plans never show half a set, layouts come back as they were put, and the object is what the source gives.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::process::Command;

use proptest::prelude::*;
use shoal_proto::model::{Id, NetworkId};

use super::kernel::OBJECT;
use super::tables::{SPACE_BYTES, ServiceEntry, SlotKey, address_bytes, address_of, slot_task};
use super::{Answerers, NetworkNumber, Space, TableChange, TablePlan, VipTables};
use crate::network::firewall::ResolverPorts;

/// The maps as the kernel keeps them, in bytes.
#[derive(Debug, Default)]
struct Maps {
    services: BTreeMap<[u8; 16], [u8; 32]>,
    slots: BTreeMap<[u8; 8], [u8; 24]>,
}

impl Maps {
    fn change(&mut self, change: &TableChange) {
        match change {
            TableChange::Slot { key, task } => {
                assert!(self.slots.insert(key.bytes(), key.value(*task)).is_none(), "{change}: a reader may be there");
            }
            TableChange::SlotRemoved(key) => assert!(self.slots.remove(&key.bytes()).is_some(), "{change}"),
            TableChange::Service { address, entry } => {
                self.services.insert(address_bytes(*address), entry.value(*address));
            }
            TableChange::ServiceRemoved { address } => {
                assert!(self.services.remove(&address_bytes(*address)).is_some(), "{change}");
            }
            TableChange::Space { .. } | TableChange::SpaceRemoved { .. } => panic!("{change}"),
        }
    }

    /// What a reader finds under an address.
    fn read(&self, address: IpAddr) -> Option<(NetworkNumber, Vec<IpAddr>)> {
        let entry = ServiceEntry::of(*self.services.get(&address_bytes(address))?);
        let task = |index| {
            let key = SlotKey { set: entry.set, index };
            let value = self.slots.get(&key.bytes()).unwrap_or_else(|| panic!("{address}: {key:?} is not there"));
            assert_eq!(value[..8], key.bytes());
            slot_task(*value)
        };
        Some((entry.network, (0..entry.count).map(task).collect()))
    }

    fn found(&self) -> VipTables {
        let services = self.services.iter().map(|(key, value)| (address_of(*key), ServiceEntry::of(*value)));
        let slots = self.slots.iter().map(|(key, value)| (SlotKey::of(*key), slot_task(*value)));
        VipTables::found(services.collect(), slots.collect())
    }
}

fn answerers() -> impl Strategy<Value = Answerers> {
    let v4 = |third: u8| (1..6u8).prop_map(move |last| IpAddr::from([10, 0, third, last]));
    let v6 = (1..3u16).prop_map(|last| IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, last]));
    let network = (1..3u128).prop_map(|number| NetworkNumber::of(NetworkId::from_random(number)));
    let tasks = proptest::collection::vec(v4(2), 0..4);
    proptest::collection::btree_map(prop_oneof![v4(1), v6], (network, tasks), 0..6)
}

proptest! {
    #[test]
    fn every_moment_shows_the_old_set_or_the_new(wishes in proptest::collection::vec(answerers(), 1..5), cut in 0..20usize) {
        let (mut maps, mut told, mut old) = (Maps::default(), VipTables::default(), Answerers::new());
        for wish in wishes {
            let (plan, newer) = told.difference(&wish);
            for change in &plan.changes {
                maps.change(change);
                for address in old.keys().chain(wish.keys()) {
                    let seen = maps.read(*address);
                    prop_assert!(seen.as_ref() == old.get(address) || seen.as_ref() == wish.get(address), "{plan}");
                }
            }
            prop_assert_eq!(&newer.answerers(), &wish);
            prop_assert_eq!(&maps.found().answerers(), &wish);
            prop_assert!(maps.found().difference(&wish).0.changes.is_empty());
            prop_assert!(newer.difference(&wish).0.changes.is_empty());
            (told, old) = (newer, wish);
        }
        // A plan that was cut off is finished by the next, from what is found.
        let wish = Answerers::from([([10, 0, 1, 1].into(), (NetworkNumber::of(NetworkId::from_random(1)), vec![[10, 0, 2, 9].into()]))]);
        for change in told.difference(&wish).0.changes.iter().take(cut) {
            maps.change(change);
        }
        let (plan, newer) = maps.found().difference(&wish);
        plan.changes.iter().for_each(|change| maps.change(change));
        prop_assert_eq!(maps.found().answerers(), newer.answerers());
        prop_assert_eq!(maps.slots.len(), 1);
        prop_assert_eq!(maps.read([10, 0, 1, 1].into()), wish.get(&IpAddr::from([10, 0, 1, 1])).cloned());
    }
}

#[test]
fn a_space_is_laid_out_as_the_programs_read_it() {
    let networks: Vec<NetworkNumber> =
        (1..=16).map(|number| NetworkNumber::of(NetworkId::from_random(number))).collect();
    let space = Space { resolver: Some(ResolverPorts { udp: 0x1234, tcp: 0x5678 }), networks };
    let value = space.value();
    assert_eq!(value[..8], [0x12, 0x34, 0x56, 0x78, 16, 0, 0, 0]);
    assert_eq!((value.len(), SPACE_BYTES), (136, 136));
    assert_eq!(Space::of(value), space);
    assert_eq!(Space::of([0; SPACE_BYTES]), Space::default());
}

#[test]
fn plans_print_one_change_a_line() {
    let plan = TablePlan { changes: vec![TableChange::SpaceRemoved { cookie: 7 }] };
    assert_eq!(plan.to_string(), "forget namespace 7\n");
}

#[test]
fn the_object_is_what_the_source_gives() {
    let Ok(version) = Command::new("clang").arg("--version").output() else {
        println!("skipped: clang is not installed");
        return;
    };
    let version = String::from_utf8(version.stdout).unwrap();
    let version = version.lines().next().unwrap_or_default().trim();
    if !OBJECT.windows(version.len()).any(|part| part == version.as_bytes()) {
        println!("skipped: the object was made by another compiler than {version}");
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let made = scratch.path().join("vip.bpf.o");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/network/ebpf/program/build.sh");
    assert!(Command::new(script).arg(&made).status().unwrap().success());
    assert!(std::fs::read(made).unwrap() == OBJECT, "vip.bpf.o is not what vip.bpf.c gives: run build.sh");
}
