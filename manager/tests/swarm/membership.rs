//! Joining, leaving, and coming back.

use shoal_manager::{Manager, ManagerEnd, ManagerError};
use shoal_proto::model::{
    ClusterSpec, ControlErrorKind, ControlReply, ControlRequest, NodeId, NodeSpec, RaftConfig, Reachability, Role,
};

use tonic::Code;

use crate::access::{carried_renewal, control};
use crate::host::{Swarm, create, leader_of, service_names, soon};

#[tokio::test(flavor = "multi_thread")]
async fn one_manager_restarts_from_its_disk() {
    let swarm = Swarm::new();
    let mut host = swarm.bootstrap().await;
    create(&host.handle(), "web").await.unwrap();
    host.kill().await;
    host.start(&swarm).await;
    assert_eq!(service_names(&host.handle()).await, ["web"]);
    create(&host.handle(), "db").await.unwrap();
    assert!(matches!(host.manager.take().unwrap().shutdown().await, ManagerEnd::Stopped));
    host.start(&swarm).await;
    assert_eq!(service_names(&host.handle()).await, ["db", "web"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn init_twice_is_refused() {
    let swarm = Swarm::new();
    let mut host = swarm.bootstrap().await;
    host.kill().await;
    let again = Manager::bootstrap(swarm.config(&host), swarm.init()).await;
    assert!(matches!(again, Err(ManagerError::Occupied { .. })), "{again:?}");
    host.start(&swarm).await;
    host.leads().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_on_a_follower_is_carried_to_the_leader() {
    let swarm = Swarm::new();
    let hosts = swarm.three().await;
    let (leader, followers) = leader_of(&hosts);
    for follower in &followers {
        create(&hosts[*follower].handle(), &format!("from-{follower}")).await.unwrap();
    }
    assert_eq!(service_names(&hosts[leader].handle()).await.len(), 2);
    let error = create(&hosts[followers[0]].handle(), &format!("from-{}", followers[1])).await.unwrap_err();
    assert_eq!(error.kind, ControlErrorKind::Conflict, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_leaves_and_its_manager_ends() {
    let swarm = Swarm::new();
    let mut hosts = swarm.three().await;
    let (leader, followers) = leader_of(&hosts);
    let gone = hosts[followers[0]].node;
    demote(&hosts[leader].handle(), gone).await;
    let end = soon("the demoted manager", hosts[followers[0]].manager.as_mut().unwrap().ended()).await;
    assert!(matches!(end, ManagerEnd::Demoted), "{end:?}");
    let rest = hosts[leader].handle();
    soon("two members", rest.wait_for_status(|status| status.members.len() == 2)).await.unwrap();
    create(&rest, "web").await.unwrap();
    // Its certificate still says manager; the managers do not.
    let refused = control(&hosts[followers[0]].tls, &hosts[leader].address).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied, "{refused}");
    assert!(refused.message().contains("is no manager any longer"), "{refused}");
    let of_another = carried_renewal(&hosts[followers[0]].tls, &hosts[leader].address, hosts[leader].node);
    let refused = of_another.await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied, "{refused}");
    assert!(refused.message().contains("is no manager any longer"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_demoted_hands_over() {
    let swarm = Swarm::new();
    let mut hosts = swarm.three().await;
    let (leader, followers) = leader_of(&hosts);
    let gone = hosts[leader].node;
    demote(&hosts[followers[0]].handle(), gone).await;
    let end = soon("the demoted leader", hosts[leader].manager.as_mut().unwrap().ended()).await;
    assert!(matches!(end, ManagerEnd::Demoted), "{end:?}");
    create(&hosts[followers[1]].handle(), "web").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn losing_the_quorum_is_refused() {
    let swarm = Swarm::new();
    let mut hosts = swarm.three().await;
    let (leader, followers) = leader_of(&hosts);
    hosts[followers[0]].kill().await;
    let handle = hosts[leader].handle();
    soon("the loss of a member", async {
        while reachability(&handle, hosts[followers[0]].node).await != Reachability::Unreachable {}
    })
    .await;
    let error = soon("an answer", handle.remove_member(hosts[followers[1]].node)).await.unwrap_err();
    assert_eq!(error.kind, ControlErrorKind::FailedPrecondition, "{error}");
    assert!(error.message.to_lowercase().contains("quorum"), "{error}");
    create(&handle, "web").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wiped_member_catches_up_by_snapshot() {
    let raft = RaftConfig { snapshot_interval: 5, log_entries_for_slow_followers: 2, ..RaftConfig::default() };
    let swarm = Swarm::with(ClusterSpec { raft, ..ClusterSpec::default() });
    let mut hosts = swarm.three().await;
    let (leader, followers) = leader_of(&hosts);
    let wiped = followers[0];
    hosts[wiped].kill().await;
    for number in 0..20 {
        create(&hosts[leader].handle(), &format!("service-{number}")).await.unwrap();
    }
    std::fs::remove_dir_all(hosts[wiped].directory.path().join("swarm")).unwrap();
    let through = hosts[leader].address.clone();
    hosts[wiped].join(&swarm, &through).await;
    let handle = hosts[wiped].handle();
    soon("three members", handle.wait_for_status(|status| status.members.len() == 3)).await.unwrap();
    let raft_directory = hosts[wiped].directory.path().join("swarm/raft");
    let mut changes = handle.subscribe_changes();
    create(&handle, "last").await.unwrap();
    soon("the last change", async {
        loop {
            let change = changes.recv().await.unwrap();
            if format!("{change:?}").contains("\"last\"") {
                return;
            }
        }
    })
    .await;
    let has_snapshot = std::fs::read_dir(raft_directory)
        .unwrap()
        .any(|item| item.unwrap().file_name().to_string_lossy().starts_with("snapshot-"));
    assert!(has_snapshot);
    hosts[wiped].kill().await;
    hosts[wiped].start(&swarm).await;
    assert_eq!(service_names(&hosts[wiped].handle()).await.len(), 21);
}

async fn reachability(handle: &shoal_manager::ManagerHandle, node: NodeId) -> Reachability {
    let request = ControlRequest::GetNode { reference: node.to_string() };
    let (reply, _) = soon("the node", handle.call(request)).await.unwrap();
    let ControlReply::Node(view) = reply else { panic!("an answer to another question: {reply:?}") };
    view.reachability
}

async fn demote(handle: &shoal_manager::ManagerHandle, node: NodeId) {
    let reference = node.to_string();
    let (reply, _) = soon("the node", handle.call(ControlRequest::GetNode { reference })).await.unwrap();
    let ControlReply::Node(view) = reply else { panic!("an answer to another question: {reply:?}") };
    let spec = NodeSpec { role: Role::Worker, ..view.node.spec.clone() };
    let request = ControlRequest::UpdateNode { node, version: view.node.meta.version, spec };
    soon("the demotion", handle.call(request)).await.unwrap();
}
