//! Containers of this host, commands run in them, and volumes.

use async_trait::async_trait;
use futures_util::StreamExt;
use shoal_api::types::{
    ContainerInspect, ContainerSummary, ExecCreateRequest, ExecInspect, ExecProcessConfig, ExecStartRequest, Filters,
    StringMap, Volume, VolumeListResponse,
};
use shoal_api::{
    ApiError, ContainerBackend, ContainerListQuery, ErrorKind, ExecOutput, ExecStarted, ExecStreams, LogFeed,
    LogRecord, LogsQuery, OutputStream, TerminalSize,
};
use shoal_proto::model::Timestamp;
use shoal_worker::container::{self, ContainerError, ContainerView, ExecRequest, LogQuery};

use super::Daemon;
use super::images::image_error;
use super::logs::nanoseconds;
use crate::docker::{self, container_inspect, container_summary};

#[async_trait]
impl ContainerBackend for Daemon {
    async fn list_containers(&self, query: ContainerListQuery) -> Result<Vec<ContainerSummary>, ApiError> {
        let now = crate::swarm::now();
        let mut views = self.worker.containers().list();
        views.sort_by_key(|view| std::cmp::Reverse(view.record.created_at));
        // As docker: who asks for a state or a neighbour in time wants those that ended, too.
        let asks_for_ended = ["status", "exited", "before", "since"].iter().any(|key| query.filters.contains(key));
        let shown_anyway = query.all || query.limit.is_some() || asks_for_ended;
        let (before, since) = (self.made(&query.filters, "before")?, self.made(&query.filters, "since")?);
        views.retain(|view| {
            let made = view.record.created_at;
            (shown_anyway || view.life.is_running())
                && before.is_none_or(|before| made < before)
                && since.is_none_or(|since| made > since)
                && matches(view, &query.filters)
                && query.filters.matches_exact("health", docker::health_status(&self.health(view)))
        });
        let limit = query.limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
        Ok(views.iter().take(limit).map(|view| container_summary(view, &self.health(view), now)).collect())
    }

    async fn inspect_container(&self, id: &str, _size: bool) -> Result<ContainerInspect, ApiError> {
        let containers = self.worker.containers();
        let view = containers.inspect(id).map_err(container_error)?;
        let execs = containers.execs_of(&view.record.id);
        Ok(container_inspect(&view, execs, self.health(&view)))
    }

    async fn container_logs(&self, id: &str, query: LogsQuery) -> Result<LogFeed, ApiError> {
        let wanted = LogQuery {
            follow: query.follow,
            stdout: query.streams.stdout,
            stderr: query.streams.stderr,
            since: query.since.map(nanoseconds),
            until: query.until.map(nanoseconds),
            tail: query.tail,
        };
        let (tty, records) = self.worker.containers().logs(id, wanted).await.map_err(container_error)?;
        let records = records.map(|record| record.map(log_record).map_err(container_error)).boxed();
        Ok(LogFeed { tty, records })
    }

    async fn create_exec(&self, container: &str, request: ExecCreateRequest) -> Result<String, ApiError> {
        if request.privileged {
            return Err(ApiError::not_implemented("exec --privileged is not there in this release: leave it out"));
        }
        let said = |text: String| if text.is_empty() { None } else { Some(text) };
        let request = ExecRequest {
            args: request.cmd,
            env: request.env,
            cwd: said(request.working_dir),
            user: said(request.user),
            tty: request.tty,
            size: request.console_size.and_then(size),
            stdin: request.attach_stdin,
            stdout: request.attach_stdout,
            stderr: request.attach_stderr,
        };
        self.worker.containers().create_exec(container, request).map_err(container_error)
    }

    async fn start_exec(&self, id: &str, request: ExecStartRequest) -> Result<ExecStarted, ApiError> {
        let containers = self.worker.containers();
        if let Some((rows, columns)) = request.console_size.and_then(size) {
            containers.resize_exec(id, rows, columns).await.map_err(container_error)?;
        }
        match containers.start_exec(id, request.detach).await {
            Ok(None) => Ok(ExecStarted::Detached),
            Ok(Some(streams)) => Ok(ExecStarted::Attached(exec_streams(streams))),
            Err(error @ (ContainerError::ExecNotFound(_) | ContainerError::ExecStarted(_))) => {
                Err(container_error(error))
            }
            Err(error) => Ok(ExecStarted::Failed(container_error(error).message)),
        }
    }

    async fn resize_exec(&self, id: &str, size: TerminalSize) -> Result<(), ApiError> {
        self.worker.containers().resize_exec(id, size.rows, size.columns).await.map_err(container_error)
    }

    async fn inspect_exec(&self, id: &str) -> Result<ExecInspect, ApiError> {
        let view = self.worker.containers().inspect_exec(id).map_err(container_error)?;
        let mut words = view.request.args.into_iter();
        Ok(ExecInspect {
            id: view.id,
            running: view.running,
            exit_code: view.exit_code.map(i64::from),
            process_config: ExecProcessConfig {
                tty: view.request.tty,
                entrypoint: words.next().unwrap_or_default(),
                arguments: words.collect(),
                privileged: false,
                user: view.request.user.unwrap_or_default(),
            },
            open_stdin: view.request.stdin,
            open_stderr: view.request.stderr,
            open_stdout: view.request.stdout,
            can_remove: !view.running,
            container_id: view.container,
            pid: view.pid.map_or(0, i64::from),
            ..ExecInspect::default()
        })
    }
}

impl Daemon {
    /// What its checks say; of one that has just been removed, nothing.
    fn health(&self, view: &ContainerView) -> container::Health {
        self.worker.containers().health(&view.record.id).unwrap_or_default()
    }

    /// When the container that a filter names was made.
    fn made(&self, filters: &Filters, key: &str) -> Result<Option<Timestamp>, ApiError> {
        let Some(named) = filters.values(key).next() else { return Ok(None) };
        Ok(Some(self.worker.containers().inspect(named).map_err(container_error)?.record.created_at))
    }

    pub(super) async fn local_volumes(&self, filters: &Filters) -> Result<VolumeListResponse, ApiError> {
        let volumes = self.worker.volumes().list().map_err(|error| container_error(error.into()))?;
        let shown = volumes.into_iter().map(|volume| Volume {
            created_at: docker::timestamp(volume.created_at).to_string(),
            driver: "local".to_owned(),
            labels: volume.labels.into_iter().collect(),
            mountpoint: volume.mountpoint.display().to_string(),
            name: volume.name,
            scope: "local".to_owned(),
            ..Volume::default()
        });
        let wanted = |volume: &Volume| {
            filters.matches("name", |value| volume.name.contains(value))
                && filters.matches_exact("driver", &volume.driver)
                && filters.matches_labels("label", &volume.labels)
        };
        Ok(VolumeListResponse { volumes: shown.filter(wanted).collect(), warnings: None })
    }
}

fn matches(view: &ContainerView, filters: &Filters) -> bool {
    let record = &view.record;
    let labels: StringMap = record.config.labels.clone().into_iter().collect();
    let image = |wanted: &str| {
        let repository = record.image.split('@').next().unwrap_or_default();
        record.image == wanted || repository == wanted || record.image_id == wanted || record.image_id.contains(wanted)
    };
    filters.matches_prefix("id", &record.id)
        && filters
            .matches("name", |wanted| record.name.contains(wanted.trim_start_matches(['^', '/']).trim_end_matches('$')))
        && filters.matches_labels("label", &labels)
        && filters.matches_exact("status", docker::container_status(&view.life))
        && filters.matches("ancestor", image)
        && filters.matches("is-task", |wanted| matches!(wanted, "true" | "1"))
        && filters.matches("network", |wanted| docker::is_on_network(record, wanted))
        && filters.matches("exited", |wanted| ended_with(view).is_some_and(|code| wanted.parse() == Ok(code)))
        && filters.matches("volume", |wanted| {
            let is_it = |mount: &container::MountPoint| mount.name.as_deref() == Some(wanted) || mount.target == wanted;
            record.mounts.iter().any(is_it)
        })
        && filters.matches("publish", |wanted| {
            let number = wanted.split('/').next().unwrap_or_default();
            record.network.ports.iter().any(|port| number.parse() == Ok(port.published_port))
        })
}

fn ended_with(view: &ContainerView) -> Option<i32> {
    match &view.life {
        container::ContainerLife::Exited(end) => Some(end.code),
        _ => None,
    }
}

fn log_record(record: container::LogRecord) -> LogRecord {
    LogRecord {
        stream: match record.stream {
            container::OutputStream::Stdout => OutputStream::Stdout,
            container::OutputStream::Stderr => OutputStream::Stderr,
        },
        time: docker::timestamp(record.time),
        details: record.details.into_iter().collect(),
        line: record.line,
    }
}

fn exec_streams(streams: container::ExecStreams) -> ExecStreams {
    ExecStreams {
        stdin: streams.stdin,
        output: match streams.output {
            container::ExecOutput::Terminal(output) => ExecOutput::Terminal(output),
            container::ExecOutput::Pipes { stdout, stderr } => ExecOutput::Pipes { stdout, stderr },
        },
        finished: streams.finished,
    }
}

/// Rows and columns; zero means that the client does not know.
fn size([rows, columns]: [u32; 2]) -> Option<(u16, u16)> {
    let pair = (u16::try_from(rows).ok()?, u16::try_from(columns).ok()?);
    (pair != (0, 0)).then_some(pair)
}

/// A failure with the status that Docker gives it.
pub(super) fn container_error(error: ContainerError) -> ApiError {
    let kind = match &error {
        ContainerError::NotFound(_) | ContainerError::ExecNotFound(_) => ErrorKind::NotFound,
        ContainerError::NotRunning(_) | ContainerError::ExecStarted(_) => ErrorKind::Conflict,
        ContainerError::Ambiguous(_) | ContainerError::Invalid { .. } | ContainerError::NoCommand(_) => {
            ErrorKind::InvalidParameter
        }
        ContainerError::NoLog => ErrorKind::NotImplemented,
        ContainerError::Image(error) => return image_error(error),
        ContainerError::Stopped => ErrorKind::Unavailable,
        _ => ErrorKind::System,
    };
    ApiError::new(kind, ApiError::from_source(&error).message)
}
