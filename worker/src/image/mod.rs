//! Images: the store on disk, the registry client that fills it, and the folders that containers' root filesystems are
//! made of.
//!
//! In: names to pull, archives to load, container ids. Out: unpacked layers and image records. Leaves to others: the
//! overlay mount itself (runtime), when to pull (worker core), and the JSON of the Engine API (node/api).
//!
//! On disk, below the data root (folders 0700):
//!
//! ```text
//! image/content/<algorithm>/<hex>  manifests and configurations, by digest
//! image/layers/<short id>/         layer.json (chain id, diff id, size) and diff/, unpacked once
//! image/images/<hex>.json          one small file for each image
//! image/repositories.json          names to image ids
//! image/ingest/                    everything unfinished; emptied when the store opens
//! container/<id>/                  upper, work, merged, and `image`, a symbolic link whose target is the image's id
//! ```
//!
//! Invariants: content is never used before its digest was verified; what is in its place is complete (unfinished work
//! lives in `ingest`, and is renamed when synced); what no image names and no running operation leases is removed.

mod config;
mod digest;
mod error;
mod files;
#[cfg(test)]
mod fixture;
mod index;
mod install;
mod layers;
mod leases;
mod limits;
mod list;
mod load;
mod manifest;
mod platform;
mod progress;
mod pull;
mod record;
mod reference;
mod registry;
mod removal;
mod rootfs;
mod store;
mod unpack;

pub use config::{PullOptions, RegistryAuth, StoreConfig};
pub use digest::{Digest, DigestError, ImageId};
pub use error::{ErrorKind, ImageError, SharedSource};
pub use list::ImageFilters;
pub use load::Loaded;
pub use platform::{Platform, PlatformError};
pub use progress::{Counter, Progress, Status};
pub use pull::{Distribution, PulledImage};
pub use record::{ContainerConfig, Descriptor, Healthcheck, HistoryEntry, ImageRecord};
pub use reference::{Reference, ReferenceError};
pub use removal::Removed;
pub use rootfs::Rootfs;
pub use store::ImageStore;

#[cfg(test)]
mod tests;
