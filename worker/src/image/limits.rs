//! Every bound of the image store and the registry client, each with its reason.

use std::time::Duration;

/// Bytes of a manifest or index; the distribution specification lets registries stop at 4 MiB.
pub(super) const MANIFEST_BYTES_MAX: u64 = 4 << 20;
/// Bytes of an image's configuration: it is held in memory, and real ones are a few KiB.
pub(super) const CONFIG_BYTES_MAX: u64 = 8 << 20;
/// Bytes of a token or an error answer: they are held in memory.
pub(super) const ANSWER_BYTES_MAX: u64 = 1 << 20;
/// Layers of one image: overlayfs stacks at most 500 lower directories.
pub(super) const LAYERS_MAX: usize = 500;
/// Entries of an index that are looked at.
pub(super) const INDEX_ENTRIES_MAX: usize = 1000;
/// Layers that one pull fetches and unpacks at a time; docker's default is 3 as well.
pub(super) const LAYERS_AT_ONCE: usize = 3;
/// Pulls that run at a time; more only share the same link and disk.
pub(super) const PULLS_AT_ONCE: usize = 8;

/// Entries of one layer: the largest real images hold some hundred thousand files.
pub(super) const LAYER_ENTRIES_MAX: u64 = 4_000_000;
/// Bytes of one layer when unpacked: larger than any real layer, smaller than a bomb.
pub(super) const LAYER_BYTES_MAX: u64 = 256 << 30;
/// Bytes of one layer's compressed form.
pub(super) const BLOB_BYTES_MAX: u64 = 256 << 30;
/// Bytes of one extended header: it is held in memory; extended attributes are at most 64 KiB each.
pub(super) const TAR_EXTENSION_BYTES_MAX: u64 = 1 << 20;
/// Parts of one path: deeper than any real tree, so that a directory chain cannot exhaust the unpacker.
pub(super) const PATH_DEPTH_MAX: usize = 512;
/// Entries of an archive given to `load`.
pub(super) const ARCHIVE_ENTRIES_MAX: usize = 100_000;

/// A connection that is not up by then is not coming: a cut-off registry must not hold a task for minutes.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// An answer's head, or its next bytes, are overdue after this.
pub(super) const STALL_TIMEOUT: Duration = Duration::from_secs(30);
/// Attempts of one request that failed in a way that may pass.
pub(super) const ATTEMPTS_MAX: u32 = 5;
/// Attempts to connect to a registry: short, since a local image may serve instead.
pub(super) const CONNECT_ATTEMPTS_MAX: u32 = 2;
/// Times that corrupt content is asked for: the line may be at fault, but a registry that has it wrong stays wrong.
pub(super) const CORRUPT_ATTEMPTS_MAX: u32 = 2;
/// First pause between attempts; doubled each time.
pub(super) const BACKOFF_FIRST: Duration = Duration::from_millis(200);
/// Longest pause between attempts.
pub(super) const BACKOFF_MAX: Duration = Duration::from_secs(5);
/// Longest pause that a registry's Retry-After is obeyed for.
pub(super) const RETRY_AFTER_MAX: Duration = Duration::from_secs(30);
/// Redirects followed for one request.
pub(super) const REDIRECTS_MAX: usize = 5;
/// Idle connections kept to one registry.
pub(super) const IDLE_CONNECTIONS_MAX: usize = 4;
/// How long an idle connection is kept.
pub(super) const IDLE_CONNECTION_TIMEOUT: Duration = Duration::from_secs(15);
/// Smallest step of a download or extraction that is reported.
pub(super) const PROGRESS_STEP_BYTES: u64 = 512 << 10;
/// Bytes gathered before they are written to disk.
pub(super) const WRITE_BUFFER_BYTES: usize = 1 << 20;
