//! `shoal pull` and `shoal load`: images coming in, with their progress.

use std::io::IsTerminal;
use std::path::PathBuf;

use clap::Args;
use futures_util::TryStreamExt;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use shoal_api::types::ProgressMessage;
use tokio::io::AsyncRead;
use tokio_util::io::ReaderStream;

use crate::error::{EXIT_DONE, Error};
use crate::flags::FlagError;
use crate::output::console::print_line;
use crate::output::human::size;
use crate::output::screen::{Line, Screen};
use crate::service::with_tag;
use crate::transport::call::{Call, RequestBody};
use crate::transport::stdin::stdin;
use crate::transport::stream::JsonStream;
use crate::transport::{Client, registry_auth};

#[derive(Args, Debug)]
pub(crate) struct PullArgs {
    /// Set platform if server is multi-platform capable
    #[arg(long, value_name = "string")]
    platform: Option<String>,
    /// Suppress verbose output
    #[arg(short, long)]
    quiet: bool,
    /// The image
    #[arg(value_name = "NAME[:TAG|@DIGEST]")]
    image: String,
}

#[derive(Args, Debug)]
pub(crate) struct LoadArgs {
    /// Read from tar archive file, instead of STDIN
    #[arg(short, long, value_name = "string")]
    input: Option<PathBuf>,
    /// Suppress the load output
    #[arg(short, long)]
    quiet: bool,
}

pub(crate) async fn pull(args: PullArgs, client: &Client) -> Result<u8, Error> {
    let (name, tag) = split(&args.image);
    let mut call = client.post("/images/create", PULL).query("fromImage", &name).query("tag", &tag);
    call = call.header(registry_auth::HEADER, registry_auth::for_image(&args.image)?);
    if let Some(platform) = &args.platform {
        call = call.query("platform", platform);
    }
    if !args.quiet && !args.image.contains('@') && with_tag(&args.image) != args.image {
        print_line(&format!("Using default tag: {tag}"))?;
    }
    follow(call, PULL, args.quiet).await?;
    let separator = if tag.contains(':') { '@' } else { ':' };
    print_line(&format!("{name}{separator}{tag}"))?;
    Ok(EXIT_DONE)
}

pub(crate) async fn load(args: LoadArgs, client: &Client) -> Result<u8, Error> {
    let body = match &args.input {
        Some(path) => {
            let failed = |source| Error::ReadFile { path: path.clone(), source };
            streamed(tokio::fs::File::open(path).await.map_err(failed)?)
        }
        None if std::io::stdin().is_terminal() => return Err(FlagError::NoArchive.into()),
        None => streamed(stdin()?),
    };
    let call = client.post("/images/load", LOAD).query("quiet", if args.quiet { "1" } else { "0" });
    // The daemon says what it loaded even when told to be quiet about how.
    follow(call.header("content-type", "application/x-tar").stream(body), LOAD, false).await?;
    Ok(EXIT_DONE)
}

fn streamed(reader: impl AsyncRead + Send + Sync + 'static) -> RequestBody {
    BodyExt::boxed(StreamBody::new(ReaderStream::new(reader).map_ok(Frame::data)))
}

/// The full name of an image and its tag or digest, as the daemon is asked for them.
fn split(image: &str) -> (String, String) {
    let (name, tag) = match image.split_once('@') {
        Some((name, digest)) => (name.to_owned(), digest.to_owned()),
        None => {
            let tagged = with_tag(image);
            let (name, tag) = tagged.rsplit_once(':').unwrap_or((&tagged, "latest"));
            (name.to_owned(), tag.to_owned())
        }
    };
    let has_registry = |first: &str| first.contains(['.', ':']) || first == "localhost";
    let name = match name.split_once('/') {
        Some((first, _)) if has_registry(first) => name,
        Some(_) => format!("docker.io/{name}"),
        None => format!("docker.io/library/{name}"),
    };
    (name, tag)
}

/// Shows a progress stream to its end; an error in it is the call's.
async fn follow(call: Call<'_>, action: &'static str, quiet: bool) -> Result<(), Error> {
    let mut stream = JsonStream::new(call.answer().await?.into_body(), action);
    let mut screen = Screen::new(quiet);
    while let Some(message) = stream.next::<ProgressMessage>().await? {
        if let Some(detail) = message.error_detail {
            screen.close();
            return Err(Error::Stream { action, message: detail.message });
        }
        if !message.error.is_empty() {
            screen.close();
            return Err(Error::Stream { action, message: message.error });
        }
        show(&mut screen, message)?;
    }
    screen.close();
    Ok(())
}

fn show(screen: &mut Screen, message: ProgressMessage) -> Result<(), Error> {
    if !message.stream.is_empty() {
        return screen.say(message.stream.trim_end_matches('\n'));
    }
    if message.status.is_empty() {
        return Ok(());
    }
    if message.id.is_empty() || message.progress_detail.is_none() {
        let text = if message.id.is_empty() { message.status } else { format!("{}: {}", message.id, message.status) };
        return screen.say(&text);
    }
    let detail = message.progress_detail.unwrap_or_default();
    let mut line = Line::new(message.id, message.status);
    if detail.total > 0
        && let (Ok(current), Ok(total)) = (u64::try_from(detail.current), u64::try_from(detail.total))
    {
        line.bar = Some((current.min(total), total));
        if matches!(screen, Screen::Terminal { .. }) {
            line.text += &format!(" {}/{}", size(detail.current, 4), size(detail.total, 4));
        }
    }
    screen.show(&line)
}

const PULL: &str = "pull the image";
const LOAD: &str = "load the image";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_asked_for_in_full() {
        let pair = |name: &str, tag: &str| (name.to_owned(), tag.to_owned());
        assert_eq!(split("alpine"), pair("docker.io/library/alpine", "latest"));
        assert_eq!(split("me/web:2"), pair("docker.io/me/web", "2"));
        assert_eq!(split("10.0.0.6:5000/web"), pair("10.0.0.6:5000/web", "latest"));
        assert_eq!(split("10.0.0.6:5000/web@sha256:ab"), pair("10.0.0.6:5000/web", "sha256:ab"));
    }
}
