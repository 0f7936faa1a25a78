//! The data path on the real kernel: hosts are network namespaces joined by a switch, tasks are threads that echo.
//!
//! Needs root. `fabric` builds and removes hosts; the other files hold one part of the promise each.

mod fabric;
mod measure;
mod mesh;
mod names;
mod names_measure;
mod single;
mod verify;
