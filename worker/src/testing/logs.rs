//! Containers that wrote nothing.

use futures_util::stream::{BoxStream, StreamExt, pending};
use shoal_proto::model::{LogTarget, TaskId};

use crate::container::{ContainerError, LogQuery};
use crate::session::{Lines, LogSource};

/// A host without containers.
#[derive(Debug)]
pub(crate) struct NoLogs;

#[async_trait::async_trait]
impl LogSource for NoLogs {
    fn containers(&self, _: LogTarget) -> Vec<(String, TaskId)> {
        Vec::new()
    }

    fn arrivals(&self) -> BoxStream<'static, ()> {
        pending().boxed()
    }

    async fn lines(&self, container: &str, _: LogQuery) -> Result<Lines, ContainerError> {
        Err(ContainerError::NotFound(container.to_owned()))
    }
}
