//! How model types are written inside envelopes, in the log and on disk: MessagePack with field names.
//!
//! Field names make old readers skip what they do not know and new readers default what is missing, which is what lets
//! managers of neighbouring versions share a log.

use serde::{Serialize, de::DeserializeOwned};

/// The bytes were not the type that they were read as.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// A value refused to serialise (a map key or number that MessagePack cannot carry).
    #[error("failed to encode {kind}")]
    Encode {
        /// The Rust type that was written.
        kind: &'static str,
        /// What the encoder said.
        #[source]
        source: Box<rmp_serde::encode::Error>,
    },
    /// Truncated, foreign or corrupt bytes.
    #[error("failed to decode {kind} from {length} bytes")]
    Decode {
        /// The Rust type that was read.
        kind: &'static str,
        /// How many bytes there were.
        length: usize,
        /// What the decoder said.
        #[source]
        source: Box<rmp_serde::decode::Error>,
    },
}

/// Writes `value` as MessagePack with field names.
///
/// # Errors
/// [`CodecError::Encode`] when the value holds what MessagePack cannot carry.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, CodecError> {
    rmp_serde::to_vec_named(value)
        .map_err(|source| CodecError::Encode { kind: std::any::type_name::<T>(), source: Box::new(source) })
}

/// Reads a value that [`encode`] wrote, by this version or a neighbouring one.
///
/// # Errors
/// [`CodecError::Decode`] on truncated or foreign bytes, and on bytes left over.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    rmp_serde::from_slice(bytes).map_err(|source| CodecError::Decode {
        kind: std::any::type_name::<T>(),
        length: bytes.len(),
        source: Box::new(source),
    })
}
