//! Unpacking for real, as root: what every kind of entry becomes, what hostile layers do not reach, and what overlayfs
//! makes of whiteouts.

use std::{
    fs,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

use super::{adopt, decoder, unpack};
use crate::image::{
    digest::{Algorithm, Digest},
    error::ImageError,
    fixture::{LayerBuilder, Meta, gzip},
};

struct Scratch(tempfile::TempDir);

impl Scratch {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn unpack(&self, name: &str, layer: LayerBuilder) -> Result<super::Unpacked, ImageError> {
        let target = self.path(name);
        fs::create_dir(&target).unwrap();
        let bytes = layer.build();
        let packed = gzip(&bytes);
        let unpacked = unpack(decoder(&packed[..]).unwrap(), &target, Algorithm::Sha256)?;
        assert_eq!(unpacked.diff_id, Digest::sha256(&bytes));
        Ok(unpacked)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

fn xattr(path: &Path, key: &str) -> Option<Vec<u8>> {
    xattr::get(path, key).unwrap()
}

fn is_whiteout(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|m| m.file_type().is_char_device() && m.rdev() == 0)
}

fn is_opaque(path: &Path) -> bool {
    xattr(path, "trusted.overlay.opaque").as_deref() == Some(b"y")
}

#[test]
fn every_kind_of_entry_keeps_its_description() {
    let scratch = Scratch::new();
    // cap_net_bind_service+ep, as setcap writes it; its bytes hold a line feed.
    let capability = vec![1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0x0a, 0, 0, 0, 0, 0, 0, 0];
    let program = Meta {
        mode: 0o4755,
        uid: 12,
        gid: 34,
        mtime: 1_234_567_890,
        xattrs: vec![("security.capability", capability.clone()), ("user.note", b"x\ny".to_vec())],
        ..Meta::default()
    };
    let long = format!("{}/file", ["deep-folder-name"; 12].join("/"));
    let layer = LayerBuilder::default()
        .entry(b'5', "./", "", b"", &Meta { mode: 0o711, mtime: 77, ..Meta::default() })
        .entry(b'5', "bin/", "", b"", &Meta { mode: 0o1777, uid: 5, gid: 6, mtime: 1_111_111_111, ..Meta::default() })
        .entry(b'0', "bin/tool", "", b"program", &program)
        .hard_link("bin/same", "bin/tool")
        .hard_link("bin/absolute", "/bin/tool")
        .entry(b'2', "bin/link", "/etc/passwd", b"", &Meta { uid: 9, ..Meta::default() })
        .entry(b'3', "null", "", b"", &Meta { mode: 0o666, device: (1, 3), ..Meta::default() })
        .entry(b'6', "pipe", "", b"", &Meta::mode(0o600))
        .file("twice", "first")
        .file("/twice", "second, longer")
        .file(&long, "deep");
    let unpacked = scratch.unpack("diff", layer).unwrap();
    let root = scratch.path("diff");
    let of = |name: &str| fs::symlink_metadata(root.join(name)).unwrap();

    assert_eq!((fs::metadata(&root).unwrap().mode() & 0o7777, of("").mtime()), (0o711, 77));
    let folder = of("bin");
    assert_eq!((folder.mode() & 0o7777, folder.uid(), folder.gid(), folder.mtime()), (0o1777, 5, 6, 1_111_111_111));
    let tool = of("bin/tool");
    assert_eq!(
        (tool.mode() & 0o7777, tool.uid(), tool.gid(), tool.mtime(), tool.nlink()),
        (0o4755, 12, 34, 1_234_567_890, 3)
    );
    assert_eq!(tool.ino(), of("bin/absolute").ino());
    assert_eq!(xattr(&root.join("bin/tool"), "security.capability"), Some(capability));
    assert_eq!(xattr(&root.join("bin/tool"), "user.note").as_deref(), Some(&b"x\ny"[..]));
    assert_eq!(
        (fs::read_link(root.join("bin/link")).unwrap(), of("bin/link").uid()),
        (PathBuf::from("/etc/passwd"), 9)
    );
    assert_eq!((of("null").rdev(), of("null").mode() & 0o7777), (libc::makedev(1, 3), 0o666));
    assert!(of("pipe").file_type().is_fifo());
    assert_eq!(fs::read(root.join("twice")).unwrap(), b"second, longer");
    assert_eq!(fs::read(root.join(&long)).unwrap(), b"deep");
    assert_eq!(unpacked.size, 7 + 5 + 14 + 4);
    assert_eq!(unpacked.implied.len(), 12, "the long path's folders, and not those that were described");
}

/// One layer for each way out; "/@" stands for the folder above the layer.
fn hostile_layers() -> Vec<(&'static str, LayerBuilder)> {
    vec![
        ("dots", LayerBuilder::default().file("../outside/evil", "x")),
        ("inner dots", LayerBuilder::default().folder("a", 0o755).file("a/../../outside/evil", "x")),
        ("folder by dots", LayerBuilder::default().folder("../outside/evil", 0o755)),
        ("through a link", LayerBuilder::default().symlink("door", "../outside").file("door/evil", "x")),
        ("through an absolute link", LayerBuilder::default().symlink("door", "/@/outside").file("door/evil", "x")),
        (
            "through a link in the middle",
            LayerBuilder::default().folder("a", 0o755).symlink("a/door", "../../outside").file("a/door/b/evil", "x"),
        ),
        ("link out", LayerBuilder::default().hard_link("stolen", "../outside/secret")),
        ("absolute link out", LayerBuilder::default().hard_link("stolen", "/@/outside/secret")),
        (
            "link through a link",
            LayerBuilder::default().symlink("door", "../outside").hard_link("stolen", "door/secret"),
        ),
        ("link without a target", LayerBuilder::default().symlink("a", "")),
        ("link to itself", LayerBuilder::default().file("a", "x").hard_link("a", "a")),
        ("whiteout of the parent", LayerBuilder::default().folder("a", 0o755).file("a/.wh...", "")),
        ("whiteout of the folder", LayerBuilder::default().folder("a", 0o755).file("a/.wh..", "")),
        ("whiteout without a name", LayerBuilder::default().file(".wh.", "")),
        ("whiteout by dots", LayerBuilder::default().file("../.wh.outside", "")),
        ("whiteout through a link", LayerBuilder::default().symlink("door", "../outside").file("door/.wh.secret", "")),
        ("opaque through a link", LayerBuilder::default().symlink("door", "../outside").file("door/.wh..wh..opq", "")),
        ("whiteout as a folder", LayerBuilder::default().file(".wh.a/b", "")),
        ("file as a folder", LayerBuilder::default().file("a", "").file("a/b", "")),
        ("root is a file", LayerBuilder::default().file("./", "").file(".", "")),
        ("root is a link", LayerBuilder::default().symlink(".", "/@/outside")),
        ("too deep", LayerBuilder::default().file("a/".repeat(600).trim_end_matches('/'), "")),
        ("name too long", LayerBuilder::default().file(&"n".repeat(300), "")),
        (
            "user beyond range",
            LayerBuilder::default().entry(b'0', "a", "", b"", &Meta { uid: 1 << 33, ..Meta::default() }),
        ),
        (
            "unchanged user",
            LayerBuilder::default().entry(b'0', "a", "", b"", &Meta { uid: u32::MAX.into(), ..Meta::default() }),
        ),
    ]
}

#[test]
fn a_hostile_layer_reaches_nothing_outside() {
    let outside = "outside";
    for (name, layer) in hostile_layers() {
        let scratch = Scratch::new();
        fs::create_dir(scratch.path(outside)).unwrap();
        fs::write(scratch.path("outside/secret"), "secret").unwrap();
        let before = fs::metadata(scratch.path("outside/secret")).unwrap();
        let here = scratch.0.path().to_str().unwrap().to_owned();
        // "/@" stands for the scratch folder, whose name is not known above.
        let mut bytes = layer.build();
        if let Some(at) = bytes.windows(2).position(|pair| pair == b"/@") {
            let header = at / 512 * 512;
            let link: Vec<u8> =
                [here.as_bytes(), b"/", outside.as_bytes(), if name == "absolute link out" { b"/secret" } else { b"" }]
                    .concat();
            bytes[header + 157..header + 157 + link.len()].copy_from_slice(&link);
            let mut fixed = tar::Header::from_byte_slice(&bytes[header..header + 512]).clone();
            fixed.set_cksum();
            bytes[header..header + 512].copy_from_slice(fixed.as_bytes());
        }
        let target = scratch.path("diff");
        fs::create_dir(&target).unwrap();
        let error = unpack(&bytes[..], &target, Algorithm::Sha256).map(|_| ()).expect_err(name);
        assert!(matches!(error, ImageError::Layer { .. }), "{name}: {error:?}");
        let names: Vec<_> =
            fs::read_dir(scratch.path(outside)).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["secret"], "{name}");
        let after = fs::metadata(scratch.path("outside/secret")).unwrap();
        assert_eq!(
            (after.ino(), after.nlink(), after.ctime_nsec()),
            (before.ino(), before.nlink(), before.ctime_nsec()),
            "{name}"
        );
        assert!(!is_opaque(&scratch.path(outside)), "{name}");
    }
}

#[test]
fn a_link_that_is_replaced_is_not_followed() {
    let scratch = Scratch::new();
    fs::write(scratch.path("secret"), "secret").unwrap();
    let layer = LayerBuilder::default()
        .symlink("a", "../secret")
        .file("a", "overwritten")
        .symlink("b", "../secret")
        .folder("b", 0o700);
    scratch.unpack("diff", layer).unwrap();
    assert_eq!(fs::read(scratch.path("secret")).unwrap(), b"secret");
    assert_eq!(fs::read(scratch.path("diff/a")).unwrap(), b"overwritten");
    assert!(fs::symlink_metadata(scratch.path("diff/b")).unwrap().is_dir());
}

#[test]
fn an_image_cannot_speak_to_overlayfs() {
    let scratch = Scratch::new();
    let meta = Meta {
        mode: 0o755,
        xattrs: vec![
            ("trusted.overlay.redirect", b"/etc".to_vec()),
            ("trusted.overlay.opaque", b"y".to_vec()),
            ("trusted.note", b"n".to_vec()),
        ],
        ..Meta::default()
    };
    scratch.unpack("diff", LayerBuilder::default().entry(b'5', "a", "", b"", &meta)).unwrap();
    let folder = scratch.path("diff/a");
    assert_eq!(xattr(&folder, "trusted.overlay.redirect"), None);
    assert!(!is_opaque(&folder));
    assert_eq!(xattr(&folder, "trusted.note").as_deref(), Some(&b"n"[..]));
}

#[test]
fn whiteouts_take_overlayfs_form_whatever_the_order() {
    let scratch = Scratch::new();
    let layer = LayerBuilder::default()
        .file("gone/.wh.file", "")
        .folder("kept", 0o755)
        .file("kept/new", "n")
        .file("kept/.wh..wh..opq", "")
        .file(".wh.remade", "")
        .folder("remade", 0o755)
        .file(".wh.implied", "")
        .file("implied/deep/f", "")
        .file("brought", "b")
        .file(".wh.brought", "")
        .file(".wh.refilled", "")
        .file("refilled", "r")
        .folder("both", 0o755)
        .file("both/x", "")
        .file(".wh.both", "")
        .folder(".wh..wh.plnk", 0o700)
        .file(".wh..wh.plnk/12.34", "")
        .file(".wh..wh.aufs", "");
    let unpacked = scratch.unpack("diff", layer).unwrap();
    let root = scratch.path("diff");
    assert!(is_whiteout(&root.join("gone/file")));
    assert!(is_opaque(&root.join("kept")) && root.join("kept/new").exists());
    for folder in ["remade", "implied", "both"] {
        assert!(is_opaque(&root.join(folder)), "{folder}");
    }
    assert!(!is_opaque(&root.join("implied/deep")));
    assert_eq!(fs::read(root.join("brought")).unwrap(), b"b");
    assert_eq!(fs::read(root.join("refilled")).unwrap(), b"r");
    let names: std::collections::BTreeSet<_> =
        fs::read_dir(&root).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    assert!(!names.iter().any(|name| name.starts_with(".wh.")), "{names:?}");
    let implied: Vec<_> = unpacked.implied.iter().map(|parts| parts.join(&b'/')).collect();
    assert_eq!(implied, [&b""[..], b"gone", b"implied/deep"].map(<[u8]>::to_vec));
}

#[test]
fn implied_folders_look_as_they_do_below() {
    let scratch = Scratch::new();
    let sticky =
        Meta { mode: 0o1777, uid: 3, gid: 4, mtime: 99, xattrs: vec![("user.note", b"n".to_vec())], ..Meta::default() };
    scratch
        .unpack(
            "a",
            LayerBuilder::default()
                .folder("./", 0o750)
                .entry(b'5', "tmp", "", b"", &sticky)
                .folder("old", 0o700)
                .folder("x", 0o700)
                .folder("x/y", 0o700),
        )
        .unwrap();
    scratch
        .unpack("b", LayerBuilder::default().file(".wh.old", "").folder("x", 0o711).file("x/.wh..wh..opq", ""))
        .unwrap();
    let unpacked =
        scratch.unpack("c", LayerBuilder::default().file("tmp/f", "").file("old/f", "").file("x/y/f", "")).unwrap();
    adopt(&scratch.path("c"), &unpacked.implied, &[scratch.path("b"), scratch.path("a")]).unwrap();
    let of = |name: &str| fs::metadata(scratch.path("c").join(name)).unwrap();
    assert_eq!(of("").mode() & 0o7777, 0o755, "b implies its root as well, and was not adopted here");
    assert_eq!((of("tmp").mode() & 0o7777, of("tmp").uid(), of("tmp").gid(), of("tmp").mtime()), (0o1777, 3, 4, 99));
    assert_eq!(xattr(&scratch.path("c/tmp"), "user.note").as_deref(), Some(&b"n"[..]));
    assert_eq!(of("old").mode() & 0o7777, 0o755, "what was there is hidden");
    assert_eq!((of("x").mode() & 0o7777, of("x/y").mode() & 0o7777), (0o711, 0o755));
}

#[test]
fn overlayfs_shows_what_docker_would() {
    let scratch = Scratch::new();
    scratch
        .unpack(
            "lower",
            LayerBuilder::default()
                .folder("etc", 0o755)
                .file("etc/gone", "1")
                .file("etc/kept", "2")
                .folder("var", 0o755)
                .file("var/old", "3")
                .folder("whole", 0o755)
                .file("whole/f", "4")
                .folder("remade", 0o755)
                .file("remade/old", "5"),
        )
        .unwrap();
    scratch
        .unpack(
            "upper",
            LayerBuilder::default()
                .folder("etc", 0o711)
                .file("etc/.wh.gone", "")
                .file("etc/new", "6")
                .folder("var", 0o755)
                .file("var/.wh..wh..opq", "")
                .file("var/new", "7")
                .file(".wh.whole", "")
                .file(".wh.remade", "")
                .folder("remade", 0o755)
                .file("remade/new", "8"),
        )
        .unwrap();
    let merged = scratch.path("merged");
    fs::create_dir(&merged).unwrap();
    let options = format!("lowerdir={}:{}", scratch.path("upper").display(), scratch.path("lower").display());
    nix::mount::mount(
        Some("overlay"),
        &merged,
        Some("overlay"),
        nix::mount::MsFlags::MS_RDONLY,
        Some(options.as_str()),
    )
    .unwrap();
    let seen = std::panic::catch_unwind(|| {
        let list = |name: &str| {
            let mut names: Vec<_> = fs::read_dir(merged.join(name))
                .unwrap()
                .map(|e| e.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            names.join(" ")
        };
        (["", "etc", "var", "remade"].map(list), fs::metadata(merged.join("etc")).unwrap().mode() & 0o777)
    });
    nix::mount::umount(&merged).unwrap();
    let (lists, mode) = seen.unwrap();
    assert_eq!(lists, ["etc remade var", "kept new", "new", "new"].map(str::to_owned));
    assert_eq!(mode, 0o711);
}

#[test]
fn a_broken_stream_is_told_from_a_broken_disk() {
    let scratch = Scratch::new();
    let bytes = LayerBuilder::default().file("a", vec![7; 100_000]).build();
    let packed = gzip(&bytes);
    for (name, cut) in [("half", &packed[..packed.len() / 2]), ("no trailer", &packed[..packed.len() - 4])] {
        let target = scratch.path(name);
        fs::create_dir(&target).unwrap();
        let error = unpack(decoder(cut).unwrap(), &target, Algorithm::Sha256).unwrap_err();
        assert!(matches!(error, ImageError::Malformed { what: "layer", .. }), "{name}: {error:?}");
    }
}

mod fuzz {
    use proptest::prelude::*;

    use super::*;

    /// Paths made of what layers should not hold, often enough to be meant.
    fn path() -> impl Strategy<Value = String> {
        let part = prop::sample::select(vec![
            "a",
            "b",
            "door",
            "..",
            ".",
            "",
            ".wh.a",
            ".wh.door",
            ".wh..",
            ".wh...",
            ".wh..wh..opq",
            ".wh..wh.plnk",
        ]);
        (any::<bool>(), prop::collection::vec(part, 1..5)).prop_map(|(absolute, parts)| {
            let path = parts.join("/");
            if absolute { format!("/{path}") } else { path }
        })
    }

    proptest! {
        #[test]
        fn no_order_of_entries_reaches_outside(
            entries in prop::collection::vec((prop::sample::select(b"0123567".to_vec()), path(), prop_oneof![path(), Just("../outside".to_owned()), Just("../outside/secret".to_owned())]), 1..12),
        ) {
            let scratch = Scratch::new();
            fs::create_dir(scratch.path("outside")).unwrap();
            fs::write(scratch.path("outside/secret"), "secret").unwrap();
            let before = fs::metadata(scratch.path("outside/secret")).unwrap();
            let mut layer = LayerBuilder::default();
            for (kind, path, link) in &entries {
                let link = if matches!(kind, b'1' | b'2') { link } else { "" };
                let data: &[u8] = if *kind == b'0' { b"data" } else { b"" };
                layer = layer.entry(*kind, path, link, data, &Meta::mode(0o755));
            }
            let target = scratch.path("diff");
            fs::create_dir(&target).unwrap();
            match unpack(&layer.build()[..], &target, Algorithm::Sha256) {
                Ok(unpacked) => adopt(&target, &unpacked.implied, &[]).unwrap(),
                Err(error) => prop_assert!(matches!(error, ImageError::Layer { .. }), "{:?}", error),
            }
            let mut names: Vec<_> = fs::read_dir(scratch.0.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            prop_assert_eq!(names, ["diff", "outside"]);
            let names: Vec<_> = fs::read_dir(scratch.path("outside")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            prop_assert_eq!(names, ["secret"]);
            let after = fs::metadata(scratch.path("outside/secret")).unwrap();
            prop_assert_eq!((after.ino(), after.nlink(), after.mode(), after.ctime(), after.ctime_nsec()), (before.ino(), before.nlink(), before.mode(), before.ctime(), before.ctime_nsec()));
        }
    }
}
