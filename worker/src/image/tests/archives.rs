//! Archives made in code, as `docker save` and other tools write them.

use serde_json::json;

use super::{
    super::{
        Digest, ImageError, Loaded,
        fixture::{LayerBuilder, OCI_MANIFEST, TestImage, gzip},
    },
    assert_tidy, image, open, reference,
};

fn path_of(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// As docker up to 24 writes it: uncompressed layers in folders, equal ones linked.
fn old_docker_save(image: &TestImage, tags: &[&str]) -> Vec<u8> {
    let config = format!("{}.json", image.id().hex());
    let mut archive = LayerBuilder::default();
    let mut layers: Vec<String> = Vec::new();
    for (at, (plain, _)) in image.layers.iter().enumerate() {
        let path = format!("{at:064}/layer.tar");
        archive = archive.folder(&format!("{at:064}"), 0o755);
        archive = match image.layers[..at].iter().position(|(known, _)| known == plain) {
            Some(first) => archive.symlink(&path, &format!("../{}", layers[first])),
            None => archive.file(&path, plain),
        };
        layers.push(path);
    }
    let manifest = json!([{"Config": config, "RepoTags": tags, "Layers": layers}]);
    archive.file(&config, &image.config).file("manifest.json", manifest.to_string()).build()
}

fn oci_layout(image: &TestImage, annotations: &serde_json::Value) -> Vec<u8> {
    let mut archive = LayerBuilder::default().file("oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#);
    let index = json!({"schemaVersion": 2, "manifests": [
        {"mediaType": OCI_MANIFEST, "digest": image.digest(), "size": image.manifest.len(), "annotations": annotations},
    ]});
    archive = archive.file("index.json", index.to_string());
    for blob in image.blobs().into_iter().chain([image.manifest.as_slice()]) {
        archive = archive.file(&path_of(&Digest::sha256(blob)), blob);
    }
    archive.build()
}

async fn load(root: &std::path::Path, bytes: Vec<u8>) -> Result<Vec<Loaded>, ImageError> {
    open(root).load(std::io::Cursor::new(bytes)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn docker_archives_load_whatever_their_compression() {
    let layer = LayerBuilder::default().file("same", "x").build();
    let made = TestImage::new(vec![layer.clone(), layer, LayerBuilder::default().file("top", "y").build()]);
    let plain = old_docker_save(&made, &["web:1", "localhost:5000/other:2"]);
    for (name, bytes) in [("gzip", gzip(&plain)), ("zstd", zstd::encode_all(&plain[..], 1).unwrap()), ("plain", plain)]
    {
        let scratch = tempfile::tempdir().unwrap();
        let loaded = load(scratch.path(), bytes).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(loaded.len(), 1);
        assert_eq!(
            (&loaded[0].id.0, &loaded[0].names),
            (&made.id(), &vec![reference("web:1"), reference("localhost:5000/other:2")])
        );
        assert_tidy(scratch.path(), 1);
        let store = open(scratch.path());
        let record = store.inspect("web:1").unwrap();
        assert_eq!((record.repo_tags.len(), record.repo_digests.len(), record.diff_ids.len()), (2, 0, 3));
        assert_eq!(std::fs::read(store.layers(&record.id).unwrap()[0].join("top")).unwrap(), b"y");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn oci_layouts_load_with_their_names() {
    let made = image("web");
    for (annotations, names) in [
        (
            json!({"io.containerd.image.name": "docker.io/library/web:1", "org.opencontainers.image.ref.name": "1"}),
            vec![reference("web:1")],
        ),
        (json!({"org.opencontainers.image.ref.name": "localhost/web:2"}), vec![reference("localhost/web:2")]),
        (json!({"org.opencontainers.image.ref.name": "2"}), vec![]),
        (json!({}), vec![]),
    ] {
        let scratch = tempfile::tempdir().unwrap();
        let loaded = load(scratch.path(), oci_layout(&made, &annotations)).await.unwrap();
        assert_eq!((&loaded[0].id.0, &loaded[0].names), (&made.id(), &names), "{annotations}");
        assert_eq!(open(scratch.path()).inspect(made.id().hex()).unwrap().manifest.unwrap().digest, made.digest());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_archives_are_refused_and_leave_nothing() {
    let made = image("web");
    let whole = old_docker_save(&made, &["web:1"]);
    let mut corrupt = made.clone();
    corrupt.layers[1].0 = LayerBuilder::default().file("other", "").build();
    let hostile = TestImage::new(vec![LayerBuilder::default().file("../../evil", "").build()]);
    let missing = LayerBuilder::default()
        .file("manifest.json", json!([{"Config": "../../../etc/passwd", "Layers": []}]).to_string())
        .build();
    let endless = LayerBuilder::default()
        .symlink("a", "b")
        .symlink("b", "a")
        .file("manifest.json", json!([{"Config": "a"}]).to_string())
        .build();
    let mut oci = made.clone();
    oci.manifest.push(b' ');
    let text = String::from_utf8(oci_layout(&oci, &json!({}))).unwrap_err();
    let mut bytes = text.into_bytes();
    let at = bytes.windows(8).position(|window| window == b"manifest" && bytes[0] != 0).unwrap();
    assert!(at > 0);
    // One byte of the configuration's blob.
    let at = bytes.windows(12).position(|window| window == b"\"made\":\"test").unwrap();
    bytes[at + 9] = b'T';
    let cases = [
        ("empty", Vec::new(), "neither manifest.json"),
        ("noise", vec![7; 4096], "checksum"),
        ("cut off", whole[..whole.len() / 2].to_vec(), "cut off"),
        ("cut off in gzip", gzip(&whole)[..500].to_vec(), "decompressed"),
        (
            "other layer",
            {
                let mut archive = old_docker_save(&corrupt, &[]);
                replace(&mut archive, &corrupt, &made);
                archive
            },
            "unpacked layer is corrupt",
        ),
        ("hostile", old_docker_save(&hostile, &[]), "leads out of the layer"),
        ("outside", missing, "\"etc/passwd\" is missing"),
        ("links in a circle", endless, "is missing"),
        ("name with a digest", old_docker_save(&made, &[&format!("web@{}", made.digest())]), "where a tag belongs"),
        ("bad name", old_docker_save(&made, &["Bad Name"]), "invalid reference format"),
        ("corrupt configuration", bytes, "image configuration is corrupt"),
    ];
    for (name, bytes, expected) in cases {
        let scratch = tempfile::tempdir().unwrap();
        let error = load(scratch.path(), bytes).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{name}: {error}");
        assert_tidy(scratch.path(), 0);
        assert!(!scratch.path().join("evil").exists());
    }
}

/// Makes an archive of one image carry the configuration of another under the first one's name.
fn replace(archive: &mut Vec<u8>, from: &TestImage, to: &TestImage) {
    let manifest =
        json!([{"Config": "c.json", "Layers": [format!("{:064}/layer.tar", 0), format!("{:064}/layer.tar", 1)]}]);
    let mut builder = LayerBuilder::default().file("c.json", &to.config);
    for (at, (plain, _)) in from.layers.iter().enumerate() {
        builder = builder.file(&format!("{at:064}/layer.tar"), plain);
    }
    *archive = builder.file("manifest.json", manifest.to_string()).build();
}
