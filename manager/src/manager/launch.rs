//! Puts a manager's parts together and watches over them: the driver on its thread, the server, and what ends both.

use std::net::SocketAddr;
use std::sync::Arc;

use shoal_manager_core::{ControlPlane, Leadership, Member, PlaneConfig, Restored};
use tokio::runtime::Handle;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::{Manager, ManagerEnd, ManagerError, advertised};
use crate::config::ManagerConfig;
use crate::driver::{Driver, DriverEnd, DriverState, Mailbox, View};
use crate::grpc::Door;
use crate::handle::{ManagerHandle, Shared};
use crate::leader::LeaderClient;
use crate::limits::{CHANGES_KEPT, INBOX, PEER_EVENTS};
use crate::log::FileLog;
use crate::member::MemberFile;
use crate::tls::ManagerConnector;
use crate::transport::Peers;

/// What a manager is put together from.
pub(super) struct Parts {
    pub(super) log: FileLog,
    pub(super) restored: Restored,
    pub(super) member: MemberFile,
    pub(super) door: Door,
    pub(super) address: SocketAddr,
    pub(super) stop: CancellationToken,
}

pub(super) fn launch(config: &ManagerConfig, parts: Parts) -> Result<Manager, ManagerError> {
    let Parts { log, restored, member, door, address, stop } = parts;
    let own = Member { raft_id: member.raft_id, node: config.node, address: advertised(config, address) };
    let core = ControlPlane::new(PlaneConfig::new(member.raft_id, config.node, rand::random()), restored)?;
    let connector = ManagerConnector::new(&config.tls.client);
    let (sender, inbox) = mpsc::channel(INBOX);
    let (peer_events, events) = mpsc::channel(PEER_EVENTS);
    let (view, seen) = watch::channel(View::default());
    let (leadership, leads) = watch::channel(Leadership::Follower { leader: None });
    let (changes, _) = broadcast::channel(CHANGES_KEPT);
    let handle = ManagerHandle(Arc::new(Shared {
        node: config.node,
        cluster: config.cluster,
        raft_id: member.raft_id,
        mailbox: Mailbox::new(sender),
        view: seen,
        leadership: leads,
        changes: changes.clone(),
        connector: connector.clone(),
        leader: LeaderClient::new(connector.clone()),
        logs: Arc::default(),
    }));
    let driver = Driver {
        core,
        log: Box::new(log),
        peers: Peers::new(own, connector, Handle::current(), peer_events),
        inbox,
        events,
        view,
        leadership,
        changes,
        stop: stop.clone(),
        state: DriverState::default(),
    };
    let supervisor = Supervisor { driver: drive(driver)?, door, handle: handle.clone(), stop: stop.clone() };
    Ok(Manager { handle, address, stop, supervisor: tokio::spawn(supervisor.run()) })
}

/// Runs the driver on a thread of its own, where it may block.
fn drive(driver: Driver) -> Result<oneshot::Receiver<DriverEnd>, ManagerError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(ManagerError::Thread)?;
    let (ended, end) = oneshot::channel();
    std::thread::Builder::new()
        .name("shoal-manager".to_owned())
        .spawn(move || {
            // Fails only when the supervisor is gone, and with it the one who asks.
            let _ = ended.send(runtime.block_on(driver.run()));
        })
        .map_err(ManagerError::Thread)?;
    Ok(end)
}

/// Ends the server with the driver, and the driver with the server.
struct Supervisor {
    driver: oneshot::Receiver<DriverEnd>,
    door: Door,
    handle: ManagerHandle,
    stop: CancellationToken,
}

impl Supervisor {
    async fn run(mut self) -> ManagerEnd {
        let serving = self.door.serve(self.handle);
        tokio::pin!(serving);
        let early = tokio::select! {
            end = &mut self.driver => Ok(end),
            served = &mut serving => Err(served),
        };
        self.stop.cancel();
        let (driver, served) = match early {
            Ok(end) => (end, serving.await),
            Err(served) => (self.driver.await, served),
        };
        let end = match (driver, served) {
            (Ok(DriverEnd::Demoted), _) => ManagerEnd::Demoted,
            (Ok(DriverEnd::Log(error)), _) => ManagerEnd::Failed(error.into()),
            (Err(_), _) => ManagerEnd::Failed(ManagerError::Broken),
            (Ok(DriverEnd::Stopped), Err(error)) => ManagerEnd::Failed(ManagerError::Serve(error)),
            (Ok(DriverEnd::Stopped), Ok(())) => ManagerEnd::Stopped,
        };
        match &end {
            ManagerEnd::Failed(error) => {
                tracing::error!(error = error as &dyn std::error::Error, "the manager stopped: it failed");
            }
            end => tracing::info!(?end, "the manager stopped"),
        }
        end
    }
}
