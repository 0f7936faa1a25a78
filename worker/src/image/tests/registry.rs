//! Against Debian's docker-registry, filled by pushes over HTTP.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Child, Command, Stdio},
};

use serde_json::json;

use super::{
    super::{
        Digest, ImageStore, Progress, PullOptions, Removed, Status,
        fixture::{LayerBuilder, OCI_INDEX, OCI_MANIFEST, SCHEMA2, TestImage, gzip},
    },
    assert_tidy, image, names, open, pull, reference,
};

/// A registry of its own on a free port of this host.
struct Registry {
    process: Child,
    address: String,
    _folder: tempfile::TempDir,
}

impl Registry {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("config.yml");
        let text = format!(
            "version: 0.1\nlog:\n  level: info\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: 127.0.0.1:0\n",
            folder.path().join("data").display()
        );
        std::fs::write(&config, text).unwrap();
        let mut process = Command::new("docker-registry")
            .arg("serve")
            .arg(&config)
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // It tells the port that it got; then the pipe must go on being read.
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines().map_while(Result::ok);
        let listening = lines.find(|line| line.contains("listening on ")).expect("the registry did not start");
        let address = listening.split("listening on ").nth(1).unwrap();
        let address = address.split(|c: char| !(c.is_ascii_digit() || c == '.' || c == ':')).next().unwrap().to_owned();
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, address, _folder: folder }
    }

    fn push(&self, repository: &str, tag: &str, image: &TestImage) {
        self.push_blobs(repository, image);
        self.push_manifest(repository, tag, OCI_MANIFEST, &image.manifest);
    }

    fn push_blobs(&self, repository: &str, image: &TestImage) {
        for blob in image.blobs() {
            let (status, head) = self.request("POST", &format!("/v2/{repository}/blobs/uploads/"), "", b"");
            assert_eq!(status, 202, "{head}");
            let location = head.lines().find_map(|line| line.strip_prefix("Location: ")).unwrap();
            let path = location.split_once(&self.address).map_or(location, |(_, path)| path);
            let separator = if path.contains('?') { '&' } else { '?' };
            let path = format!("{path}{separator}digest={}", Digest::sha256(blob));
            assert_eq!(self.request("PUT", &path, "application/octet-stream", blob).0, 201);
        }
    }

    fn push_manifest(&self, repository: &str, tag: &str, media_type: &str, bytes: &[u8]) {
        let (status, head) = self.request("PUT", &format!("/v2/{repository}/manifests/{tag}"), media_type, bytes);
        assert_eq!(status, 201, "{head}");
    }

    fn request(&self, method: &str, path: &str, media_type: &str, body: &[u8]) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let (address, length) = (&self.address, body.len());
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: {media_type}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer)
    }

    fn name(&self, rest: &str) -> String {
        format!("{}/{rest}", self.address)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

async fn pull_telling(store: &ImageStore, name: &str) -> (super::PulledImage, Vec<Progress>) {
    let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
    let name = reference(name);
    let pulling = store.pull(&name, PullOptions::default(), Some(sender));
    let listening = async {
        let mut all = Vec::new();
        while let Some(message) = receiver.recv().await {
            all.push(message);
        }
        all
    };
    let (pulled, all) = tokio::join!(pulling, listening);
    (pulled.unwrap(), all)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_pulled_by_tag_and_by_digest() {
    let registry = Registry::start();
    let made = image("web");
    registry.push("team/web", "1", &made);
    let scratch = tempfile::tempdir().unwrap();
    let store = open(scratch.path());
    let name = registry.name("team/web:1");

    let (pulled, told) = pull_telling(&store, &name).await;
    assert_eq!((&pulled.id.0, &pulled.digest, pulled.up_to_date), (&made.id(), &made.digest(), false));
    let text: Vec<String> = told.iter().map(ToString::to_string).collect();
    assert_eq!(text[0], "Pulling from team/web");
    assert_eq!(told[0].id.as_deref(), Some("1"));
    let layer = Digest::sha256(&made.layers[0].1);
    let of_layer: Vec<_> =
        told.iter().filter(|m| m.id.as_deref() == Some(layer.short())).map(ToString::to_string).collect();
    assert_eq!(
        of_layer,
        ["Pulling fs layer", "Downloading", "Verifying Checksum", "Download complete", "Extracting", "Pull complete"]
    );
    assert_eq!(
        text[text.len() - 2..],
        [format!("Digest: {}", made.digest()), format!("Status: Downloaded newer image for {name}")]
    );

    let record = store.inspect(&name).unwrap();
    assert_eq!(record.repo_tags, std::slice::from_ref(&name));
    assert_eq!(record.repo_digests, [registry.name(&format!("team/web@{}", made.digest()))]);
    assert_eq!(record.config.cmd.as_deref(), Some(&["/server".to_owned()][..]));
    assert_eq!((record.diff_ids.len(), record.size > 0), (2, true));
    assert_eq!(record, store.inspect(&pulled.id.0.hex()[..8]).unwrap());
    assert_eq!(record, store.inspect(pulled.id.as_str()).unwrap());

    let lower = store.layers(&pulled.id).unwrap();
    assert_eq!(std::fs::read(lower[0].join("server")).unwrap(), b"program of web");
    assert_eq!(std::fs::read(lower[1].join("etc/name")).unwrap(), b"web");
    use std::os::unix::fs::MetadataExt as _;
    assert_eq!(std::fs::metadata(lower[0].join("tmp")).unwrap().mode() & 0o7777, 0o1777, "as below");
    assert_eq!(names(&scratch.path().join("image/content/sha256")).len(), 2, "manifest and configuration, no layers");
    assert_tidy(scratch.path(), 1);

    let (again, told) = pull_telling(&store, &name).await;
    assert!(again.up_to_date);
    let text: Vec<String> = told.iter().map(ToString::to_string).collect();
    assert_eq!(text.len(), 3);
    assert_eq!(text[text.len() - 1], format!("Status: Image is up to date for {name}"));

    registry.push("team/web", "other", &made);
    let (other, told) = pull_telling(&store, &registry.name("team/web:other")).await;
    assert_eq!((other.id.clone(), other.up_to_date), (pulled.id.clone(), false));
    assert_eq!(told.iter().filter(|message| message.status == Status::AlreadyExists).count(), 2);

    let by_digest = registry.name(&format!("team/web@{}", made.digest()));
    drop(registry);
    // With the registry gone, what is named by its digest needs no question.
    assert!(pull(&store, &by_digest).await.unwrap().up_to_date);
    let error = pull(&store, &name).await.unwrap_err();
    assert!(error.is_unreachable(), "{error:?}");
    assert_eq!(store.resolve_local(&reference(&name)).unwrap().id, pulled.id);
}

#[tokio::test(flavor = "multi_thread")]
async fn indexes_schemas_and_compressions_are_understood() {
    let registry = Registry::start();
    let layer = LayerBuilder::default().file("f", "data").build();
    let kinds = [("plain", layer.clone()), ("gzip", gzip(&layer)), ("zstd", zstd::encode_all(&layer[..], 3).unwrap())];
    let scratch = tempfile::tempdir().unwrap();
    for (name, stored) in &kinds {
        let arm = TestImage::stored(vec![(layer.clone(), stored.clone())], "arm64");
        let amd = TestImage::stored(vec![(layer.clone(), stored.clone())], "amd64");
        let mut entries = Vec::new();
        for (image, architecture) in [(&arm, "arm64"), (&amd, "amd64")] {
            registry.push_blobs(name, image);
            registry.push_manifest(name, image.digest().as_str(), OCI_MANIFEST, &image.manifest);
            entries.push(json!({"mediaType": OCI_MANIFEST, "digest": image.digest(), "size": image.manifest.len(), "platform": {"os": "linux", "architecture": architecture}}));
        }
        let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}).to_string().into_bytes();
        registry.push_manifest(name, "latest", OCI_INDEX, &index);

        let store = open(&scratch.path().join(name));
        let wanted = PullOptions { platform: Some("linux/amd64".parse().unwrap()), ..PullOptions::default() };
        let pulled = store.pull(&reference(&registry.name(name)), wanted, None).await.unwrap();
        assert_eq!((&pulled.id.0, &pulled.digest), (&amd.id(), &Digest::sha256(&index)), "{name}");
        assert_eq!(std::fs::read(store.layers(&pulled.id).unwrap()[0].join("f")).unwrap(), b"data");

        let distribution = store.distribution(&reference(&registry.name(name)), None).await.unwrap();
        assert_eq!(
            (&distribution.descriptor.digest, distribution.descriptor.size),
            (&Digest::sha256(&index), index.len() as u64)
        );
        assert_eq!(
            distribution.platforms.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["linux/arm64", "linux/amd64"]
        );
        let missing = PullOptions { platform: Some("linux/s390x".parse().unwrap()), ..PullOptions::default() };
        let error = store.pull(&reference(&registry.name(name)), missing, None).await.unwrap_err();
        assert_eq!(error.to_string(), "no matching manifest for linux/s390x in the manifest list entries");
    }
    let old = image("old");
    let manifest = String::from_utf8(old.manifest.clone())
        .unwrap()
        .replace(OCI_MANIFEST, SCHEMA2)
        .replace("application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json")
        .replace("application/vnd.oci.image.layer.v1.tar+gzip", "application/vnd.docker.image.rootfs.diff.tar.gzip");
    registry.push_blobs("old", &old);
    registry.push_manifest("old", "2", SCHEMA2, manifest.as_bytes());
    let store = open(&scratch.path().join("old"));
    assert_eq!(pull(&store, &registry.name("old:2")).await.unwrap().id.0, old.id());
    let wanted = PullOptions { platform: Some("linux/arm64".parse().unwrap()), ..PullOptions::default() };
    let error = store.pull(&reference(&registry.name("old:2")), wanted, None).await.unwrap_err().to_string();
    assert!(
        error.ends_with("does not match the specified platform: wanted linux/arm64, actual: linux/amd64"),
        "{error}"
    );
    let distribution = store.distribution(&reference(&registry.name("old:2")), None).await.unwrap();
    assert_eq!(distribution.platforms.iter().map(ToString::to_string).collect::<Vec<_>>(), ["linux/amd64"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_said_in_dockers_words() {
    let registry = Registry::start();
    registry.push("web", "1", &image("web"));
    let scratch = tempfile::tempdir().unwrap();
    let store = open(scratch.path());
    let name = registry.name("web:2");
    let (sender, mut told) = tokio::sync::mpsc::channel(8);
    let refused = store.pull(&reference(&name), PullOptions::default(), Some(sender)).await;
    let error = refused.unwrap_err().to_string();
    assert_eq!(told.recv().await, None, "an error before any message can be the request's own status");
    assert_eq!(error, format!("manifest for {name} not found: manifest unknown: manifest unknown"));
    let error = store.distribution(&reference(&registry.name("nothing:1")), None).await.unwrap_err();
    assert_eq!(error.kind(), super::super::ErrorKind::NotFound, "{error}");
    assert_tidy(scratch.path(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_moves_leaves_the_old_image_nameless() {
    let registry = Registry::start();
    registry.push("web", "1", &image("first"));
    let scratch = tempfile::tempdir().unwrap();
    let store = open(scratch.path());
    let name = registry.name("web:1");
    let first = pull(&store, &name).await.unwrap();
    registry.push("web", "1", &image("second"));
    let second = pull(&store, &name).await.unwrap();
    assert!(first.id != second.id && !second.up_to_date);
    assert_eq!(store.inspect(&name).unwrap().id, second.id);
    let old = store.inspect(first.id.as_str()).unwrap();
    assert_eq!((old.repo_tags.len(), old.repo_digests.len()), (0, 1));

    // Shared layers stay with the image that still needs them.
    let layers = store.layers(&second.id).unwrap();
    let removed = store.remove(first.id.as_str(), false).await.unwrap();
    assert_eq!(removed, [Removed::Untagged(old.repo_digests[0].clone()), Removed::Deleted(first.id)]);
    assert!(layers.iter().all(|layer| layer.is_dir()));
    store.remove(&name, false).await.unwrap();
    assert_tidy(scratch.path(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_callers_share_one_pull() {
    let registry = Registry::start();
    registry.push("web", "1", &image("web"));
    let scratch = tempfile::tempdir().unwrap();
    let store = open(scratch.path());
    let pulls = (0..20).map(|_| {
        let (store, name) = (store.clone(), registry.name("web:1"));
        tokio::spawn(async move { pull_telling(&store, &name).await })
    });
    for outcome in futures_util::future::join_all(pulls).await {
        let (pulled, told) = outcome.unwrap();
        assert_eq!(pulled.name, registry.name("web:1"));
        assert!(matches!(told.last().unwrap().status, Status::Downloaded(_) | Status::UpToDate(_)));
    }
    assert_tidy(scratch.path(), 1);
}
