//! The store by itself: names, removal, crashes, full disks, root filesystems.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
};

use nix::mount::{MsFlags, mount, umount};

use super::{
    super::{ErrorKind, ImageError, ImageFilters, ImageId, ImageStore, Removed, fixture::TestImage},
    assert_tidy, image, names, open, pull, reference,
    server::Server,
};

/// A store with one image, named `web:1`.
async fn with_image(root: &Path, made: &TestImage) -> (ImageStore, ImageId) {
    let server = Server::start().await;
    server.put("web", "1", made);
    let store = open(root);
    let name = format!("{}/web:1", server.address);
    let id = pull(&store, &name).await.unwrap().id;
    store.tag(&name, &reference("web:1")).await.unwrap();
    store.remove(&name, false).await.unwrap();
    for digest in store.inspect("web:1").unwrap().repo_digests {
        store.remove(&digest, false).await.unwrap();
    }
    (store, id)
}

#[tokio::test(flavor = "multi_thread")]
async fn names_come_and_go_by_dockers_rules() {
    let scratch = tempfile::tempdir().unwrap();
    let (store, id) = with_image(scratch.path(), &image("web")).await;
    store.tag("web:1", &reference("other/name:2")).await.unwrap();
    store.tag(&id.0.hex()[..10], &reference("web:latest")).await.unwrap();
    assert_eq!(store.inspect("web").unwrap().repo_tags, ["other/name:2", "web:1", "web:latest"]);

    let short = id.0.short();
    let error = store.remove(id.as_str(), false).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("conflict: unable to delete {short} (must be forced) - image is referenced in multiple repositories")
    );
    assert_eq!(store.remove("web:1", false).await.unwrap(), [Removed::Untagged("web:1".into())]);
    let error = store.remove("web:1", true).await.unwrap_err();
    assert_eq!((error.to_string(), error.kind()), ("No such image: web:1".into(), ErrorKind::NotFound));
    assert!(matches!(store.tag("missing", &reference("a")).await.unwrap_err(), ImageError::NoSuchImage(_)));
    let pinned = reference(&format!("a@{id}"));
    assert_eq!(
        store.tag("web", &pinned).await.unwrap_err().to_string(),
        "refusing to create a tag with a digest reference"
    );
    assert_eq!(
        store.inspect("Web").unwrap_err().to_string(),
        "invalid reference format: repository name (library/Web) must be lowercase"
    );

    let removed = store.remove(id.as_str(), true).await.unwrap();
    assert_eq!(
        removed,
        [Removed::Untagged("web:latest".into()), Removed::Untagged("other/name:2".into()), Removed::Deleted(id)]
    );
    assert_tidy(scratch.path(), 0);
    assert!(store.list(&ImageFilters::default()).unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_pick_images() {
    let scratch = tempfile::tempdir().unwrap();
    let (store, id) = with_image(scratch.path(), &image("web")).await;
    let count = |filters: ImageFilters| store.list(&filters).unwrap().len();
    let by = |reference: &str| ImageFilters { reference: vec![reference.into()], ..ImageFilters::default() };
    assert_eq!([by("web"), by("web:1"), by("w*:?"), by("other")].map(count), [1, 1, 1, 0]);
    let labelled = |label: &str| ImageFilters { label: vec![label.into()], ..ImageFilters::default() };
    assert_eq!([labelled("made"), labelled("made=test"), labelled("made=x"), labelled("x")].map(count), [1, 1, 0, 0]);
    let dangling = |dangling| ImageFilters { dangling: Some(dangling), ..ImageFilters::default() };
    assert_eq!([dangling(false), dangling(true)].map(count), [1, 0]);
    assert_eq!(count(ImageFilters { until: Some(0), ..ImageFilters::default() }), 0);
    assert_eq!(count(ImageFilters { before: Some(id.to_string()), ..ImageFilters::default() }), 0);
    assert!(store.list(&ImageFilters { since: Some("missing".into()), ..ImageFilters::default() }).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_used_image_stays_until_its_container_is_gone() {
    let scratch = tempfile::tempdir().unwrap();
    let (store, id) = with_image(scratch.path(), &image("web")).await;
    let container = "0123456789abcdef";
    let rootfs = store.prepare_rootfs(container, &id).unwrap();
    assert_eq!(rootfs.lower, store.layers(&id).unwrap());
    assert_eq!(rootfs, store.prepare_rootfs(container, &id).unwrap(), "a restarted daemon asks again");
    let folder = scratch.path().join("container").join(container);
    assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);

    drop(store);
    let store = open(scratch.path());
    let short = id.0.short();
    let by_id = store.remove(id.as_str(), false).await.unwrap_err().to_string();
    assert_eq!(
        by_id,
        format!("conflict: unable to delete {short} (must be forced) - image is being used by container 0123456789ab")
    );
    let by_name = store.remove("web:1", false).await.unwrap_err();
    assert_eq!(
        by_name.to_string(),
        format!(
            "conflict: unable to remove repository reference \"web:1\" (must force) - container 0123456789ab is using its referenced image {short}"
        )
    );
    assert_eq!(by_name.kind(), ErrorKind::Conflict);
    assert_eq!(store.remove("web:1", true).await.unwrap(), [Removed::Untagged("web:1".into())]);
    assert!(rootfs.lower.iter().all(|layer| layer.is_dir()), "a running container keeps its layers");

    store.remove_rootfs(container).unwrap();
    store.remove_rootfs(container).unwrap();
    assert!(!folder.exists());
    assert_eq!(store.remove(id.as_str(), false).await.unwrap(), [Removed::Deleted(id.clone())]);
    assert_tidy(scratch.path(), 0);
    assert!(matches!(store.prepare_rootfs(container, &id), Err(ImageError::NoSuchImage(_))));
    assert!(!folder.exists());
    for bad in ["", "..", "a/b", ".hidden", &"x".repeat(200)] {
        assert!(matches!(store.prepare_rootfs(bad, &id), Err(ImageError::ContainerId(_))), "{bad}");
        assert!(matches!(store.remove_rootfs(bad), Err(ImageError::ContainerId(_))), "{bad}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_filesystem_mounts_and_shows_the_image() {
    let scratch = tempfile::tempdir().unwrap();
    let (store, id) = with_image(scratch.path(), &image("web")).await;
    let rootfs = store.prepare_rootfs("c1", &id).unwrap();
    fs::write(scratch.path().join("container/c1/state.json"), "someone else's").unwrap();
    let lower: Vec<_> = rootfs.lower.iter().map(|layer| layer.display().to_string()).collect();
    let options =
        format!("lowerdir={},upperdir={},workdir={}", lower.join(":"), rootfs.upper.display(), rootfs.work.display());
    mount(Some("overlay"), &rootfs.merged, Some("overlay"), MsFlags::empty(), Some(options.as_str())).unwrap();
    let seen = std::panic::catch_unwind(|| {
        let mode = fs::metadata(rootfs.merged.join("tmp")).unwrap().mode() & 0o7777;
        fs::write(rootfs.merged.join("etc/name"), "changed").unwrap();
        (names(&rootfs.merged), mode, fs::metadata(&rootfs.merged).unwrap().mode() & 0o7777)
    });
    let refused = store.remove_rootfs("c1");
    umount(&rootfs.merged).unwrap();
    assert!(matches!(refused, Err(ImageError::StillMounted(_))), "{refused:?}");
    let (seen, mode, root_mode) = seen.unwrap();
    assert_eq!((seen, mode, root_mode), (["etc", "server", "tmp"].map(str::to_owned).to_vec(), 0o1777, 0o755));
    assert_eq!(fs::read(rootfs.lower[1].join("etc/name")).unwrap(), b"web", "the image is not touched");
    store.remove_rootfs("c1").unwrap();
    assert_eq!(names(&scratch.path().join("container/c1")), ["state.json"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_crash_leaves_is_repaired() {
    let scratch = tempfile::tempdir().unwrap();
    let root = scratch.path().join("image");
    let (store, id) = with_image(scratch.path(), &image("web")).await;
    let layers = store.layers(&id).unwrap();
    drop(store);
    fs::create_dir_all(root.join("ingest/layer-1-1/diff/deep")).unwrap();
    fs::write(root.join("ingest/blob-1-2"), "half").unwrap();
    fs::create_dir_all(root.join("layers/strangerstranger/diff")).unwrap();
    fs::write(root.join("content/sha256").join("0".repeat(64)), "orphan").unwrap();
    let store = open(scratch.path());
    assert_eq!(store.inspect("web:1").unwrap().id, id);
    assert_eq!(
        (
            names(&root.join("ingest")).len(),
            names(&root.join("layers")).len(),
            names(&root.join("content/sha256")).len()
        ),
        (0, 2, 2)
    );
    assert!(layers.iter().all(|layer| layer.is_dir()));
    drop(store);

    // A name without its image, then a damaged image, then damaged names.
    fs::remove_dir_all(layers[0].parent().unwrap()).unwrap();
    let store = open(scratch.path());
    assert!(matches!(store.inspect("web:1"), Err(ImageError::NoSuchImage(_))));
    assert_tidy(scratch.path(), 0);
    drop(store);
    fs::write(root.join("images/x.json"), "{").unwrap();
    fs::write(root.join("repositories.json"), "{").unwrap();
    let (_store, _id) = with_image(scratch.path(), &image("web")).await;
    assert_eq!(names(&root.join("images")).len(), 1);
    assert!(root.join("repositories.damaged").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_and_leaves_nothing() {
    let scratch = tempfile::tempdir().unwrap();
    let disk = scratch.path().join("disk");
    fs::create_dir(&disk).unwrap();
    mount(Some("tmpfs"), &disk, Some("tmpfs"), MsFlags::empty(), Some("size=3m")).unwrap();
    let fits = TestImage::new(vec![super::LayerBuilder::default().file("small", vec![0; 100_000]).build()]);
    // Zeroes: the blob is small and the unpacked layer is not, so that unpacking fails half-way.
    let bomb = TestImage::new(vec![
        super::LayerBuilder::default().file("a", vec![0; 1 << 20]).file("b", vec![0; 4 << 20]).build(),
    ]);
    let server = Server::start().await;
    server.put("fits", "1", &fits);
    server.put("bomb", "1", &bomb);
    let store = open(&disk);
    let kept = pull(&store, &format!("{}/fits:1", server.address)).await;
    let refused = pull(&store, &format!("{}/bomb:1", server.address)).await;
    let rest = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| assert_tidy(&disk, 1)));
    let reopened =
        ImageStore::open(&super::StoreConfig { root: disk.clone(), ..super::StoreConfig::default() }).unwrap();
    let still = reopened.inspect(&format!("{}/fits:1", server.address));
    drop((store, reopened));
    umount(&disk).unwrap();
    kept.unwrap();
    let error = refused.unwrap_err();
    assert!(matches!(error, ImageError::DiskFull { .. }), "{error:?}");
    assert!(error.to_string().contains("free some space"), "{error}");
    rest.unwrap();
    still.unwrap();
}
