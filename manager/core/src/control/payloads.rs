//! Secrets and configs: made, relabelled, removed, and what the doors may see of them.

use shoal_proto::model::{
    ControlError, ControlReply, Meta, Payload, PayloadId, PayloadKind, PayloadSpec, SensitiveBytes, Version,
};

use super::find_payload;
use super::write::{check_version, fresh};
use crate::ObjectKey;
use crate::admit::{check_payload, check_payload_change, check_payload_removal};
use crate::random::Random;
use crate::store::Draft;

pub(super) fn create(
    draft: &mut Draft,
    random: &mut Random,
    kind: PayloadKind,
    spec: PayloadSpec,
) -> Result<ControlReply, ControlError> {
    check_payload(draft.tables(), kind, &spec)?;
    let id = fresh(random, |id: &PayloadId| draft.tables().payload(*id).is_none());
    let meta = Meta { created_at: draft.now(), ..Meta::default() };
    draft.put_payload(Payload { id, meta, kind, spec });
    Ok(ControlReply::PayloadCreated { payload: id })
}

pub(super) fn update(
    draft: &mut Draft,
    (kind, reference): (PayloadKind, &str),
    version: Version,
    spec: PayloadSpec,
) -> Result<ControlReply, ControlError> {
    let mut payload = Payload::clone(find_payload(draft.tables(), kind, reference)?);
    check_version(draft, ObjectKey::Payload(payload.id), version)?;
    check_payload_change(&payload, &spec)?;
    payload.spec.labels = spec.labels;
    draft.put_payload(payload);
    Ok(ControlReply::Done)
}

pub(super) fn remove(draft: &mut Draft, kind: PayloadKind, reference: &str) -> Result<ControlReply, ControlError> {
    let payload = find_payload(draft.tables(), kind, reference)?;
    check_payload_removal(draft.tables(), payload)?;
    let id = payload.id;
    draft.remove(ObjectKey::Payload(id));
    Ok(ControlReply::Done)
}

/// As the doors may see it: what a secret holds leaves the managers for tasks only.
pub(super) fn shown(payload: &Payload) -> Payload {
    let Payload { id, meta, kind, spec } = payload;
    let data = match kind {
        PayloadKind::Secret => SensitiveBytes::default(),
        PayloadKind::Config => spec.data.clone(),
    };
    let spec = PayloadSpec { name: spec.name.clone(), labels: spec.labels.clone(), data, template: spec.template };
    Payload { id: *id, meta: *meta, kind: *kind, spec }
}
