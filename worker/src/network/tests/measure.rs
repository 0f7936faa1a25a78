//! How fast it is. Run by hand: `cargo test -p shoal-worker --release network::tests::measure -- --ignored --nocapture`.

use std::time::Instant;

use super::fabric::{Fabric, ingress, service, task_request};
use crate::network::{Backend, PublishedService};

#[tokio::test]
#[ignore = "prints figures"]
async fn services_of_ten_tasks_each() {
    let fabric = Fabric::new(1);
    let networks = fabric.hosts[0].start_with_ingress().await;
    let tasks: Vec<u8> = (101..111).collect();
    let mut services: Vec<PublishedService> = (0..200).map(|number| service(20_000 + number, &tasks)).collect();
    let begin = Instant::now();
    networks.set_services(services.clone()).await.unwrap();
    println!("set_services, 200 services x 10 backends x 2 ports, all new: {:?}", begin.elapsed());
    for changed in 0..5 {
        let Backend { address, .. } = &mut services[changed].backends[3];
        *address = [10, 0, 0, 200].into();
        let begin = Instant::now();
        networks.set_services(services.clone()).await.unwrap();
        println!("one backend changed: {:?}", begin.elapsed());
    }
    let begin = Instant::now();
    networks.set_services(services).await.unwrap();
    println!("nothing changed: {:?}", begin.elapsed());
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
