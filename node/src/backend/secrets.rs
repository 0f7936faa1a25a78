//! Secrets and configs.

use async_trait::async_trait;
use shoal_api::types::{Config, ConfigSpec, Filters, Secret, SecretSpec};
use shoal_api::{ApiError, SecretBackend};
use shoal_proto::model::{ControlRequest, Payload, PayloadKind, PayloadSpec, Version};

use super::Daemon;
use super::control::bad_word;
use crate::docker;

#[async_trait]
impl SecretBackend for Daemon {
    async fn list_secrets(&self, filters: Filters) -> Result<Vec<Secret>, ApiError> {
        Ok(self.payloads(PayloadKind::Secret, &filters).await?.map(docker::secret).collect())
    }

    async fn inspect_secret(&self, id: &str) -> Result<Secret, ApiError> {
        self.control()?.payload(PayloadKind::Secret, id).await.map(docker::secret)
    }

    async fn create_secret(&self, spec: SecretSpec) -> Result<String, ApiError> {
        self.create_payload(PayloadKind::Secret, docker::secret_spec(spec).map_err(bad_word)?).await
    }

    async fn update_secret(&self, id: &str, version: u64, spec: SecretSpec) -> Result<(), ApiError> {
        let spec = docker::secret_spec(spec).map_err(bad_word)?;
        self.update_payload(PayloadKind::Secret, (id, version), spec).await
    }

    async fn remove_secret(&self, id: &str) -> Result<(), ApiError> {
        self.remove_payload(PayloadKind::Secret, id).await
    }

    async fn list_configs(&self, filters: Filters) -> Result<Vec<Config>, ApiError> {
        Ok(self.payloads(PayloadKind::Config, &filters).await?.map(docker::config).collect())
    }

    async fn inspect_config(&self, id: &str) -> Result<Config, ApiError> {
        self.control()?.payload(PayloadKind::Config, id).await.map(docker::config)
    }

    async fn create_config(&self, spec: ConfigSpec) -> Result<String, ApiError> {
        self.create_payload(PayloadKind::Config, docker::config_spec(spec).map_err(bad_word)?).await
    }

    async fn update_config(&self, id: &str, version: u64, spec: ConfigSpec) -> Result<(), ApiError> {
        let spec = docker::config_spec(spec).map_err(bad_word)?;
        self.update_payload(PayloadKind::Config, (id, version), spec).await
    }

    async fn remove_config(&self, id: &str) -> Result<(), ApiError> {
        self.remove_payload(PayloadKind::Config, id).await
    }
}

impl Daemon {
    async fn payloads(&self, kind: PayloadKind, filters: &Filters) -> Result<impl Iterator<Item = Payload>, ApiError> {
        let mut all = self.control()?.payloads(kind).await?;
        all.retain(|payload| matches(payload, filters));
        Ok(all.into_iter())
    }

    async fn create_payload(&self, kind: PayloadKind, spec: PayloadSpec) -> Result<String, ApiError> {
        let request = ControlRequest::CreatePayload { kind, spec: Box::new(spec) };
        self.control()?.create_payload(request).await.map(|id| id.to_string())
    }

    async fn update_payload(
        &self,
        kind: PayloadKind,
        (id, version): (&str, u64),
        spec: PayloadSpec,
    ) -> Result<(), ApiError> {
        let (reference, version) = (id.to_owned(), Version(version));
        self.control()?.done(ControlRequest::UpdatePayload { kind, reference, version, spec: Box::new(spec) }).await
    }

    async fn remove_payload(&self, kind: PayloadKind, id: &str) -> Result<(), ApiError> {
        self.control()?.done(ControlRequest::RemovePayload { kind, reference: id.to_owned() }).await
    }
}

/// Beginnings of names and whole names are alternatives.
fn matches(payload: &Payload, filters: &Filters) -> bool {
    let name = &payload.spec.name;
    let is_named = match (filters.contains("name"), filters.contains("names")) {
        (true, true) => filters.matches_prefix("name", name) || filters.matches_exact("names", name),
        _ => filters.matches_prefix("name", name) && filters.matches_exact("names", name),
    };
    let labels = payload.spec.labels.clone().into_iter().collect();
    is_named && filters.matches_prefix("id", &payload.id.to_string()) && filters.matches_labels("label", &labels)
}

#[cfg(test)]
mod tests {
    use super::*;
    use shoal_proto::model::{Id, Meta, PayloadId};

    #[test]
    fn names_are_found_by_their_beginning_or_whole() {
        let spec = PayloadSpec { name: "app_key".into(), ..PayloadSpec::default() };
        let payload = Payload { id: PayloadId::from_random(1), meta: Meta::default(), kind: PayloadKind::Secret, spec };
        let found = |pairs: &[(&str, &str)]| {
            let mut filters = Filters::default();
            pairs.iter().for_each(|(key, value)| filters.insert(*key, *value));
            matches(&payload, &filters)
        };
        assert!(found(&[]) && found(&[("name", "app")]) && found(&[("names", "app_key")]));
        assert!(!found(&[("names", "app")]) && !found(&[("name", "key")]) && !found(&[("label", "a")]));
        assert!(found(&[("names", "app_key"), ("name", "other")]) && found(&[("id", "000")]));
    }
}
