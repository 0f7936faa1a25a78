//! Standard input, read in the background.

use std::io;
use std::os::fd::AsFd;

use tokio::fs::File;

use crate::error::Error;

/// Standard input as a stream of bytes.
pub(crate) fn stdin() -> Result<File, Error> {
    let descriptor = io::stdin().as_fd().try_clone_to_owned().map_err(|source| Error::Input { source })?;
    Ok(File::from_std(std::fs::File::from(descriptor)))
}
