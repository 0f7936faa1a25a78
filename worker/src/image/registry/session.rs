//! One conversation with a registry about one repository: its endpoints in order, its token, and retries.

use std::{net::IpAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use hyper::{
    HeaderMap, Response, StatusCode,
    body::Incoming,
    header::{ACCEPT, CONTENT_TYPE, HeaderValue},
};
use rand::Rng as _;
use tokio::sync::Mutex;

use super::{
    answer::{self, Refusal},
    auth::{Asker, Authorization, Challenge},
    transport::{Ask, Endpoint, NoAnswer, Transport},
};
use crate::image::{
    config::{RegistryAuth, RegistryPolicy, host_of},
    digest::Digest,
    error::ImageError,
    limits,
    reference::Reference,
};

/// A conversation about one repository.
#[derive(Debug)]
pub(in crate::image) struct Session {
    transport: Arc<Transport>,
    policy: Arc<RegistryPolicy>,
    repository: String,
    familiar: String,
    auth: Option<RegistryAuth>,
    /// Mirrors first, the registry last.
    pub(super) endpoints: Vec<(Endpoint, Mutex<Option<Authorization>>)>,
}

/// A manifest or index as it came, verified.
#[derive(Debug, Clone)]
pub(in crate::image) struct Content {
    pub(in crate::image) media_type: String,
    pub(in crate::image) digest: Digest,
    pub(in crate::image) bytes: Bytes,
}

/// What to do after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    Never,
    /// Up to so many attempts in all, the next one after so long, if the registry said.
    Upto(u32, Option<Duration>),
}

/// A failure, and whether to try again.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: ImageError,
    pub(super) again: Again,
}

impl Failure {
    pub(super) fn last(error: ImageError) -> Self {
        Self { error, again: Again::Never }
    }

    pub(super) fn corrupt(error: ImageError) -> Self {
        Self { error, again: Again::Upto(limits::CORRUPT_ATTEMPTS_MAX, None) }
    }

    pub(super) fn passing(error: ImageError) -> Self {
        Self { error, again: Again::Upto(limits::ATTEMPTS_MAX, None) }
    }
}

impl From<ImageError> for NoAnswer {
    fn from(error: ImageError) -> Self {
        Self::other(error)
    }
}

impl From<NoAnswer> for Failure {
    fn from(failure: NoAnswer) -> Self {
        let attempts = if failure.at_connect { limits::CONNECT_ATTEMPTS_MAX } else { limits::ATTEMPTS_MAX };
        let passing = matches!(
            failure.error,
            ImageError::Unreachable { .. } | ImageError::Stalled { .. } | ImageError::RateLimited { .. }
        ) || matches!(failure.error, ImageError::Refused { status, .. } if status >= 500);
        Self { error: failure.error, again: if passing { Again::Upto(attempts, None) } else { Again::Never } }
    }
}

impl Session {
    /// Begins a conversation about the reference's repository.
    pub(in crate::image) async fn new(
        transport: Arc<Transport>,
        policy: Arc<RegistryPolicy>,
        reference: &Reference,
        auth: Option<RegistryAuth>,
    ) -> Self {
        let registry = reference.registry();
        let addresses = if policy.needs_addresses() { addresses_of(registry).await } else { Vec::new() };
        let own = Endpoint::of_registry(registry, &policy, &addresses);
        let mirrors: Vec<Endpoint> =
            if registry == "docker.io" { Endpoint::of_mirrors(&policy).collect() } else { Vec::new() };
        let given = auth.as_ref().and_then(|auth| {
            (!auth.registry_token.is_empty()).then(|| Authorization::bearer(&auth.registry_token)).flatten()
        });
        let mut endpoints: Vec<_> = mirrors.into_iter().map(|mirror| (mirror, Mutex::new(None))).collect();
        endpoints.push((own, Mutex::new(given)));
        let (repository, familiar) = (reference.repository().to_owned(), reference.familiar_name());
        Self { transport, policy, repository, familiar, auth, endpoints }
    }

    /// The manifest or index of a tag or digest, from the first endpoint that has it; also which one that was.
    pub(in crate::image) async fn manifest(&self, reference: &Reference) -> Result<Content, ImageError> {
        let mut last = None;
        for at in 0..self.endpoints.len() {
            match self.retrying(|| self.manifest_at(at, reference)).await {
                Ok(content) => return Ok(content),
                Err(error) => self.note(at, &error, &mut last),
            }
        }
        Err(last.unwrap_or(ImageError::Cancelled))
    }

    async fn manifest_at(&self, at: usize, reference: &Reference) -> Result<Content, Failure> {
        let registry = self.endpoints[at].0.authority.as_str();
        let wanted = match (reference.digest(), reference.tag()) {
            (Some(digest), _) => digest.as_str(),
            (None, Some(tag)) => tag,
            (None, None) => "latest",
        };
        let mut headers = HeaderMap::new();
        for media_type in super::super::manifest::MEDIA_TYPES {
            headers.append(ACCEPT, HeaderValue::from_static(media_type));
        }
        let path = format!("/v2/{}/manifests/{wanted}", self.repository);
        let familiar = reference.familiar();
        let response = self.ask(at, path, headers, Some(&familiar)).await?;
        let stated = response
            .headers()
            .get("docker-content-digest")
            .and_then(|value| value.to_str().ok()?.parse::<Digest>().ok());
        let media_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let media_type = media_type.split(';').next().unwrap_or_default().trim().to_owned();
        let bytes = answer::read(registry, "manifest", response.into_body(), limits::MANIFEST_BYTES_MAX).await;
        let bytes = bytes.map_err(|error| Failure::from(NoAnswer::from(error)))?;
        let digest = match reference.digest().cloned().or(stated) {
            Some(expected) if !expected.verifies(&bytes) => {
                let actual = Digest::sha256(&bytes).to_string();
                return Err(Failure::corrupt(ImageError::DigestMismatch {
                    what: "manifest",
                    expected: expected.to_string(),
                    actual,
                }));
            }
            Some(expected) => expected,
            None => Digest::sha256(&bytes),
        };
        Ok(Content { media_type, digest, bytes })
    }

    /// Content that is held in memory: an image's configuration.
    pub(in crate::image) async fn small_blob(
        &self,
        what: &'static str,
        digest: &Digest,
        size: u64,
    ) -> Result<Bytes, ImageError> {
        if size > limits::CONFIG_BYTES_MAX {
            return Err(ImageError::TooLarge { what, limit: format!("{} bytes", limits::CONFIG_BYTES_MAX) });
        }
        let mut last = None;
        for at in 0..self.endpoints.len() {
            match self.retrying(|| self.small_blob_at(at, what, digest)).await {
                Ok(bytes) => return Ok(bytes),
                Err(error) => self.note(at, &error, &mut last),
            }
        }
        Err(last.unwrap_or(ImageError::Cancelled))
    }

    async fn small_blob_at(&self, at: usize, what: &'static str, digest: &Digest) -> Result<Bytes, Failure> {
        let response = self.ask(at, self.blob_path(digest), HeaderMap::new(), None).await?;
        let registry = &self.endpoints[at].0.authority;
        let bytes = answer::read(registry, what, response.into_body(), limits::CONFIG_BYTES_MAX).await;
        let bytes = bytes.map_err(|error| Failure::from(NoAnswer::from(error)))?;
        if !digest.verifies(&bytes) {
            let (expected, actual) = (digest.to_string(), Digest::sha256(&bytes).to_string());
            return Err(Failure::corrupt(ImageError::DigestMismatch { what, expected, actual }));
        }
        Ok(bytes)
    }

    pub(super) fn blob_path(&self, digest: &Digest) -> String {
        format!("/v2/{}/blobs/{digest}", self.repository)
    }

    /// Keeps the error that tells most: the registry's own rather than a mirror's.
    pub(super) fn note(&self, at: usize, error: &ImageError, last: &mut Option<ImageError>) {
        let endpoint = &self.endpoints[at].0;
        if endpoint.is_mirror {
            tracing::warn!(
                mirror = endpoint.authority,
                error = error as &dyn std::error::Error,
                "a mirror failed; asking the next"
            );
        }
        *last = Some(error.clone());
    }

    /// Sends a request to one endpoint, with its authorization, which is got anew when it is refused.
    pub(super) async fn ask(
        &self,
        at: usize,
        path: String,
        headers: HeaderMap,
        wanted: Option<&str>,
    ) -> Result<Response<Incoming>, Failure> {
        let (endpoint, slot) = &self.endpoints[at];
        let mut used = slot.lock().await.clone();
        let mut ask = Ask { path, headers };
        let mut answered = false;
        loop {
            if let Some(authorization) = &used {
                authorization.apply(&mut ask.headers);
            }
            let response = self.transport.send(endpoint, &self.policy, &ask).await?;
            if response.status().is_success() {
                return Ok(response);
            }
            let challenge = Challenge::of(response.headers());
            let refusal = Refusal::read(&endpoint.authority, response).await;
            if let (StatusCode::UNAUTHORIZED, Some(challenge), false) = (refusal.status, challenge, answered) {
                answered = true;
                used = self.authorize(at, &challenge, used).await?;
                if used.is_some() {
                    continue;
                }
            }
            return Err(self.refused(endpoint, &refusal, &ask, wanted));
        }
    }

    /// Answers a challenge once for all requests that meet it at the same time.
    async fn authorize(
        &self,
        at: usize,
        challenge: &Challenge,
        used: Option<Authorization>,
    ) -> Result<Option<Authorization>, Failure> {
        let (endpoint, slot) = &self.endpoints[at];
        let mut current = slot.lock().await;
        if *current != used {
            return Ok(current.clone());
        }
        let asker = Asker {
            transport: &self.transport,
            policy: &self.policy,
            registry: &endpoint.authority,
            repository: &self.repository,
            auth: self.auth.as_ref().filter(|_| !endpoint.is_mirror),
        };
        *current = asker.answer(challenge).await?;
        Ok(current.clone())
    }

    fn refused(&self, endpoint: &Endpoint, refusal: &Refusal, ask: &Ask, wanted: Option<&str>) -> Failure {
        let request = format!("GET {}", ask.path);
        let error = match refusal.status.as_u16() {
            401 if self.auth.is_some() && !endpoint.is_mirror => {
                ImageError::Unauthorized { registry: endpoint.authority.clone(), detail: refusal.detail.clone() }
            }
            _ => refusal.error(&endpoint.authority, &self.familiar, &request, wanted),
        };
        let again =
            if refusal.is_transient() { Again::Upto(limits::ATTEMPTS_MAX, refusal.retry_after) } else { Again::Never };
        Failure { error, again }
    }

    /// Repeats an operation while its failures may pass.
    pub(super) async fn retrying<T, F: Future<Output = Result<T, Failure>>>(
        &self,
        operation: impl Fn() -> F,
    ) -> Result<T, ImageError> {
        let mut attempt = 1;
        loop {
            let failure = match operation().await {
                Ok(value) => return Ok(value),
                Err(failure) => failure,
            };
            match pause_before(attempt, failure.again) {
                Some(pause) => {
                    tracing::debug!(
                        attempt,
                        ?pause,
                        error = &failure.error as &dyn std::error::Error,
                        "asking the registry again"
                    );
                    tokio::time::sleep(pause).await;
                }
                None => return Err(failure.error),
            }
            attempt += 1;
        }
    }
}

/// How long to wait after the given failed attempt; `None` when it was the last.
pub(super) fn pause_before(attempt: u32, again: Again) -> Option<Duration> {
    match again {
        Again::Upto(attempts, asked) if attempt < attempts => {
            let doubled = limits::BACKOFF_FIRST.saturating_mul(1 << (attempt - 1).min(16)).min(limits::BACKOFF_MAX);
            // Spread, so that a hundred workers that failed together do not come back together.
            let spread = doubled.mul_f64(rand::rng().random_range(0.75..1.25));
            Some(asked.unwrap_or(spread))
        }
        _ => None,
    }
}

async fn addresses_of(registry: &str) -> Vec<IpAddr> {
    let host = host_of(registry);
    match tokio::time::timeout(limits::CONNECT_TIMEOUT, tokio::net::lookup_host((host, 0))).await {
        Ok(Ok(addresses)) => addresses.map(|address| address.ip()).collect(),
        _ => Vec::new(),
    }
}
