//! What somebody else changed in the kernel is found, told, and made good.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::fabric::{Fabric, connect, ingress, serve, service, task_address, task_request, within};
use super::names::{Stage, VIP};
use crate::network::ebpf::{TableChange, TablePlan, VipPrograms};
use crate::network::{NetworkConfig, Networks, VipTranslation};

fn nft(namespace: &Path, arguments: &[&str]) -> String {
    let output = within(namespace, || Command::new("nft").args(arguments).output().unwrap());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn published_ports_and_hosts_of_addresses() {
    let fabric = Fabric::new(2);
    let (host, client) = (&fabric.hosts[0], &fabric.hosts[1]);
    // Nothing is found but when it is asked for.
    let config = NetworkConfig { verify_period: Duration::from_secs(3600), ..host.config() };
    let networks = within(&host.namespace, move || Networks::start(config).unwrap());
    networks.ensure_network(host.ingress_wish()).await.unwrap();
    serve(&networks.create_endpoint(task_request(101)).await.unwrap(), "task101");
    networks.set_peers(ingress(), vec![client.peer(&[task_address(103)])]).await.unwrap();
    networks.set_services(vec![service(8080, &[101])], Vec::new()).await.unwrap();
    assert_eq!(networks.verify().await.unwrap(), Vec::<String>::new());

    let listed = nft(&host.namespace, &["list", "tables"]);
    let table = listed.split_whitespace().find(|word| word.starts_with("shoal")).unwrap();
    nft(&host.namespace, &["delete", "element", "inet", table, "services", "{ tcp . 8080 }"]);
    let links = host.ip("-br link");
    let tunnel = links.split_whitespace().find(|word| word.starts_with("sx")).unwrap();
    let arguments = ["fdb", "del", "02:42:0a:00:00:67", "dev", tunnel, "dst", "192.168.77.2", "self"];
    let removed = within(&host.namespace, || Command::new("bridge").args(arguments).status().unwrap());
    assert!(removed.success());

    let found = networks.verify().await.unwrap();
    assert!(
        found.contains(&"published port 8080/tcp: shows nothing, should show 10.0.0.101:80".to_owned()),
        "{found:?}"
    );
    assert!(found.contains(&"host of 10.0.0.103: shows nothing, should show 192.168.77.2".to_owned()), "{found:?}");
    assert_eq!(networks.verify().await.unwrap(), Vec::<String>::new());
    within(&client.namespace, || connect((host.address(), 8080).into()).unwrap());
}

async fn virtual_addresses(translation: VipTranslation, expected: &str) {
    let stage = Stage::new(translation).await;
    assert_eq!(stage.networks.verify().await.unwrap(), Vec::<String>::new());
    if translation == VipTranslation::Ebpf {
        let mut programs = VipPrograms::open(&stage.host().exec_root).unwrap();
        programs.perform(&TablePlan { changes: vec![TableChange::ServiceRemoved { address: VIP.into() }] }).unwrap();
    } else {
        nft(&stage.client, &["delete", "element", "inet", "shoal-names", "vips", &format!("{{ {VIP} }}")]);
    }
    assert_eq!(stage.networks.verify().await.unwrap(), [expected]);
    assert_eq!(stage.networks.verify().await.unwrap(), Vec::<String>::new());
    assert_eq!(stage.answers(30).len(), 3);
}

#[tokio::test]
async fn virtual_addresses_by_programs() {
    let expected = "virtual address 10.91.1.2: shows nothing, should show 10.91.1.11 10.91.1.12 10.91.1.13";
    virtual_addresses(VipTranslation::Ebpf, expected).await;
}

#[tokio::test]
async fn virtual_addresses_by_rules() {
    let expected =
        "virtual address 10.91.1.2 in container client: shows nothing, should show 10.91.1.11 10.91.1.12 10.91.1.13";
    virtual_addresses(VipTranslation::Nftables, expected).await;
}
