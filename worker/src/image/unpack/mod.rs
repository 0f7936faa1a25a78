//! Unpacking layers: from compressed bytes to a folder that overlayfs can stack.
//!
//! Owns reading tar, choosing the decompressor, and making files so that no entry reaches outside its folder. Leaves
//! downloading, verifying compressed bytes, and putting the result in its place to others. Blocking throughout.
//!
//! Invariants: every path is resolved by openat2 beneath the layer's folder and through no symbolic link; entries are
//! only ever created, never opened for writing after somebody else made them; counts and sizes are bounded.

mod apply;
mod beneath;
mod compression;
mod implied;
mod tarball;

pub(super) use apply::{Unpacked, unpack};
pub(super) use compression::{Compression, decoder};
pub(super) use implied::adopt;
pub(super) use tarball::{Kind, TarError, TarReader};

#[cfg(test)]
mod tests;
