//! The resolver of containers: names of services and tasks on their networks, everything else from outside.
//!
//! In: who is on which network ([`ServiceSet`](shoal_proto::model::ServiceSet)), and the sockets that each container's
//! port 53 leads to. Out: answers. `zones` says what a name means, `answer` turns a query's bytes into an answer's or into
//! the need to ask others, `upstream` asks them, `serve` is the actor. Leaves virtual addresses to the network.
//!
//! Invariants: a container hears of its own networks only; what is not known yet is no reason to say that it does not
//! exist; no query waits for another's.

mod answer;
mod limits;
mod serve;
mod upstream;
mod zones;

pub(crate) use serve::{Resolver, Scope};
pub(crate) use zones::Zones;
