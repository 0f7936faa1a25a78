//! Making a container: folders, volumes, files, record, and then the keeper. What fails leaves nothing.

use std::fs;
use std::path::Path;

use super::etc_files::{hosts, hosts_of_host, resolv_conf};
use super::files::lay_out;
use super::mounts::{MountContext, mounts};
use super::plan::{ContainerPlan, PlanInput, addresses, container_id, hostname, plan};
use super::record::Folder;
use super::store::Inner;
use super::{ContainerError, ContainerLife};
use crate::events::now;
use crate::executor::Creation;
use crate::image::{ImageId, ImageRecord};

impl Inner {
    /// Makes a task's container, not started. One that was made before a crash is the result.
    pub(super) fn create(&self, creation: Creation) -> Result<(), ContainerError> {
        let id = container_id(creation.task.id);
        if self.registry.get(&id).is_some_and(|view| matches!(view.life, ContainerLife::Created { .. })) {
            return Ok(());
        }
        // A leftover of an attempt whose outcome nobody knows.
        self.delete_kept(&id)?;
        let outcome = self.make(&id, &creation);
        if outcome.is_err()
            && let Err(error) = self.delete_kept(&id).and_then(|()| self.discard(&id))
        {
            tracing::warn!(container = %id, error = &error as &dyn std::error::Error, "a container that was not made left files");
        }
        outcome
    }

    fn make(&self, id: &str, creation: &Creation) -> Result<(), ContainerError> {
        let image = self.images.inspect(&creation.image)?;
        let folder = self.roots.folder(id);
        let planned = self.plan(id, creation, &image, &folder)?;
        self.write_etc_files(creation, &folder, &planned)?;
        lay_out(&folder.payloads(), &creation.files)?;
        folder.save_record(&planned.record)?;
        let created = self.keeper.create(&planned.spec)?;
        let pid = i32::try_from(created.pid).unwrap_or_default();
        self.registry.insert(planned.record, ContainerLife::Created { pid });
        // After that: who hears of it looks for it.
        self.publish(id, "create", Default::default());
        Ok(())
    }

    fn plan(
        &self,
        id: &str,
        creation: &Creation,
        image: &ImageRecord,
        folder: &Folder,
    ) -> Result<ContainerPlan, ContainerError> {
        let image_id: &ImageId = &image.id;
        let layers = self.images.layers(image_id)?;
        let context = MountContext { task: creation.task.id, volumes: &self.volumes, layers: &layers };
        let mounts = mounts(&creation.task.spec.container, &image.config.volumes, context)?;
        let mut rootfs = self.images.prepare_rootfs(id, image_id)?;
        rootfs.lower.push(self.mountpoints.clone());
        plan(PlanInput {
            id,
            task: &creation.task,
            image,
            rootfs,
            mounts,
            files: &creation.files,
            endpoint: creation.endpoint.as_ref(),
            folder,
            defaults: &self.defaults,
            created_at: now(),
        })
    }

    fn write_etc_files(
        &self,
        creation: &Creation,
        folder: &Folder,
        planned: &ContainerPlan,
    ) -> Result<(), ContainerError> {
        fs::create_dir_all(&folder.mounted).map_err(|error| ContainerError::file("create", &folder.mounted, error))?;
        let spec = &creation.task.spec.container;
        let shares_host = creation.endpoint.is_none();
        let name = hostname(&creation.task, &planned.record.id, shares_host, &self.defaults);
        let hosts = if shares_host {
            hosts_of_host(&read_host(Path::new("/etc/hosts"))?, &spec.hosts)
        } else {
            hosts(&name, &addresses(creation.endpoint.as_ref()), &spec.hosts)
        };
        let resolvers = resolv_conf(&read_host(Path::new("/etc/resolv.conf"))?, &spec.dns, shares_host);
        for (file, text) in [("hosts", hosts), ("hostname", format!("{name}\n")), ("resolv.conf", resolvers)] {
            let path = folder.mounted.join(file);
            fs::write(&path, text).map_err(|error| ContainerError::file("write", path, error))?;
        }
        Ok(())
    }
}

/// A file of the host; empty when there is none.
fn read_host(path: &Path) -> Result<String, ContainerError> {
    match fs::read(path) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(ContainerError::file("read", path, error)),
    }
}
