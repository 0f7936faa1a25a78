//! The program `shoal-runtime`: `keep` runs the keeper.

use std::process::ExitCode;

use shoal_runtime::keeper::{KeepOptions, error_chain, keep};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some("keep") => match KeepOptions::parse(arguments) {
            Ok(options) => match keep(&options) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    eprintln!("shoal-runtime: failed to {}", error_chain(&error));
                    ExitCode::FAILURE
                }
            },
            Err(error) => usage(&error.to_string()),
        },
        Some("--version") => {
            println!("shoal-runtime {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        other => usage(&format!("{:?} is no subcommand; there are keep and --version", other.unwrap_or(""))),
    }
}

fn usage(message: &str) -> ExitCode {
    eprintln!("shoal-runtime: {message}");
    ExitCode::from(2)
}
