//! `shoal`, the command line: a client of the API like any other. It knows nothing of the daemon but HTTP.
//!
//! A noun has a folder (`swarm`, `node`, `service`, ...), a flag's syntax a file in `flags`, output lives in `output`,
//! the way to a daemon in `transport`, and failures with their exit codes in `error`.

mod command;
mod container;
mod error;
mod flags;
mod image;
mod limits;
mod network;
mod node;
mod output;
mod payload;
mod service;
mod swarm;
mod system;
mod transport;

use std::process::ExitCode;

use command::Arguments;
use error::{EXIT_DONE, EXIT_USAGE, Error};
use transport::host::Host;

fn main() -> ExitCode {
    let arguments = match Arguments::read() {
        Ok(arguments) => arguments,
        Err(problem) => return refuse(&problem),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(source) => return report(&Error::Signals { source }),
    };
    let outcome = runtime.block_on(run(arguments));
    // A read of the terminal that nobody waits for any more must not hold the process.
    runtime.shutdown_background();
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(error) => report(&error),
    }
}

async fn run(arguments: Arguments) -> Result<u8, Error> {
    let (origin, host) = Host::choose(arguments.host, |name| std::env::var(name).ok());
    let host = host.map_err(|(value, source)| Error::Host { value, origin, source })?;
    arguments.command.run(host, origin).await
}

/// Help and version go to standard output and are no failure; every other refusal of clap's is.
fn refuse(problem: &clap::Error) -> ExitCode {
    // Without a stream to print on, the code still tells.
    let _gone = problem.print();
    ExitCode::from(if problem.use_stderr() { EXIT_USAGE } else { EXIT_DONE })
}

fn report(error: &Error) -> ExitCode {
    eprint!("{}", error.report());
    ExitCode::from(error.exit_code())
}
