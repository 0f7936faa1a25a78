//! How fast it is. Run by hand: `cargo test -p shoal-worker --release network::tests::measure -- --ignored --nocapture`.

use std::time::Instant;

use super::fabric::{Fabric, ingress, service, task_request};
use crate::network::{Backend, NetworkPlanInput, Peer, PublishedService};

#[tokio::test]
#[ignore = "prints figures"]
async fn services_of_ten_tasks_each() {
    let fabric = Fabric::new(1);
    let networks = fabric.hosts[0].start_with_ingress().await;
    let tasks: Vec<u8> = (101..111).collect();
    let mut services: Vec<PublishedService> = (0..200).map(|number| service(20_000 + number, &tasks)).collect();
    let begin = Instant::now();
    networks.set_services(services.clone(), Vec::new()).await.unwrap();
    println!("set_services, 200 services x 10 backends x 2 ports, all new: {:?}", begin.elapsed());
    for changed in 0..5 {
        let Backend { address, .. } = &mut services[changed].backends[3];
        *address = [10, 0, 0, 200].into();
        let begin = Instant::now();
        networks.set_services(services.clone(), Vec::new()).await.unwrap();
        println!("one backend changed: {:?}", begin.elapsed());
    }
    let begin = Instant::now();
    networks.set_services(services, Vec::new()).await.unwrap();
    println!("nothing changed: {:?}", begin.elapsed());
    networks.teardown().await.unwrap();
}

#[tokio::test]
#[ignore = "prints figures"]
async fn peers_of_a_large_swarm() {
    let fabric = Fabric::new(1);
    let networks = fabric.hosts[0].start();
    let wish = NetworkPlanInput { subnet: "10.0.0.0/16".parse().unwrap(), ..fabric.hosts[0].ingress_wish() };
    networks.ensure_network(wish).await.unwrap();
    let mut peers: Vec<Peer> = (1..=100u8)
        .map(|host| Peer {
            host: [192, 168, 77, 100 + host].into(),
            addresses: (0..10).map(|task| [10, 0, host, task].into()).collect(),
            tunnel: None,
        })
        .collect();
    for what in ["all new", "none changed"] {
        let begin = Instant::now();
        networks.set_peers(ingress(), peers.clone()).await.unwrap();
        println!("set_peers, 100 hosts x 10 addresses, {what}: {:?}", begin.elapsed());
    }
    peers.truncate(99);
    let begin = Instant::now();
    networks.set_peers(ingress(), peers).await.unwrap();
    println!("set_peers, one host of 10 addresses gone: {:?}", begin.elapsed());
    networks.teardown().await.unwrap();
}

#[tokio::test]
#[ignore = "prints figures"]
async fn endpoints() {
    let fabric = Fabric::new(1);
    let networks = fabric.hosts[0].start_with_ingress().await;
    for (what, interfaces) in [("bridge", 1), ("bridge and ingress", 2)] {
        let request = |number: u8| {
            let mut request = task_request(number);
            request.attachments.truncate(interfaces);
            request
        };
        let begin = Instant::now();
        for number in 101..201 {
            networks.create_endpoint(request(number)).await.unwrap();
        }
        println!("create_endpoint ({what}), 100 in a row: {:?} each", begin.elapsed() / 100);
        let begin = Instant::now();
        for number in 101..201 {
            networks.remove_endpoint(&format!("task{number}")).await.unwrap();
        }
        println!("remove_endpoint ({what}), 100 in a row: {:?} each", begin.elapsed() / 100);
    }
    networks.remove_network(ingress()).await.unwrap();
    networks.teardown().await.unwrap();
}
