//! Errors of all kinds as the core and people take them: one text with the whole chain of causes.

use std::error::Error;

use shoal_worker_core::{Failure, FailureKind};

/// The error and its causes, outermost first.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // A transparent variant shows its cause's own text.
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

/// Trying again will not help.
pub(crate) fn fatal(error: &dyn Error) -> Failure {
    Failure { message: chain(error), kind: FailureKind::Fatal }
}

/// Trying again may help.
pub(crate) fn temporary(error: &dyn Error) -> Failure {
    Failure { message: chain(error), kind: FailureKind::Temporary }
}
