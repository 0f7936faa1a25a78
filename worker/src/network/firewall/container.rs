//! The tables of a container's namespace: answers go back to the host that sent the request.
//!
//! A published port keeps the client's address, so an answer can't find its way by address. Every host's MAC on the
//! ingress network is made from its address there ([`MacAddress`](crate::network::MacAddress)): the first packet's
//! sender is noted as the connection's mark, and the mark is written into the receiver's MAC of every answer. Nothing
//! in here depends on which hosts there are. Its price: two TCP connections of one client socket, through two hosts to
//! one task at one time, are one connection here; the second is not made.

use shoal_proto::model::PortProtocol;

use super::{Action, ChainHook, Change, Family, Hook, Match, Rule, Transaction};

/// The name of both tables; the namespace is the container's own.
const TABLE: &str = "shoal";

/// What a container with `link` on the ingress network needs in its namespace.
pub(in crate::network) fn container_rules(link: &str) -> [Transaction; 2] {
    let chain = |name: &str, hook: Hook, priority: i32| Change::Chain {
        name: name.to_owned(),
        hook: Some(ChainHook { hook, priority, translates: false }),
    };
    let rule = |chain: &str, matches: Vec<Match>, action: Action| {
        Change::Rule(Rule { chain: chain.to_owned(), matches, action })
    };
    let arrives = || Match::InLink(link.to_owned());
    let inet = vec![
        Change::Table,
        chain("arriving", Hook::Prerouting, -150),
        rule("arriving", vec![arrives(), Match::New], Action::NoteSender),
        // A client's socket may ask several hosts in turn; what is one flow here is answered by whoever asked last.
        rule("arriving", vec![arrives(), Match::Original, Match::Transport(PortProtocol::Udp)], Action::NoteSender),
        chain("leaving", Hook::Postrouting, -150),
        rule("leaving", vec![Match::OutLink(link.to_owned()), Match::Reply], Action::RecallSender),
    ];
    let netdev = vec![
        Change::Table,
        chain("answers", Hook::Egress(link.to_owned()), 0),
        rule("answers", vec![Match::Marked], Action::AnswerSender),
    ];
    [
        Transaction { family: Family::Inet, table: TABLE.to_owned(), changes: inet },
        Transaction { family: Family::Netdev, table: TABLE.to_owned(), changes: netdev },
    ]
}
