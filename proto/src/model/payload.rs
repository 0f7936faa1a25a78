//! Secrets and configs: bytes of the user's that tasks see as files. What the two have in common is called a payload.
//!
//! The data never changes: a service gets other content by another reference. It is printed nowhere, and what held it is
//! overwritten when it is dropped.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use zeroize::Zeroizing;

use super::{Labels, Meta, PayloadId};

/// A secret or a config in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payload {
    /// Identity.
    pub id: PayloadId,
    /// Version and times.
    pub meta: Meta,
    /// Which of the two.
    pub kind: PayloadKind,
    /// The wish.
    pub spec: PayloadSpec,
}

/// Whether a payload may be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum PayloadKind {
    /// Its data leaves the managers for tasks only.
    Secret,
    /// Its data is shown to whoever asks the API.
    Config,
}

/// A secret or a config as the user wishes it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PayloadSpec {
    /// Unique among those of its kind, letter case aside.
    pub name: String,
    /// Its labels: all of it that may change.
    pub labels: Labels,
    /// The content, or the template of it.
    pub data: SensitiveBytes,
    /// How the content is made of the data; `None`: it is the data.
    pub template: Option<TemplateDriver>,
}

/// How a payload's content is made of its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TemplateDriver {
    /// The actions of [`crate::template`] are replaced.
    Golang,
}

/// A task's wish for a payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayloadReference {
    /// Which of the two.
    pub kind: PayloadKind,
    /// Which one.
    pub id: PayloadId,
    /// Its name, for people.
    pub name: String,
    /// What becomes of it.
    pub target: PayloadTarget,
}

/// What becomes of a payload in a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum PayloadTarget {
    /// A file.
    File(FileTarget),
    /// Nothing that the container sees: an input of the runtime.
    Runtime,
}

/// A file in a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileTarget {
    /// Absolute, or below the kind's own folder.
    pub name: String,
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Permission bits.
    pub mode: u32,
}

impl PayloadReference {
    /// Where the file is in the container; `None`: it is no file.
    #[must_use]
    pub fn path(&self) -> Option<String> {
        let PayloadTarget::File(file) = &self.target else { return None };
        Some(match self.kind {
            _ if file.name.starts_with('/') => file.name.clone(),
            PayloadKind::Secret => format!("/run/secrets/{}", file.name),
            PayloadKind::Config => format!("/{}", file.name),
        })
    }
}

impl PayloadKind {
    /// What people call it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Config => "config",
        }
    }
}

impl fmt::Display for PayloadKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.word())
    }
}

/// Bytes that must not be printed: `Debug` shows how many, and no more. Clones share them; the last one to be dropped
/// overwrites them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SensitiveBytes(Arc<Zeroizing<Vec<u8>>>);

impl SensitiveBytes {
    /// The bytes, for those who may have them.
    #[must_use]
    pub fn reveal(&self) -> &[u8] {
        &self.0
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<Vec<u8>> for SensitiveBytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Zeroizing::new(bytes)))
    }
}

impl fmt::Debug for SensitiveBytes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "<{} hidden bytes>", self.0.len())
    }
}

impl Serialize for SensitiveBytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for SensitiveBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_byte_buf(BytesVisitor)
    }
}

struct BytesVisitor;

impl de::Visitor<'_> for BytesVisitor {
    type Value = SensitiveBytes;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("bytes")
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<SensitiveBytes, E> {
        Ok(bytes.to_vec().into())
    }

    fn visit_byte_buf<E: de::Error>(self, bytes: Vec<u8>) -> Result<SensitiveBytes, E> {
        Ok(bytes.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec;
    use crate::model::Id;

    #[test]
    fn data_is_encoded_and_never_printed() {
        let data = SensitiveBytes::from(vec![0, 200, b'p', b'w']);
        let spec = PayloadSpec { name: "s".to_owned(), data, ..PayloadSpec::default() };
        let bytes = codec::encode(&spec).unwrap();
        assert_eq!(codec::decode::<PayloadSpec>(&bytes).unwrap(), spec);
        let shown = format!("{spec:?}");
        assert!(shown.contains("<4 hidden bytes>") && !shown.contains("112"), "{shown}");
    }

    #[test]
    fn files_have_a_folder_of_their_kind() {
        let reference = |kind, name: &str| PayloadReference {
            kind,
            id: PayloadId::from_random(1),
            name: "n".to_owned(),
            target: PayloadTarget::File(FileTarget { name: name.to_owned(), uid: 0, gid: 0, mode: 0o444 }),
        };
        let path = |kind, name| reference(kind, name).path().unwrap();
        assert_eq!(path(PayloadKind::Secret, "db"), "/run/secrets/db");
        assert_eq!(path(PayloadKind::Secret, "/etc/db"), "/etc/db");
        assert_eq!(path(PayloadKind::Config, "etc/web.conf"), "/etc/web.conf");
        let runtime = PayloadReference { target: PayloadTarget::Runtime, ..reference(PayloadKind::Config, "x") };
        assert_eq!(runtime.path(), None);
    }
}
