//! Layers and images made in code, for this module's tests. Unlike a tar library it refuses nothing.

use std::io::Write as _;

use serde_json::json;

use super::digest::Digest;

/// Writes the entries of a layer.
#[derive(Debug, Default, Clone)]
pub(super) struct LayerBuilder {
    bytes: Vec<u8>,
}

/// What an entry says beside its path; the default is root's, mode 0644, from 2001.
#[derive(Debug, Clone)]
pub(super) struct Meta {
    pub(super) mode: u32,
    pub(super) uid: u64,
    pub(super) gid: u64,
    pub(super) mtime: u64,
    pub(super) device: (u32, u32),
    pub(super) xattrs: Vec<(&'static str, Vec<u8>)>,
}

impl Default for Meta {
    fn default() -> Self {
        Self { mode: 0o644, uid: 0, gid: 0, mtime: 1_000_000_000, device: (0, 0), xattrs: Vec::new() }
    }
}

impl Meta {
    pub(super) fn mode(mode: u32) -> Self {
        Self { mode, ..Self::default() }
    }
}

impl LayerBuilder {
    pub(super) fn file(self, path: &str, data: impl AsRef<[u8]>) -> Self {
        self.entry(b'0', path, "", data.as_ref(), &Meta::default())
    }

    pub(super) fn folder(self, path: &str, mode: u32) -> Self {
        self.entry(b'5', path, "", b"", &Meta::mode(mode))
    }

    pub(super) fn symlink(self, path: &str, target: &str) -> Self {
        self.entry(b'2', path, target, b"", &Meta::mode(0o777))
    }

    pub(super) fn hard_link(self, path: &str, target: &str) -> Self {
        self.entry(b'1', path, target, b"", &Meta::default())
    }

    #[expect(clippy::too_many_arguments, reason = "an entry has that many parts")]
    pub(super) fn entry(mut self, kind: u8, path: &str, link: &str, data: &[u8], meta: &Meta) -> Self {
        let mut records: Vec<(String, &[u8])> =
            meta.xattrs.iter().map(|(key, value)| (format!("SCHILY.xattr.{key}"), value.as_slice())).collect();
        if path.len() > 100 {
            records.push(("path".into(), path.as_bytes()));
        }
        if !records.is_empty() {
            let body: Vec<u8> = records.iter().flat_map(|(key, value)| pax_record(key, value)).collect();
            self.block(b'x', b"pax", b"", &body, &Meta::default());
        }
        self.block(kind, &path.as_bytes()[..path.len().min(100)], link.as_bytes(), data, meta);
        self
    }

    /// The layer, uncompressed.
    pub(super) fn build(mut self) -> Vec<u8> {
        self.bytes.extend([0; 1024]);
        self.bytes
    }

    #[expect(clippy::too_many_arguments, reason = "an entry has that many parts")]
    fn block(&mut self, kind: u8, path: &[u8], link: &[u8], data: &[u8], meta: &Meta) {
        let mut header = tar::Header::new_ustar();
        header.set_mode(meta.mode);
        header.set_uid(meta.uid);
        header.set_gid(meta.gid);
        header.set_mtime(meta.mtime);
        header.set_size(data.len() as u64);
        header.set_device_major(meta.device.0).unwrap();
        header.set_device_minor(meta.device.1).unwrap();
        let raw = header.as_mut_bytes();
        raw[..path.len()].copy_from_slice(path);
        raw[156] = kind;
        raw[157..157 + link.len()].copy_from_slice(link);
        header.set_cksum();
        self.bytes.extend(header.as_bytes());
        self.bytes.extend(data);
        self.bytes.resize(self.bytes.len().next_multiple_of(512), 0);
    }
}

fn pax_record(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut length = rest;
    while rest + length.to_string().len() != length {
        length = rest + length.to_string().len();
    }
    [format!("{length} {key}=").as_bytes(), value, b"\n"].concat()
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// An image of one platform: its blobs, ready to be pushed or put into an archive.
#[derive(Debug, Clone)]
pub(super) struct TestImage {
    pub(super) config: Vec<u8>,
    /// Uncompressed and as stored, bottom first.
    pub(super) layers: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) manifest: Vec<u8>,
}

pub(super) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(super) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(super) const SCHEMA2: &str = "application/vnd.docker.distribution.manifest.v2+json";

impl TestImage {
    /// Layers are gzip-compressed.
    pub(super) fn new(layers: Vec<Vec<u8>>) -> Self {
        let layers = layers.into_iter().map(|layer| (layer.clone(), gzip(&layer))).collect();
        Self::stored(layers, "amd64")
    }

    pub(super) fn stored(layers: Vec<(Vec<u8>, Vec<u8>)>, architecture: &str) -> Self {
        let diff_ids: Vec<_> = layers.iter().map(|(plain, _)| Digest::sha256(plain)).collect();
        let config = json!({
            "architecture": architecture, "os": "linux", "created": "2024-05-01T10:00:00Z",
            "config": {"Cmd": ["/server"], "Env": ["A=b"], "Labels": {"made": "test"}},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
            "history": [{"created_by": "test"}],
        });
        let config = config.to_string().into_bytes();
        let descriptor =
            |kind: &str, bytes: &[u8]| json!({"mediaType": kind, "digest": Digest::sha256(bytes), "size": bytes.len()});
        let manifest = json!({
            "schemaVersion": 2, "mediaType": OCI_MANIFEST,
            "config": descriptor("application/vnd.oci.image.config.v1+json", &config),
            "layers": layers.iter().map(|(_, stored)| descriptor("application/vnd.oci.image.layer.v1.tar+gzip", stored)).collect::<Vec<_>>(),
        });
        Self { config, layers, manifest: manifest.to_string().into_bytes() }
    }

    pub(super) fn id(&self) -> Digest {
        Digest::sha256(&self.config)
    }

    pub(super) fn digest(&self) -> Digest {
        Digest::sha256(&self.manifest)
    }

    pub(super) fn blobs(&self) -> Vec<&[u8]> {
        self.layers.iter().map(|(_, stored)| stored.as_slice()).chain([self.config.as_slice()]).collect()
    }
}
