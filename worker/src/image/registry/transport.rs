//! Sending one HTTP request: TLS, timeouts, redirects, and whether an insecure registry speaks TLS at all.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    HeaderMap, Method, Request, Response, Uri,
    body::Incoming,
    header::{AUTHORIZATION, LOCATION, USER_AGENT},
};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
};

use crate::image::{
    config::{RegistryPolicy, host_of},
    error::ImageError,
    limits,
};

type HttpClient = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// Connections to registries, shared by all pulls.
#[derive(Debug, Default)]
pub(in crate::image) struct Transport {
    /// Made when first needed: reading the system's certificates costs memory that a host without pulls need not pay.
    strict: OnceLock<HttpClient>,
    lenient: OnceLock<HttpClient>,
    /// Which insecure registries turned out to speak plain HTTP, and when.
    plain: Mutex<HashMap<String, Instant>>,
}

/// A registry or a mirror, as it is reached.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    pub(super) authority: String,
    /// Path before `/v2/`.
    pub(super) prefix: String,
    pub(super) scheme: Scheme,
    /// Its certificate is not checked.
    pub(super) insecure: bool,
    pub(super) is_mirror: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    Https,
    Http,
    /// HTTPS, and plain HTTP when it does not speak that.
    Either,
}

/// A request, before it is known by which scheme it goes.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    /// Path and query after the endpoint's prefix.
    pub(super) path: String,
    pub(super) headers: HeaderMap,
}

/// Why a request got no answer.
#[derive(Debug)]
pub(super) struct NoAnswer {
    pub(super) error: ImageError,
    /// No connection came to be: trying long is no use.
    pub(super) at_connect: bool,
    /// The host answered at the TCP level, but spoke no TLS.
    not_tls: bool,
}

impl NoAnswer {
    pub(super) fn other(error: ImageError) -> Self {
        Self { error, at_connect: false, not_tls: false }
    }
}

impl Transport {
    /// Sends a request to an endpoint and follows redirects.
    pub(super) async fn send(
        &self,
        endpoint: &Endpoint,
        policy: &RegistryPolicy,
        ask: &Ask,
    ) -> Result<Response<Incoming>, NoAnswer> {
        let schemes: &[&str] = match endpoint.scheme {
            Scheme::Https => &["https"],
            Scheme::Http => &["http"],
            Scheme::Either if self.is_known_plain(&endpoint.authority) => &["http"],
            Scheme::Either => &["https", "http"],
        };
        let mut last = None;
        for scheme in schemes {
            let url = format!("{scheme}://{}{}{}", endpoint.authority, endpoint.prefix, ask.path);
            match self.follow(url, endpoint.insecure, policy, ask).await {
                Ok(response) => {
                    if endpoint.scheme == Scheme::Either && *scheme == "http" {
                        self.plain().insert(endpoint.authority.clone(), Instant::now());
                    }
                    return Ok(response);
                }
                Err(failure) => {
                    self.plain().remove(&endpoint.authority);
                    if !failure.not_tls {
                        return Err(failure);
                    }
                    last = Some(failure);
                }
            }
        }
        Err(last.unwrap_or_else(|| NoAnswer { error: ImageError::Cancelled, at_connect: true, not_tls: false }))
    }

    async fn follow(
        &self,
        url: String,
        insecure: bool,
        policy: &RegistryPolicy,
        ask: &Ask,
    ) -> Result<Response<Incoming>, NoAnswer> {
        let mut url = parse(&url, &url)?;
        let mut headers = ask.headers.clone();
        let mut insecure = insecure;
        for _ in 0..=limits::REDIRECTS_MAX {
            let response = self.exchange(&url, headers.clone(), None, insecure).await?;
            let target = match response.headers().get(LOCATION) {
                Some(target) if response.status().is_redirection() => target.to_str().unwrap_or_default(),
                _ => return Ok(response),
            };
            let next = parse(&resolve(&url, target), authority_of(&url))?;
            if authority_of(&next) != authority_of(&url) || next.scheme_str() != url.scheme_str() {
                headers.remove(AUTHORIZATION);
                let next_insecure = policy.is_insecure(authority_of(&next), &[]);
                if next.scheme_str() == Some("http") && url.scheme_str() == Some("https") && !insecure && !next_insecure
                {
                    return Err(protocol(&url, "it redirects from HTTPS to plain HTTP"));
                }
                insecure = next_insecure;
            }
            url = next;
        }
        Err(protocol(&url, "it redirects in circles"))
    }

    /// Sends one request to one URL: a POST when it carries a form.
    pub(super) async fn exchange(
        &self,
        url: &Uri,
        headers: HeaderMap,
        form: Option<String>,
        insecure: bool,
    ) -> Result<Response<Incoming>, NoAnswer> {
        let client = self.client(insecure).map_err(|error| NoAnswer { error, at_connect: true, not_tls: false })?;
        let method = if form.is_some() { Method::POST } else { Method::GET };
        let mut request = Request::new(Full::new(Bytes::from(form.unwrap_or_default())));
        *request.method_mut() = method;
        *request.uri_mut() = url.clone();
        *request.headers_mut() = headers;
        request.headers_mut().insert(USER_AGENT, hyper::header::HeaderValue::from_static(AGENT));
        match tokio::time::timeout(limits::STALL_TIMEOUT, client.request(request)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(no_answer(url, error)),
            Err(_) => {
                let (registry, seconds) = (authority_of(url).to_owned(), limits::STALL_TIMEOUT.as_secs());
                let error = ImageError::Stalled { registry, action: "waiting for its answer", seconds };
                Err(NoAnswer::other(error))
            }
        }
    }

    fn client(&self, insecure: bool) -> Result<&HttpClient, ImageError> {
        let slot = if insecure { &self.lenient } else { &self.strict };
        if let Some(client) = slot.get() {
            return Ok(client);
        }
        let config = if insecure { lenient_tls() } else { strict_tls() }
            .map_err(|error| ImageError::malformed("TLS configuration", error.to_string()))?;
        Ok(slot.get_or_init(|| client(config)))
    }

    fn plain(&self) -> std::sync::MutexGuard<'_, HashMap<String, Instant>> {
        self.plain.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_known_plain(&self, authority: &str) -> bool {
        self.plain().get(authority).is_some_and(|found| found.elapsed() < PLAIN_REMEMBERED)
    }
}

impl Endpoint {
    /// How a registry is reached; `addresses` are what its name resolves to.
    pub(super) fn of_registry(registry: &str, policy: &RegistryPolicy, addresses: &[std::net::IpAddr]) -> Self {
        let authority = if registry == "docker.io" { DOCKER_HUB } else { registry };
        let insecure = policy.is_insecure(authority, addresses);
        let scheme = if insecure { Scheme::Either } else { Scheme::Https };
        Self { authority: authority.into(), prefix: String::new(), scheme, insecure, is_mirror: false }
    }

    /// How the mirrors of docker.io are reached.
    pub(super) fn of_mirrors(policy: &RegistryPolicy) -> impl Iterator<Item = Self> {
        policy.mirrors.iter().map(|mirror| Self {
            authority: mirror.authority.clone(),
            prefix: mirror.prefix.clone(),
            scheme: if mirror.https { Scheme::Https } else { Scheme::Http },
            insecure: policy.is_insecure(&mirror.authority, &[]),
            is_mirror: true,
        })
    }
}

pub(super) fn authority_of(url: &Uri) -> &str {
    url.authority().map_or("", |authority| authority.as_str())
}

fn parse(text: &str, registry: &str) -> Result<Uri, NoAnswer> {
    let uri = text
        .parse::<Uri>()
        .ok()
        .filter(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && !host_of(authority_of(uri)).is_empty());
    uri.ok_or_else(|| {
        let reason = format!("{text:?} is not a URL to ask");
        NoAnswer::other(ImageError::Protocol { registry: registry.into(), reason })
    })
}

/// The URL that a `Location` means.
fn resolve(base: &Uri, target: &str) -> String {
    let scheme = base.scheme_str().unwrap_or("https");
    let target = target.split('#').next().unwrap_or_default();
    if target.contains("://") {
        return target.into();
    }
    if let Some(rest) = target.strip_prefix("//") {
        return format!("{scheme}://{rest}");
    }
    if target.starts_with('/') {
        return format!("{scheme}://{}{target}", authority_of(base));
    }
    let folder = base.path().rsplit_once('/').map_or("", |(folder, _)| folder);
    format!("{scheme}://{}{folder}/{target}", authority_of(base))
}

fn protocol(url: &Uri, reason: &str) -> NoAnswer {
    NoAnswer::other(ImageError::Protocol { registry: authority_of(url).into(), reason: reason.into() })
}

fn no_answer(url: &Uri, error: hyper_util::client::legacy::Error) -> NoAnswer {
    let at_connect = error.is_connect();
    let https = url.scheme_str() == Some("https");
    let not_tls = at_connect && https && !is_network_failure(&error);
    let hint = if not_tls { INSECURE_HINT } else { "" };
    let shown = format!("{}://{}{}", url.scheme_str().unwrap_or_default(), authority_of(url), url.path());
    let error =
        ImageError::Unreachable { registry: authority_of(url).into(), url: shown, hint, source: Arc::new(error) };
    NoAnswer { error, at_connect, not_tls }
}

/// Whether not even a TCP connection came to be (or its name has no address); else TLS failed.
fn is_network_failure(error: &(dyn std::error::Error + 'static)) -> bool {
    use io::ErrorKind as Kind;
    let mut source = Some(error);
    while let Some(error) = source {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            let by_kind = matches!(
                io.kind(),
                Kind::ConnectionRefused
                    | Kind::TimedOut
                    | Kind::HostUnreachable
                    | Kind::NetworkUnreachable
                    | Kind::NetworkDown
                    | Kind::AddrNotAvailable
                    | Kind::PermissionDenied
            );
            if by_kind {
                return true;
            }
        }
        // The connector's own words are all that tells a failed look-up.
        if error.to_string().starts_with("dns error") {
            return true;
        }
        source = error.source();
    }
    false
}

fn client(tls: ClientConfig) -> HttpClient {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(limits::CONNECT_TIMEOUT));
    let connector =
        HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(tcp);
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(limits::IDLE_CONNECTION_TIMEOUT)
        .pool_max_idle_per_host(limits::IDLE_CONNECTIONS_MAX)
        .build(connector)
}

fn strict_tls() -> Result<ClientConfig, rustls::Error> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "some of the system's certificates cannot be read");
    }
    roots.add_parsable_certificates(found.certs);
    Ok(tls_builder()?.with_root_certificates(roots).with_no_client_auth())
}

fn lenient_tls() -> Result<ClientConfig, rustls::Error> {
    let verifier = Arc::new(AnyCertificate(Arc::new(rustls::crypto::ring::default_provider())));
    Ok(tls_builder()?.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

fn tls_builder() -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, rustls::Error> {
    // Named, not found by feature: another crate of the build might bring a second provider.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()
}

/// Takes any certificate, for registries that the operator declared insecure.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &rustls::pki_types::CertificateDer<'_>,
        _intermediates: &[rustls::pki_types::CertificateDer<'_>],
        _server_name: &rustls::pki_types::ServerName<'_>,
        _ocsp_response: &[u8],
        _now: rustls::pki_types::UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &rustls::pki_types::CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &rustls::pki_types::CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

const DOCKER_HUB: &str = "registry-1.docker.io";
const AGENT: &str = concat!("shoal/", env!("CARGO_PKG_VERSION"));
const INSECURE_HINT: &str =
    " by HTTPS; if it speaks plain HTTP or has a certificate of its own, name it with --insecure-registry";
/// For how long an insecure registry is believed to speak plain HTTP only.
const PLAIN_REMEMBERED: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirect_targets_resolve() {
        let base: Uri = "https://r.example:5000/v2/a/blobs/x?y=1".parse().unwrap();
        for (target, expected) in [
            ("https://cdn.example/z?q#f", "https://cdn.example/z?q"),
            ("//cdn.example/z", "https://cdn.example/z"),
            ("/z?q", "https://r.example:5000/z?q"),
            ("z", "https://r.example:5000/v2/a/blobs/z"),
        ] {
            assert_eq!(resolve(&base, target), expected);
        }
    }
}
