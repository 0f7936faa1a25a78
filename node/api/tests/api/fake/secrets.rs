//! Secrets and configs that are only remembered. A call is noted with the size of what it brings, not with its data.

use async_trait::async_trait;
use shoal_api::types::{Config, ConfigSpec, Filters, Secret, SecretSpec};
use shoal_api::{ApiError, SecretBackend};

use super::{Fake, find, no_such, time};

#[async_trait]
impl SecretBackend for Fake {
    async fn list_secrets(&self, filters: Filters) -> Result<Vec<Secret>, ApiError> {
        let state = self.noted(format!("list_secrets({})", filters.to_json()));
        Ok(state.secrets.iter().filter(|it| filters.matches_prefix("name", &it.spec.name)).cloned().collect())
    }

    async fn inspect_secret(&self, id: &str) -> Result<Secret, ApiError> {
        let state = self.noted(format!("inspect_secret({id})"));
        find(&state.secrets, id, secret_names).cloned().ok_or_else(|| no_such("secret", id))
    }

    async fn create_secret(&self, spec: SecretSpec) -> Result<String, ApiError> {
        let mut state = self.noted(format!("create_secret({spec:?})"));
        let id = format!("id-of-{}", spec.name);
        let spec = SecretSpec { data: Vec::new().into(), ..spec };
        state.secrets.push(Secret {
            id: id.clone(),
            created_at: time(1),
            updated_at: time(1),
            spec,
            ..Secret::default()
        });
        Ok(id)
    }

    async fn update_secret(&self, id: &str, version: u64, spec: SecretSpec) -> Result<(), ApiError> {
        let state = self.noted(format!("update_secret({id}, {version}, {spec:?})"));
        find(&state.secrets, id, secret_names).map(drop).ok_or_else(|| no_such("secret", id))
    }

    async fn remove_secret(&self, id: &str) -> Result<(), ApiError> {
        let mut state = self.noted(format!("remove_secret({id})"));
        find(&state.secrets, id, secret_names).ok_or_else(|| no_such("secret", id))?;
        state.secrets.retain(|secret| !secret_names(secret).contains(&id));
        Ok(())
    }

    async fn list_configs(&self, filters: Filters) -> Result<Vec<Config>, ApiError> {
        let state = self.noted(format!("list_configs({})", filters.to_json()));
        Ok(state.configs.iter().filter(|it| filters.matches_prefix("name", &it.spec.name)).cloned().collect())
    }

    async fn inspect_config(&self, id: &str) -> Result<Config, ApiError> {
        let state = self.noted(format!("inspect_config({id})"));
        find(&state.configs, id, config_names).cloned().ok_or_else(|| no_such("config", id))
    }

    async fn create_config(&self, spec: ConfigSpec) -> Result<String, ApiError> {
        let mut state = self.noted(format!("create_config({spec:?})"));
        let id = format!("id-of-{}", spec.name);
        state.configs.push(Config {
            id: id.clone(),
            created_at: time(1),
            updated_at: time(1),
            spec,
            ..Config::default()
        });
        Ok(id)
    }

    async fn update_config(&self, id: &str, version: u64, spec: ConfigSpec) -> Result<(), ApiError> {
        let state = self.noted(format!("update_config({id}, {version}, {spec:?})"));
        find(&state.configs, id, config_names).map(drop).ok_or_else(|| no_such("config", id))
    }

    async fn remove_config(&self, id: &str) -> Result<(), ApiError> {
        let mut state = self.noted(format!("remove_config({id})"));
        find(&state.configs, id, config_names).ok_or_else(|| no_such("config", id))?;
        state.configs.retain(|config| !config_names(config).contains(&id));
        Ok(())
    }
}

fn secret_names(secret: &Secret) -> [&str; 2] {
    [&secret.id, &secret.spec.name]
}

fn config_names(config: &Config) -> [&str; 2] {
    [&config.id, &config.spec.name]
}
