//! Matches and actions as the expressions of the kernel's rule machine.
//!
//! Every match loads into the first register and compares there; keys of several fields lie in the registers after it.
//! Invariant: an expression reads only registers that the same match or action has loaded.

use std::net::{IpAddr, Ipv4Addr};

use netlink_packet_core::{DefaultNla, NLM_F_CREATE};
use shoal_proto::model::{Cidr, PortProtocol};

use super::super::attribute::{bytes, nest, number, text};
use super::{Encoder, LIST_ELEMENT, NEW_ELEMENTS, NEW_SET, SET_MAP, TYPE_ADDRESS, TYPE_TARGET};
use crate::network::firewall::{Action, Match, Rule};

impl Encoder<'_> {
    /// The expressions of a rule; makes the nameless map of a balancing action first.
    pub(super) fn expressions(&mut self, rule: &Rule) -> Vec<DefaultNla> {
        let mut program = Program::default();
        for one in &rule.matches {
            program.match_on(one);
        }
        let map = match &rule.action {
            Action::Balance(targets) => {
                let targets = targets.iter().map(|(address, port)| target(*address, *port).to_vec());
                self.balance_map((TYPE_TARGET, 8), targets)
            }
            Action::BalanceAddresses(addresses) => {
                self.balance_map((TYPE_ADDRESS, 4), addresses.iter().map(|address| address.octets().to_vec()))
            }
            _ => 0,
        };
        program.act(&rule.action, map);
        program.0
    }

    /// Makes a map from a number to data of a type, which lives as long as the rule that uses it.
    fn balance_map(&mut self, (data_type, length): (u32, u32), data: impl Iterator<Item = Vec<u8>>) -> u32 {
        self.sets += 1;
        let id = self.sets;
        let table = text(1, &self.transaction.table);
        let attributes = vec![
            table.clone(),
            text(2, NAMELESS_MAP),
            number(3, SET_ANONYMOUS | SET_CONSTANT | SET_MAP),
            number(4, TYPE_INTEGER),
            number(5, 4),
            number(6, data_type),
            number(7, length),
            number(10, id),
        ];
        self.push(NEW_SET, NLM_F_CREATE, attributes);
        let numbered: Vec<(u32, Vec<u8>)> = (0..).zip(data).collect();
        for part in numbered.chunks(crate::network::limits::ELEMENTS_A_MESSAGE) {
            let members: Vec<DefaultNla> = part
                .iter()
                .map(|(key, data)| {
                    let key = nest(1, &[bytes(1, &key.to_ne_bytes())]);
                    nest(LIST_ELEMENT, &[key, nest(2, &[bytes(1, data)])])
                })
                .collect();
            let attributes = vec![table.clone(), text(2, NAMELESS_MAP), nest(3, &members), number(4, id)];
            self.push(NEW_ELEMENTS, NLM_F_CREATE, attributes);
        }
        id
    }
}

/// The expressions of one rule, in order.
#[derive(Default)]
struct Program(Vec<DefaultNla>);

impl Program {
    fn match_on(&mut self, one: &Match) {
        match one {
            Match::Ipv4 => self.meta_is(META_NFPROTO, &[NFPROTO_IPV4]),
            Match::InLink(name) => self.meta_is(META_IIFNAME, &link_name(name)),
            Match::InLinkNot(name) => {
                self.load_meta(META_IIFNAME, FIRST);
                self.compare(false, &link_name(name));
            }
            Match::OutLink(name) => self.meta_is(META_OIFNAME, &link_name(name)),
            Match::OutLinkNot(name) => {
                self.load_meta(META_OIFNAME, FIRST);
                self.compare(false, &link_name(name));
            }
            Match::SourceIn(subnet) => self.address_in(12, subnet),
            Match::DestinationIn(subnet) => self.address_in(16, subnet),
            Match::DestinationLocal => {
                self.add("fib", vec![number(1, FIRST), number(2, FIB_ADDRESS_TYPE), number(3, FIB_DESTINATION)]);
                self.compare(true, &ROUTE_LOCAL.to_ne_bytes());
            }
            Match::Translated => self.connection_has(CONNECTION_STATUS, STATUS_DESTINATION_TRANSLATED),
            Match::New => self.connection_has(CONNECTION_STATE, STATE_NEW),
            Match::Reply => {
                self.load_connection(CONNECTION_DIRECTION);
                self.compare(true, &[DIRECTION_REPLY]);
            }
            Match::Transport(protocol) => self.meta_is(META_L4PROTO, &[protocol_number(*protocol)]),
            Match::PortIn(set) => {
                self.load_port_key(FIRST);
                self.add("lookup", vec![text(1, set), number(2, FIRST)]);
            }
            Match::DestinationAmong(set) => {
                self.load_payload(PAYLOAD_NETWORK, 16, 4, FIRST);
                self.add("lookup", vec![text(1, set), number(2, FIRST)]);
            }
            Match::DestinationPort(port) => {
                self.load_payload(PAYLOAD_TRANSPORT, 2, 2, FIRST);
                self.compare(true, &port.to_be_bytes());
            }
            Match::Marked => {
                self.load_meta(META_MARK, FIRST);
                self.compare(false, &[0; 4]);
            }
        }
    }

    /// `map` is the transaction's number of the nameless map of a balancing action.
    fn act(&mut self, action: &Action, map: u32) {
        match action {
            Action::Accept => self.conclude(VERDICT_ACCEPT, None),
            Action::Drop => self.conclude(VERDICT_DROP, None),
            Action::Untracked => self.add("notrack", Vec::new()),
            Action::Jump(chain) => self.conclude(VERDICT_JUMP, Some(chain)),
            Action::Masquerade => self.add("masq", Vec::new()),
            Action::Reset => self.add("reject", vec![number(1, REJECT_RESET), bytes(2, &[0])]),
            Action::Unreachable => {
                self.add("reject", vec![number(1, REJECT_ICMPX), bytes(2, &[ICMPX_PORT_UNREACHABLE])]);
            }
            Action::GotoChainOf(map) => {
                self.load_port_key(FIRST);
                self.add("lookup", vec![text(1, map), number(2, FIRST), number(3, REGISTER_VERDICT)]);
            }
            Action::TranslateTo(map) => {
                self.load_port_key(FIRST);
                self.add("lookup", vec![text(1, map), number(2, FIRST), number(3, FIRST)]);
                self.translate(true);
            }
            Action::TranslateAddressTo(map) => {
                self.load_payload(PAYLOAD_NETWORK, 16, 4, FIRST);
                self.load_port_key(FIRST + 1);
                self.add("lookup", vec![text(1, map), number(2, FIRST), number(3, FIRST)]);
                self.translate(true);
            }
            Action::GotoChainOfAddress(map) => {
                self.load_payload(PAYLOAD_NETWORK, 16, 4, FIRST);
                self.add("lookup", vec![text(1, map), number(2, FIRST), number(3, REGISTER_VERDICT)]);
            }
            Action::Balance(targets) => {
                self.number_of(targets.len(), IN_TURN, map);
                self.translate(true);
            }
            Action::BalanceAddresses(addresses) => {
                self.number_of(addresses.len(), AT_RANDOM, map);
                self.translate(false);
            }
            Action::Translate(address, port) => {
                self.add("immediate", vec![number(1, FIRST), nest(2, &[bytes(1, &address.octets())])]);
                self.add("immediate", vec![number(1, FIRST + 1), nest(2, &[bytes(1, &port.to_be_bytes())])]);
                self.translate(true);
            }
            Action::SeparateSenders => {
                self.load_payload(PAYLOAD_LINK, 10, 2, FIRST);
                self.add("ct", vec![number(2, CONNECTION_ZONE), bytes(3, &[DIRECTION_ORIGINAL]), number(4, FIRST)]);
            }
            Action::NoteSender => {
                self.load_payload(PAYLOAD_LINK, 8, 4, FIRST);
                self.add("ct", vec![number(2, CONNECTION_MARK), number(4, FIRST)]);
            }
            Action::RecallSender => {
                self.load_connection(CONNECTION_MARK);
                self.add("meta", vec![number(2, META_MARK), number(3, FIRST)]);
            }
            Action::AnswerSender => {
                self.load_meta(META_MARK, FIRST);
                let place = [number(2, PAYLOAD_LINK), number(3, 2), number(4, 4)];
                let no_checksum = [number(6, 0), number(7, 0), number(8, 0)];
                self.add("payload", [&[number(5, FIRST)][..], &place, &no_checksum].concat());
            }
        }
    }

    /// Loads what a nameless map has for a number below `count`.
    fn number_of(&mut self, count: usize, choice: u32, map: u32) {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.add("numgen", vec![number(1, FIRST), number(2, count), number(3, choice), number(4, 0)]);
        self.add(
            "lookup",
            vec![text(1, NAMELESS_MAP), number(2, FIRST), number(3, FIRST), number(5, 0), number(4, map)],
        );
    }

    /// Destination := the address in the first register, and the port in the second if it changes as well.
    fn translate(&mut self, port_too: bool) {
        const DESTINATION: u32 = 1;
        let mut attributes = vec![number(1, DESTINATION), number(2, u32::from(NFPROTO_IPV4)), number(3, FIRST)];
        if port_too {
            attributes.push(number(5, FIRST + 1));
        }
        self.add("nat", attributes);
    }

    fn conclude(&mut self, code: i32, chain: Option<&str>) {
        self.add("immediate", vec![number(1, REGISTER_VERDICT), nest(2, &[verdict(code, chain)])]);
    }

    fn meta_is(&mut self, key: u32, value: &[u8]) {
        self.load_meta(key, FIRST);
        self.compare(true, value);
    }

    fn connection_has(&mut self, key: u32, bit: u32) {
        self.load_connection(key);
        self.mask(&bit.to_ne_bytes());
        self.compare(false, &[0; 4]);
    }

    fn address_in(&mut self, offset: u32, subnet: &Cidr) {
        let address = match subnet.network().address {
            IpAddr::V4(address) => address,
            IpAddr::V6(_) => Ipv4Addr::UNSPECIFIED,
        };
        self.load_payload(PAYLOAD_NETWORK, offset, 4, FIRST);
        let mask = u32::MAX.checked_shl(32 - u32::from(subnet.prefix.min(32))).unwrap_or(0);
        self.mask(&mask.to_be_bytes());
        self.compare(true, &address.octets());
    }

    /// Loads the protocol into a register and the destination port into the next.
    fn load_port_key(&mut self, register: u32) {
        self.load_meta(META_L4PROTO, register);
        self.load_payload(PAYLOAD_TRANSPORT, 2, 2, register + 1);
    }

    fn load_meta(&mut self, key: u32, register: u32) {
        self.add("meta", vec![number(2, key), number(1, register)]);
    }

    fn load_connection(&mut self, key: u32) {
        self.add("ct", vec![number(2, key), number(1, FIRST)]);
    }

    fn load_payload(&mut self, base: u32, offset: u32, length: u32, register: u32) {
        self.add("payload", vec![number(1, register), number(2, base), number(3, offset), number(4, length)]);
    }

    fn mask(&mut self, mask: &[u8; 4]) {
        let operands = [nest(4, &[bytes(1, mask)]), nest(5, &[bytes(1, &[0; 4])])];
        self.add("bitwise", [&[number(1, FIRST), number(2, FIRST), number(3, 4)][..], &operands].concat());
    }

    fn compare(&mut self, equal: bool, value: &[u8]) {
        self.add("cmp", vec![number(1, FIRST), number(2, u32::from(!equal)), nest(3, &[bytes(1, value)])]);
    }

    fn add(&mut self, name: &str, attributes: Vec<DefaultNla>) {
        self.0.push(nest(LIST_ELEMENT, &[text(1, name), nest(2, &attributes)]));
    }
}

/// A verdict as data of an expression or of a set's element.
pub(super) fn verdict(code: i32, chain: Option<&str>) -> DefaultNla {
    let mut members = vec![number(1, code.cast_unsigned())];
    members.extend(chain.map(|chain| text(2, chain)));
    nest(2, &members)
}

/// An address and port as they lie in two registers.
pub(super) fn target(address: Ipv4Addr, port: u16) -> [u8; 8] {
    let ([a, b, c, d], [high, low]) = (address.octets(), port.to_be_bytes());
    [a, b, c, d, high, low, 0, 0]
}

/// The number of a transport in the IP header.
pub(super) fn protocol_number(protocol: PortProtocol) -> u8 {
    match protocol {
        PortProtocol::Tcp => 6,
        PortProtocol::Udp => 17,
        PortProtocol::Sctp => 132,
    }
}

/// Names are compared over the 16 bytes that the kernel keeps for them.
fn link_name(name: &str) -> [u8; 16] {
    let mut padded = [0; 16];
    for (place, byte) in padded.iter_mut().zip(name.bytes().take(15)) {
        *place = byte;
    }
    padded
}

/// How a number generator chooses.
const IN_TURN: u32 = 0;
const AT_RANDOM: u32 = 1;

const NAMELESS_MAP: &str = "__map%d";
const SET_ANONYMOUS: u32 = 1;
const SET_CONSTANT: u32 = 2;
const TYPE_INTEGER: u32 = 4;

const REGISTER_VERDICT: u32 = 0;
/// The first of sixteen registers of four bytes; longer values run on into those after it.
const FIRST: u32 = 8;

const VERDICT_DROP: i32 = 0;
const VERDICT_ACCEPT: i32 = 1;
const VERDICT_JUMP: i32 = -3;

const PAYLOAD_LINK: u32 = 0;
const PAYLOAD_NETWORK: u32 = 1;
const PAYLOAD_TRANSPORT: u32 = 2;

const META_MARK: u32 = 3;
const META_IIFNAME: u32 = 6;
const META_OIFNAME: u32 = 7;
const META_NFPROTO: u32 = 15;
const META_L4PROTO: u32 = 16;
const NFPROTO_IPV4: u8 = 2;

const CONNECTION_STATE: u32 = 0;
const STATE_NEW: u32 = 1 << 3;
const CONNECTION_DIRECTION: u32 = 1;
const DIRECTION_ORIGINAL: u8 = 0;
const DIRECTION_REPLY: u8 = 1;
const CONNECTION_ZONE: u32 = 17;
const CONNECTION_STATUS: u32 = 2;
const CONNECTION_MARK: u32 = 3;
const STATUS_DESTINATION_TRANSLATED: u32 = 1 << 5;

const FIB_ADDRESS_TYPE: u32 = 3;
const FIB_DESTINATION: u32 = 2;
const ROUTE_LOCAL: u32 = 2;

const REJECT_RESET: u32 = 1;
const REJECT_ICMPX: u32 = 2;
const ICMPX_PORT_UNREACHABLE: u8 = 1;
