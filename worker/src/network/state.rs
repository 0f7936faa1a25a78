//! What the kernel was told, on disk: bridge subnet, networks, one file an endpoint.
//!
//! Written before the kernel is told, so that after a crash nothing of ours is unknown. Files are replaced by renaming;
//! they are not synced, because the kernel objects that they name do not outlive a power cut either. Leaves what to do
//! with them to `actor`.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use shoal_proto::model::{Cidr, NetworkId};

use super::plan::{EndpointPlace, PlacedNetwork};
use super::{Endpoint, EndpointRequest, NetworkError};

/// The files of one daemon.
#[derive(Debug)]
pub(super) struct StateFiles {
    root: PathBuf,
}

/// The bridge and the networks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct NetworkState {
    /// Of the bridge for local egress.
    pub(super) bridge_subnet: Option<Cidr>,
    /// Overlay networks on this host.
    pub(super) networks: BTreeMap<NetworkId, PlacedNetwork>,
}

/// A container's network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PlacedEndpoint {
    /// The wish.
    pub(super) request: EndpointRequest,
    /// What was answered.
    pub(super) endpoint: Endpoint,
    /// Where it is.
    pub(super) place: EndpointPlace,
    /// The kernel has all of it.
    pub(super) complete: bool,
}

impl StateFiles {
    /// Makes the directories.
    pub(super) fn open(root: &Path) -> Result<Self, NetworkError> {
        let files = Self { root: root.to_owned() };
        for directory in [files.namespaces(), files.endpoints()] {
            fs::create_dir_all(&directory).map_err(|source| NetworkError::File { path: directory, source })?;
        }
        Ok(files)
    }

    /// The file that a container's namespace is kept on.
    pub(super) fn namespace(&self, container: &str) -> PathBuf {
        self.namespaces().join(container)
    }

    /// All files that namespaces are kept on.
    pub(super) fn namespace_files(&self) -> Result<Vec<PathBuf>, NetworkError> {
        entries(&self.namespaces())
    }

    pub(super) fn load(&self) -> Result<NetworkState, NetworkError> {
        Ok(read(&self.root.join("network.json"))?.unwrap_or_default())
    }

    pub(super) fn save(&self, state: &NetworkState) -> Result<(), NetworkError> {
        write(&self.root.join("network.json"), state)
    }

    pub(super) fn load_endpoints(&self) -> Result<BTreeMap<String, PlacedEndpoint>, NetworkError> {
        let mut endpoints = BTreeMap::new();
        for path in entries(&self.endpoints())? {
            if path.extension().is_some_and(|extension| extension == "json")
                && let Some(endpoint) = read::<PlacedEndpoint>(&path)?
            {
                endpoints.insert(endpoint.request.container_id.clone(), endpoint);
            }
        }
        Ok(endpoints)
    }

    pub(super) fn save_endpoint(&self, endpoint: &PlacedEndpoint) -> Result<(), NetworkError> {
        write(&self.endpoint(&endpoint.request.container_id), endpoint)
    }

    pub(super) fn remove_endpoint(&self, container: &str) -> Result<(), NetworkError> {
        remove(&self.endpoint(container))
    }

    /// Removes everything: for leaving the swarm.
    pub(super) fn remove_all(&self) -> Result<(), NetworkError> {
        for path in entries(&self.endpoints())? {
            remove(&path)?;
        }
        remove(&self.root.join("network.json"))?;
        for directory in [self.namespaces(), self.endpoints()] {
            fs::remove_dir(&directory).map_err(|source| NetworkError::File { path: directory, source })?;
        }
        Ok(())
    }

    fn namespaces(&self) -> PathBuf {
        self.root.join("netns")
    }

    fn endpoints(&self) -> PathBuf {
        self.root.join("endpoints")
    }

    fn endpoint(&self, container: &str) -> PathBuf {
        self.endpoints().join(format!("{container}.json"))
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, NetworkError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(NetworkError::File { path: path.to_owned(), source }),
    };
    serde_json::from_slice(&bytes).map(Some).map_err(|source| NetworkError::State { path: path.to_owned(), source })
}

fn write(path: &Path, value: &impl Serialize) -> Result<(), NetworkError> {
    let failed = |source: io::Error| NetworkError::File { path: path.to_owned(), source };
    let bytes = serde_json::to_vec(value).map_err(|error| failed(error.into()))?;
    let temporary = path.with_extension("new");
    fs::write(&temporary, bytes).and_then(|()| fs::rename(&temporary, path)).map_err(failed)
}

fn remove(path: &Path) -> Result<(), NetworkError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(NetworkError::File { path: path.to_owned(), source: error })
        }
        _ => Ok(()),
    }
}

fn entries(directory: &Path) -> Result<Vec<PathBuf>, NetworkError> {
    let failed = |source: io::Error| NetworkError::File { path: directory.to_owned(), source };
    match fs::read_dir(directory) {
        Ok(listing) => listing.map(|entry| Ok(entry.map_err(failed)?.path())).collect(),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(source) => Err(failed(source)),
    }
}
