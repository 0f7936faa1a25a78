//! A service's wishes for secrets and configs.

use std::collections::BTreeMap;

use shoal_proto::model::{ContainerSpec, PayloadKind, PayloadReference, PayloadTarget};

use super::Problems;
use crate::limits::{PAYLOAD_MODE_MAX, PAYLOADS_A_TASK};
use crate::store::Tables;

pub(super) fn check_payload_references(tables: &Tables, container: &ContainerSpec, problems: &mut Problems) {
    let references = &container.payloads;
    for kind in [PayloadKind::Secret, PayloadKind::Config] {
        check_existence(tables, kind, references, problems);
    }
    problems.add_if(references.len() > PAYLOADS_A_TASK, || {
        format!("{} secrets and configs were named: a task can have {PAYLOADS_A_TASK} at most", references.len())
    });
    references.iter().for_each(|reference| check_target(reference, problems));
    check_places(container, problems);
}

fn check_existence(tables: &Tables, kind: PayloadKind, references: &[PayloadReference], problems: &mut Problems) {
    let is_there = |reference: &&PayloadReference| {
        let found = tables.payload(reference.id).filter(|payload| payload.kind == kind);
        found.is_some_and(|payload| payload.spec.name == reference.name)
    };
    let lost: Vec<String> = references
        .iter()
        .filter(|reference| reference.kind == kind && !is_there(reference))
        .map(|reference| format!("{} ({})", reference.name, reference.id))
        .collect();
    if let [first, ..] = lost.as_slice() {
        let kinds = if lost.len() == 1 { kind.to_string() } else { format!("{kind}s") };
        let name = first.split(' ').next().unwrap_or_default();
        problems.add(format!(
            "{kinds} not found: {}; create it with `{kind} create {name}`, and refer to it by name and ID",
            lost.join(", ")
        ));
    }
}

fn check_target(reference: &PayloadReference, problems: &mut Problems) {
    let (kind, name) = (reference.kind, &reference.name);
    let PayloadTarget::File(file) = &reference.target else {
        problems.add_if(kind == PayloadKind::Secret, || {
            format!("malformed secret reference '{name}': a secret needs a File target")
        });
        return;
    };
    let steps_out = file.name.split('/').any(|step| step == "..");
    problems.add_if(file.name.is_empty() || file.name.ends_with('/') || file.name.contains('\0') || steps_out, || {
        format!(
            "malformed {kind} reference '{name}': File.Name '{}' must be the path of a file without '..'",
            file.name.escape_debug()
        )
    });
    problems.add_if(file.mode > PAYLOAD_MODE_MAX, || {
        format!("{kind} reference '{name}': File.Mode {:o} has bits beyond permissions: use up to 0777", file.mode)
    });
}

/// No two things may be at one place.
fn check_places(container: &ContainerSpec, problems: &mut Problems) {
    let mut taken: BTreeMap<String, &PayloadReference> = BTreeMap::new();
    for reference in &container.payloads {
        let Some(path) = reference.path().map(|path| cleaned(&path)) else { continue };
        let (kind, name) = (reference.kind, &reference.name);
        if let Some(other) = taken.get(&path) {
            problems.add(format!(
                "{} references '{}' and '{name}' have a conflicting target: '{path}'; give each a target of its own",
                if other.kind == kind { kind.to_string() } else { "secret and config".to_owned() },
                other.name
            ));
        }
        problems.add_if(container.mounts.iter().any(|mount| cleaned(&mount.target) == path), || {
            format!("{kind} reference '{name}' and a mount have a conflicting target: '{path}'; move one of them")
        });
        taken.insert(path, reference);
    }
}

/// The path without `.` and empty steps.
fn cleaned(path: &str) -> String {
    path.split('/').filter(|step| !step.is_empty() && *step != ".").fold(String::new(), |path, step| path + "/" + step)
}
