//! Ctrl-C and SIGTERM: noted, so that the measurement ends by a panic of its own and its owners take everything down.
//!
//! Leaves the taking down to drops. Invariant: once [`watch`] returned, neither signal ends the process by itself.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Once, mpsc};

use tokio::signal::unix::{SignalKind, signal};

static TOLD: AtomicBool = AtomicBool::new(false);
static WATCHING: Once = Once::new();

/// Notes the signals from now on.
///
/// # Panics
/// When handlers can't be installed.
pub(crate) fn watch() {
    if cfg!(panic = "abort") {
        eprintln!("built with panic=abort: a run that fails leaves its hosts behind until the next one");
    }
    WATCHING.call_once(|| {
        let (ready, installed) = mpsc::channel();
        std::thread::spawn(move || {
            #[expect(clippy::expect_used, reason = "a measurement that can't be ended must not begin")]
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_io().build().expect("a runtime can be made");
            runtime.block_on(note(ready));
        });
        #[expect(clippy::expect_used, reason = "a measurement that can't be ended must not begin")]
        installed.recv().expect("signal handlers are installed");
    });
}

/// Goes on, unless the end was told.
///
/// # Panics
/// When it was.
pub(crate) fn check() {
    assert!(!TOLD.load(Ordering::Relaxed), "interrupted");
}

async fn note(ready: mpsc::Sender<()>) {
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return;
    };
    if ready.send(()).is_err() {
        return;
    }
    loop {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        eprintln!("ending: what was made is taken down");
        TOLD.store(true, Ordering::Relaxed);
    }
}
