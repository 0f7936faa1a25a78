//! Writing to the user's two streams. A reader that went away (`shoal ps | head`) ends the command without noise.

use std::io::{self, BufRead, IsTerminal, Read, Write};

use crate::error::Error;
use crate::limits::CONFIRMATION_BYTES_MAX;

/// Writes text to standard output.
pub(crate) fn print(text: &str) -> Result<(), Error> {
    write_all(&mut io::stdout().lock(), text.as_bytes())
}

/// Writes one line to standard output.
pub(crate) fn print_line(line: &str) -> Result<(), Error> {
    print(&format!("{line}\n"))
}

/// Writes raw bytes to standard output.
pub(crate) fn print_bytes(bytes: &[u8]) -> Result<(), Error> {
    write_all(&mut io::stdout().lock(), bytes)
}

/// Writes raw bytes to standard error.
pub(crate) fn print_error_bytes(bytes: &[u8]) -> Result<(), Error> {
    write_all(&mut io::stderr().lock(), bytes)
}

/// Writes one line to standard error: warnings and notes that are not the command's result.
pub(crate) fn note(line: &str) {
    // Nothing is left to tell the user with when standard error itself is gone.
    let _gone = writeln!(io::stderr().lock(), "{line}");
}

/// Asks whether to go on after a warning. Anything but a yes is a no, the end of the input too.
pub(crate) fn confirmed(warning: &str) -> Result<bool, Error> {
    note(warning);
    note("Are you sure you want to continue? [y/N]");
    let mut answer = String::new();
    io::stdin().lock().take(CONFIRMATION_BYTES_MAX).read_line(&mut answer).map_err(|source| Error::Input { source })?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// Is standard output a terminal?
pub(crate) fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

fn write_all(stream: &mut dyn Write, bytes: &[u8]) -> Result<(), Error> {
    match stream.write_all(bytes).and_then(|()| stream.flush()) {
        Ok(()) => Ok(()),
        Err(source) if source.kind() == io::ErrorKind::BrokenPipe => Err(Error::OutputClosed),
        Err(source) => Err(Error::Output { source }),
    }
}
