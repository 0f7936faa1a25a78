//! How others speak to the driver.

use std::sync::Arc;
use std::time::Duration;

use shoal_manager_core::{Answer, CloseReason, Input, Member, NewSwarm, RequestId};
use shoal_proto::grpc::LogsWanted;
use shoal_proto::model::{AssignmentDiff, Availability, ControlError, ControlErrorKind, ControlRequest, NodeId, Role};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::limits::REQUEST_TIMEOUT;

/// The answer to an [`Ask`], with the log index that it reflects.
pub(crate) type Replied = Result<(Answer, u64), ControlError>;

/// Said to the driver.
#[derive(Debug)]
pub(crate) enum Message {
    /// Things that happened, which need no answer.
    Inputs(Vec<Input>),
    /// A question to the plane.
    Ask { ask: Ask, reply: oneshot::Sender<Replied> },
    /// A worker's stream has opened.
    OpenSession {
        /// Always [`Input::SessionOpened`].
        opened: Input,
        events: mpsc::Sender<SessionEvent>,
    },
    /// A peer has called.
    Sender(Member),
    /// The role that a node's certificate should have now; `None` for a node that is not of the swarm.
    CertificateRole { node: NodeId, reply: oneshot::Sender<Option<Role>> },
    /// Logs of a node are wanted: its session is to say so. False when it has none that takes it now.
    WantLogs { node: NodeId, wanted: LogsWanted, reply: oneshot::Sender<bool> },
    /// Hand over leadership, then end.
    Stop,
}

/// A question to the plane.
#[derive(Debug)]
pub(crate) enum Ask {
    Control(ControlRequest),
    Bootstrap(Box<NewSwarm>),
    Admit { node: NodeId, role: Role, availability: Availability },
    Join { node: NodeId, address: String },
    Leave { node: NodeId },
}

/// Said to a worker's session.
#[derive(Debug, Clone)]
pub(crate) enum SessionEvent {
    Assign(Box<AssignmentDiff>),
    News(SessionNews),
    Logs(LogsWanted),
    Close(CloseReason),
}

/// What a worker should know of the swarm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SessionNews {
    /// host:port, the leader first.
    pub(crate) managers: Arc<[String]>,
    /// What its certificate should say.
    pub(crate) role: Role,
    pub(crate) root_pem: String,
    /// Between heartbeats.
    pub(crate) heartbeat: Duration,
}

/// The driver's letter box.
#[derive(Debug, Clone)]
pub(crate) struct Mailbox(mpsc::Sender<Message>);

/// The driver has ended.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("this manager has stopped")]
pub(crate) struct Stopped;

impl Mailbox {
    pub(crate) fn new(sender: mpsc::Sender<Message>) -> Self {
        Self(sender)
    }

    /// Waits for room, which is what slows down those who say too much.
    pub(crate) async fn send(&self, message: Message) -> Result<(), Stopped> {
        self.0.send(message).await.map_err(|_| Stopped)
    }

    /// Asks the plane of this manager and waits for its answer, for a bounded time.
    pub(crate) async fn ask(&self, ask: Ask) -> Replied {
        let (reply, answer) = oneshot::channel();
        let exchange = async {
            self.send(Message::Ask { ask, reply }).await?;
            answer.await.map_err(|_| Stopped)
        };
        match timeout(REQUEST_TIMEOUT, exchange).await {
            Ok(Ok(replied)) => replied,
            // For good, so that it is no use to ask again.
            Ok(Err(Stopped)) => Err(ControlError::new(ControlErrorKind::Internal, Stopped.to_string())),
            Err(_) => Err(ControlError::new(
                ControlErrorKind::Unavailable,
                "the managers did not agree in time, and the request may still take effect: look before making it \
                 again; make sure that more than half of the managers are online",
            )),
        }
    }

    /// Has a node's session say that logs are wanted. False when it has none that takes it now.
    pub(crate) async fn want_logs(&self, node: NodeId, wanted: LogsWanted) -> Result<bool, Stopped> {
        let (reply, answer) = oneshot::channel();
        self.send(Message::WantLogs { node, wanted, reply }).await?;
        answer.await.map_err(|_| Stopped)
    }

    /// What a node's certificate should say.
    pub(crate) async fn certificate_role(&self, node: NodeId) -> Result<Option<Role>, Stopped> {
        let (reply, answer) = oneshot::channel();
        self.send(Message::CertificateRole { node, reply }).await?;
        answer.await.map_err(|_| Stopped)
    }
}

impl Ask {
    pub(super) fn into_input(self, id: RequestId) -> Input {
        match self {
            Self::Control(request) => Input::Request { id, request },
            Self::Bootstrap(swarm) => Input::Bootstrap { id, swarm },
            Self::Admit { node, role, availability } => Input::AdmitNode { id, node, role, availability },
            Self::Join { node, address } => Input::JoinMember { id, node, address },
            Self::Leave { node } => Input::LeaveMember { id, node },
        }
    }
}
