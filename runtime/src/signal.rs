//! Signals by number and name, as Docker spells them (`SIGTERM`, `term`, `15`, `RTMIN+3`).

use std::fmt;

use serde::{Deserialize, Serialize};

/// A signal number, 1 to 64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "i32", into = "i32")]
pub struct Signal(i32);

/// Text or a number that is no signal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} is not a signal: give a name such as SIGTERM or a number from 1 to 64")]
pub struct SignalError {
    /// What was given, shortened to 64 characters.
    pub value: String,
}

impl Signal {
    /// Hang-up.
    pub const HUP: Self = Self(1);
    /// Interrupt from the keyboard.
    pub const INT: Self = Self(2);
    /// Cannot be caught or ignored.
    pub const KILL: Self = Self(9);
    /// Asks to end.
    pub const TERM: Self = Self(15);

    /// The signal of that number.
    ///
    /// # Errors
    /// When the number is not 1 to 64.
    pub fn from_number(number: i32) -> Result<Self, SignalError> {
        if (1..=64).contains(&number) { Ok(Self(number)) } else { Err(SignalError { value: number.to_string() }) }
    }

    /// Reads a name, with or without `SIG`, in either case, or a number.
    ///
    /// # Errors
    /// When there is no such signal.
    pub fn parse(text: &str) -> Result<Self, SignalError> {
        let refuse = || SignalError { value: text.chars().take(64).collect() };
        if let Ok(number) = text.parse::<i32>() {
            return Self::from_number(number);
        }
        let upper = text.to_ascii_uppercase();
        let bare = upper.strip_prefix("SIG").unwrap_or(&upper);
        if let Some((_, number)) = NAMES.iter().chain(ALIASES).find(|(name, _)| *name == bare) {
            return Ok(Self(*number));
        }
        let offset = |rest: &str| if rest.is_empty() { Some(0) } else { rest[1..].parse::<i32>().ok() };
        let number = if let Some(rest) = bare.strip_prefix("RTMIN").filter(|r| r.is_empty() || r.starts_with('+')) {
            offset(rest).and_then(|n| REALTIME_FIRST.checked_add(n))
        } else if let Some(rest) = bare.strip_prefix("RTMAX").filter(|r| r.is_empty() || r.starts_with('-')) {
            offset(rest).and_then(|n| REALTIME_LAST.checked_sub(n))
        } else {
            None
        };
        number.filter(|n| (REALTIME_FIRST..=REALTIME_LAST).contains(n)).map(Self).ok_or_else(refuse)
    }

    /// The kernel's number.
    pub fn number(self) -> i32 {
        self.0
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|(_, number)| *number == self.0) {
            Some((name, _)) => write!(f, "SIG{name}"),
            None if self.0 >= REALTIME_FIRST => write!(f, "SIGRTMIN+{}", self.0 - REALTIME_FIRST),
            None => write!(f, "{}", self.0),
        }
    }
}

impl TryFrom<i32> for Signal {
    type Error = SignalError;
    fn try_from(number: i32) -> Result<Self, Self::Error> {
        Self::from_number(number)
    }
}

impl From<Signal> for i32 {
    fn from(signal: Signal) -> Self {
        signal.0
    }
}

// glibc keeps the first two real-time signals for itself, and Docker counts as glibc does.
const REALTIME_FIRST: i32 = 34;
const REALTIME_LAST: i32 = 64;

const NAMES: &[(&str, i32)] = &[
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("STKFLT", 16),
    ("CHLD", 17),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("VTALRM", 26),
    ("PROF", 27),
    ("WINCH", 28),
    ("IO", 29),
    ("PWR", 30),
    ("SYS", 31),
];

const ALIASES: &[(&str, i32)] = &[("IOT", 6), ("CLD", 17), ("POLL", 29), ("UNUSED", 31)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_spelling() {
        for (text, number) in [
            ("SIGTERM", 15),
            ("term", 15),
            ("9", 9),
            ("sigkill", 9),
            ("RTMIN", 34),
            ("SIGRTMIN+3", 37),
            ("RTMAX-1", 63),
        ] {
            assert_eq!(Signal::parse(text).unwrap().number(), number, "{text}");
        }
        for text in ["", "SIG", "0", "65", "-1", "TERMX", "RTMIN-1", "RTMIN+31", "RTMIN3", "RTMAX+1", "15 "] {
            assert!(Signal::parse(text).is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn prints_what_it_reads() {
        for number in 1..=64 {
            let signal = Signal::from_number(number).unwrap();
            assert_eq!(Signal::parse(&signal.to_string()).unwrap(), signal);
        }
    }
}
