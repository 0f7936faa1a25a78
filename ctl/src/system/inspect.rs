//! `shoal inspect`: objects of any kind by name or identifier; the first kind that knows a name wins.

use clap::Args;
use serde_json::Value;

use crate::error::{EXIT_DONE, Error};
use crate::flags::FlagError;
use crate::output::Inspection;
use crate::output::console::print;
use crate::transport::Client;

#[derive(Args, Debug)]
pub(crate) struct InspectArgs {
    /// Format output: 'json' or a Go template
    #[arg(short, long, value_name = "string")]
    format: Option<String>,
    /// Only inspect objects of the given type
    #[arg(long = "type", value_name = "string")]
    kind: Option<String>,
    /// Names or IDs
    #[arg(required = true, value_name = "NAME|ID")]
    names: Vec<String>,
}

/// A kind of object: its name, and the path around the object's own.
struct Kind {
    name: &'static str,
    before: &'static str,
    after: &'static str,
    /// Only managers know these; elsewhere the question itself is refused.
    of_swarm: bool,
}

pub(crate) async fn inspect(args: InspectArgs, client: &Client) -> Result<u8, Error> {
    let inspection = Inspection::new(args.format.as_deref())?;
    let wanted = args.kind.as_deref();
    if let Some(kind) = wanted
        && !KINDS.iter().any(|known| known.name == kind)
    {
        return Err(FlagError::Kind(kind.to_owned()).into());
    }
    let mut found = Vec::new();
    let mut failures = Vec::new();
    for name in &args.names {
        match find(client, name, wanted).await {
            Ok(object) => found.push(object),
            Err(error) => failures.push(error),
        }
    }
    print(&inspection.render(&found)?)?;
    Error::all(failures).map(|()| EXIT_DONE)
}

async fn find(client: &Client, name: &str, wanted: Option<&str>) -> Result<Value, Error> {
    for kind in KINDS.iter().filter(|kind| wanted.is_none_or(|wanted| wanted == kind.name)) {
        let path = format!("{}{name}{}", kind.before, kind.after);
        match client.get(path, "inspect the object").fetch().await {
            Ok(object) => return Ok(object),
            Err(Error::Api { status: 404, .. }) => {}
            Err(Error::Api { status: 503, .. }) if kind.of_swarm => {}
            // A name that no image can have may well be that of something else.
            Err(Error::Api { status: 400, .. }) if kind.name == "image" => {}
            Err(other) => return Err(other),
        }
    }
    Err(Error::NotFound { kind: "object", name: name.to_owned() })
}

const KINDS: [Kind; 8] = [
    Kind { name: "container", before: "/containers/", after: "/json", of_swarm: false },
    Kind { name: "image", before: "/images/", after: "/json", of_swarm: false },
    Kind { name: "network", before: "/networks/", after: "", of_swarm: false },
    Kind { name: "service", before: "/services/", after: "", of_swarm: true },
    Kind { name: "task", before: "/tasks/", after: "", of_swarm: true },
    Kind { name: "node", before: "/nodes/", after: "", of_swarm: true },
    Kind { name: "secret", before: "/secrets/", after: "", of_swarm: true },
    Kind { name: "config", before: "/configs/", after: "", of_swarm: true },
];
