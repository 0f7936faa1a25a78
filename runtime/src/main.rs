//! The program `shoal-runtime`: `keep` runs the keeper.

use std::process::ExitCode;

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("--version") => {
            println!("shoal-runtime {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        other => {
            eprintln!("shoal-runtime: {:?} is no subcommand; there is --version", other.unwrap_or(""));
            ExitCode::from(2)
        }
    }
}
