//! `shoal image ls`.

use clap::Args;
use shoal_api::types::ImageSummary;
use time::OffsetDateTime;

use crate::error::{EXIT_DONE, Error};
use crate::flags::ListFlags;
use crate::output::console::print;
use crate::output::reference::familiar;
use crate::output::{Listing, Row, human};
use crate::transport::Client;

#[derive(Args, Debug)]
pub(crate) struct ImageListArgs {
    /// Show all images (default hides intermediate images)
    #[arg(short, long)]
    all: bool,
    /// Show digests
    #[arg(long)]
    digests: bool,
    #[command(flatten)]
    list: ListFlags,
    /// Don't truncate output
    #[arg(long)]
    no_trunc: bool,
    /// Only images of this name
    #[arg(value_name = "REPOSITORY[:TAG]")]
    reference: Option<String>,
}

pub(crate) async fn list(args: ImageListArgs, client: &Client) -> Result<u8, Error> {
    let mut filters = args.list.filters();
    if let Some(reference) = &args.reference {
        filters.entry("reference".to_owned()).or_default().insert(reference.clone(), true);
    }
    let mut call = client.get("/images/json", "list the images").filters(&filters);
    if args.all {
        call = call.query("all", "1");
    }
    let images: Vec<ImageSummary> = call.fetch().await?;
    let listing = listing(&images, &args, OffsetDateTime::now_utc());
    print(&listing.render(&args.list.style())?)?;
    Ok(EXIT_DONE)
}

fn listing(images: &[ImageSummary], args: &ImageListArgs, now: OffsetDateTime) -> Listing {
    let mut table = vec![("Repository", "REPOSITORY"), ("Tag", "TAG")];
    let mut further = vec![("CreatedAt", "CREATED AT")];
    if args.digests { &mut table } else { &mut further }.push(("Digest", "DIGEST"));
    table.extend([("ID", "IMAGE ID"), ("CreatedSince", "CREATED"), ("Size", "SIZE")]);
    let rows = images.iter().flat_map(|image| rows(image, args.no_trunc, now)).collect();
    Listing { table, further, identifier: "ID", rows }
}

/// One row for each name of an image, and one for an image without any.
fn rows(image: &ImageSummary, whole: bool, now: OffsetDateTime) -> Vec<Row> {
    let digest = |repository: &str| {
        let digests = image.repo_digests.iter().filter_map(|reference| reference.split_once('@'));
        digests.into_iter().find(|(name, _)| *name == repository).map_or(NONE, |(_, digest)| digest).to_owned()
    };
    let mut names: Vec<(String, String, String)> = image
        .repo_tags
        .iter()
        .filter_map(|reference| reference.rsplit_once(':'))
        .map(|(repository, tag)| (repository.to_owned(), tag.to_owned(), digest(repository)))
        .collect();
    if names.is_empty() {
        let repository = image.repo_digests.first().and_then(|reference| reference.split_once('@'));
        let (repository, digest) = repository.unwrap_or((NONE, NONE));
        names.push((repository.to_owned(), NONE.to_owned(), digest.to_owned()));
    }
    let row = |(repository, tag, digest): (String, String, String)| {
        Row::default()
            .with("Repository", familiar(&repository))
            .with("Tag", tag)
            .with("Digest", digest)
            .with("ID", if whole { &image.id } else { human::short_id(&image.id) })
            .with("CreatedSince", format!("{} ago", human::age_unix(image.created, now)))
            .with("CreatedAt", human::moment_unix(image.created))
            .with("Size", human::size(image.size, 3))
    };
    names.into_iter().map(row).collect()
}

/// What stands for a name that an image has not.
const NONE: &str = "<none>";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Style;

    #[test]
    fn the_table_has_dockers_layout() {
        let image = |id: &str, tags: &[&str]| ImageSummary {
            id: format!("sha256:{id}"),
            repo_tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            created: 1_000,
            size: 7_800_000,
            ..ImageSummary::default()
        };
        let args =
            ImageListArgs { all: false, digests: false, list: ListFlags::default(), no_trunc: false, reference: None };
        let now = OffsetDateTime::from_unix_timestamp(1_000 + 3 * 86_400).unwrap();
        let images = [image("0123456789abcdef", &["alpine:latest", "reg:5000/web:1"]), image("ffff", &[])];
        insta::assert_snapshot!(listing(&images, &args, now).render(&Style::Table).unwrap(), @r"
        REPOSITORY     TAG       IMAGE ID       CREATED      SIZE
        alpine         latest    0123456789ab   3 days ago   7.8MB
        reg:5000/web   1         0123456789ab   3 days ago   7.8MB
        <none>         <none>    ffff           3 days ago   7.8MB
        ");
    }
}
