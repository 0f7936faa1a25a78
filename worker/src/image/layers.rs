//! Unpacked layers on disk: where each lies, and putting one in its place.
//!
//! A layer is known by its chain id (its own digest and those of all layers below it), because folders that a layer
//! implies without naming them take their owner and mode from the layers below. The folder's name is short, since all
//! layers of an image must fit into the options of one mount; the whole chain id stands in `layer.json`.

use std::{
    collections::HashMap,
    fs,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use serde::{Deserialize, Serialize};

use super::{
    digest::Digest,
    error::ImageError,
    files::{self, Paths, Unfinished},
};

/// `layer.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LayerFile {
    pub(super) chain_id: Digest,
    pub(super) diff_id: Digest,
    /// Bytes of its files.
    pub(super) size: u64,
}

/// The chain ids of layers given bottom first, by the rule of the OCI image specification.
pub(super) fn chain_ids(diff_ids: &[Digest]) -> Vec<Digest> {
    let mut chain: Vec<Digest> = Vec::with_capacity(diff_ids.len());
    for diff_id in diff_ids {
        chain.push(match chain.last() {
            None => diff_id.clone(),
            Some(below) => Digest::sha256(format!("{below} {diff_id}").as_bytes()),
        });
    }
    chain
}

/// The folder of a layer.
pub(super) fn folder(paths: &Paths, chain_id: &Digest) -> PathBuf {
    paths.layers().join(short_name(chain_id))
}

/// The folder of a layer's content, for overlayfs.
pub(super) fn diff(paths: &Paths, chain_id: &Digest) -> PathBuf {
    folder(paths, chain_id).join("diff")
}

/// The layer, if it is here.
pub(super) fn find(paths: &Paths, chain_id: &Digest) -> Result<Option<LayerFile>, ImageError> {
    let path = folder(paths, chain_id).join("layer.json");
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(ImageError::storage("read", path, error)),
    };
    let damaged = |reason: String| ImageError::Damaged { path: path.clone(), reason };
    let file: LayerFile = serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
    if file.chain_id != *chain_id {
        return Err(damaged(format!("it holds layer {} where {chain_id} belongs", file.chain_id)));
    }
    Ok(Some(file))
}

/// That the layer is here.
pub(super) fn check(paths: &Paths, chain_id: &Digest) -> Result<(), ImageError> {
    let missing = || ImageError::Damaged { path: folder(paths, chain_id), reason: "the layer is missing".into() };
    let file = find(paths, chain_id)?;
    if file.is_some() && diff(paths, chain_id).is_dir() { Ok(()) } else { Err(missing()) }
}

/// Whose turn it is to make which layer: two pulls that share one must not both fetch it.
#[derive(Debug, Default)]
pub(super) struct Turns {
    by_chain: Mutex<HashMap<Digest, Weak<tokio::sync::Mutex<()>>>>,
}

impl Turns {
    /// Waits for the turn to make a layer; it ends when the value is dropped. Whoever makes a layer may wait for the
    /// turn of one below it, never of one above, so that nobody waits in a circle.
    pub(super) async fn take(&self, chain_id: &Digest) -> tokio::sync::OwnedMutexGuard<()> {
        let turn = {
            let mut by_chain = self.by_chain.lock().unwrap_or_else(PoisonError::into_inner);
            by_chain.retain(|_, turn| turn.strong_count() > 0);
            let known = by_chain.get(chain_id).and_then(Weak::upgrade);
            known.unwrap_or_else(|| {
                let turn = Arc::default();
                by_chain.insert(chain_id.clone(), Arc::downgrade(&turn));
                turn
            })
        };
        turn.lock_owned().await
    }
}

/// Puts an unpacked tree (`<unfinished>/diff`) in its place. The caller holds the layer's turn, and syncs before an image
/// names it; what no image names is removed when the store opens.
pub(super) fn place(paths: &Paths, tree: Unfinished, file: &LayerFile) -> Result<(), ImageError> {
    let description = tree.path().join("layer.json");
    let bytes = serde_json::to_vec(file).map_err(|e| ImageError::malformed("layer file", e.to_string()))?;
    fs::write(&description, bytes).map_err(|e| ImageError::storage("write", &description, e))?;
    let target = folder(paths, &file.chain_id);
    // A folder without a layer.json is not a layer: nothing can be using it.
    files::discard(&target);
    tree.place_unsynced(&target)
}

/// Sixteen letters of base 32: 80 bits, so that nobody finds a second layer for a name; collisions are noticed.
pub(super) fn short_name(chain_id: &Digest) -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let digits = u128::from_str_radix(chain_id.hex().get(..20).unwrap_or_default(), 16).unwrap_or_default();
    (0..16).rev().map(|place| char::from(LETTERS[((digits >> (place * 5)) & 31) as usize])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chain_ids_follow_the_specification() {
        let (a, b) = (Digest::sha256(b"a"), Digest::sha256(b"b"));
        let chain = chain_ids(&[a.clone(), b.clone()]);
        assert_eq!(chain, [a.clone(), Digest::sha256(format!("{a} {b}").as_bytes())]);
    }

    #[test]
    fn short_names_are_short_and_differ() {
        let names: std::collections::BTreeSet<_> =
            (0..1000u32).map(|n| short_name(&Digest::sha256(&n.to_le_bytes()))).collect();
        assert_eq!(names.len(), 1000);
        assert!(names.iter().all(|name| name.len() == 16));
    }
}
