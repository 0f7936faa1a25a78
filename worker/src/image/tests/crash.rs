//! Killed at any moment, the store opens again and is whole.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use rand::Rng as _;

use super::{
    super::{ImageFilters, fixture::LayerBuilder, fixture::TestImage},
    names, open, pull, reference,
    server::Server,
};

/// Layers with enough files that unpacking takes a while; the base is shared.
fn large(name: &str) -> TestImage {
    let many = |prefix: &str| {
        let entry = |layer: LayerBuilder, at: usize| layer.file(&format!("{prefix}/{at}"), vec![at as u8; 2000]);
        (0..150).fold(LayerBuilder::default(), entry).file(&format!("{prefix}/last"), prefix).build()
    };
    TestImage::new(vec![many("base"), many("middle"), many(name)])
}

/// What the killed process does: changes the store again and again.
async fn churn(root: &Path, address: &str) {
    let store = open(root);
    for round in 0.. {
        println!("round {round}");
        let names = [format!("{address}/a:1"), format!("{address}/b:1")];
        let (a, b) = tokio::join!(pull(&store, &names[0]), pull(&store, &names[1]));
        store.prepare_rootfs("c1", &a.unwrap().id).unwrap();
        store.tag(b.unwrap().id.as_str(), &reference("kept:1")).await.unwrap();
        store.remove_rootfs("c1").unwrap();
        for name in [&names[0], &names[1], "kept:1"] {
            store.remove(name, true).await.unwrap();
        }
    }
}

#[test]
fn a_store_killed_at_any_moment_opens_and_is_whole() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    if let (Ok(root), Ok(address)) = (std::env::var("SHOAL_TEST_CRASH_ROOT"), std::env::var("SHOAL_TEST_CRASH_ADDRESS"))
    {
        runtime.block_on(churn(Path::new(&root), &address));
        return;
    }
    // In memory: what matters here is order, and a busy disk would only slow it down.
    let scratch = tempfile::tempdir_in("/dev/shm").unwrap();
    let server = runtime.block_on(Server::start());
    server.put("a", "1", &large("a"));
    server.put("b", "1", &large("b"));
    for round in 0..8 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "image::tests::crash::a_store_killed_at_any_moment_opens_and_is_whole", "--nocapture"])
            .env("SHOAL_TEST_CRASH_ROOT", scratch.path())
            .env("SHOAL_TEST_CRASH_ADDRESS", &server.address)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        assert!(lines.any(|line| line.starts_with("round ")), "the child did not begin");
        // Some moment of the first rounds.
        std::thread::park_timeout(Duration::from_millis(rand::rng().random_range(0..400)));
        child.kill().unwrap();
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(
            std::os::unix::process::ExitStatusExt::signal(&output.status),
            Some(libc::SIGKILL),
            "{round}: {said}"
        );
        runtime.block_on(assert_whole(scratch.path(), &server.address));
    }
}

async fn assert_whole(root: &Path, address: &str) {
    let store = open(root);
    let records = store.list(&ImageFilters::default()).unwrap();
    for record in &records {
        let layers = store.layers(&record.id).unwrap();
        assert_eq!(layers.len(), 3);
        assert_eq!(std::fs::read(layers[2].join("base/last")).unwrap(), b"base");
        assert_eq!(names(&layers[2].join("base")).len(), 151);
        assert_eq!(names(&layers[1].join("middle")).len(), 151);
    }
    assert_eq!(names(&root.join("image/ingest")), Vec::<String>::new());
    assert_eq!(names(&root.join("image/images")).len(), records.len());
    assert!(names(&root.join("image/layers")).len() <= records.len() * 3);
    pull(&store, &format!("{address}/a:1")).await.unwrap();
    store.remove_rootfs("c1").unwrap();
    store.close().await;
}
