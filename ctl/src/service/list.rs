//! `shoal service ls`.

use shoal_api::types::{Service, ServiceMode};

use crate::error::{EXIT_DONE, Error};
use crate::flags::ListFlags;
use crate::output::console::print;
use crate::output::order::natural;
use crate::output::reference::familiar;
use crate::output::{Listing, Row, Style, human, port};
use crate::transport::Client;

pub(crate) async fn list(flags: ListFlags, client: &Client) -> Result<u8, Error> {
    let style = flags.style();
    let mut call = client.get("/services", "list the services").filters(&flags.filters());
    if style != Style::Quiet {
        call = call.query("status", "true");
    }
    let services: Vec<Service> = call.fetch().await?;
    print(&listing(services).render(&style)?)?;
    Ok(EXIT_DONE)
}

fn listing(mut services: Vec<Service>) -> Listing {
    services.sort_by(|left, right| natural(&left.spec.name, &right.spec.name));
    Listing {
        table: vec![
            ("ID", "ID"),
            ("Name", "NAME"),
            ("Mode", "MODE"),
            ("Replicas", "REPLICAS"),
            ("Image", "IMAGE"),
            ("Ports", "PORTS"),
        ],
        further: Vec::new(),
        identifier: "ID",
        rows: services.iter().map(row).collect(),
    }
}

fn row(service: &Service) -> Row {
    let container = service.spec.task_template.container_spec.as_ref();
    Row::default()
        .with("ID", human::short_id(&service.id))
        .with("Name", &service.spec.name)
        .with("Mode", mode(&service.spec.mode))
        .with("Replicas", replicas(service))
        .with("Image", container.map_or("", |container| familiar(&container.image)))
        .with("Ports", port::ingress(&service.endpoint.ports))
}

/// A mode in docker's words for lists.
pub(crate) fn mode(mode: &ServiceMode) -> &'static str {
    if mode.global.is_some() {
        "global"
    } else if mode.replicated_job.is_some() {
        "replicated job"
    } else if mode.global_job.is_some() {
        "global job"
    } else {
        "replicated"
    }
}

fn replicas(service: &Service) -> String {
    let status = service.service_status.unwrap_or_default();
    let mode = &service.spec.mode;
    let text = format!("{}/{}", status.running_tasks, status.desired_tasks);
    if let Some(job) = &mode.replicated_job {
        let total = job.total_completions.unwrap_or(1);
        format!("{text} ({}/{total} completed)", status.completed_tasks)
    } else if mode.global_job.is_some() {
        let total = status.desired_tasks + status.completed_tasks;
        format!("{text} ({}/{total} completed)", status.completed_tasks)
    } else {
        let placement = service.spec.task_template.placement.as_ref();
        match placement.map(|placement| placement.max_replicas) {
            Some(most) if most > 0 && mode.replicated.is_some() => format!("{text} (max {most} per node)"),
            _ => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use shoal_api::types::{Empty, PortConfig, ReplicatedService, ServiceStatus};

    use super::*;

    #[test]
    fn the_table_has_dockers_layout() {
        let mut web = Service { id: "0123456789abcdefghijklmno".into(), ..Service::default() };
        web.spec.name = "web".into();
        web.spec.mode.replicated = Some(ReplicatedService { replicas: Some(3) });
        web.spec.task_template.container_spec.get_or_insert_default().image = "reg:5000/web:1@sha256:aa".into();
        web.spec.task_template.placement.get_or_insert_default().max_replicas = 2;
        web.service_status = Some(ServiceStatus { running_tasks: 2, desired_tasks: 3, completed_tasks: 0 });
        web.endpoint.ports = vec![PortConfig { target_port: 80, published_port: 8080, ..PortConfig::default() }];
        let mut agent = Service { id: "b".into(), ..Service::default() };
        agent.spec.name = "agent".into();
        agent.spec.mode.global = Some(Empty {});
        insta::assert_snapshot!(listing(vec![web, agent]).render(&Style::Table).unwrap(), @r"
        ID             NAME      MODE         REPLICAS               IMAGE            PORTS
        b              agent     global       0/0                                     
        0123456789ab   web       replicated   2/3 (max 2 per node)   reg:5000/web:1   *:8080->80/tcp
        ");
    }
}
