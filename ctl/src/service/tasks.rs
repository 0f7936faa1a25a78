//! Tasks as `service ps` and `node ps` show them: grouped by place, the newest first and its forerunners below it.

use std::collections::BTreeMap;

use clap::Args;
use shoal_api::types::{Node, Service, Task};
use time::OffsetDateTime;

use crate::error::{EXIT_DONE, Error};
use crate::flags::ListFlags;
use crate::limits::LIST_ERROR_WIDTH;
use crate::output::console::print;
use crate::output::order::natural;
use crate::output::reference::familiar;
use crate::output::{Listing, Row, Style, human, port};
use crate::transport::{Client, Filters};

#[derive(Args, Debug)]
pub(crate) struct TasksArgs {
    #[command(flatten)]
    list: TaskListFlags,
    /// Names or IDs
    #[arg(required = true, value_name = "SERVICE")]
    services: Vec<String>,
}

/// The flags of both lists of tasks.
#[derive(Args, Debug)]
pub(crate) struct TaskListFlags {
    #[command(flatten)]
    list: ListFlags,
    /// Do not map IDs to Names
    #[arg(long)]
    no_resolve: bool,
    /// Do not truncate output
    #[arg(long)]
    no_trunc: bool,
}

pub(crate) async fn tasks(args: TasksArgs, client: &Client) -> Result<u8, Error> {
    let mut failures = Vec::new();
    let mut filters = args.list.list.filters();
    for name in &args.services {
        match super::update::fetch(client, name).await {
            Ok(service) => {
                filters.entry("service".to_owned()).or_default().insert(service.id, true);
            }
            Err(error) => failures.push(error),
        }
    }
    if failures.len() < args.services.len() {
        print(&listed(client, &args.list, &filters).await?)?;
    }
    Error::all(failures).map(|()| EXIT_DONE)
}

/// The list of tasks that meet `filters`, and those of the flags, as text.
pub(crate) async fn listed(client: &Client, flags: &TaskListFlags, filters: &Filters) -> Result<String, Error> {
    let mut all = flags.list.filters();
    all.extend(filters.clone());
    let tasks: Vec<Task> = client.get("/tasks", "list the tasks").filters(&all).fetch().await?;
    let names = if flags.no_resolve || tasks.is_empty() { Names::default() } else { Names::fetch(client).await? };
    let style = flags.list.style();
    let look = Look {
        whole: flags.no_trunc,
        tree: style.is_table(),
        whole_ids: flags.no_trunc || style == Style::Quiet,
        now: OffsetDateTime::now_utc(),
    };
    Ok(listing(tasks, &names, &look).render(&style)?)
}

/// Names of services and nodes by their identifiers; an unknown one is shown by its identifier.
#[derive(Default)]
struct Names {
    services: BTreeMap<String, String>,
    nodes: BTreeMap<String, String>,
}

impl Names {
    async fn fetch(client: &Client) -> Result<Self, Error> {
        let services: Vec<Service> = client.get("/services", "list the services").fetch().await?;
        let nodes: Vec<Node> = client.get("/nodes", "list the nodes").fetch().await?;
        let host =
            |node: Node| (node.id, if node.spec.name.is_empty() { node.description.hostname } else { node.spec.name });
        Ok(Self {
            services: services.into_iter().map(|service| (service.id, service.spec.name)).collect(),
            nodes: nodes.into_iter().map(host).collect(),
        })
    }

    fn service<'a>(&'a self, id: &'a str) -> &'a str {
        self.services.get(id).map_or(id, String::as_str)
    }

    fn node<'a>(&'a self, id: &'a str) -> &'a str {
        self.nodes.get(id).map_or(id, String::as_str)
    }

    /// `web.1`, or `agent.NODEID` in a global service.
    fn task(&self, task: &Task) -> String {
        let service = self.service(&task.service_id);
        match task.slot {
            0 if task.job_iteration.is_none() || task.node_id.is_empty() => format!("{service}.{}", task.node_id),
            slot => format!("{service}.{slot}"),
        }
    }
}

/// How much of a task is shown.
#[derive(Clone, Copy, Debug)]
struct Look {
    /// Images and errors in full.
    whole: bool,
    whole_ids: bool,
    /// Forerunners set off from the newest task, which only a table needs.
    tree: bool,
    now: OffsetDateTime,
}

fn listing(tasks: Vec<Task>, names: &Names, look: &Look) -> Listing {
    let mut named: Vec<(String, Task)> = tasks.into_iter().map(|task| (names.task(&task), task)).collect();
    named.sort_by(|(left_name, left), (right_name, right)| {
        natural(left_name, right_name).then_with(|| right.created_at.cmp(&left.created_at))
    });
    let mut rows = Vec::new();
    let mut previous: Option<&str> = None;
    for (name, task) in &named {
        let shown = if look.tree && previous == Some(name) { format!(" \\_ {name}") } else { name.clone() };
        previous = Some(name);
        rows.push(row(task, shown, names, look));
    }
    Listing {
        table: vec![
            ("ID", "ID"),
            ("Name", "NAME"),
            ("Image", "IMAGE"),
            ("Node", "NODE"),
            ("DesiredState", "DESIRED STATE"),
            ("CurrentState", "CURRENT STATE"),
            ("Error", "ERROR"),
            ("Ports", "PORTS"),
        ],
        further: Vec::new(),
        identifier: "ID",
        rows,
    }
}

fn row(task: &Task, name: String, names: &Names, look: &Look) -> Row {
    let image = task.spec.container_spec.as_ref().map_or("", |container| container.image.as_str());
    let age = human::lasting((look.now - task.status.timestamp.0).whole_seconds()).to_lowercase();
    let error = match task.status.err.as_str() {
        "" => String::new(),
        error if look.whole => format!("\"{error}\""),
        error => format!("\"{}\"", human::ellipsis(error, LIST_ERROR_WIDTH)),
    };
    Row::default()
        .with("ID", if look.whole_ids { &task.id } else { human::short_id(&task.id) })
        .with("Name", name)
        .with("Image", if look.whole { image } else { familiar(image) })
        .with("Node", names.node(&task.node_id))
        .with("DesiredState", human::capitalised(task.desired_state.as_str()))
        .with("CurrentState", format!("{} {age} ago", human::capitalised(task.status.state.as_str())))
        .with("Error", error)
        .with("Ports", port::host(&task.status.port_status.ports))
}

#[cfg(test)]
mod tests {
    use shoal_api::types::{TaskState, TaskStatus, Timestamp};

    use super::*;

    #[test]
    fn forerunners_stand_below_the_newest_task_of_their_place() {
        let at = |second: i128| Timestamp::from_unix_nanos(second * 1_000_000_000).unwrap();
        let task = |id: &str, slot, created, state, err: &str| {
            let mut task = Task { id: id.into(), slot, service_id: "s".into(), node_id: "n".into(), ..Task::default() };
            task.created_at = at(created);
            task.desired_state = if state == TaskState::Running { state } else { TaskState::Shutdown };
            task.status = TaskStatus { state, err: err.into(), timestamp: at(created), ..TaskStatus::default() };
            task.spec.container_spec.get_or_insert_default().image = "web:1@sha256:ab".into();
            task
        };
        let names = Names {
            services: [("s".to_owned(), "web".to_owned())].into(),
            nodes: [("n".to_owned(), "host1".to_owned())].into(),
        };
        let tasks = vec![
            task("tasktasktask10", 10, 50, TaskState::Running, ""),
            task("old", 2, 10, TaskState::Failed, "task: non-zero exit (1): and some more words"),
            task("new", 2, 60, TaskState::Running, ""),
        ];
        let look = Look { whole: false, whole_ids: false, tree: true, now: at(120).0 };
        insta::assert_snapshot!(listing(tasks, &names, &look).render(&Style::Table).unwrap(), @r#"
        ID             NAME        IMAGE     NODE      DESIRED STATE   CURRENT STATE                ERROR                              PORTS
        new            web.2       web:1     host1     Running         Running about a minute ago                                      
        old             \_ web.2   web:1     host1     Shutdown        Failed about a minute ago    "task: non-zero exit (1): and …"   
        tasktasktask   web.10      web:1     host1     Running         Running about a minute ago                                      
        "#);
    }
}
