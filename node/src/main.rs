//! shoald's table of contents.

fn main() -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}
