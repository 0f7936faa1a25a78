//! What a secret or config may be, how it may change, and when it may go.

use shoal_proto::model::{
    ControlError, ControlErrorKind, Payload, PayloadKind, PayloadSpec, Service, TaskSpec, TaskState, UpdateState,
};
use shoal_proto::template::{Scope, Template, TemplateError};

use super::Problems;
use crate::limits::{CONFIG_BYTES, PAYLOAD_NAME_LENGTH, SECRET_BYTES};
use crate::store::Tables;

/// Whether a new one may be.
pub(crate) fn check_payload(tables: &Tables, kind: PayloadKind, spec: &PayloadSpec) -> Result<(), ControlError> {
    if let Some(other) = tables.payload_named(kind, &spec.name) {
        let text = format!(
            "{kind} {} already exists: choose another name, or remove it first; its data can't be changed",
            other.spec.name
        );
        return Err(ControlError::new(ControlErrorKind::Conflict, text));
    }
    let mut problems = Problems::default();
    check_name(kind, &spec.name, &mut problems);
    check_data(kind, spec, &mut problems);
    problems.into_result()
}

/// Whether one may change so.
pub(crate) fn check_payload_change(payload: &Payload, spec: &PayloadSpec) -> Result<(), ControlError> {
    let held = &payload.spec;
    let mut changed = Vec::new();
    if spec.name != held.name {
        changed.push("Name");
    }
    if !spec.data.is_empty() && spec.data != held.data {
        changed.push("Data");
    }
    if spec.template != held.template {
        changed.push("Templating");
    }
    if changed.is_empty() {
        return Ok(());
    }
    let (kind, fields) = (payload.kind, changed.join(" and "));
    let text = format!(
        "only updates to Labels are allowed: {fields} of {kind} {} can't change; create another {kind} and refer to it",
        held.name
    );
    Err(ControlError::new(ControlErrorKind::Invalid, text))
}

/// Whether nobody needs it any more.
pub(crate) fn check_payload_removal(tables: &Tables, payload: &Payload) -> Result<(), ControlError> {
    let refuse = |text| Err(ControlError::new(ControlErrorKind::Invalid, text));
    let (kind, name) = (payload.kind, &payload.spec.name);
    let refers = |spec: &TaskSpec| spec.container.payloads.iter().any(|reference| reference.id == payload.id);
    let uses = |service: &Service| refers(&service.spec.task) || may_return(service).is_some_and(refers);
    let users: Vec<&str> =
        tables.services().filter(|service| uses(service)).map(|service| service.spec.name.as_str()).collect();
    if !users.is_empty() {
        let services = if users.len() == 1 { "service" } else { "services" };
        return refuse(format!(
            "{kind} '{name}' is in use by the following {services}: {}; remove them, or take it off them with `service \
             update --{kind}-rm {name}`",
            users.join(", ")
        ));
    }
    let mut wanted = tables.tasks().filter(|task| task.desired <= TaskState::Complete && refers(&task.spec));
    let wanted = wanted.find(|task| !task.status.state.is_terminal());
    match wanted {
        Some(task) => refuse(format!(
            "{kind} '{name}' is in use by task {}, which its service's update has not reached: let the update end, or \
             update the service again",
            task.name()
        )),
        None => Ok(()),
    }
}

/// The spec that an update under way may fall back to.
fn may_return(service: &Service) -> Option<&TaskSpec> {
    let state = service.update_status.as_ref()?.state;
    let previous = service.previous_spec.as_deref()?;
    (state == UpdateState::Updating).then_some(&previous.task)
}

fn check_name(kind: PayloadKind, name: &str, problems: &mut Problems) {
    if name.is_empty() {
        problems.add(format!("name must be provided: give the {kind} one"));
        return;
    }
    let is_inner = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | '.');
    let ends = |char: Option<char>| char.is_some_and(|char| char.is_ascii_alphanumeric());
    let valid = name.chars().all(is_inner) && ends(name.chars().next()) && ends(name.chars().next_back());
    problems.add_if(!valid || name.len() > PAYLOAD_NAME_LENGTH, || {
        format!(
            "invalid name, only {PAYLOAD_NAME_LENGTH} [a-zA-Z0-9-_.] characters allowed, and the start and end character \
             must be [a-zA-Z0-9]: '{name}'"
        )
    });
}

fn check_data(kind: PayloadKind, spec: &PayloadSpec, problems: &mut Problems) {
    let (bytes, limit) = match kind {
        PayloadKind::Secret => (spec.data.len(), SECRET_BYTES),
        PayloadKind::Config => (spec.data.len(), CONFIG_BYTES),
    };
    problems.add_if(bytes == 0 || bytes >= limit, || {
        format!("{kind} data must be larger than 0 and less than {limit} bytes: it has {bytes}")
    });
    if spec.template.is_some()
        && let Err(error) = read_template(spec)
    {
        problems.add(format!("{kind} data is no template: {error}"));
    }
}

fn read_template(spec: &PayloadSpec) -> Result<Template, TemplateError> {
    let text = std::str::from_utf8(spec.data.reveal()).map_err(|_| TemplateError::NotText("it".to_owned()))?;
    Template::parse(text, Scope::Payload)
}

#[cfg(test)]
mod tests {
    use super::*;
    use shoal_proto::model::{SensitiveBytes, TemplateDriver};

    fn refusal(kind: PayloadKind, name: &str, data: &[u8]) -> String {
        let spec = PayloadSpec {
            name: name.to_owned(),
            data: SensitiveBytes::from(data.to_vec()),
            template: Some(TemplateDriver::Golang),
            ..PayloadSpec::default()
        };
        check_payload(&Tables::default(), kind, &spec).map_or_else(|error| error.message, |()| String::new())
    }

    #[test]
    fn names_and_sizes_are_dockers() {
        for name in ["a", "A.b-c_d", "1", "a..b"] {
            assert_eq!(refusal(PayloadKind::Secret, name, b"x"), "", "{name}");
        }
        for name in ["-a", "a-", ".a", "a b", "ä", &"a".repeat(65)] {
            assert!(refusal(PayloadKind::Config, name, b"x").contains(&format!("'{name}'")), "{name}");
        }
        assert_eq!(refusal(PayloadKind::Secret, "a", &vec![b'x'; 511_999]), "");
        assert!(refusal(PayloadKind::Secret, "a", &vec![b'x'; 512_000]).contains("less than 512000 bytes"));
        assert_eq!(refusal(PayloadKind::Config, "a", &vec![b'x'; 1_023_999]), "");
        assert!(refusal(PayloadKind::Config, "a", &vec![b'x'; 1_024_000]).contains("less than 1024000 bytes"));
    }

    #[test]
    fn all_reasons_come_at_once() {
        let all = refusal(PayloadKind::Secret, "", b"");
        assert_eq!(
            all,
            "name must be provided: give the secret one; secret data must be larger than 0 and less than 512000 bytes: \
             it has 0"
        );
        let all = refusal(PayloadKind::Config, "a b", b"{{.Task.Nope}}");
        assert!(all.contains("'a b'") && all.contains("config data is no template: there is no field .Task.Nope"));
        assert!(refusal(PayloadKind::Config, "a", b"\xff").contains("not UTF-8"));
    }
}
