//! shoald's table of contents.

use std::process::ExitCode;

use shoald::daemon;
use shoald::logging;
use shoald::settings::{self, Settings};

fn main() -> ExitCode {
    let matches = settings::command().get_matches();
    let settings = match Settings::load(&matches) {
        Ok(settings) => settings,
        Err(error) => return failed(&error),
    };
    let level = match logging::start(&settings.log_level, settings.log_json) {
        Ok(level) => level,
        Err(error) => return failed(&error),
    };
    match daemon::run(settings, &matches, &level) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

fn failed(error: &dyn std::error::Error) -> ExitCode {
    eprint!("shoald: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        eprint!(": {cause}");
        source = cause.source();
    }
    eprintln!();
    ExitCode::FAILURE
}
