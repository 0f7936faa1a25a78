//! The flags that the logs of containers and of services share.

use clap::Args;
use time::OffsetDateTime;

use super::FlagError;
use super::moment::seconds;
use crate::transport::call::Call;

#[derive(Args, Debug)]
pub(crate) struct LogFlags {
    /// Show extra details provided to logs
    #[arg(long)]
    pub(crate) details: bool,
    /// Follow log output
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Show logs since timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for 42 minutes)
    #[arg(long, value_name = "string")]
    pub(crate) since: Option<String>,
    /// Number of lines to show from the end of the logs
    #[arg(short = 'n', long, value_name = "string", default_value = "all")]
    pub(crate) tail: String,
    /// Show timestamps
    #[arg(short, long)]
    pub(crate) timestamps: bool,
}

impl LogFlags {
    /// Asks for both streams, as the flags say.
    pub(crate) fn apply<'a>(&self, call: Call<'a>, now: OffsetDateTime) -> Result<Call<'a>, FlagError> {
        let mut call = call.query("stdout", "1").query("stderr", "1").query("tail", &self.tail);
        if self.follow {
            call = call.query("follow", "1");
        }
        if self.timestamps {
            call = call.query("timestamps", "1");
        }
        if self.details {
            call = call.query("details", "1");
        }
        if let Some(since) = &self.since {
            call = call.query("since", seconds("since", since, now)?);
        }
        Ok(call)
    }
}
