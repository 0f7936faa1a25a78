//! Secrets and configs that the managers told this worker, in memory only; and what a task's templates come to.
//!
//! Decides nothing: a task waits until all of its payloads are known, and a template that can't be expanded here ends it.

use std::collections::BTreeMap;
use std::sync::Arc;

use shoal_proto::model::{
    ContainerSpec, MountKind, NodeDescription, PayloadAssignment, PayloadId, PayloadKind, PayloadReference,
    PayloadTarget, SensitiveBytes, Task,
};
use shoal_proto::template::{PayloadSource, Scope, TaskContext, Template, TemplateError};

use crate::{ContainerFile, Failure, FailureKind};

/// The payloads of this worker.
#[derive(Debug, Clone, Default)]
pub(crate) struct Payloads(BTreeMap<PayloadId, Arc<PayloadAssignment>>);

impl Payloads {
    /// Takes over what has changed; a whole set replaces all.
    pub(crate) fn apply(&mut self, whole: bool, changes: BTreeMap<PayloadId, Option<Arc<PayloadAssignment>>>) {
        if whole {
            self.0.clear();
        }
        for (id, payload) in changes {
            match payload {
                Some(payload) => self.0.insert(id, payload),
                None => self.0.remove(&id),
            };
        }
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = PayloadId> {
        self.0.keys().copied()
    }

    /// Whether all that the task refers to is known.
    pub(crate) fn has_all_of(&self, task: &Task) -> bool {
        task.spec.container.payloads.iter().all(|reference| self.0.contains_key(&reference.id))
    }

    /// The task with its templates expanded, and its files.
    pub(crate) fn prepare(
        &self,
        task: &Task,
        node: &NodeDescription,
    ) -> Result<(Box<Task>, Vec<ContainerFile>), Failure> {
        let context = TaskContext::new(task, node);
        let mut task = task.clone();
        let spec = Arc::make_mut(&mut task.spec);
        expand_spec(&mut spec.container, &context).map_err(|error| failure("the service's spec", &error))?;
        let source = Source { payloads: self, container: &spec.container };
        let mut files = Vec::new();
        for reference in &spec.container.payloads {
            let (PayloadTarget::File(target), Some(path)) = (&reference.target, reference.path()) else { continue };
            let data = source.content(reference, &context);
            let data = data.map_err(|error| failure(&format!("{} {}", reference.kind, reference.name), &error))?;
            files.push(ContainerFile { path, uid: target.uid, gid: target.gid, mode: target.mode, data });
        }
        Ok((Box::new(task), files))
    }
}

/// It will not go better the next time.
fn failure(what: &str, error: &TemplateError) -> Failure {
    Failure { message: format!("failed to expand the templates of {what}: {error}"), kind: FailureKind::Fatal }
}

fn expand_spec(container: &mut ContainerSpec, task: &TaskContext) -> Result<(), TemplateError> {
    let expand = |text: &mut String| -> Result<(), TemplateError> {
        *text = Template::parse(text, Scope::Spec)?.expand(task)?;
        Ok(())
    };
    container.hostname.iter_mut().try_for_each(expand)?;
    container.env.iter_mut().try_for_each(expand)?;
    for mount in &mut container.mounts {
        expand(&mut mount.target)?;
        match &mut mount.kind {
            MountKind::Bind { source, .. } => expand(source)?,
            MountKind::Volume { source, options } => {
                expand(source)?;
                options.labels.values_mut().chain(options.driver_options.values_mut()).try_for_each(expand)?;
            }
            MountKind::Tmpfs { .. } => {}
        }
    }
    Ok(())
}

/// What the templates of one task's payloads may ask for.
struct Source<'a> {
    payloads: &'a Payloads,
    container: &'a ContainerSpec,
}

impl Source<'_> {
    /// What the file holds.
    fn content(&self, reference: &PayloadReference, task: &TaskContext) -> Result<SensitiveBytes, TemplateError> {
        let Some(payload) = self.payloads.0.get(&reference.id) else { return Err(lost(reference)) };
        if payload.template.is_none() {
            return Ok(payload.data.clone());
        }
        let template = Template::parse(text_of(payload, reference)?, Scope::Payload)?;
        Ok(SensitiveBytes::from(template.expand_payload(task, self)?.into_bytes()))
    }

    /// The data of the payload with this target, as it was made: templates are not expanded within templates.
    fn data(&self, kind: PayloadKind, target: &str) -> Result<String, TemplateError> {
        let has_target = |reference: &&PayloadReference| match &reference.target {
            PayloadTarget::File(file) => reference.kind == kind && file.name == target,
            PayloadTarget::Runtime => false,
        };
        let found = self.container.payloads.iter().find(has_target);
        let found = found.and_then(|reference| Some((reference, self.payloads.0.get(&reference.id)?)));
        match found {
            Some((reference, payload)) => text_of(payload, reference).map(str::to_owned),
            None => Err(TemplateError::NoPayload { kind: kind.word(), target: target.to_owned() }),
        }
    }
}

impl PayloadSource for Source<'_> {
    fn env(&self, name: &str) -> String {
        let value = |entry: &String| entry.split_once('=').filter(|(key, _)| *key == name).map(|(_, it)| it.to_owned());
        self.container.env.iter().find_map(value).unwrap_or_default()
    }

    fn secret(&self, target: &str) -> Result<String, TemplateError> {
        self.data(PayloadKind::Secret, target)
    }

    fn config(&self, target: &str) -> Result<String, TemplateError> {
        self.data(PayloadKind::Config, target)
    }
}

fn text_of<'a>(payload: &'a PayloadAssignment, reference: &PayloadReference) -> Result<&'a str, TemplateError> {
    let not_text = |_| TemplateError::NotText(format!("{} {}", reference.kind, reference.name));
    std::str::from_utf8(payload.data.reveal()).map_err(not_text)
}

fn lost(reference: &PayloadReference) -> TemplateError {
    TemplateError::NoPayload { kind: reference.kind.word(), target: reference.name.clone() }
}

#[cfg(test)]
mod tests;
