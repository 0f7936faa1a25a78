//! TLS: whose certificate is believed, with a server of our own.

use std::{path::Path, sync::Arc};

use hyper::{HeaderMap, Uri};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

use super::{super::error::ImageError, Transport, transport::NoAnswer};

/// A server for `localhost` whose certificate only `authority` (PEM) vouches for; returns its URL.
async fn serve(authority: &Path) -> Uri {
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority_key = rcgen::KeyPair::generate().unwrap();
    std::fs::write(authority, parameters.self_signed(&authority_key).unwrap().pem()).unwrap();
    let issuer = rcgen::Issuer::new(parameters, authority_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate =
        rcgen::CertificateParams::new(vec!["localhost".into()]).unwrap().signed_by(&key, &issuer).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}/v2/", listener.local_addr().unwrap().port()).parse().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // A client that refuses the certificate ends the handshake.
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut seen = [0; 4096];
            let count = stream.read(&mut seen).await.unwrap();
            assert!(seen[..count].starts_with(b"GET /v2/ "));
            stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").await.unwrap();
            stream.shutdown().await.unwrap();
        }
    });
    url
}

async fn ask(url: &Uri, insecure: bool) -> Result<u16, NoAnswer> {
    let answer = Transport::default().exchange(url, HeaderMap::new(), None, insecure).await;
    answer.map(|answer| answer.status().as_u16())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_certificate_serves_insecure_registries_only() {
    let scratch = tempfile::tempdir().unwrap();
    let url = serve(&scratch.path().join("ca.pem")).await;
    assert_eq!(ask(&url, true).await.unwrap(), 204);
    let error = ask(&url, false).await.unwrap_err().error;
    assert!(matches!(error, ImageError::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().contains("--insecure-registry"), "{error}");
    let chain = format!("{:?}", std::error::Error::source(&error).unwrap());
    assert!(chain.contains("UnknownIssuer"), "{chain}");
}

/// Runs itself once more, with the authority among the system's: those are read from where a variable says.
#[test]
fn a_certificate_of_the_system_is_believed() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    if let Ok(url) = std::env::var("SHOAL_TEST_TLS_URL") {
        let status = runtime.block_on(ask(&url.parse().unwrap(), false)).unwrap();
        assert_eq!(status, 204);
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let authority = scratch.path().join("ca.pem");
    let url = runtime.block_on(serve(&authority));
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "image::registry::tests::a_certificate_of_the_system_is_believed"])
        .env("SSL_CERT_FILE", &authority)
        .env("SHOAL_TEST_TLS_URL", url.to_string())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout).into_owned() + &String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success() && said.contains("1 passed"), "{said}");
}
