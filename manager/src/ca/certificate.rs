//! A node's half: its key and request, and what a certificate says of its holder.

use std::time::Duration;

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_ECDSA_P256_SHA256};
use shoal_proto::model::{ClusterId, NodeId, Role, Sensitive, Timestamp};
use x509_parser::certificate::X509Certificate;
use x509_parser::x509::AttributeTypeAndValue;

use super::CaError;

/// A new key, which never leaves the host, and the request for a certificate of it.
#[derive(Debug, Clone)]
pub struct KeyAndRequest {
    /// PKCS#8, PEM.
    pub key_pem: Sensitive,
    /// PKCS#10, PEM.
    pub request_pem: String,
}

impl KeyAndRequest {
    /// Makes a P-256 key and its request.
    ///
    /// # Errors
    /// [`CaError::Make`] when the system has no randomness.
    pub fn generate() -> Result<Self, CaError> {
        let make = |source| CaError::Make { what: "a node's key and request", source };
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(make)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "shoal node");
        let request_pem = params.serialize_request(&key).and_then(|request| request.pem()).map_err(make)?;
        Ok(Self { key_pem: Sensitive(key.serialize_pem()), request_pem })
    }
}

/// What a node's certificate says of its holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The common name.
    pub node: NodeId,
    /// The organisational unit.
    pub role: Role,
    /// The organisation.
    pub cluster: ClusterId,
}

impl Identity {
    /// Reads a certificate in DER. Whether it is to be believed was settled by the handshake.
    ///
    /// # Errors
    /// [`CaError::Certificate`] on bytes that are none, [`CaError::Foreign`] on one that is not of a swarm's node.
    pub fn from_der(der: &[u8]) -> Result<Self, CaError> {
        let (_, certificate) = x509_parser::parse_x509_certificate(der).map_err(|_| CaError::Certificate)?;
        Self::from_certificate(&certificate)
    }

    /// Reads the first certificate of a PEM text.
    ///
    /// # Errors
    /// As [`Identity::from_der`].
    pub fn from_pem(pem: &str) -> Result<Self, CaError> {
        Self::from_der(&first_certificate(pem)?)
    }

    fn from_certificate(certificate: &X509Certificate<'_>) -> Result<Self, CaError> {
        let subject = certificate.subject();
        let node = only(subject.iter_common_name());
        let unit = only(subject.iter_organizational_unit());
        let cluster = only(subject.iter_organization());
        let foreign = |field, value: &str| CaError::Foreign { field, value: value.to_owned() };
        Ok(Self {
            node: node.parse().map_err(|_| foreign("a node's id as common name", node))?,
            role: role_from_name(unit).ok_or_else(|| foreign("a role as organisational unit", unit))?,
            cluster: cluster.parse().map_err(|_| foreign("a swarm's id as organisation", cluster))?,
        })
    }
}

/// From when to when a certificate holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// Its first second.
    pub not_before: Timestamp,
    /// Its last second.
    pub not_after: Timestamp,
}

impl Validity {
    /// Reads the first certificate of a PEM text.
    ///
    /// # Errors
    /// [`CaError::Certificate`] on text that is none.
    pub fn from_pem(pem: &str) -> Result<Self, CaError> {
        let der = first_certificate(pem)?;
        let (_, certificate) = x509_parser::parse_x509_certificate(&der).map_err(|_| CaError::Certificate)?;
        let at = |seconds: i64| Timestamp(seconds.saturating_mul(1_000_000_000));
        let validity = certificate.validity();
        Ok(Self { not_before: at(validity.not_before.timestamp()), not_after: at(validity.not_after.timestamp()) })
    }

    /// When to ask for the next certificate: between 50 and 80 % of this one's life, by `random`, so that the nodes of a
    /// swarm do not all ask at once.
    #[must_use]
    pub fn renew_at(self, random: u64) -> Timestamp {
        let life = self.not_after.since(self.not_before);
        let share = 0.5 + 0.3 * (random as f64 / u64::MAX as f64);
        self.not_before + Duration::from_secs_f64(life.as_secs_f64() * share)
    }
}

/// The role's name in certificates, which is also the name that clients verify.
pub(crate) fn role_name(role: Role) -> &'static str {
    match role {
        Role::Manager => "swarm-manager",
        Role::Worker => "swarm-worker",
    }
}

fn role_from_name(name: &str) -> Option<Role> {
    [Role::Manager, Role::Worker].into_iter().find(|role| role_name(*role) == name)
}

/// The one value of a subject's field; empty when there is none, several, or no text.
/// What a certificate says of who signs with it, each in DER: nodes show it of the root that they trust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer {
    /// Its name.
    pub subject: Vec<u8>,
    /// Its public key, with the algorithm.
    pub public_key: Vec<u8>,
}

impl Issuer {
    /// Reads it from the first certificate of a PEM text.
    ///
    /// # Errors
    /// [`CaError::Certificate`] when that is none.
    pub fn from_pem(pem: &str) -> Result<Self, CaError> {
        let der = first_certificate(pem)?;
        let (_, certificate) = x509_parser::parse_x509_certificate(&der).map_err(|_| CaError::Certificate)?;
        Ok(Self { subject: certificate.subject().as_raw().to_vec(), public_key: certificate.public_key().raw.to_vec() })
    }
}

fn only<'a>(mut values: impl Iterator<Item = &'a AttributeTypeAndValue<'a>>) -> &'a str {
    match (values.next(), values.next()) {
        (Some(value), None) => value.as_str().unwrap_or_default(),
        _ => "",
    }
}

fn first_certificate(pem: &str) -> Result<Vec<u8>, CaError> {
    let (_, block) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).map_err(|_| CaError::Certificate)?;
    if block.label == "CERTIFICATE" { Ok(block.contents) } else { Err(CaError::Certificate) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renews_between_half_and_four_fifths() {
        let validity = Validity { not_before: Timestamp(0), not_after: Timestamp(1_000_000_000_000) };
        assert_eq!(validity.renew_at(0), Timestamp(500_000_000_000));
        assert_eq!(validity.renew_at(u64::MAX), Timestamp(800_000_000_000));
    }

    #[test]
    fn an_issuer_is_named_with_its_key() {
        let key = KeyPair::generate().unwrap();
        let pem = CertificateParams::new(vec!["example".to_owned()]).unwrap().self_signed(&key).unwrap().pem();
        let issuer = Issuer::from_pem(&pem).unwrap();
        assert_eq!(issuer.public_key, rcgen::PublicKeyData::subject_public_key_info(&key));
        // A sequence, as names are.
        assert_eq!(issuer.subject[0], 0x30);
        assert!(matches!(Issuer::from_pem("nonsense"), Err(CaError::Certificate)));
    }

    #[test]
    fn refuses_foreign_certificates() {
        let key = KeyPair::generate().unwrap();
        let foreign = CertificateParams::new(vec!["example".to_owned()]).unwrap().self_signed(&key).unwrap().pem();
        assert!(matches!(Identity::from_pem(&foreign), Err(CaError::Foreign { .. })));
        assert!(matches!(Identity::from_pem("nonsense"), Err(CaError::Certificate)));
        assert!(matches!(Identity::from_pem(&key.serialize_pem()), Err(CaError::Certificate)));
    }
}
