//! The daemon's log: standard error, one line an event, level changeable while it runs.

use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, reload};

/// Changes the level of a running log.
#[derive(Debug, Clone)]
pub struct LogLevel {
    handle: reload::Handle<EnvFilter, Registry>,
}

/// The log can't be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// There is one already.
    #[error("failed to set up the log")]
    Init(#[from] tracing_subscriber::util::TryInitError),
    /// The level can't be changed.
    #[error("failed to change the log's level")]
    Reload(#[from] reload::Error),
}

/// Starts logging at `level` (debug, info, warn, error). `SHOAL_LOG` in the environment, in tracing's filter syntax,
/// says more finely what is logged and wins.
///
/// # Errors
/// [`LogError::Init`] when the process logs already.
pub fn start(level: &str, json: bool) -> Result<LogLevel, LogError> {
    let (filter, handle) = reload::Layer::new(filter(level));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let registry = tracing_subscriber::registry().with(filter);
    if json {
        registry.with(lines.json()).try_init()?;
    } else {
        registry.with(lines.with_target(false).with_ansi(false)).try_init()?;
    }
    Ok(LogLevel { handle })
}

impl LogLevel {
    /// From now on logs at `level`.
    ///
    /// # Errors
    /// [`LogError::Reload`] when logging has ended.
    pub fn set(&self, level: &str) -> Result<(), LogError> {
        Ok(self.handle.reload(filter(level))?)
    }
}

fn filter(level: &str) -> EnvFilter {
    EnvFilter::try_from_env("SHOAL_LOG").unwrap_or_else(|_| {
        // At debug, what the wire libraries say of every frame would bury what Shoal says; to boringtun each handshake
        // with a host that is away is an error.
        let quiet = "h2=info,hyper=info,hyper_util=info,tower=info,rustls=info,tonic=info,boringtun=off";
        EnvFilter::new(format!("{level},{quiet}"))
    })
}
