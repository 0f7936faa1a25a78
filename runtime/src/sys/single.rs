//! Proof that the process has one thread, which is what makes ordinary code after a raw clone sound.

use std::io;

/// Proof that this process had one thread when it was made. The keeper makes it first thing and never starts another
/// thread; whoever needs to clone asks for it.
#[derive(Debug)]
pub(crate) struct SingleThread(());

impl SingleThread {
    /// Counts the threads.
    ///
    /// # Errors
    /// When there are several, or `/proc` cannot be read.
    pub(crate) fn prove() -> io::Result<Self> {
        let threads = std::fs::read_dir("/proc/self/task")?.count();
        if threads == 1 { Ok(Self(())) } else { Err(io::Error::other("the process has several threads")) }
    }
}
