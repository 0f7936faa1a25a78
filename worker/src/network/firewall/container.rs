//! The tables of a container's namespace: answers go back to the host that sent the request.
//!
//! A published port keeps the client's address, so an answer can't find its way by address. Every host's MAC on the
//! ingress network is made from its address there ([`MacAddress`](crate::network::MacAddress)): the first packet's
//! sender is noted as the connection's mark, and the mark is written into the receiver's MAC of every answer. One socket
//! of a client may come through several hosts: its connections are kept apart in one zone a host, and where their
//! answers would be alike, translation gives one of them another port of the client's. Nothing in here depends on which
//! hosts there are.

use super::{Action, ChainHook, Change, Family, Hook, Match, Rule, Transaction};

/// The name of both tables; the namespace is the container's own.
const TABLE: &str = "shoal";

/// What a container with `link` on the ingress network needs in its namespace.
pub(in crate::network) fn container_rules(link: &str) -> [Transaction; 2] {
    let chain = |name: &str, hook: Hook, priority: i32, translates: bool| Change::Chain {
        name: name.to_owned(),
        hook: Some(ChainHook { hook, priority, translates }),
    };
    let rule = |chain: &str, matches: Vec<Match>, action: Action| {
        Change::Rule(Rule { chain: chain.to_owned(), matches, action })
    };
    let arrives = || Match::InLink(link.to_owned());
    let inet = vec![
        Change::Table,
        // Before the kernel looks for the packet's connection.
        chain("sorting", Hook::Prerouting, -300, false),
        rule("sorting", vec![arrives()], Action::SeparateSenders),
        chain("arriving", Hook::Prerouting, -150, false),
        rule("arriving", vec![arrives(), Match::New], Action::NoteSender),
        // Has no rule: that it is there makes the kernel tell alike answers apart.
        chain("telling-apart", Hook::Input, 100, true),
        chain("leaving", Hook::Postrouting, -150, false),
        rule("leaving", vec![Match::OutLink(link.to_owned()), Match::Reply], Action::RecallSender),
    ];
    let netdev = vec![
        Change::Table,
        chain("answers", Hook::Egress(link.to_owned()), 0, false),
        rule("answers", vec![Match::Marked], Action::AnswerSender),
    ];
    [
        Transaction { family: Family::Inet, table: TABLE.to_owned(), changes: inet },
        Transaction { family: Family::Netdev, table: TABLE.to_owned(), changes: netdev },
    ]
}
