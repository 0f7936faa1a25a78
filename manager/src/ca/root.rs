//! The root: a self-signed P-256 certificate and its key, and the signing of nodes' requests.

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType, SerialNumber,
};
use shoal_proto::model::{ClusterId, NodeId, Role, RootCa, Sensitive, Timestamp};
use time::OffsetDateTime;

use super::{CaError, certificate::role_name};
use crate::limits::{CERTIFICATE_BACKDATE, ROOT_LIFETIME};

/// Common name of a swarm's root.
pub const SWARM_CA_NAME: &str = "swarm-ca";

/// A swarm's root with its key, ready to sign.
pub struct Root {
    certificate_pem: String,
    key_pem: Sensitive,
    issuer: Issuer<'static, KeyPair>,
}

/// Who gets a certificate, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Issuance {
    /// Becomes the common name.
    pub node: NodeId,
    /// Becomes the organisational unit and the name that clients verify.
    pub role: Role,
    /// Becomes the organisation.
    pub cluster: ClusterId,
    /// Life from now, as `ClusterSpec::ca` says.
    pub expiry: Duration,
}

impl Root {
    /// Makes a new root that holds for twenty years from `now`.
    ///
    /// # Errors
    /// [`CaError::Make`] when the system has no randomness, [`CaError::Time`] when `now` is out of range.
    pub fn generate(now: Timestamp) -> Result<Self, CaError> {
        let make = |source| CaError::Make { what: "the root certificate", source };
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(make)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, SWARM_CA_NAME);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.serial_number = Some(random_serial());
        (params.not_before, params.not_after) = lifetime(now, ROOT_LIFETIME)?;
        let certificate_pem = params.self_signed(&key).map_err(make)?.pem();
        let key_pem = Sensitive(key.serialize_pem());
        Ok(Self { certificate_pem, key_pem, issuer: Issuer::new(params, key) })
    }

    /// Takes up a root from the store.
    ///
    /// # Errors
    /// [`CaError::Read`] when either half is no PEM, or the key is of a kind that is not used here.
    pub fn from_stored(stored: &RootCa) -> Result<Self, CaError> {
        let key = KeyPair::from_pem(&stored.key_pem.0)
            .map_err(|source| CaError::Read { what: "the root's private key", source })?;
        let issuer = Issuer::from_ca_cert_pem(&stored.certificate_pem, key)
            .map_err(|source| CaError::Read { what: "root certificate", source })?;
        Ok(Self { certificate_pem: stored.certificate_pem.clone(), key_pem: stored.key_pem.clone(), issuer })
    }

    /// What the store keeps.
    #[must_use]
    pub fn to_stored(&self) -> RootCa {
        RootCa { certificate_pem: self.certificate_pem.clone(), key_pem: self.key_pem.clone() }
    }

    /// The certificate, PEM: what every node trusts.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// Signs a node's request (PKCS#10, PEM) and returns the certificate, PEM. Only the request's public key is used.
    ///
    /// # Errors
    /// [`CaError::Read`] when the request is none or its own signature is wrong, [`CaError::Make`] when signing fails.
    pub fn sign(&self, request_pem: &str, issuance: &Issuance, now: Timestamp) -> Result<String, CaError> {
        let request = CertificateSigningRequestParams::from_pem(request_pem)
            .map_err(|source| CaError::Read { what: "certificate request", source })?;
        let make = |source| CaError::Make { what: "a node's certificate", source };
        let node = issuance.node.to_string();
        let role = role_name(issuance.role);
        let mut names = vec![node.clone(), role.to_owned()];
        if issuance.role == Role::Manager {
            names.push(SWARM_CA_NAME.to_owned());
        }
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, issuance.cluster.to_string());
        params.distinguished_name.push(DnType::OrganizationalUnitName, role);
        params.distinguished_name.push(DnType::CommonName, node);
        params.subject_alt_names = names
            .into_iter()
            .map(|name| name.try_into().map(SanType::DnsName))
            .collect::<Result<_, _>>()
            .map_err(make)?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        params.serial_number = Some(random_serial());
        (params.not_before, params.not_after) = lifetime(now, issuance.expiry)?;
        let certificate = params.signed_by(&request.public_key, &self.issuer).map_err(make)?;
        Ok(certificate.pem())
    }
}

impl std::fmt::Debug for Root {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Root").field("certificate_pem", &self.certificate_pem).finish_non_exhaustive()
    }
}

/// From a little before `now`, so that a host whose clock lags accepts the certificate at once.
fn lifetime(now: Timestamp, life: Duration) -> Result<(OffsetDateTime, OffsetDateTime), CaError> {
    let at = |nanos: i128| OffsetDateTime::from_unix_timestamp_nanos(nanos).map_err(|_| CaError::Time { nanos });
    let now = i128::from(now.0);
    let life = i128::try_from(life.as_nanos()).unwrap_or(i128::MAX / 2);
    Ok((at(now - CERTIFICATE_BACKDATE.as_nanos() as i128)?, at(now + life)?))
}

/// 127 bits: positive in DER whatever they are, and never twice.
fn random_serial() -> SerialNumber {
    let bits: u128 = rand::random::<u128>() >> 1;
    SerialNumber::from(bits.to_be_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::super::{Identity, KeyAndRequest, Validity};
    use super::*;
    use shoal_proto::model::Id;

    const NOW: Timestamp = Timestamp(1_800_000_000_000_000_000);

    fn issuance(role: Role) -> Issuance {
        Issuance {
            node: NodeId::from_random(7),
            role,
            cluster: ClusterId::from_random(9),
            expiry: Duration::from_secs(90 * 24 * 3600),
        }
    }

    #[test]
    fn signs_with_our_names_and_times() {
        let root = Root::from_stored(&Root::generate(NOW).unwrap().to_stored()).unwrap();
        let request = KeyAndRequest::generate().unwrap();
        let pem = root.sign(&request.request_pem, &issuance(Role::Manager), NOW).unwrap();
        let identity = Identity::from_pem(&pem).unwrap();
        assert_eq!(
            identity,
            Identity { node: NodeId::from_random(7), role: Role::Manager, cluster: ClusterId::from_random(9) }
        );
        let validity = Validity::from_pem(&pem).unwrap();
        assert_eq!(validity.not_before, Timestamp(NOW.0 - 3_600_000_000_000));
        assert_eq!(validity.not_after, NOW + Duration::from_secs(90 * 24 * 3600));
        let der = pem_contents(&pem);
        let (_, parsed) = x509_parser::parse_x509_certificate(&der).unwrap();
        let root_der = pem_contents(root.certificate_pem());
        let (_, root_parsed) = x509_parser::parse_x509_certificate(&root_der).unwrap();
        parsed.verify_signature(Some(root_parsed.public_key())).unwrap();
        assert_eq!(root_parsed.subject().to_string(), "CN=swarm-ca");
        let names = format!("{:?}", parsed.subject_alternative_name().unwrap().unwrap().value.general_names);
        for name in [&identity.node.to_string(), "swarm-manager", "swarm-ca"] {
            assert!(names.contains(name), "{name} is missing in {names}");
        }
    }

    #[test]
    fn believes_no_name_of_a_request() {
        let root = Root::generate(NOW).unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["swarm-manager".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::OrganizationalUnitName, "swarm-manager");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let request = params.serialize_request(&key).unwrap().pem().unwrap();
        let pem = root.sign(&request, &issuance(Role::Worker), NOW).unwrap();
        assert_eq!(Identity::from_pem(&pem).unwrap().role, Role::Worker);
        let der = pem_contents(&pem);
        let (_, parsed) = x509_parser::parse_x509_certificate(&der).unwrap();
        assert!(!parsed.is_ca());
        let names = format!("{:?}", parsed.subject_alternative_name().unwrap().unwrap().value.general_names);
        assert!(!names.contains("swarm-manager"), "{names}");
    }

    #[test]
    fn refuses_a_broken_request() {
        let root = Root::generate(NOW).unwrap();
        assert!(matches!(root.sign("nonsense", &issuance(Role::Worker), NOW), Err(CaError::Read { .. })));
        let request = KeyAndRequest::generate().unwrap().request_pem;
        let cut: String = request.lines().filter(|line| !line.starts_with('M')).collect::<Vec<_>>().join("\n");
        assert!(matches!(root.sign(&cut, &issuance(Role::Worker), NOW), Err(CaError::Read { .. })));
    }

    fn pem_contents(pem: &str) -> Vec<u8> {
        x509_parser::pem::parse_x509_pem(pem.as_bytes()).unwrap().1.contents
    }
}
