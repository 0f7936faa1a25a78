//! Becoming a member: what `init` and `join` make before anything runs.

use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::SystemTime;

use rand::Rng;
use shoal_manager::DataKey;
use shoal_manager::ca::{Issuance, JoinToken, KeyAndRequest, Root, TokenSecret};
use shoal_proto::model::{Cidr, ClusterId, Id, JoinTokens, NodeDescription, NodeId, Role, Timestamp};

use super::address::{self, AddressError};
use super::{InitParameters, SwarmError};
use crate::identity::Credentials;

/// Where a node listens and what it tells the others.
#[derive(Debug, Clone, Copy)]
pub(super) struct Addresses {
    pub(super) listen: SocketAddr,
    pub(super) advertise: SocketAddr,
    pub(super) data_path: IpAddr,
}

/// What the three address flags mean on this host.
pub(super) fn addresses(
    listen: &str,
    advertise: &str,
    data_path: &str,
    default: Option<&str>,
) -> Result<Addresses, AddressError> {
    let host = address::host_addresses();
    let listen = address::listen(listen, &host)?;
    let advertise = address::advertise(advertise, default, listen, &host)?;
    let data_path = address::data_path(data_path, advertise, &host)?;
    Ok(Addresses { listen, advertise, data_path })
}

/// A new swarm's first credentials, and what its manager is started with.
pub(super) fn found(
    parameters: InitParameters,
    addresses: Addresses,
    description: NodeDescription,
) -> Result<(Credentials, shoal_manager::InitParameters), SwarmError> {
    let now = now();
    let pool = default_address_pool(&parameters.default_address_pool)?;
    let subnet_size = subnet_size(parameters.subnet_size, &pool)?;
    let data_path_port = data_path_port(parameters.data_path_port)?;
    let root = Root::generate(now)?;
    let (node, cluster) = (NodeId::from_random(random()), ClusterId::from_random(random()));
    let made = KeyAndRequest::generate()?;
    let expiry = parameters.spec.ca.node_certificate_expiry;
    let certificate = root.sign(&made.request_pem, &Issuance { node, role: Role::Manager, cluster, expiry }, now)?;
    let root_pem = root.certificate_pem().to_owned();
    let token = || JoinToken::new(&root_pem, TokenSecret(random())).to_text();
    let init = shoal_manager::InitParameters {
        spec: parameters.spec,
        root_ca: root.to_stored(),
        join_tokens: JoinTokens { worker: token(), manager: token() },
        default_address_pool: pool,
        subnet_size,
        data_path_port,
        description,
        availability: parameters.availability,
        data_path_address: addresses.data_path.to_string(),
    };
    Ok((Credentials::new(certificate, made.key_pem, root_pem)?, init))
}

fn default_address_pool(pools: &[String]) -> Result<Vec<Cidr>, SwarmError> {
    let refused =
        |value: &str, remedy| SwarmError::Parameter { field: "--default-addr-pool", value: value.to_owned(), remedy };
    let named: Vec<String> = if pools.is_empty() { vec!["10.0.0.0/8".to_owned()] } else { pools.to_vec() };
    let mut taken: Vec<Cidr> = Vec::new();
    for pool in &named {
        let cidr: Cidr = pool.parse().map_err(|_| refused(pool, "a subnet such as 10.10.0.0/16 is expected"))?;
        if taken.iter().any(|other| other.overlaps(&cidr)) {
            return Err(refused(pool, "it overlaps another pool; name pools that share no address"));
        }
        taken.push(cidr.network());
    }
    Ok(taken)
}

fn subnet_size(size: u32, pools: &[Cidr]) -> Result<u8, SwarmError> {
    let size = if size == 0 { 24 } else { size };
    let longest = pools.iter().map(|pool| u32::from(pool.prefix)).max().unwrap_or(0);
    let fits = (longest..=29).contains(&size);
    u8::try_from(size).ok().filter(|_| fits).ok_or_else(|| SwarmError::Parameter {
        field: "--default-addr-pool-mask-length",
        value: size.to_string(),
        remedy: "a prefix length from that of the longest pool to 29 is expected",
    })
}

fn data_path_port(port: u32) -> Result<u16, SwarmError> {
    let port = if port == 0 { 4789 } else { port };
    let fits = (1024..=49151).contains(&port);
    u16::try_from(port).ok().filter(|_| fits).ok_or_else(|| SwarmError::Parameter {
        field: "--data-path-port",
        value: port.to_string(),
        remedy: "a port from 1024 to 49151 is expected",
    })
}

/// The key under which the manager's log is encrypted: read, or made and kept where only root can read it.
pub(super) fn data_key(swarm_directory: &Path) -> std::io::Result<DataKey> {
    let path = swarm_directory.join("data.key");
    let mut key = [0u8; 32];
    match fs::File::open(&path) {
        Ok(mut file) => {
            file.read_exact(&mut key)?;
            return Ok(DataKey(key));
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    rand::rng().fill(&mut key);
    fs::create_dir_all(swarm_directory)?;
    let fresh = path.with_extension("new");
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
    file.write_all(&key)?;
    file.sync_all()?;
    fs::rename(&fresh, &path)?;
    fs::File::open(swarm_directory)?.sync_all()?;
    Ok(DataKey(key))
}

/// The host's clock.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

fn random() -> u128 {
    rand::rng().random()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found_with(change: impl FnOnce(&mut InitParameters)) -> Result<shoal_manager::InitParameters, SwarmError> {
        let mut parameters = InitParameters::default();
        change(&mut parameters);
        let addresses = Addresses {
            listen: "0.0.0.0:2377".parse().unwrap(),
            advertise: "10.1.0.1:2377".parse().unwrap(),
            data_path: "10.1.0.1".parse().unwrap(),
        };
        found(parameters, addresses, NodeDescription::default()).map(|(credentials, init)| {
            assert_eq!(credentials.holder.role, Role::Manager);
            init
        })
    }

    #[test]
    fn a_new_swarm_has_its_defaults() {
        let init = found_with(|_| {}).unwrap();
        assert_eq!((init.subnet_size, init.data_path_port), (24, 4789));
        assert_eq!(init.default_address_pool, ["10.0.0.0/8".parse().unwrap()]);
        assert_ne!(init.join_tokens.worker, init.join_tokens.manager);
    }

    #[test]
    fn refusals_name_the_flag() {
        let refused = |change: fn(&mut InitParameters)| found_with(change).unwrap_err().to_string();
        assert!(refused(|p| p.data_path_port = 80).contains("--data-path-port"));
        assert!(refused(|p| p.subnet_size = 30).contains("'30' for --default-addr-pool-mask-length"));
        assert!(refused(|p| p.default_address_pool = vec!["10.0.0/8".into()]).contains("--default-addr-pool"));
        let overlapping =
            |p: &mut InitParameters| p.default_address_pool = vec!["10.0.0.0/8".into(), "10.1.0.0/16".into()];
        assert!(refused(overlapping).contains("overlaps"));
    }

    #[test]
    fn the_data_key_stays() {
        let folder = tempfile::tempdir().unwrap();
        let first = data_key(folder.path()).unwrap().0;
        assert_eq!(data_key(folder.path()).unwrap().0, first);
        assert_ne!(first, [0; 32]);
    }
}
