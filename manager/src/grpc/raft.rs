//! `Raft`: consensus messages and membership, between managers only.

use std::net::IpAddr;

use bytes::{Bytes, BytesMut};
use shoal_manager_core::{Answer, Input, Member};
use shoal_proto::grpc::raft_server::Raft;
use shoal_proto::grpc::{
    JoinReply, JoinRequest, LeaveReply, LeaveRequest, RaftBatch, RaftDone, RaftMember, SnapshotChunk,
};
use shoal_proto::model::{NodeId, Role};
use tokio::sync::watch;
use tokio::time::timeout;
use tonic::{Code, Request, Response, Status, Streaming, async_trait};

use super::authority::{parse_node, refusal};
use super::{Services, deadline, removed, within};
use crate::driver::{Ask, Message};
use crate::leader::FORWARDED;
use crate::limits::{DIAL_BACK_TIMEOUT, REQUEST_TIMEOUT, SNAPSHOT_BYTES, SNAPSHOT_TIMEOUT};

#[async_trait]
impl Raft for Services {
    async fn deliver(&self, request: Request<Streaming<RaftBatch>>) -> Result<Response<RaftDone>, Status> {
        let caller = self.peer(&request).await?;
        let mut batches = request.into_inner();
        let (sender, named) = watch::channel(None);
        let receive = async {
            while let Some(batch) = batches.message().await? {
                if let Some(member) = batch.sender {
                    sender.send_replace(Some(member.raft_id));
                    self.learn(member, caller).await?;
                } else if sender.borrow().is_none() {
                    return Err(Status::invalid_argument("the first batch must name its sender"));
                }
                let inputs = batch.messages.into_iter();
                let inputs = inputs.map(|message| Input::RaftMessage { message, snapshot: None }).collect();
                self.feed(inputs).await?;
            }
            Ok(Response::new(RaftDone {}))
        };
        tokio::select! {
            () = self.stop.cancelled() => Err(Status::unavailable("this manager stops")),
            refusal = self.removal(named) => Err(refusal),
            done = receive => done,
        }
    }

    async fn install(&self, request: Request<Streaming<SnapshotChunk>>) -> Result<Response<RaftDone>, Status> {
        self.peer(&request).await?;
        let receive = within(SNAPSHOT_TIMEOUT, async {
            let (message, data) = collect(request.into_inner()).await?;
            self.feed(vec![Input::RaftMessage { message, snapshot: Some(data) }]).await?;
            Ok(Response::new(RaftDone {}))
        });
        tokio::select! {
            () = self.stop.cancelled() => Err(Status::unavailable("this manager stops")),
            done = receive => done,
        }
    }

    async fn join(&self, request: Request<JoinRequest>) -> Result<Response<JoinReply>, Status> {
        let (caller, from) = self.standing_manager(&request).await?;
        let longest = deadline(&request, REQUEST_TIMEOUT);
        within(longest, async {
            let carried = request.metadata().contains_key(FORWARDED);
            let leader = self.leader_for(&request).await?;
            let mut asked = request.into_inner();
            let node = subject(&asked.node_id, caller, carried)?;
            asked.address = reachable_address(&asked.address, from.remote.ip())?;
            if let Some(leader) = leader {
                return self.manager.leader().join(&leader, asked, longest).await.map(Response::new);
            }
            self.dial_back(node, &asked.address).await?;
            match self.manager.mailbox().ask(Ask::Join { node, address: asked.address }).await {
                Ok((Answer::Joined { raft_id, members }, _)) => {
                    Ok(Response::new(JoinReply { raft_id, members: members.into_iter().map(raft_member).collect() }))
                }
                Ok(_) => Err(Status::internal("the answer is to another question")),
                Err(error) => Err(refusal(error)),
            }
        })
        .await
    }

    async fn leave(&self, request: Request<LeaveRequest>) -> Result<Response<LeaveReply>, Status> {
        self.standing_manager(&request).await?;
        let longest = deadline(&request, REQUEST_TIMEOUT);
        within(longest, async {
            let leader = self.leader_for(&request).await?;
            let asked = request.into_inner();
            let node = parse_node(&asked.node_id)?;
            if let Some(leader) = leader {
                return self.manager.leader().leave(&leader, asked, longest).await.map(Response::new);
            }
            match self.manager.mailbox().ask(Ask::Leave { node }).await {
                Ok((Answer::Left, _)) => Ok(Response::new(LeaveReply {})),
                Ok(_) => Err(Status::internal("the answer is to another question")),
                Err(error) => Err(refusal(error)),
            }
        })
        .await
    }
}

impl Services {
    /// A manager that takes part. Only the leader's records are new enough to tell who does not: one that lags may know
    /// less than the manager that brings it the log.
    async fn peer<T>(&self, request: &Request<T>) -> Result<NodeId, Status> {
        if self.manager.view().is_leader() {
            let standing = self.standing_manager(request).await;
            return standing.map(|(node, _)| node).map_err(|status| match status.code() {
                Code::PermissionDenied => not_a_member(status.message()),
                _ => status,
            });
        }
        self.manager(request).map(|(node, _)| node)
    }

    async fn feed(&self, inputs: Vec<Input>) -> Result<(), Status> {
        let stopped = |_| Status::unavailable("this manager has stopped");
        self.manager.mailbox().send(Message::Inputs(inputs)).await.map_err(stopped)
    }

    /// Ends when this manager leads and the sender is no member: nobody else tells a manager that was taken out.
    async fn removal(&self, mut named: watch::Receiver<Option<u64>>) -> Status {
        let Ok(Some(raft_id)) = named.wait_for(Option::is_some).await.map(|named| *named) else {
            return std::future::pending().await;
        };
        if self.manager.wait_until_removed(raft_id).await.is_none() {
            return std::future::pending().await;
        }
        not_a_member("this manager is no member of the consensus")
    }

    async fn learn(&self, sender: RaftMember, caller: NodeId) -> Result<(), Status> {
        let node = subject(&sender.node_id, caller, false)?;
        let member = Member { raft_id: sender.raft_id, node, address: sender.address };
        let stopped = |_| Status::unavailable("this manager has stopped");
        self.manager.mailbox().send(Message::Sender(member)).await.map_err(stopped)
    }

    /// A member that nobody reaches would cost the others their quorum, so it is called before it is one.
    async fn dial_back(&self, node: NodeId, address: &str) -> Result<(), Status> {
        let unreachable = |reason: String| {
            Status::failed_precondition(format!(
                "could not reach node {node} back at {address}: {reason}; check --advertise-addr and that the port is open"
            ))
        };
        let answered = timeout(DIAL_BACK_TIMEOUT, self.manager.connector().identify(address)).await;
        let identity = answered.map_err(|_| unreachable("nobody answers".to_owned()))?;
        let identity = identity.map_err(|error| unreachable(chain(&error)))?;
        if identity.node != node || identity.role != Role::Manager || identity.cluster != self.manager.cluster() {
            return Err(unreachable(format!("node {} answers there", identity.node)));
        }
        Ok(())
    }
}

/// The leader's refusal to a manager that is no member.
fn not_a_member(text: &str) -> Status {
    removed(Status::permission_denied(text))
}

/// Who speaks: the caller itself, unless a manager carries the request.
fn subject(named: &str, caller: NodeId, carried: bool) -> Result<NodeId, Status> {
    let named = parse_node(named)?;
    if named == caller || carried {
        Ok(named)
    } else {
        Err(Status::permission_denied(format!("node {caller} can't speak for node {named}")))
    }
}

/// host:port with a host of all zeros replaced by where the call came from.
fn reachable_address(address: &str, observed: IpAddr) -> Result<String, Status> {
    let refused = || {
        Status::invalid_argument(format!("invalid address '{address}': host:port is expected, as in 192.0.2.1:2377"))
    };
    let (host, port) = address.rsplit_once(':').ok_or_else(refused)?;
    let port: u16 = port.parse().map_err(|_| refused())?;
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<IpAddr>() {
        Ok(ip) if ip.is_unspecified() => Ok(std::net::SocketAddr::new(observed.to_canonical(), port).to_string()),
        Ok(ip) => Ok(std::net::SocketAddr::new(ip, port).to_string()),
        Err(_) if host.is_empty() => Err(refused()),
        Err(_) => Ok(address.to_owned()),
    }
}

async fn collect(mut chunks: Streaming<SnapshotChunk>) -> Result<(Bytes, Bytes), Status> {
    let mut message = Bytes::new();
    let mut data = BytesMut::new();
    while let Some(chunk) = chunks.message().await? {
        if message.is_empty() {
            message = chunk.message;
        }
        if data.len() + chunk.data.len() > SNAPSHOT_BYTES {
            return Err(Status::resource_exhausted(format!("the snapshot is over {SNAPSHOT_BYTES} bytes")));
        }
        data.extend_from_slice(&chunk.data);
        if chunk.last {
            return Ok((message, data.freeze()));
        }
    }
    Err(Status::data_loss("the snapshot ended before its last chunk"))
}

fn raft_member(member: Member) -> RaftMember {
    RaftMember { raft_id: member.raft_id, node_id: member.node.to_string(), address: member.address }
}

/// An error with its sources, for a message that crosses to another host.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_a_zero_host() {
        let observed: IpAddr = "::ffff:192.0.2.7".parse().unwrap();
        let address = |text| reachable_address(text, observed).map_err(|status| status.code());
        assert_eq!(address("0.0.0.0:2377").unwrap(), "192.0.2.7:2377");
        assert_eq!(address("[::]:2377").unwrap(), "192.0.2.7:2377");
        assert_eq!(address("192.0.2.1:2377").unwrap(), "192.0.2.1:2377");
        assert_eq!(address("[2001:db8::1]:2377").unwrap(), "[2001:db8::1]:2377");
        assert_eq!(address("manager:2377").unwrap(), "manager:2377");
        for bad in ["", "192.0.2.1", ":2377", "192.0.2.1:port"] {
            assert_eq!(address(bad).unwrap_err(), Code::InvalidArgument, "{bad}");
        }
    }
}
