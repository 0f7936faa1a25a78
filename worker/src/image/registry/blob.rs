//! Fetching a blob to a file: verified while it streams, resumed where it broke off.

use std::path::Path;

use http_body_util::BodyExt as _;
use hyper::{
    HeaderMap, StatusCode,
    body::Incoming,
    header::{CONTENT_RANGE, HeaderValue, RANGE},
};
use tokio::io::{AsyncSeekExt as _, AsyncWriteExt as _, BufWriter};

use super::{
    answer,
    session::{Failure, Session, pause_before},
};
use crate::image::{
    digest::{Digest, Hasher},
    error::ImageError,
    limits,
    record::Descriptor,
};

/// How a download is going.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::image) enum Step {
    /// Bytes that have arrived.
    Bytes(u64),
    /// Trying again after so many seconds.
    Retrying(u64),
    /// All is here and is compared.
    Verifying,
}

/// A file that is being filled, and the digest of what is in it.
struct Partial<'a> {
    path: &'a Path,
    file: BufWriter<tokio::fs::File>,
    hasher: Hasher,
    length: u64,
}

/// One blob that is being fetched.
struct Fetch<'a> {
    session: &'a Session,
    descriptor: &'a Descriptor,
    report: &'a (dyn Fn(Step) + Sync),
}

impl Session {
    /// Fetches a blob into a new file at `path`. The caller removes the file when this fails or is dropped.
    pub(in crate::image) async fn fetch(
        &self,
        descriptor: &Descriptor,
        path: &Path,
        report: &(dyn Fn(Step) + Sync),
    ) -> Result<(), ImageError> {
        if descriptor.size > limits::BLOB_BYTES_MAX {
            return Err(ImageError::TooLarge { what: "layer", limit: format!("{} bytes", limits::BLOB_BYTES_MAX) });
        }
        let mut partial = Partial::create(path, &descriptor.digest).await?;
        let fetch = Fetch { session: self, descriptor, report };
        let mut last = None;
        for at in 0..self.endpoints.len() {
            match fetch.from(at, &mut partial).await {
                Ok(()) => return Ok(()),
                // Another endpoint has no other disk.
                Err(error @ (ImageError::DiskFull { .. } | ImageError::Storage { .. })) => return Err(error),
                Err(error) => self.note(at, &error, &mut last),
            }
        }
        Err(last.unwrap_or(ImageError::Cancelled))
    }
}

impl Fetch<'_> {
    async fn from(&self, at: usize, partial: &mut Partial<'_>) -> Result<(), ImageError> {
        let mut attempt = 1;
        loop {
            let before = partial.length;
            let failure = match self.once(at, partial).await {
                Ok(()) => return Ok(()),
                Err(failure) => failure,
            };
            // A connection that breaks every few megabytes still gets there; one that gives nothing does not.
            if partial.length >= before.saturating_add(PROGRESS_THAT_COUNTS) {
                attempt = 1;
            }
            let Some(pause) = pause_before(attempt, failure.again) else { return Err(failure.error) };
            tracing::debug!(
                attempt,
                at = partial.length,
                error = &failure.error as &dyn std::error::Error,
                "resuming a layer"
            );
            if pause.as_secs() > 0 {
                (self.report)(Step::Retrying(pause.as_secs()));
            }
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }

    /// One request: what is missing of the blob, from where the last one broke off.
    async fn once(&self, at: usize, partial: &mut Partial<'_>) -> Result<(), Failure> {
        if partial.length < self.descriptor.size {
            let mut headers = HeaderMap::new();
            if partial.length > 0
                && let Ok(range) = HeaderValue::from_str(&format!("bytes={}-", partial.length))
            {
                headers.insert(RANGE, range);
            }
            let asked = partial.length;
            let response =
                match self.session.ask(at, self.session.blob_path(&self.descriptor.digest), headers, None).await {
                    Err(Failure { error: ImageError::Refused { status: 416, .. }, .. }) => {
                        // What we have does not fit what it has: begin anew.
                        partial.restart(&self.descriptor.digest).await.map_err(Failure::last)?;
                        return Err(Failure::passing(self.cut_off(at, asked)));
                    }
                    outcome => outcome?,
                };
            let continues = response.status() == StatusCode::PARTIAL_CONTENT
                && response
                    .headers()
                    .get(CONTENT_RANGE)
                    .and_then(|value| value.to_str().ok())
                    .is_some_and(|range| range.starts_with(&format!("bytes {asked}-")));
            if asked > 0 && !continues {
                partial.restart(&self.descriptor.digest).await.map_err(Failure::last)?;
            }
            self.receive(at, response.into_body(), partial).await?;
        }
        (self.report)(Step::Verifying);
        partial.file.flush().await.map_err(|e| Failure::last(ImageError::storage("write", partial.path, e)))?;
        let actual = partial.hasher.clone().finish();
        if actual == self.descriptor.digest {
            return Ok(());
        }
        partial.restart(&self.descriptor.digest).await.map_err(Failure::last)?;
        let (expected, actual) = (self.descriptor.digest.to_string(), actual.to_string());
        Err(Failure::corrupt(ImageError::DigestMismatch { what: "layer", expected, actual }))
    }

    async fn receive(&self, at: usize, mut body: Incoming, partial: &mut Partial<'_>) -> Result<(), Failure> {
        let registry = &self.session.endpoints[at].0.authority;
        let mut reported = partial.length;
        loop {
            let frame = match tokio::time::timeout(limits::STALL_TIMEOUT, body.frame()).await {
                Ok(Some(Ok(frame))) => frame,
                Ok(None) => break,
                Ok(Some(Err(error))) => {
                    let url = self.session.blob_path(&self.descriptor.digest);
                    return Err(Failure::passing(answer::broken(registry, &url, std::sync::Arc::new(error))));
                }
                Err(_) => {
                    let seconds = limits::STALL_TIMEOUT.as_secs();
                    let error = ImageError::Stalled { registry: registry.clone(), action: "sending a layer", seconds };
                    return Err(Failure::passing(error));
                }
            };
            let Ok(bytes) = frame.into_data() else { continue };
            if partial.length + bytes.len() as u64 > self.descriptor.size {
                let actual = partial.length + bytes.len() as u64;
                return Err(Failure::last(ImageError::SizeMismatch {
                    what: "layer",
                    expected: self.descriptor.size,
                    actual,
                }));
            }
            partial.append(&bytes).await.map_err(Failure::last)?;
            if partial.length - reported >= limits::PROGRESS_STEP_BYTES {
                reported = partial.length;
                (self.report)(Step::Bytes(reported));
            }
        }
        (self.report)(Step::Bytes(partial.length));
        if partial.length < self.descriptor.size {
            return Err(Failure::passing(self.cut_off(at, partial.length)));
        }
        Ok(())
    }

    fn cut_off(&self, at: usize, actual: u64) -> ImageError {
        tracing::debug!(registry = self.session.endpoints[at].0.authority, digest = %self.descriptor.digest, actual, "a layer was cut off");
        ImageError::SizeMismatch { what: "layer", expected: self.descriptor.size, actual }
    }
}

impl<'a> Partial<'a> {
    async fn create(path: &'a Path, digest: &Digest) -> Result<Self, ImageError> {
        let file = tokio::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).await;
        let file = file.map_err(|e| ImageError::storage("create", path, e))?;
        let file = BufWriter::with_capacity(limits::WRITE_BUFFER_BYTES, file);
        Ok(Self { path, file, hasher: Hasher::new(digest.algorithm()), length: 0 })
    }

    async fn append(&mut self, bytes: &[u8]) -> Result<(), ImageError> {
        self.file.write_all(bytes).await.map_err(|e| ImageError::storage("write", self.path, e))?;
        self.hasher.update(bytes);
        self.length += bytes.len() as u64;
        Ok(())
    }

    async fn restart(&mut self, digest: &Digest) -> Result<(), ImageError> {
        self.hasher = Hasher::new(digest.algorithm());
        self.length = 0;
        let rewind = async {
            self.file.flush().await?;
            self.file.get_mut().rewind().await?;
            self.file.get_mut().set_len(0).await
        };
        rewind.await.map_err(|e| ImageError::storage("write", self.path, e))
    }
}

/// Bytes after which a broken connection counts as having worked.
const PROGRESS_THAT_COUNTS: u64 = 1 << 20;
