//! `--mount type=bind,source=/a,target=/b,readonly`: a file system inside the container.

use std::collections::BTreeMap;
use std::str::FromStr;

use shoal_api::types::{BindOptions, Driver, ImageOptions, Mount, MountType, TmpfsOptions, VolumeOptions};

use super::csv::{CsvError, boolean, fields, key_value, required, wrong};
use super::quantity::Bytes;
use super::word::word;

/// One mount, as the API wants it.
#[derive(Clone, Debug)]
pub(crate) struct MountFlag(pub(crate) Mount);

#[derive(Debug, thiserror::Error)]
pub(crate) enum MountError {
    #[error(transparent)]
    Csv(#[from] CsvError),
    #[error("the place inside the container is missing: add target=/PATH")]
    NoTarget,
    #[error("bind-recursive=readonly needs {0} beside it")]
    Recursive(&'static str),
    #[error("the options {options}-* do not fit the mount type {kind}")]
    Mixed { options: &'static str, kind: String },
}

impl FromStr for MountFlag {
    type Err = MountError;

    fn from_str(text: &str) -> Result<Self, MountError> {
        let mut draft = Draft::default();
        for field in fields(text)? {
            let (key, value) = key_value(&field);
            draft.set(&field, &key, value)?;
        }
        draft.finish().map(MountFlag)
    }
}

/// A mount whose options are still being gathered; each group is present once one of its options is.
#[derive(Default)]
struct Draft {
    mount: Mount,
    kind: Option<MountType>,
    bind: Option<BindOptions>,
    volume: Option<VolumeOptions>,
    image: Option<ImageOptions>,
    tmpfs: Option<TmpfsOptions>,
}

impl Draft {
    fn set(&mut self, field: &str, key: &str, value: Option<&str>) -> Result<(), CsvError> {
        match key {
            "readonly" | "ro" => self.mount.read_only = boolean(key, value)?,
            "bind-nonrecursive" => self.bind().non_recursive = boolean(key, value)?,
            "bind-create-src" => self.bind().create_mountpoint = boolean(key, value)?,
            "volume-nocopy" => self.volume().no_copy = boolean(key, value)?,
            _ => self.set_value(key, required(field, value)?)?,
        }
        Ok(())
    }

    fn set_value(&mut self, key: &str, value: &str) -> Result<(), CsvError> {
        match key {
            "type" => self.kind = Some(kind(value)?),
            "source" | "src" => self.mount.source = value.to_owned(),
            "target" | "dst" | "destination" => self.mount.target = value.to_owned(),
            "consistency" => self.mount.consistency = value.to_ascii_lowercase(),
            "bind-propagation" => self.bind().propagation = value.to_ascii_lowercase(),
            "bind-recursive" => self.set_recursive(value)?,
            "volume-subpath" => self.volume().subpath = value.to_owned(),
            "volume-label" => add(&mut self.volume().labels, value),
            "volume-driver" => self.driver().name = value.to_owned(),
            "volume-opt" => add(&mut self.driver().options, value),
            "image-subpath" => self.image.get_or_insert_default().subpath = value.to_owned(),
            "tmpfs-size" => {
                let bytes = value.parse::<Bytes>().map_err(|_| wrong(key, value, "write for example 64m"))?;
                self.tmpfs().size_bytes = bytes.0;
            }
            "tmpfs-mode" => {
                let mode =
                    u32::from_str_radix(value, 8).map_err(|_| wrong(key, value, "write an octal mode, as 1777"))?;
                self.tmpfs().mode = mode;
            }
            _ => return Err(CsvError::Key(key.to_owned())),
        }
        Ok(())
    }

    fn set_recursive(&mut self, value: &str) -> Result<(), CsvError> {
        match value {
            // The default: nothing to say.
            "enabled" => {}
            "disabled" => self.bind().non_recursive = true,
            "writable" => self.bind().read_only_non_recursive = true,
            "readonly" => self.bind().read_only_force_recursive = true,
            _ => return Err(wrong("bind-recursive", value, "use enabled, disabled, writable or readonly")),
        }
        Ok(())
    }

    fn finish(self) -> Result<Mount, MountError> {
        let kind = self.kind.unwrap_or(MountType::Volume);
        if self.mount.target.is_empty() {
            return Err(MountError::NoTarget);
        }
        let groups = [
            ("bind", MountType::Bind, self.bind.is_some()),
            ("volume", MountType::Volume, self.volume.is_some()),
            ("image", MountType::Image, self.image.is_some()),
            ("tmpfs", MountType::Tmpfs, self.tmpfs.is_some()),
        ];
        if let Some((options, ..)) = groups.into_iter().find(|(_, group, present)| *present && *group != kind) {
            return Err(MountError::Mixed { options, kind: format!("{kind:?}").to_lowercase() });
        }
        if let Some(bind) = self.bind.as_ref().filter(|bind| bind.read_only_force_recursive) {
            if !self.mount.read_only {
                return Err(MountError::Recursive("readonly"));
            }
            if bind.propagation != "rprivate" {
                return Err(MountError::Recursive("bind-propagation=rprivate"));
            }
        }
        Ok(Mount {
            kind: Some(kind),
            bind_options: self.bind,
            volume_options: self.volume,
            image_options: self.image,
            tmpfs_options: self.tmpfs,
            ..self.mount
        })
    }

    fn bind(&mut self) -> &mut BindOptions {
        self.bind.get_or_insert_default()
    }

    fn volume(&mut self) -> &mut VolumeOptions {
        self.volume.get_or_insert_default()
    }

    fn driver(&mut self) -> &mut Driver {
        self.volume().driver_config.get_or_insert_default()
    }

    fn tmpfs(&mut self) -> &mut TmpfsOptions {
        self.tmpfs.get_or_insert_default()
    }
}

fn kind(value: &str) -> Result<MountType, CsvError> {
    word(&value.to_ascii_lowercase()).map_err(|_| wrong("type", value, "use volume, bind, tmpfs, image or cluster"))
}

fn add(map: &mut BTreeMap<String, String>, pair: &str) {
    let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
    map.insert(key.to_owned(), value.to_owned());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_named() {
        let refusal = |text: &str| text.parse::<MountFlag>().unwrap_err().to_string();
        assert_eq!(refusal("type=volume,src=v"), "the place inside the container is missing: add target=/PATH");
        assert_eq!(refusal("/a"), "\"/a\" is not written key=value");
        assert_eq!(refusal("dst=/d,foo=bar"), "the key \"foo\" is unknown here");
        assert_eq!(refusal("dst=/d,ro=maybe"), "the value \"maybe\" of ro is wrong: write true or false");
        assert_eq!(
            refusal("dst=/d,type=disk"),
            "the value \"disk\" of type is wrong: use volume, bind, tmpfs, image or cluster"
        );
        assert_eq!(
            refusal("type=bind,src=/a,dst=/d,volume-nocopy"),
            "the options volume-* do not fit the mount type bind"
        );
        assert_eq!(
            refusal("type=bind,src=/a,dst=/d,bind-recursive=readonly"),
            "bind-recursive=readonly needs readonly beside it"
        );
        assert_eq!(
            refusal("type=tmpfs,dst=/d,tmpfs-mode=99"),
            "the value \"99\" of tmpfs-mode is wrong: write an octal mode, as 1777"
        );
    }
}
