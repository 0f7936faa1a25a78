//! Reaching a daemon: which one (`host`), over what (`client`), one request at a time (`call`), and answers that
//! arrive bit by bit (`stream`). `stdin` is what goes the other way. `registry_auth` adds what a registry wants to know of the user.

pub(crate) mod call;
pub(crate) mod client;
pub(crate) mod host;
pub(crate) mod registry_auth;
pub(crate) mod stdin;
pub(crate) mod stream;

pub(crate) use call::Filters;
pub(crate) use client::Client;
