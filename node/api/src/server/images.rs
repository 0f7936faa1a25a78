//! Images. Their names contain slashes, so what follows a name is told from the end of the path.

use std::io;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, State};
use bytes::Bytes;
use futures_util::StreamExt as _;
use http_body_util::BodyExt as _;
use tokio::sync::mpsc;

use super::answer::{self, Answer};
use super::params::{Params, RegistryAuth};
use super::serve::App;
use super::version::ApiVersion;
use super::version_gates;
use crate::error::ApiError;
use crate::limits::UPLOAD_CHUNKS_MAX;
use crate::query::{ImageListQuery, ImageRemoveQuery, PullRequest};

pub(super) async fn list(State(app): State<App>, Extension(version): Extension<ApiVersion>, params: Params) -> Answer {
    let query = ImageListQuery {
        all: params.flag("all"),
        filters: params.filters(&["before", "dangling", "label", "reference", "since", "until"])?,
        shared_size: params.flag("shared-size"),
    };
    let mut images = app.backend.list_images(query).await?;
    images.iter_mut().for_each(|image| version_gates::image_summary(version, image));
    answer::json(&images)
}

pub(super) async fn pull(State(app): State<App>, params: Params, RegistryAuth(auth): RegistryAuth) -> Answer {
    if !params.text("fromSrc").is_empty() {
        return Err(ApiError::not_implemented(
            "POST /images/create with fromSrc (import) is not part of Shoal yet: load an archive made by docker save",
        ));
    }
    if params.text("fromImage").is_empty() {
        return Err(ApiError::invalid_parameter("fromImage is empty: name the image to pull"));
    }
    let request = PullRequest {
        image: params.text("fromImage").to_owned(),
        tag: params.text("tag").to_owned(),
        platform: params.text("platform").to_owned(),
        auth: auth.unwrap_or_default(),
    };
    answer::progress(app.backend.pull_image(request).await?, &app.shutdown).await
}

pub(super) async fn load(State(app): State<App>, params: Params, body: Body) -> Answer {
    let (sender, receiver) = mpsc::channel(UPLOAD_CHUNKS_MAX);
    app.spawn(pump(body, sender));
    let chunks = futures_util::stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|chunk| (chunk, receiver))
    });
    let messages = app.backend.load_image(chunks.boxed(), params.flag_or("quiet", true)).await?;
    answer::progress(messages, &app.shutdown).await
}

pub(super) async fn inspect(
    State(app): State<App>,
    Extension(version): Extension<ApiVersion>,
    Path(rest): Path<String>,
) -> Answer {
    let name = rest.strip_suffix("/json").ok_or_else(|| ApiError::not_found("page not found"))?;
    let mut image = app.backend.inspect_image(name).await?;
    version_gates::image_inspect(version, &mut image);
    answer::json(&image)
}

pub(super) async fn remove(State(app): State<App>, Path(name): Path<String>, params: Params) -> Answer {
    let query = ImageRemoveQuery { force: params.flag("force"), keep_parents: params.flag("noprune") };
    answer::json(&app.backend.remove_image(&name, query).await?)
}

/// Hands an upload on. When nobody wants more, reads it to its end all the same: a client that is cut off while it
/// sends does not read the answer.
async fn pump(mut body: Body, sender: mpsc::Sender<io::Result<Bytes>>) {
    while let Some(frame) = body.frame().await {
        let chunk = match frame.map(hyper::body::Frame::into_data) {
            Ok(Ok(data)) => Ok(data),
            Ok(Err(_trailers)) => continue,
            Err(error) => Err(io::Error::other(error)),
        };
        let broken = chunk.is_err();
        if !sender.is_closed() && sender.send(chunk).await.is_err() {
            tracing::debug!("the rest of an upload is not wanted");
        }
        if broken {
            return;
        }
    }
}
