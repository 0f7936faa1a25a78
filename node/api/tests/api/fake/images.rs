//! Images: one, and a registry that has nearly everything.

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use shoal_api::types::{
    AuthConfig, Descriptor, DistributionInspect, ImageConfig, ImageDeleteItem, ImageInspect, ImageSummary, OciPlatform,
    ProgressMessage, RootFs,
};
use shoal_api::{ApiError, ImageBackend, ImageListQuery, ImageRemoveQuery, PullRequest};

use super::{Fake, time};

const DIGEST: &str = "sha256:ab00000000000000000000000000000000000000000000000000000000000000";

type Messages = BoxStream<'static, Result<ProgressMessage, ApiError>>;

#[async_trait]
impl ImageBackend for Fake {
    async fn pull_image(&self, request: PullRequest) -> Result<Messages, ApiError> {
        self.note(format!("pull_image({}, {:?})", request.reference(), request.auth));
        if request.image.contains("missing") {
            return Err(ApiError::not_found(format!("pull access denied for {}", request.image)));
        }
        let mut messages = vec![
            Ok(ProgressMessage { id: request.tag.clone(), ..ProgressMessage::status("Pulling from library/web") }),
            Ok(ProgressMessage::layer("0a1b2c3d4e5f", "Pulling fs layer")),
            Ok(ProgressMessage::layer_progress("0a1b2c3d4e5f", "Downloading", 512, 1024)),
        ];
        if request.image.contains("broken") {
            messages.push(Err(ApiError::system("the registry went away")));
        } else {
            messages.push(Ok(ProgressMessage::layer("0a1b2c3d4e5f", "Pull complete")));
            messages.push(Ok(ProgressMessage::status(format!("Digest: {DIGEST}"))));
        }
        Ok(futures_util::stream::iter(messages).boxed())
    }

    async fn load_image(
        &self,
        mut archive: BoxStream<'static, std::io::Result<Bytes>>,
        quiet: bool,
    ) -> Result<Messages, ApiError> {
        self.note(format!("load_image(quiet: {quiet})"));
        let mut read = Vec::new();
        while let Some(chunk) = archive.next().await {
            read.extend_from_slice(&chunk.map_err(|error| ApiError::from_source(&error))?);
            if read.starts_with(b"garbage") {
                return Err(ApiError::invalid_parameter("the archive is not a tar file"));
            }
        }
        self.lock().loaded = read;
        let line = ProgressMessage::stream("Loaded image: web:1\n");
        Ok(futures_util::stream::iter([Ok(line)]).boxed())
    }

    async fn list_images(&self, query: ImageListQuery) -> Result<Vec<ImageSummary>, ApiError> {
        self.note(format!("list_images({}, all: {})", query.filters.to_json(), query.all));
        Ok(vec![ImageSummary {
            id: DIGEST.into(),
            repo_tags: vec!["web:1".into()],
            created: 3,
            size: 7_000_000,
            shared_size: -1,
            containers: -1,
            ..ImageSummary::default()
        }])
    }

    async fn inspect_image(&self, name: &str) -> Result<ImageInspect, ApiError> {
        self.note(format!("inspect_image({name})"));
        if !name.contains("web") {
            return Err(ApiError::not_found(format!("No such image: {name}")));
        }
        Ok(ImageInspect {
            id: DIGEST.into(),
            repo_tags: vec!["web:1".into()],
            created: Some(time(3)),
            config: ImageConfig { cmd: Some(vec!["serve".into()]), ..ImageConfig::default() },
            architecture: "amd64".into(),
            os: "linux".into(),
            size: 7_000_000,
            root_fs: RootFs { kind: "layers".into(), layers: vec![DIGEST.into()] },
            ..ImageInspect::default()
        })
    }

    async fn remove_image(&self, name: &str, query: ImageRemoveQuery) -> Result<Vec<ImageDeleteItem>, ApiError> {
        self.note(format!("remove_image({name}, {query:?})"));
        Ok(vec![ImageDeleteItem { untagged: name.into(), ..ImageDeleteItem::default() }])
    }

    async fn inspect_distribution(&self, name: &str, auth: AuthConfig) -> Result<DistributionInspect, ApiError> {
        self.note(format!("inspect_distribution({name}, {auth:?})"));
        let media_type = "application/vnd.oci.image.manifest.v1+json".into();
        let platform = OciPlatform { architecture: "amd64".into(), os: "linux".into(), ..OciPlatform::default() };
        Ok(DistributionInspect {
            descriptor: Descriptor { media_type, digest: DIGEST.into(), size: 528, ..Descriptor::default() },
            platforms: vec![platform],
        })
    }
}
