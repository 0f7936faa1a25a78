//! The user's terminal while a command in a container owns it: raw mode, and its size.
//!
//! Invariant: whoever holds `RawTerminal` holds raw mode; dropping it, on every path, gives the old mode back.

use std::io::{self, IsTerminal};

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

use crate::error::Error;

/// Raw mode of the terminal behind standard input.
#[derive(Debug)]
pub(crate) struct RawTerminal {
    before: Termios,
}

impl RawTerminal {
    /// Enters raw mode: every key goes to the container, none is a command to this terminal.
    pub(crate) fn enter() -> Result<Self, Error> {
        let failed = |source: rustix::io::Errno| Error::Terminal { source: source.into() };
        let before = tcgetattr(io::stdin()).map_err(failed)?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(io::stdin(), OptionalActions::Now, &raw).map_err(failed)?;
        Ok(Self { before })
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        // A terminal that went away meanwhile needs nothing back.
        let _gone = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}

/// Rows and columns of the terminal behind standard output, if it is one and knows.
pub(crate) fn size() -> Option<(u16, u16)> {
    let size = tcgetwinsize(io::stdout()).ok()?;
    (size.ws_row > 0 && size.ws_col > 0).then_some((size.ws_row, size.ws_col))
}

/// Is standard input a terminal?
pub(crate) fn stdin_is_terminal() -> bool {
    io::stdin().is_terminal()
}
