//! The store against a real registry (Debian's docker-registry), against a server that misbehaves on purpose, and
//! against archives and crashes.

mod archives;
mod crash;
mod misbehaving;
mod registry;
mod server;
mod store;

use std::path::Path;

use super::{
    ImageError, ImageStore, PullOptions, PulledImage, Reference, StoreConfig,
    fixture::{LayerBuilder, TestImage},
};

fn open(root: &Path) -> ImageStore {
    ImageStore::open(&StoreConfig { root: root.into(), ..StoreConfig::default() }).unwrap()
}

fn reference(text: &str) -> Reference {
    Reference::parse(text).unwrap()
}

/// An image of two layers, unlike any of another name.
fn image(name: &str) -> TestImage {
    let base =
        LayerBuilder::default().folder("etc", 0o755).file("etc/name", name).folder("tmp", 0o1777).file("gone", "x");
    let top =
        LayerBuilder::default().file("server", format!("program of {name}")).file(".wh.gone", "").file("tmp/f", "");
    TestImage::new(vec![base.build(), top.build()])
}

async fn pull(store: &ImageStore, name: &str) -> Result<PulledImage, ImageError> {
    store.pull(&reference(name), PullOptions::default(), None).await
}

/// Everything below a folder that is a file, for comparing what is on disk.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// That nothing is left of what was begun.
fn assert_tidy(root: &Path, images: usize) {
    assert_eq!(names(&root.join("image/ingest")), Vec::<String>::new());
    assert_eq!(names(&root.join("image/images")).len(), images);
    if images == 0 {
        assert_eq!(names(&root.join("image/layers")), Vec::<String>::new());
        assert_eq!(names(&root.join("image/content/sha256")), Vec::<String>::new());
    }
}
