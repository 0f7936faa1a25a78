//! The certificate authority of a swarm, and what a host needs of it to join.
//!
//! It owns four things: the root ([`Root`]: made at init, signs nodes' requests), a node's own key and request
//! ([`KeyAndRequest`]), what a certificate says of its holder ([`Identity`], [`Validity`]) and the tokens that hosts show
//! to join ([`JoinToken`]). Nothing here waits, reads a clock or touches a file: times are arguments, keys and tokens are
//! returned to be stored by others. Randomness for keys comes from the operating system.
//!
//! Invariants: of a request only the public key is believed; names, roles and lifetimes are the managers' own words.
//! A token's digest covers the whole text of the root, so that nothing can be added to it on the way.

mod certificate;
mod root;
mod token;

pub(crate) use certificate::role_name;
pub use certificate::{Identity, Issuer, KeyAndRequest, Validity};
pub use root::{Issuance, Root, SWARM_CA_NAME};
pub use token::{JoinToken, TokenError, TokenSecret};

/// A certificate, key or request could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// The cryptography library failed to make a key or certificate.
    #[error("make {what}")]
    Make {
        /// Which.
        what: &'static str,
        /// What it said.
        #[source]
        source: rcgen::Error,
    },
    /// Text that should be a key, certificate or request is not.
    #[error("read {what}: PEM of one {what} is expected")]
    Read {
        /// Which.
        what: &'static str,
        /// What the parser said.
        #[source]
        source: rcgen::Error,
    },
    /// A certificate is not X.509 in DER or PEM.
    #[error("read a certificate: X.509 is expected")]
    Certificate,
    /// A certificate is X.509 but not one of a swarm's node.
    #[error("find {field} in the certificate: found '{value}'; a certificate of this swarm is expected")]
    Foreign {
        /// The part of the subject.
        field: &'static str,
        /// What it held.
        value: String,
    },
    /// A time outside of what a certificate can hold.
    #[error("write the time {nanos} ns into a certificate")]
    Time {
        /// Since the Unix epoch.
        nanos: i128,
    },
}
