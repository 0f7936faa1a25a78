//! Against a server that misbehaves on purpose: authentication, broken and cut-off content, refusals that pass.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::{
    super::{ErrorKind, ImageError, ImageStore, PullOptions, RegistryAuth, StoreConfig, fixture::TestImage},
    assert_tidy, image, open, pull, reference,
    server::{Reply, Server},
};

fn with_auth(auth: RegistryAuth) -> PullOptions {
    PullOptions { auth: Some(auth), ..PullOptions::default() }
}

/// Random bytes: they do not shrink, so that blobs are as large as they look.
fn large_image() -> TestImage {
    use rand::RngCore as _;
    let mut bytes = vec![0; 6 << 20];
    rand::rng().fill_bytes(&mut bytes);
    TestImage::new(vec![super::LayerBuilder::default().file("data", bytes).build()])
}

async fn token_server(refuses: &'static str) -> Server {
    let own = Arc::new(std::sync::OnceLock::<String>::new());
    let address = Arc::clone(&own);
    let server = Server::with(move |seen, _| {
        if seen.path.starts_with("/token") {
            let basic = seen.header("authorization");
            // u:p
            let known = basic == "Basic dTpw"
                || (basic.is_empty() && refuses != "anonymous")
                || seen.body.contains("refresh_token=r1");
            let reply = if known {
                Reply::new(200, r#"{"access_token":"good","expires_in":60}"#)
            } else {
                Reply::new(401, r#"{"errors":[{"code":"UNAUTHORIZED","message":"incorrect username or password"}]}"#)
            };
            return Some(reply);
        }
        let challenge = format!(
            r#"Bearer realm="http://{}/token?x=y",service="the registry",scope="repository:team/web:pull""#,
            address.get().unwrap()
        );
        let denied = Reply::new(401, r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#);
        (seen.header("authorization") != "Bearer good").then(|| denied.header("WWW-Authenticate", challenge))
    })
    .await;
    own.set(server.address.clone()).unwrap();
    server
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_got_anonymously_by_user_and_by_refresh_token() {
    let refresh = RegistryAuth { identity_token: "r1".into(), ..RegistryAuth::default() };
    let given = RegistryAuth { registry_token: "good".into(), ..RegistryAuth::default() };
    for (refuses, auth, query) in [
        ("", None, "/token?x=y&service=the%20registry&scope=repository%3Ateam%2Fweb%3Apull"),
        (
            "anonymous",
            Some(RegistryAuth::basic("u", "p")),
            "/token?x=y&service=the%20registry&scope=repository%3Ateam%2Fweb%3Apull&account=u",
        ),
        ("anonymous", Some(refresh), "/token?x=y"),
        ("anonymous", Some(given), ""),
    ] {
        let server = token_server(refuses).await;
        server.put("team/web", "1", &image("web"));
        let scratch = tempfile::tempdir().unwrap();
        let name = reference(&format!("{}/team/web:1", server.address));
        open(scratch.path()).pull(&name, PullOptions { auth, ..PullOptions::default() }, None).await.unwrap();
        let tokens: Vec<_> = server.seen().into_iter().filter(|seen| seen.path.starts_with("/token")).collect();
        assert!(tokens.len() <= 1, "one token serves all requests");
        assert_eq!(tokens.first().map_or("", |seen| seen.path.as_str()), query);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_credentials_are_said_so() {
    let server = token_server("anonymous").await;
    server.put("team/web", "1", &image("web"));
    let scratch = tempfile::tempdir().unwrap();
    let store = open(scratch.path());
    let name = reference(&format!("{}/team/web:1", server.address));
    let error = store.pull(&name, with_auth(RegistryAuth::basic("u", "wrong")), None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert!(error.to_string().contains("incorrect username or password"), "{error}");
    assert!(!format!("{error:?}").contains("wrong"));
    let error = store.pull(&name, PullOptions::default(), None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("may require 'docker login'"), "{error}");
    assert_tidy(scratch.path(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn basic_authentication_is_answered() {
    let server = Server::with(|seen, _| {
        let denied = Reply::new(401, "").header("WWW-Authenticate", "Basic realm=\"x\"");
        (seen.header("authorization") != "Basic dTpw").then_some(denied)
    })
    .await;
    server.put("web", "1", &image("web"));
    let scratch = tempfile::tempdir().unwrap();
    let store = open(scratch.path());
    let name = reference(&format!("{}/web:1", server.address));
    assert_eq!(store.pull(&name, PullOptions::default(), None).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(
        store.pull(&name, with_auth(RegistryAuth::basic("u", "x")), None).await.unwrap_err().kind(),
        ErrorKind::Unauthorized
    );
    store.pull(&name, with_auth(RegistryAuth::basic("u", "p")), None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_do_not_follow_a_redirect_elsewhere() {
    let elsewhere = Server::start().await;
    let made = image("web");
    let target = elsewhere.address.clone();
    let server = Server::with(move |seen, _| {
        if seen.header("authorization").is_empty() {
            return Some(Reply::new(401, "").header("WWW-Authenticate", "Basic realm=\"x\""));
        }
        seen.path
            .contains("/blobs/")
            .then(|| Reply::new(307, "").header("Location", format!("http://{target}{}", seen.path)))
    })
    .await;
    server.put("web", "1", &made);
    elsewhere.put("web", "1", &made);
    let scratch = tempfile::tempdir().unwrap();
    let name = reference(&format!("{}/web:1", server.address));
    open(scratch.path()).pull(&name, with_auth(RegistryAuth::basic("u", "p")), None).await.unwrap();
    let seen = elsewhere.seen();
    assert_eq!(seen.iter().filter(|seen| seen.method == "GET").count(), 3);
    assert!(seen.iter().all(|seen| seen.header("authorization").is_empty()), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_downloads_are_resumed_and_refusals_waited_out() {
    let made = large_image();
    let blob = made.layers[0].1.clone();
    let failures = Arc::new(AtomicUsize::new(0));
    let server = Server::with(move |seen, before| {
        if seen.path.contains("/manifests/") && before < 2 {
            return Some(Reply::new(if before == 0 { 503 } else { 429 }, "").header("Retry-After", "0"));
        }
        if seen.header("range").is_empty()
            && seen.path.contains("/blobs/")
            && blob.len() > 1 << 20
            && seen.path.ends_with(super::super::Digest::sha256(&blob).as_str())
        {
            failures.fetch_add(1, Ordering::SeqCst);
            return Some(Reply { cut: Some(3 << 20), ..Reply::new(200, blob.clone()) });
        }
        None
    })
    .await;
    server.put("web", "1", &made);
    let scratch = tempfile::tempdir().unwrap();
    let store = open(scratch.path());
    let pulled = pull(&store, &format!("{}/web:1", server.address)).await.unwrap();
    assert_eq!(pulled.id.0, made.id());
    let ranges: Vec<_> =
        server.seen().iter().map(|seen| seen.header("range").to_owned()).filter(|range| !range.is_empty()).collect();
    assert_eq!(ranges, [format!("bytes={}-", 3 << 20)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_ignores_ranges_is_read_anew() {
    let made = large_image();
    let blob = made.layers[0].1.clone();
    let path = format!("/v2/web/blobs/{}", super::super::Digest::sha256(&blob));
    let server = Server::with(move |seen, before| {
        (seen.path == path).then(|| Reply { cut: (before == 0).then_some(1 << 20), ..Reply::new(200, blob.clone()) })
    })
    .await;
    server.put("web", "1", &made);
    let scratch = tempfile::tempdir().unwrap();
    assert_eq!(pull(&open(scratch.path()), &format!("{}/web:1", server.address)).await.unwrap().id.0, made.id());
}

#[tokio::test(flavor = "multi_thread")]
async fn content_with_another_digest_is_refused_and_leaves_nothing() {
    let made = image("web");
    for (what, part) in [("manifest", "/manifests/sha256"), ("image configuration", "config"), ("layer", "layer")] {
        let config = made.id().to_string();
        let server = Server::with(move |seen, _| {
            let is_config = seen.path.ends_with(&config);
            let hit = match part {
                "config" => is_config,
                "layer" => seen.path.contains("/blobs/") && !is_config,
                part => seen.path.contains(part),
            };
            // As long as the real one, so that only the digest tells.
            hit.then(|| Reply::new(200, vec![b'x'; if part == "layer" { 0 } else { 100 }]))
        })
        .await;
        server.put("web", "1", &made);
        if part == "layer" {
            let mut evil = made.clone();
            for (_, stored) in &mut evil.layers {
                let last = stored.len() - 1;
                stored[last] ^= 1;
            }
            let stored: Vec<_> = evil.layers.iter().map(|(_, stored)| stored.clone()).collect();
            let digests: Vec<_> = made.layers.iter().map(|(_, stored)| super::super::Digest::sha256(stored)).collect();
            let server = Server::with(move |seen, _| {
                let at = digests.iter().position(|digest| seen.path.ends_with(digest.as_str()))?;
                Some(Reply::new(200, stored[at].clone()))
            })
            .await;
            server.put("web", "1", &made);
            assert_mismatch(&server, "web:1", what).await;
            continue;
        }
        let name = if what == "manifest" { format!("web@{}", made.digest()) } else { "web:1".into() };
        assert_mismatch(&server, &name, what).await;
    }
}

async fn assert_mismatch(server: &Server, name: &str, expected: &str) {
    let scratch = tempfile::tempdir().unwrap();
    let error = pull(&open(scratch.path()), &format!("{}/{name}", server.address)).await.unwrap_err();
    assert!(matches!(&error, ImageError::DigestMismatch { what, .. } if *what == expected), "{expected}: {error:?}");
    assert_tidy(scratch.path(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_with_another_diff_id_or_length_is_refused() {
    let made = image("web");
    // Layers swapped: each blob is what its digest says, but not what the configuration says.
    let mut swapped = made.clone();
    let mut manifest: serde_json::Value = serde_json::from_slice(&made.manifest).unwrap();
    manifest["layers"].as_array_mut().unwrap().reverse();
    swapped.manifest = manifest.to_string().into_bytes();
    let server = Server::start().await;
    server.put("web", "1", &swapped);
    let scratch = tempfile::tempdir().unwrap();
    let error = pull(&open(scratch.path()), &format!("{}/web:1", server.address)).await.unwrap_err();
    assert!(matches!(error, ImageError::DigestMismatch { what: "unpacked layer", .. }), "{error:?}");
    assert_tidy(scratch.path(), 0);

    let mut longer = made.clone();
    let mut manifest: serde_json::Value = serde_json::from_slice(&made.manifest).unwrap();
    manifest["layers"][0]["size"] = 10.into();
    longer.manifest = manifest.to_string().into_bytes();
    server.put("web", "2", &longer);
    let error = pull(&open(scratch.path()), &format!("{}/web:2", server.address)).await.unwrap_err();
    assert!(matches!(error, ImageError::SizeMismatch { what: "layer", expected: 10, .. }), "{error:?}");
    assert_tidy(scratch.path(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_make_no_sense_are_refused() {
    let scratch = tempfile::tempdir().unwrap();
    for (reply, expected) in [
        (Reply::new(200, "not json"), "invalid manifest"),
        (Reply::new(200, vec![b' '; 5 << 20]), "manifest exceeds the limit"),
        (Reply::new(302, "").header("Location", "/v2/web/manifests/1"), "redirects in circles"),
        (Reply::new(302, "").header("Location", "file:///etc/passwd"), "is not a URL to ask"),
        (
            Reply::new(418, r#"{"errors":[{"code":"TEAPOT","message":"short and stout"}]}"#),
            "answered 418 to GET /v2/web/manifests/1: teapot: short and stout",
        ),
        (Reply::new(401, "").header("WWW-Authenticate", "Bearer realm=\"nonsense url\""), "is not a URL"),
    ] {
        let fixed = reply.clone();
        let server = Server::with(move |_, _| Some(fixed.clone())).await;
        let error = pull(&open(scratch.path()), &format!("{}/web:1", server.address)).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{expected}: {error}");
        assert_tidy(scratch.path(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abandoned_pull_stops_and_leaves_nothing() {
    let made = large_image();
    let (blob, stalled) = (made.layers[0].1.clone(), Arc::new(tokio::sync::Notify::new()));
    let path = format!("/v2/web/blobs/{}", super::super::Digest::sha256(&blob));
    let (tell, path_again) = (Arc::clone(&stalled), path.clone());
    let server = Server::with(move |seen, _| {
        (seen.path == path).then(|| {
            tell.notify_one();
            Reply { cut: Some(2 << 20), hang: true, ..Reply::new(200, blob.clone()) }
        })
    })
    .await;
    server.put("web", "1", &made);
    let scratch = tempfile::tempdir().unwrap();
    let store = open(scratch.path());
    let name = format!("{}/web:1", server.address);
    let (first, second) =
        (tokio::spawn(abandonable(store.clone(), name.clone())), tokio::spawn(abandonable(store.clone(), name)));
    stalled.notified().await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    assert_eq!(
        server.seen().iter().filter(|seen| seen.path == path_again).count(),
        1,
        "the other caller's pull goes on"
    );
    second.abort();
    assert!(second.await.unwrap_err().is_cancelled());
    store.close().await;
    assert_tidy(scratch.path(), 0);
}

async fn abandonable(store: ImageStore, name: String) {
    let outcome = pull(&store, &name).await;
    panic!("the pull ended: {outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn mirrors_are_asked_first_without_credentials() {
    let made = image("web");
    let broken = Server::with(|_, _| Some(Reply::new(404, ""))).await;
    let mirror = Server::start().await;
    mirror.put("library/web", "1", &made);
    let scratch = tempfile::tempdir().unwrap();
    let mirrors = [&broken, &mirror].map(|server| format!("http://{}", server.address)).to_vec();
    let store =
        ImageStore::open(&StoreConfig { root: scratch.path().into(), mirrors, ..StoreConfig::default() }).unwrap();
    let pulled = store.pull(&reference("web:1"), with_auth(RegistryAuth::basic("u", "p")), None).await.unwrap();
    assert_eq!((pulled.id.0, pulled.name.as_str()), (made.id(), "web:1"));
    assert!(!broken.seen().is_empty());
    assert!(mirror.seen().iter().all(|seen| seen.header("authorization").is_empty()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_is_not_there_is_told_quickly() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let scratch = tempfile::tempdir().unwrap();
    let begun = std::time::Instant::now();
    let error = pull(&open(scratch.path()), &format!("{address}/web:1")).await.unwrap_err();
    assert!(error.is_unreachable() && begun.elapsed().as_secs() < 3, "{error}");
    assert_eq!(
        error.to_string(),
        format!("Get \"https://{address}/v2/web/manifests/1\": registry {address} cannot be reached")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_layer_of_two_images_is_fetched_once() {
    let shared = super::LayerBuilder::default().file("base", vec![1; 100_000]).build();
    let make =
        |name: &str| TestImage::new(vec![shared.clone(), super::LayerBuilder::default().file("top", name).build()]);
    let (a, b) = (make("a"), make("b"));
    let server = Server::start().await;
    server.put("a", "1", &a);
    server.put("b", "1", &b);
    let scratch = tempfile::tempdir().unwrap();
    let store = open(scratch.path());
    let (name_a, name_b) = (format!("{}/a:1", server.address), format!("{}/b:1", server.address));
    let (first, second) = tokio::join!(pull(&store, &name_a), pull(&store, &name_b));
    let (first, second) = (first.unwrap(), second.unwrap());
    let base = super::super::Digest::sha256(&a.layers[0].1).to_string();
    assert_eq!(server.blob_requests().iter().filter(|digest| **digest == base).count(), 1);
    let (lower_a, lower_b) = (store.layers(&first.id).unwrap(), store.layers(&second.id).unwrap());
    assert_eq!(lower_a[1], lower_b[1]);
    store.remove(&name_a, false).await.unwrap();
    assert!(lower_b.iter().all(|layer| layer.is_dir()) && !lower_a[0].exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_s_credentials_open_nothing() {
    let open_to_all = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&open_to_all);
    let server = Server::with(move |seen, _| {
        let denied = Reply::new(401, "").header("WWW-Authenticate", "Basic realm=\"x\"");
        (seen.header("authorization") != "Basic dTpw" && !flag.load(Ordering::SeqCst)).then_some(denied)
    })
    .await;
    server.put("web", "1", &image("web"));
    let scratch = tempfile::tempdir().unwrap();
    let store = open(scratch.path());
    let name = reference(&format!("{}/web:1", server.address));
    let (mine, theirs) = tokio::join!(
        store.pull(&name, with_auth(RegistryAuth::basic("u", "p")), None),
        store.pull(&name, PullOptions::default(), None),
    );
    mine.unwrap();
    assert_eq!(theirs.unwrap_err().kind(), ErrorKind::NotFound);
    open_to_all.store(true, Ordering::SeqCst);
    store.pull(&name, PullOptions::default(), None).await.unwrap();
}
