//! Removing images and names, by Docker's rules and in Docker's words.
//!
//! A name goes while others stay; the image goes with its last name; an image in use goes only when forced, and then
//! only its names: its layers stay until the containers are gone and it is removed again.

use super::{
    digest::ImageId,
    error::ImageError,
    index::{Snapshot, Writer},
    reference::Reference,
    store::{ImageStore, Inner},
};

/// What a removal did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removed {
    /// A name is gone; familiar form.
    Untagged(String),
    /// The image is gone.
    Deleted(ImageId),
}

impl ImageStore {
    /// Removes a name, and the image with its last name; by id (or the beginning of one), the image with its names.
    ///
    /// # Errors
    /// When there is no such image, it is in use, or has names in several repositories (the last two unless `force`).
    pub async fn remove(&self, image: &str, force: bool) -> Result<Vec<Removed>, ImageError> {
        let image = image.to_owned();
        self.blocking(move |inner| {
            let mut writer = inner.index.write();
            let removed = inner.remove(&mut writer, &image, force)?;
            drop(writer);
            inner.sweep()?;
            Ok(removed)
        })
        .await
    }
}

impl Inner {
    fn remove(&self, writer: &mut Writer<'_>, text: &str, force: bool) -> Result<Vec<Removed>, ImageError> {
        // Held to the end: no container may begin to use the image meanwhile.
        let uses = self.uses.lock();
        let (id, name) = writer.snapshot().resolve(text)?;
        let user = uses.iter().filter(|(_, image)| **image == id).map(|(container, _)| container).min();
        let doomed = plan(writer.snapshot(), &id, name.as_ref(), force, user.map(String::as_str))?;
        let mut removed: Vec<Removed> = doomed.names.iter().map(|name| Removed::Untagged(name.familiar())).collect();
        if !doomed.names.is_empty() {
            writer.forget(&doomed.names)?;
        }
        if doomed.image {
            writer.remove(&id)?;
            removed.push(Removed::Deleted(id));
        }
        Ok(removed)
    }
}

/// What a removal will do.
#[derive(Debug, PartialEq, Eq)]
struct Doomed {
    names: Vec<Reference>,
    image: bool,
}

/// Decides what goes. `name` is what the caller called it by, if not its id; `user` is a container that uses it.
fn plan(
    snapshot: &Snapshot,
    id: &ImageId,
    name: Option<&Reference>,
    force: bool,
    user: Option<&str>,
) -> Result<Doomed, ImageError> {
    let all: Vec<Reference> = snapshot.names_of(id).cloned().collect();
    let image = id.0.short().to_owned();
    if let Some(name) = name {
        // A name with tag and digest is kept under its digest.
        let name = name.digest().map_or_else(|| name.clone(), |digest| name.at_digest(digest.clone()));
        let rest: Vec<&Reference> = all.iter().filter(|other| **other != name).collect();
        // Digests that a pull left beside the tag are not names that anybody gave.
        let only_digests = rest.iter().all(|other| other.digest().is_some() && other.name() == name.name());
        if !only_digests {
            return Ok(Doomed { names: vec![name], image: false });
        }
        if let (Some(container), false) = (user, force) {
            let (reference, container) = (name.familiar(), short(container));
            return Err(ImageError::NameInUse { reference, container, image });
        }
        return Ok(Doomed { names: all, image: user.is_none() });
    }
    let repositories: std::collections::BTreeSet<String> = all.iter().map(Reference::name).collect();
    let tags = all.iter().filter(|name| name.digest().is_none()).count();
    if !force && (repositories.len() > 1 || tags > 1) {
        return Err(ImageError::ManyNames(image));
    }
    if let (Some(container), false) = (user, force) {
        return Err(ImageError::InUse { image, container: short(container) });
    }
    Ok(Doomed { names: all, image: user.is_none() })
}

fn short(container: &str) -> String {
    container.chars().take(12).collect()
}
