//! Images of this host, and registries.

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use shoal_api::types::{
    self, AuthConfig, DistributionInspect, Filters, ImageDeleteItem, ImageInspect, ImageSummary, ProgressMessage,
};
use shoal_api::{ApiError, ErrorKind, ImageBackend, ImageListQuery, ImageRemoveQuery, PullRequest};
use shoal_worker::image::{self, ImageError, ImageFilters, ImageRecord, PullOptions, Reference, RegistryAuth, Removed};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::io::StreamReader;

use super::Daemon;
use crate::limits::PROGRESS_MESSAGES;

type Messages = BoxStream<'static, Result<ProgressMessage, ApiError>>;

#[async_trait]
impl ImageBackend for Daemon {
    async fn pull_image(&self, request: PullRequest) -> Result<Messages, ApiError> {
        let reference = parse(&request.reference())?;
        let platform = match request.platform.as_str() {
            "" => None,
            text => Some(text.parse().map_err(|error| ApiError::invalid_parameter(chain(&error)))?),
        };
        let options = PullOptions { auth: registry_auth(request.auth), platform };
        let (out, messages) = mpsc::channel(PROGRESS_MESSAGES);
        let (progress, mut told) = mpsc::channel(PROGRESS_MESSAGES);
        let images = self.images().clone();
        // The first message decides: an error before it is the request's own.
        let pull = async move { images.pull(&reference, options, Some(progress)).await };
        let mut pull = Box::pin(pull);
        let first = tokio::select! {
            biased;
            Some(message) = told.recv() => Some(message),
            outcome = &mut pull => match outcome {
                Ok(_) => None,
                Err(error) => return Err(image_error(&error)),
            },
        };
        let relay = async move {
            let mut ended = first.is_none();
            let mut waiting = first;
            loop {
                if let Some(message) = waiting.take()
                    && out.send(Ok(progress_message(&message))).await.is_err()
                {
                    return;
                }
                if ended && told.is_empty() {
                    return;
                }
                tokio::select! {
                    biased;
                    message = told.recv() => waiting = message,
                    outcome = &mut pull, if !ended => {
                        ended = true;
                        if let Err(error) = outcome {
                            drop(out.send(Err(image_error(&error))).await);
                            return;
                        }
                    }
                    () = out.closed() => return,
                }
            }
        };
        Ok(super::driven(ReceiverStream::new(messages), relay))
    }

    async fn load_image(
        &self,
        archive: BoxStream<'static, std::io::Result<Bytes>>,
        quiet: bool,
    ) -> Result<Messages, ApiError> {
        let loaded = self.images().load(StreamReader::new(archive)).await.map_err(|error| image_error(&error))?;
        let line = |text: String| Ok(ProgressMessage::stream(text));
        let lines = loaded.into_iter().flat_map(move |image| {
            if image.names.is_empty() {
                return vec![line(format!("Loaded image ID: {}\n", image.id))];
            }
            image.names.iter().map(|name| line(format!("Loaded image: {}\n", name.familiar()))).collect()
        });
        let lines: Vec<_> = if quiet { lines.take(0).collect() } else { lines.collect() };
        Ok(futures_util::stream::iter(lines).boxed())
    }

    async fn list_images(&self, query: ImageListQuery) -> Result<Vec<ImageSummary>, ApiError> {
        let filters = image_filters(&query.filters)?;
        let records = self.images().list(&filters).map_err(|error| image_error(&error))?;
        Ok(records.into_iter().map(summary).collect())
    }

    async fn inspect_image(&self, name: &str) -> Result<ImageInspect, ApiError> {
        self.images().inspect(name).map(inspect).map_err(|error| image_error(&error))
    }

    async fn remove_image(&self, name: &str, query: ImageRemoveQuery) -> Result<Vec<ImageDeleteItem>, ApiError> {
        let removed = self.images().remove(name, query.force).await.map_err(|error| image_error(&error))?;
        let item = |one| match one {
            Removed::Untagged(name) => ImageDeleteItem { untagged: name, ..ImageDeleteItem::default() },
            Removed::Deleted(id) => ImageDeleteItem { deleted: id.to_string(), ..ImageDeleteItem::default() },
        };
        Ok(removed.into_iter().map(item).collect())
    }

    async fn inspect_distribution(&self, name: &str, auth: AuthConfig) -> Result<DistributionInspect, ApiError> {
        let reference = parse(name)?;
        let found =
            self.images().distribution(&reference, registry_auth(auth)).await.map_err(|error| image_error(&error))?;
        Ok(DistributionInspect {
            descriptor: descriptor(found.descriptor),
            platforms: found.platforms.into_iter().map(platform).collect(),
        })
    }
}

fn parse(text: &str) -> Result<Reference, ApiError> {
    Reference::parse(text).map_err(|error| ApiError::invalid_parameter(chain(&error)))
}

fn registry_auth(auth: AuthConfig) -> Option<RegistryAuth> {
    let taken = RegistryAuth {
        username: auth.username,
        password: auth.password,
        identity_token: auth.identity_token,
        registry_token: auth.registry_token,
    };
    (!taken.is_empty()).then_some(taken)
}

/// A failure of the store or a registry with the status that Docker gives it.
pub(super) fn image_error(error: &ImageError) -> ApiError {
    let kind = match error.kind() {
        image::ErrorKind::InvalidArgument => ErrorKind::InvalidParameter,
        image::ErrorKind::Unauthorized => ErrorKind::Unauthorized,
        image::ErrorKind::NotFound => ErrorKind::NotFound,
        image::ErrorKind::Conflict => ErrorKind::Conflict,
        image::ErrorKind::Registry | image::ErrorKind::Storage | image::ErrorKind::Cancelled => ErrorKind::System,
    };
    ApiError::new(kind, chain(error))
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    ApiError::from_source(error).message
}

fn progress_message(progress: &image::Progress) -> ProgressMessage {
    let status = progress.to_string();
    match (&progress.id, progress.counter()) {
        (Some(id), Some(counter)) => ProgressMessage::layer_progress(id, status, counter.current, counter.total),
        (Some(id), None) if progress.has_detail() => ProgressMessage::layer(id, status),
        (Some(id), None) => ProgressMessage { id: id.clone(), ..ProgressMessage::status(status) },
        (None, _) => ProgressMessage::status(status),
    }
}

fn image_filters(filters: &Filters) -> Result<ImageFilters, ApiError> {
    let all = |key: &str| filters.values(key).map(str::to_owned).collect::<Vec<_>>();
    let dangling = match filters.values("dangling").next() {
        None => None,
        Some("true" | "1") => Some(true),
        Some("false" | "0") => Some(false),
        Some(other) => {
            let text = format!("invalid filter 'dangling={other}': true or false is expected");
            return Err(ApiError::invalid_parameter(text));
        }
    };
    let until = match filters.values("until").next() {
        None => None,
        Some(text) => Some(text.parse().map_err(|_| {
            ApiError::invalid_parameter(format!("invalid filter 'until={text}': seconds since 1970 are expected"))
        })?),
    };
    Ok(ImageFilters {
        reference: all("reference"),
        dangling,
        label: all("label"),
        before: filters.values("before").next().map(str::to_owned),
        since: filters.values("since").next().map(str::to_owned),
        until,
    })
}

fn summary(record: ImageRecord) -> ImageSummary {
    ImageSummary {
        created: record.created_seconds(),
        id: record.id.to_string(),
        repo_tags: record.repo_tags,
        repo_digests: record.repo_digests,
        size: bytes(record.size),
        shared_size: -1,
        labels: record.config.labels.into_iter().collect(),
        containers: -1,
        ..ImageSummary::default()
    }
}

fn inspect(record: ImageRecord) -> ImageInspect {
    let last_tag_time = types::Timestamp::from_unix_nanos(i128::from(record.last_tag_time) * 1_000_000_000);
    ImageInspect {
        id: record.id.to_string(),
        repo_tags: record.repo_tags,
        repo_digests: record.repo_digests,
        comment: record.comment,
        created: record.created.and_then(|text| text.parse().ok()),
        author: record.author,
        config: image_config(record.config),
        architecture: record.platform.architecture,
        variant: record.platform.variant,
        os: record.platform.os,
        size: bytes(record.size),
        root_fs: types::RootFs {
            kind: "layers".to_owned(),
            layers: record.diff_ids.iter().map(ToString::to_string).collect(),
        },
        metadata: types::ImageMetadata { last_tag_time },
        descriptor: record.manifest.map(descriptor),
        ..ImageInspect::default()
    }
}

fn image_config(config: image::ContainerConfig) -> types::ImageConfig {
    let keys = |names: Vec<String>| names.into_iter().map(|name| (name, types::Empty {})).collect();
    let healthcheck = config.healthcheck.map(|check| types::HealthConfig {
        test: check.test,
        interval: check.interval,
        timeout: check.timeout,
        start_period: check.start_period,
        start_interval: check.start_interval,
        retries: check.retries,
    });
    types::ImageConfig {
        user: config.user,
        exposed_ports: keys(config.exposed_ports),
        env: config.env,
        entrypoint: config.entrypoint,
        cmd: config.cmd,
        healthcheck,
        volumes: keys(config.volumes),
        working_dir: config.working_dir,
        labels: config.labels.into_iter().collect(),
        stop_signal: config.stop_signal,
        shell: config.shell.unwrap_or_default(),
        on_build: config.on_build.unwrap_or_default(),
    }
}

fn descriptor(found: image::Descriptor) -> types::Descriptor {
    types::Descriptor {
        media_type: found.media_type,
        digest: found.digest.to_string(),
        size: bytes(found.size),
        ..types::Descriptor::default()
    }
}

fn platform(platform: image::Platform) -> types::OciPlatform {
    types::OciPlatform {
        architecture: platform.architecture,
        os: platform.os,
        variant: platform.variant,
        ..types::OciPlatform::default()
    }
}

fn bytes(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
