//! Every bound of the command line, with its reason.

use std::time::Duration;

/// The newest API version that this client speaks; older servers are followed down.
pub(crate) const API_VERSION_MAX: (u16, u16) = (1, 50);
/// The oldest API version that this client speaks: below it there are no job modes and no `status` in service lists.
pub(crate) const API_VERSION_MIN: (u16, u16) = (1, 41);

/// Between two looks at a service that converges: docker's own rhythm, and quick enough for the eye.
pub(crate) const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// How long a converged service must stay so, when it has no monitor period of its own: docker's value.
pub(crate) const STABLE_FOR: Duration = Duration::from_secs(5);
/// Lines of progress, one a task; above it only the sum is shown, as a screen has no room for more.
pub(crate) const PROGRESS_LINES_MAX: usize = 20;
/// Width of a task's error in progress lines and lists without `--no-trunc`, docker's values.
pub(crate) const PROGRESS_ERROR_WIDTH: usize = 75;
pub(crate) const LIST_ERROR_WIDTH: usize = 30;

/// Bytes of one JSON answer: a list of 100,000 tasks is about 200 MB, more is a server gone wrong.
pub(crate) const ANSWER_BYTES_MAX: usize = 256 << 20;
/// Bytes of a secret's or config's file that are read: twice what a config may have, docker's value, so that the daemon
/// can say what is too much.
pub(crate) const PAYLOAD_BYTES_MAX: u64 = 2 * (1000 << 10);
/// Bytes of one line of a progress or event stream: messages are below 1 kB, this stops a server without line ends.
pub(crate) const STREAM_LINE_BYTES_MAX: usize = 1 << 20;
/// Bytes of one frame of a multiplexed stream; the engine writes at most 16 kB a frame, service logs one line a frame.
pub(crate) const FRAME_BYTES_MAX: usize = 16 << 20;
/// Tasks that fail at one place, none running between them, before a watch calls the service failed: one may be bad
/// luck, and with the default delay three show within 15 s that it is not.
pub(crate) const FAILURES_MAX: usize = 3;
/// How long a watch bears answers that say the daemon has trouble: a change of leader takes about a second, a daemon
/// that restarts a few.
pub(crate) const TROUBLE_MAX: Duration = Duration::from_secs(15);

/// Bytes of an answer to a question: a word, and blanks around it.
pub(crate) const CONFIRMATION_BYTES_MAX: u64 = 64;
