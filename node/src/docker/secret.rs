//! Secrets and configs, and a container's references to them.

use shoal_api::types;
use shoal_proto::model::{
    FileTarget, Payload, PayloadKind, PayloadReference, PayloadSpec, PayloadTarget, SensitiveBytes, TemplateDriver,
};

use super::word::{WordError, meta};

/// The secret that a client wants.
///
/// # Errors
/// [`WordError`], naming the field.
pub fn secret_spec(spec: types::SecretSpec) -> Result<PayloadSpec, WordError> {
    if let Some(driver) = spec.driver {
        return Err(WordError::absent("Driver.Name", driver.name));
    }
    Ok(PayloadSpec {
        name: spec.name,
        labels: spec.labels.into_iter().collect(),
        data: SensitiveBytes::from(spec.data.0),
        template: template(spec.templating)?,
    })
}

/// The config that a client wants.
///
/// # Errors
/// [`WordError`], naming the field.
pub fn config_spec(spec: types::ConfigSpec) -> Result<PayloadSpec, WordError> {
    Ok(PayloadSpec {
        name: spec.name,
        labels: spec.labels.into_iter().collect(),
        data: SensitiveBytes::from(spec.data.0),
        template: template(spec.templating)?,
    })
}

fn template(driver: Option<types::Driver>) -> Result<Option<TemplateDriver>, WordError> {
    match driver.as_ref().map(|driver| driver.name.as_str()) {
        None => Ok(None),
        Some("golang") => Ok(Some(TemplateDriver::Golang)),
        Some(other) => Err(WordError::new("Templating.Name", other, "golang is expected")),
    }
}

fn shown_template(driver: Option<TemplateDriver>) -> Option<types::Driver> {
    driver.map(|TemplateDriver::Golang| types::Driver { name: "golang".to_owned(), ..types::Driver::default() })
}

/// A secret as Docker shows it: never with its data.
#[must_use]
pub fn secret(payload: Payload) -> types::Secret {
    let shown = meta(payload.meta);
    types::Secret {
        id: payload.id.to_string(),
        version: shown.version,
        created_at: shown.created_at,
        updated_at: shown.updated_at,
        spec: types::SecretSpec {
            name: payload.spec.name,
            labels: payload.spec.labels.into_iter().collect(),
            data: types::Base64Bytes::default(),
            driver: None,
            templating: shown_template(payload.spec.template),
        },
    }
}

/// A config as Docker shows it.
#[must_use]
pub fn config(payload: Payload) -> types::Config {
    let shown = meta(payload.meta);
    types::Config {
        id: payload.id.to_string(),
        version: shown.version,
        created_at: shown.created_at,
        updated_at: shown.updated_at,
        spec: types::ConfigSpec {
            name: payload.spec.name,
            labels: payload.spec.labels.into_iter().collect(),
            data: types::Base64Bytes(payload.spec.data.reveal().to_vec()),
            templating: shown_template(payload.spec.template),
        },
    }
}

/// A container's references, secrets first.
pub(super) fn references(
    secrets: Vec<types::SecretReference>,
    configs: Vec<types::ConfigReference>,
) -> Result<Vec<PayloadReference>, WordError> {
    let secrets = secrets.into_iter().map(|it| {
        let field = "TaskTemplate.ContainerSpec.Secrets";
        let Some(file) = it.file else {
            return Err(WordError::new(&format!("{field}.File"), it.secret_name, "a secret needs a file's name"));
        };
        let target = PayloadTarget::File(file_target(field, &file)?);
        reference(PayloadKind::Secret, (format!("{field}.SecretID"), &it.secret_id), it.secret_name, target)
    });
    let configs = configs.into_iter().map(|it| {
        let field = "TaskTemplate.ContainerSpec.Configs";
        let target = match (it.file, it.runtime) {
            (Some(file), None) => PayloadTarget::File(file_target(field, &file)?),
            (None, Some(_)) => PayloadTarget::Runtime,
            _ => {
                let remedy = "either File or Runtime is expected";
                return Err(WordError::new(&format!("{field}.File"), it.config_name, remedy));
            }
        };
        reference(PayloadKind::Config, (format!("{field}.ConfigID"), &it.config_id), it.config_name, target)
    });
    secrets.chain(configs).collect()
}

fn reference(
    kind: PayloadKind,
    (field, id): (String, &str),
    name: String,
    target: PayloadTarget,
) -> Result<PayloadReference, WordError> {
    let id = id.parse().map_err(|_| WordError::new(&field, id, format!("the ID of {kind} '{name}' is expected")))?;
    Ok(PayloadReference { kind, id, name, target })
}

fn file_target(field: &str, file: &types::FileTarget) -> Result<FileTarget, WordError> {
    let owner = |part: &str, text: &str| match text {
        "" => Ok(0),
        number => number.parse::<u32>().map_err(|_| {
            WordError::new(&format!("{field}.File.{part}"), number, "a number of zero or more is expected")
        }),
    };
    Ok(FileTarget {
        name: file.name.clone(),
        uid: owner("UID", &file.uid)?,
        gid: owner("GID", &file.gid)?,
        mode: file.mode,
    })
}

/// The references as Docker shows them.
pub(super) fn shown_references(
    references: Vec<PayloadReference>,
) -> (Vec<types::SecretReference>, Vec<types::ConfigReference>) {
    let (secrets, configs): (Vec<_>, Vec<_>) = references.into_iter().partition(|it| it.kind == PayloadKind::Secret);
    let secrets = secrets.into_iter().map(|it| types::SecretReference {
        file: shown_file(it.target),
        secret_id: it.id.to_string(),
        secret_name: it.name,
    });
    let configs = configs.into_iter().map(|it| types::ConfigReference {
        runtime: (it.target == PayloadTarget::Runtime).then(types::Empty::default),
        file: shown_file(it.target),
        config_id: it.id.to_string(),
        config_name: it.name,
    });
    (secrets.collect(), configs.collect())
}

fn shown_file(target: PayloadTarget) -> Option<types::FileTarget> {
    match target {
        PayloadTarget::File(FileTarget { name, uid, gid, mode }) => {
            Some(types::FileTarget { name, uid: uid.to_string(), gid: gid.to_string(), mode })
        }
        PayloadTarget::Runtime => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_come_back_as_they_were_sent() {
        let file = |mode| types::FileTarget { name: "key".into(), uid: "5".into(), gid: "0".into(), mode };
        let id = "0123456789012345678901234".to_owned();
        let secrets =
            vec![types::SecretReference { file: Some(file(0o400)), secret_id: id.clone(), secret_name: "s".into() }];
        let configs = vec![
            types::ConfigReference { file: Some(file(0o444)), config_id: id.clone(), ..Default::default() },
            types::ConfigReference { runtime: Some(types::Empty::default()), config_id: id, ..Default::default() },
        ];
        let taken = references(secrets.clone(), configs.clone()).unwrap();
        assert_eq!(shown_references(taken), (secrets, configs));
    }

    #[test]
    fn what_can_not_be_taken_up_is_named() {
        let secret = |id: &str, uid: &str| {
            let file = types::FileTarget { name: "key".into(), uid: uid.into(), ..types::FileTarget::default() };
            let one = types::SecretReference { file: Some(file), secret_id: id.into(), secret_name: "s".into() };
            references(vec![one], Vec::new()).unwrap_err().to_string()
        };
        assert!(secret("s1", "0").contains("'s1' for TaskTemplate.ContainerSpec.Secrets.SecretID"));
        assert!(
            secret("0123456789012345678901234", "root")
                .contains("'root' for TaskTemplate.ContainerSpec.Secrets.File.UID")
        );
        let driver = Some(types::Driver { name: "vault".into(), ..types::Driver::default() });
        let error = secret_spec(types::SecretSpec { driver: driver.clone(), ..Default::default() }).unwrap_err();
        assert!(error.to_string().contains("'vault' for Driver.Name"));
        let error = config_spec(types::ConfigSpec { templating: driver, ..Default::default() }).unwrap_err();
        assert!(error.to_string().contains("'vault' for Templating.Name: golang is expected"));
    }
}
