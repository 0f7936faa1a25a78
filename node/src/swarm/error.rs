//! Why membership could not change.

use shoal_manager::ManagerError;
use shoal_manager::ca::CaError;

use super::address::AddressError;
use super::state::StateError;
use crate::identity::{EnrollError, FilesError, TlsError};

/// Why membership could not change.
#[derive(Debug, thiserror::Error)]
pub enum SwarmError {
    /// This node is in a swarm.
    #[error("This node is already part of a swarm: leave it first (swarm leave) if it should belong to another one")]
    Member,
    /// This node is in no swarm.
    #[error("This node is not part of a swarm")]
    NotMember,
    /// A parameter can't be used.
    #[error("invalid value '{value}' for {field}: {remedy}")]
    Parameter {
        /// The flag.
        field: &'static str,
        /// What was said.
        value: String,
        /// What is expected.
        remedy: &'static str,
    },
    /// An address can't be used.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// No manager of those named let this node in.
    #[error(transparent)]
    Enroll(#[from] EnrollError),
    /// No manager was named.
    #[error("at least 1 RemoteAddr is required to join")]
    NoRemote,
    /// Certificates could not be made.
    #[error(transparent)]
    Certificate(#[from] CaError),
    /// Certificates could not be kept.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// Certificates could not be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The memory of the swarm could not be kept.
    #[error(transparent)]
    State(#[from] StateError),
    /// The manager's key could not be kept.
    #[error("failed to keep the key of the manager's log")]
    DataKey(#[source] std::io::Error),
    /// The manager could not run.
    #[error(transparent)]
    Manager(#[from] ManagerError),
    /// The worker could not follow.
    #[error("failed to put the worker to the swarm's service")]
    Worker(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The daemon is ending.
    #[error("shoald is shutting down")]
    Ending,
}

impl SwarmError {
    /// Whether the request itself is at fault, whatever the state.
    #[must_use]
    pub fn is_request(&self) -> bool {
        match self {
            Self::Parameter { .. } | Self::Address(_) | Self::NoRemote => true,
            Self::Enroll(error) => {
                matches!(error, EnrollError::Token(_) | EnrollError::Address(_) | EnrollError::Refused(_))
            }
            _ => false,
        }
    }
}
