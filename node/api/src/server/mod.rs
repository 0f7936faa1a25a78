//! The HTTP server: from a listening socket to calls of the backend and back.
//!
//! [`serve`] accepts connections; `dispatch` takes the version off the path, reads bodies and adds the headers that
//! every answer has; `routes` is the table of paths; one file an area turns requests into calls and results into
//! answers. What Docker has and Shoal has not yet is listed, and refused by name, in `unbuilt`.

mod answer;
mod containers;
mod dispatch;
mod distribution;
mod events;
mod exec;
mod hijack;
mod images;
mod listen;
mod logs;
mod networks;
mod nodes;
mod params;
mod request_body;
mod routes;
mod secrets;
mod serve;
mod services;
mod stdcopy;
mod swarm;
mod system;
mod tasks;
mod unbuilt;
mod version;
mod version_gates;

pub use listen::{ListenAddress, ListenError, Listener};
pub use serve::serve;
