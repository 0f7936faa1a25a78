//! `create` and `rm` of secrets and configs.

use std::io::Read;
use std::path::Path;

use clap::Args;
use shoal_api::types::{Driver, SecretSpec, UpperIdResponse};

use super::command::Kind;
use crate::error::{EXIT_DONE, Error};
use crate::flags::pair::{Pair, label, to_map};
use crate::limits::PAYLOAD_BYTES_MAX;
use crate::output::console::print_line;
use crate::transport::Client;

#[derive(Args, Debug)]
pub(crate) struct CreateArgs {
    /// Labels
    #[arg(short, long, value_name = "list", value_parser = label)]
    label: Vec<Pair>,
    /// Template driver
    #[arg(long, value_name = "string")]
    template_driver: Option<String>,
    /// Its name
    #[arg(value_name = "NAME")]
    name: String,
    /// The file that holds its content; - is the standard input
    #[arg(value_name = "file|-")]
    file: String,
}

#[derive(Args, Debug)]
pub(crate) struct RemoveArgs {
    /// Names or IDs
    #[arg(required = true, value_name = "NAME|ID")]
    names: Vec<String>,
}

pub(super) async fn create(kind: Kind, args: CreateArgs, client: &Client) -> Result<u8, Error> {
    let data = read(&args.file)?;
    let driver = |name| Driver { name, ..Driver::default() };
    // A config is sent in the same words: it has no others.
    let spec = SecretSpec {
        name: args.name,
        labels: to_map(&args.label).into_iter().collect(),
        data: data.into(),
        driver: None,
        templating: args.template_driver.map(driver),
    };
    let action = kind.choose("create the secret", "create the config");
    let created: UpperIdResponse = client.post(format!("{}/create", kind.path()), action).json(&spec).fetch().await?;
    print_line(&created.id)?;
    Ok(EXIT_DONE)
}

pub(super) async fn remove(kind: Kind, args: RemoveArgs, client: &Client) -> Result<u8, Error> {
    let action = kind.choose("remove the secret", "remove the config");
    let mut failures = Vec::new();
    for name in &args.names {
        match client.delete(format!("{}/{name}", kind.path()), action).done().await {
            Ok(()) => print_line(name)?,
            Err(error) => failures.push(error),
        }
    }
    Error::all(failures).map(|()| EXIT_DONE)
}

/// What a file holds, and a little more than may be sent: the daemon says what is too much.
fn read(file: &str) -> Result<Vec<u8>, Error> {
    let mut data = Vec::new();
    if file == "-" {
        let taken = std::io::stdin().take(PAYLOAD_BYTES_MAX).read_to_end(&mut data);
        taken.map_err(|source| Error::Input { source })?;
    } else {
        let path = Path::new(file);
        let opened = std::fs::File::open(path);
        let taken = opened.and_then(|opened| opened.take(PAYLOAD_BYTES_MAX).read_to_end(&mut data));
        taken.map_err(|source| Error::ReadFile { path: path.to_owned(), source })?;
    }
    Ok(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_as_it_is_and_not_without_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, b"\xff\0one\n").unwrap();
        assert_eq!(read(&path.display().to_string()).unwrap(), b"\xff\0one\n");
        assert_eq!(read("/dev/zero").unwrap().len() as u64, PAYLOAD_BYTES_MAX);
        assert!(matches!(read("/no/such"), Err(Error::ReadFile { .. })));
    }
}
