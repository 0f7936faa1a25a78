//! The leader goes; another takes over.

use std::time::Instant;

use shoal_manager::ManagerEnd;
use shoal_proto::model::ControlErrorKind;

use crate::host::{Swarm, create, leader_of, service_names, soon};

#[tokio::test(flavor = "multi_thread")]
async fn a_write_is_accepted_soon_after_the_leader_is_gone() {
    let swarm = Swarm::new();
    let mut hosts = swarm.three().await;
    create(&hosts[0].handle(), "before").await.unwrap();
    let (leader, followers) = leader_of(&hosts);
    hosts[leader].kill().await;
    let gone = Instant::now();
    create(&hosts[followers[0]].handle(), "after").await.unwrap();
    println!("leader gone -> next write accepted: {:?}", gone.elapsed());
    for follower in followers {
        assert_eq!(service_names(&hosts[follower].handle()).await, ["after", "before"]);
    }
    hosts[leader].start(&swarm).await;
    assert_eq!(service_names(&hosts[leader].handle()).await, ["after", "before"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orderly_stop_hands_over() {
    let swarm = Swarm::new();
    let mut hosts = swarm.three().await;
    let (leader, followers) = leader_of(&hosts);
    let stopped = Instant::now();
    let end = soon("the stop", hosts[leader].manager.take().unwrap().shutdown()).await;
    assert!(matches!(end, ManagerEnd::Stopped), "{end:?}");
    create(&hosts[followers[0]].handle(), "after").await.unwrap();
    println!("leader stopped in order -> next write accepted: {:?}", stopped.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_quorum_requests_are_refused_with_docker_s_words() {
    let swarm = Swarm::new();
    let mut hosts = swarm.three().await;
    let (leader, followers) = leader_of(&hosts);
    hosts[leader].kill().await;
    hosts[followers[0]].kill().await;
    let error = create(&hosts[followers[1]].handle(), "web").await.unwrap_err();
    assert_eq!(error.kind, ControlErrorKind::Unavailable, "{error}");
    assert!(error.message.contains("The swarm does not have a leader"), "{error}");
    hosts[leader].start(&swarm).await;
    create(&hosts[followers[1]].handle(), "web").await.unwrap();
}
