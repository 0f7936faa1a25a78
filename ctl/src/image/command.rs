//! The subcommands of `shoal image`.

use clap::{Args, Subcommand};
use serde_json::Value;
use shoal_api::types::ImageDeleteItem;

use super::fetch::{LoadArgs, PullArgs, load, pull};
use super::list::{ImageListArgs, list};
use crate::error::{EXIT_DONE, Error};
use crate::output::Inspection;
use crate::output::console::{print, print_line};
use crate::transport::Client;

#[derive(Debug, Subcommand)]
pub(crate) enum ImageCommand {
    /// Display detailed information on one or more images
    Inspect(ImageInspectArgs),
    /// Load an image from a tar archive or STDIN
    Load(LoadArgs),
    /// List images
    #[command(name = "ls", visible_alias = "list")]
    List(ImageListArgs),
    /// Download an image from a registry
    Pull(PullArgs),
    /// Remove one or more images
    #[command(name = "rm", visible_alias = "remove")]
    Remove(ImageRemoveArgs),
}

#[derive(Args, Debug)]
pub(crate) struct ImageInspectArgs {
    /// Format output: 'json' or a Go template
    #[arg(short, long, value_name = "string")]
    format: Option<String>,
    /// Names or IDs
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<String>,
}

#[derive(Args, Debug)]
pub(crate) struct ImageRemoveArgs {
    /// Force removal of the image
    #[arg(short, long)]
    force: bool,
    /// Do not delete untagged parents
    #[arg(long)]
    no_prune: bool,
    /// Names or IDs
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<String>,
}

impl ImageCommand {
    pub(crate) async fn run(self, client: &Client) -> Result<u8, Error> {
        match self {
            Self::Inspect(args) => inspect(args, client).await,
            Self::Load(args) => load(args, client).await,
            Self::List(args) => list(args, client).await,
            Self::Pull(args) => pull(args, client).await,
            Self::Remove(args) => remove(args, client).await,
        }
    }
}

async fn inspect(args: ImageInspectArgs, client: &Client) -> Result<u8, Error> {
    let inspection = Inspection::new(args.format.as_deref())?;
    let mut found = Vec::new();
    let mut failures = Vec::new();
    for image in &args.images {
        match client.get(format!("/images/{image}/json"), "inspect the image").fetch::<Value>().await {
            Ok(image) => found.push(image),
            Err(error) => failures.push(error),
        }
    }
    print(&inspection.render(&found)?)?;
    Error::all(failures).map(|()| EXIT_DONE)
}

async fn remove(args: ImageRemoveArgs, client: &Client) -> Result<u8, Error> {
    let mut failures = Vec::new();
    for image in &args.images {
        let mut call = client.delete(format!("/images/{image}"), "remove the image");
        if args.force {
            call = call.query("force", "1");
        }
        if args.no_prune {
            call = call.query("noprune", "1");
        }
        match call.fetch::<Vec<ImageDeleteItem>>().await {
            Ok(items) => items.iter().try_for_each(|item| match item.untagged.as_str() {
                "" => print_line(&format!("Deleted: {}", item.deleted)),
                untagged => print_line(&format!("Untagged: {untagged}")),
            })?,
            Err(error) => failures.push(error),
        }
    }
    Error::all(failures).map(|()| EXIT_DONE)
}
