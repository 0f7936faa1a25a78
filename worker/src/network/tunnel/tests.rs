//! Packets through segmentation, encryption and coalescing, without a kernel.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use shoal_proto::model::TunnelKey;

use super::TunnelPeer;
use super::coalesce::Coalescer;
use super::frame::{
    Checksum, GSO_TCP4, GSO_TCP6, GSO_TUNNEL_IPV6, GSO_UDP, HEADER, Header, IPV6, Layout, NEEDS_CHECKSUM, pseudo_header,
};
use super::keyring::{KeyStep, Keyring};
use super::link::{Link, Opened, OwnKey};
use super::segment::segments;
use super::table::{Addressee, Table};
use crate::network::limits::{TUNNEL_HANDSHAKE_LATE, TUNNEL_HANDSHAKES_A_SECOND};

const VXLAN_PORT: u16 = 4788;
const NETWORK: usize = IPV6 + 8 + 8 + 14;

/// What a container sends: over which protocols, which data, and where in its connection.
#[derive(Debug, Clone)]
struct Sent {
    inner_v6: bool,
    tcp: bool,
    flags: u8,
    port: u16,
    sequence: u32,
    data: Vec<u8>,
}

impl Sent {
    fn tcp(sequence: u32, data: &[u8]) -> Self {
        Self { inner_v6: false, tcp: true, flags: 0x10, port: 40_000, sequence, data: data.to_vec() }
    }

    /// The VXLAN packet as the kernel hands it over: lengths for the whole, checksum of the pseudo-header alone.
    fn packet(&self) -> (Header, Vec<u8>) {
        let transport = if self.tcp { 32 } else { 8 };
        let network = if self.inner_v6 { IPV6 } else { 20 };
        let inner = network + transport + self.data.len();
        let outer = 8 + 8 + 14 + inner;
        let mut packet = vec![0x60, 0, 0, 0];
        packet.extend_from_slice(&(outer as u16).to_be_bytes());
        packet.extend_from_slice(&[17, 64]);
        packet.extend_from_slice(&address(1).octets());
        packet.extend_from_slice(&address(2).octets());
        packet.extend_from_slice(&self.port.wrapping_add(7).to_be_bytes());
        packet.extend_from_slice(&VXLAN_PORT.to_be_bytes());
        packet.extend_from_slice(&(outer as u16).to_be_bytes());
        packet.extend_from_slice(&[0, 0, 8, 0, 0, 0, 0, 3, 9, 0]);
        packet.extend_from_slice(&[2, 0x42, 10, 7, 0, 2, 2, 0x42, 10, 7, 0, 1]);
        packet.extend_from_slice(if self.inner_v6 { &[0x86, 0xdd] } else { &[8, 0] });
        let protocol = if self.tcp { 6 } else { 17 };
        if self.inner_v6 {
            packet.extend_from_slice(&[0x60, 0, 0, 0]);
            packet.extend_from_slice(&((inner - IPV6) as u16).to_be_bytes());
            packet.extend_from_slice(&[protocol, 64]);
            packet.extend_from_slice(&address(3).octets());
            packet.extend_from_slice(&address(4).octets());
        } else {
            packet.extend_from_slice(&[0x45, 0]);
            packet.extend_from_slice(&(inner as u16).to_be_bytes());
            packet.extend_from_slice(&[0x12, 0x34, 0x40, 0, 64, protocol, 0, 0]);
            packet.extend_from_slice(&[10, 7, 0, 1, 10, 7, 0, 2]);
            let sum = Checksum::default().add(&packet[NETWORK..]).complement();
            packet[NETWORK + 10..NETWORK + 12].copy_from_slice(&sum);
        }
        let begin = packet.len();
        packet.extend_from_slice(&self.port.to_be_bytes());
        packet.extend_from_slice(&80u16.to_be_bytes());
        if self.tcp {
            packet.extend_from_slice(&self.sequence.to_be_bytes());
            packet.extend_from_slice(&7u32.to_be_bytes());
            packet.extend_from_slice(&[0x80, self.flags, 0x20, 0, 0, 0, 0, 0]);
            packet.extend_from_slice(&[1, 1, 8, 10, 0, 0, 0, 9, 0, 0, 0, 8]);
        } else {
            packet.extend_from_slice(&((8 + self.data.len()) as u16).to_be_bytes());
            packet.extend_from_slice(&[0, 0]);
        }
        packet.extend_from_slice(&self.data);
        let offset = if self.tcp { 16 } else { 6 };
        let sum = pseudo_header(&packet[NETWORK..], packet.len() - begin).unwrap().folded();
        packet[begin + offset..begin + offset + 2].copy_from_slice(&sum);
        let kind = match (self.tcp, self.inner_v6) {
            (true, false) => GSO_TCP4,
            (true, true) => GSO_TCP6,
            (false, _) => GSO_UDP,
        };
        let header = Header {
            flags: NEEDS_CHECKSUM,
            gso_type: kind | GSO_TUNNEL_IPV6,
            headers: (begin + transport) as u16,
            gso_size: 1318,
            checksum_start: begin as u16,
            checksum_offset: offset as u16,
            outer_transport: IPV6 as u16,
            inner_network: NETWORK as u16,
        };
        (header, packet)
    }

    fn segments(&self, size: u16) -> Vec<Vec<u8>> {
        let (header, mut packet) = self.packet();
        let mut out = Vec::new();
        let sent = segments(&Header { gso_size: size, ..header }, &mut packet, |packet| out.push(packet.to_vec()));
        assert!(sent);
        out
    }
}

fn address(last: u16) -> Ipv6Addr {
    Ipv6Addr::new(0xfd53, 0, 0, 0, 0, 0, 0, last)
}

/// Checks every length and checksum of a packet, and gives its place of data.
fn checked(packet: &[u8]) -> Layout {
    let layout = Layout::of_vxlan(packet, VXLAN_PORT).expect("it is a packet of a container");
    let word = |at: usize| usize::from(u16::from_be_bytes([packet[at], packet[at + 1]]));
    assert_eq!(word(4), packet.len() - IPV6);
    assert_eq!(word(IPV6 + 4), packet.len() - IPV6);
    if packet[NETWORK] >> 4 == 4 {
        assert_eq!(word(NETWORK + 2), packet.len() - NETWORK);
        assert!(Checksum::default().add(&packet[NETWORK..NETWORK + 20]).is_right());
    } else {
        assert_eq!(word(NETWORK + 4), packet.len() - NETWORK - IPV6);
    }
    let transport = &packet[layout.transport..];
    assert!(pseudo_header(&packet[NETWORK..], transport.len()).unwrap().add(transport).is_right());
    layout
}

/// Joins packets; the frames that came out.
fn joined(packets: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut coalescer = Coalescer::new(VXLAN_PORT, true);
    let mut frames = Vec::new();
    let mut out = |frame: &[u8]| frames.push(frame.to_vec());
    for packet in packets {
        let (room, place) = coalescer.room(packet.len() + 16);
        place.fill(0xee);
        place[..packet.len()].copy_from_slice(packet);
        coalescer.take(room, packet.len(), &mut out);
        // Now and then a message holds no packet.
        let (room, place) = coalescer.room(148);
        place.fill(0xdd);
        coalescer.take(room, 0, &mut out);
    }
    coalescer.flush(&mut out);
    frames
}

proptest! {
    #[test]
    fn segments_are_whole_packets_and_join_again(
        inner_v6: bool,
        sequence: u32,
        data in prop::collection::vec(any::<u8>(), 1..20_000),
        size in 1u16..1400,
        push: bool,
    ) {
        prop_assume!(data.len() / usize::from(size) < 1000);
        let flags = if push { 0x18 } else { 0x10 };
        let sent = Sent { inner_v6, flags, ..Sent::tcp(sequence, &data) };
        let packets = sent.segments(size);
        prop_assert_eq!(packets.len(), data.len().div_ceil(usize::from(size)));
        let mut seen = Vec::new();
        for (number, packet) in packets.iter().enumerate() {
            let layout = checked(packet);
            let at = u32::from_be_bytes(packet[layout.transport + 4..layout.transport + 8].try_into().unwrap());
            prop_assert_eq!(at, sequence.wrapping_add(seen.len() as u32));
            let is_last = number + 1 == packets.len();
            prop_assert_eq!(packet[layout.transport + 13], if is_last { flags } else { 0x10 });
            seen.extend_from_slice(&packet[layout.payload..]);
        }
        prop_assert_eq!(&seen, &data);
        let frames = joined(&packets);
        let mut seen = Vec::new();
        for frame in &frames {
            let (header, packet) = (Header::read(frame).unwrap(), &frame[HEADER..]);
            let layout = Layout::of_vxlan(packet, VXLAN_PORT).unwrap();
            seen.extend_from_slice(&packet[layout.payload..]);
            // The kernel cuts it as it was cut: what it would send is right again.
            let mut again = packet.to_vec();
            let is_sent = segments(&header, &mut again, |packet| {
                checked(packet);
            });
            prop_assert!(is_sent);
        }
        prop_assert_eq!(&seen, &data);
        if packets.len() > 2 && usize::from(size) > 200 {
            prop_assert!(frames.len() < packets.len(), "{} of {}", frames.len(), packets.len());
        }
    }

    #[test]
    fn datagrams_are_cut_and_never_joined(data in prop::collection::vec(any::<u8>(), 1..9000), size in 1u16..1400) {
        prop_assume!(data.len() / usize::from(size) < 500);
        let sent = Sent { tcp: false, ..Sent::tcp(0, &data) };
        let packets = sent.segments(size);
        packets.iter().for_each(|packet| {
            checked(packet);
        });
        prop_assert_eq!(joined(&packets).len(), packets.len());
    }

    #[test]
    fn nothing_that_comes_panics(
        frame in prop::collection::vec(any::<u8>(), 0..400),
        header in any::<[u8; 24]>(),
        lengths in prop::collection::vec(0usize..300, 0..6),
    ) {
        let mut packet = frame.clone();
        let mut whole = header.to_vec();
        whole.extend_from_slice(&[0; 14]);
        if let Some(header) = Header::read(&whole) {
            segments(&header, &mut packet, |_| {});
        }
        let pieces: Vec<Vec<u8>> = lengths.iter().map(|length| frame.iter().copied().take(*length).collect()).collect();
        let sent: usize = joined(&pieces).iter().map(|frame| frame.len() - HEADER).sum();
        prop_assert_eq!(sent, pieces.iter().map(Vec::len).sum::<usize>());
    }

    #[test]
    fn a_packet_that_was_damaged_is_not_joined(at in 0usize..1000, bit in 0u8..8) {
        let mut packets = Sent::tcp(1, &[7; 5000]).segments(1000);
        let place = checked(&packets[2]).payload + at;
        packets[2][place] ^= 1 << bit;
        let frames = joined(&packets);
        let holds = |frame: &Vec<u8>| frame.ends_with(&packets[2]) && frame.len() == HEADER + packets[2].len();
        prop_assert!(frames.iter().any(holds), "it leaves as it came, for the receiver to refuse");
    }
}

#[test]
fn connections_are_not_mixed() {
    let one = Sent::tcp(1, &[1; 4000]).segments(1000);
    let other = Sent { port: 40_001, ..Sent::tcp(1, &[2; 4000]) }.segments(1000);
    let mixed: Vec<Vec<u8>> = one.iter().zip(&other).flat_map(|(one, other)| [one.clone(), other.clone()]).collect();
    assert_eq!(joined(&mixed).len(), 8);
    let in_turn = [one, other].concat();
    assert_eq!(joined(&in_turn).len(), 2);
    let mut gap = Sent::tcp(1, &[1; 4000]).segments(1000);
    gap.remove(1);
    assert_eq!(joined(&gap).len(), 2, "what was lost is not papered over");
}

/// Two nodes' tables, by their keys.
fn tables(one: Vec<OwnKey>, other: Vec<OwnKey>) -> (Table, Table) {
    let peer = |last: u16, keys: &[OwnKey]| TunnelPeer {
        address: address(last),
        endpoint: SocketAddr::new(IpAddr::from(Ipv4Addr::new(10, 0, 0, last as u8)), 4790),
        keys: keys.iter().map(|key| key.public).collect(),
    };
    let (first, second) = (peer(1, &one), peer(2, &other));
    (Table::default().replaced(one, &[second]), Table::default().replaced(other, &[first]))
}

fn link_to(table: &Table, last: u16) -> &Link {
    table.peer(address(last)).expect("the peer is known").link()
}

/// Gives a message to a table; what it holds, and what is answered.
fn deliver(table: &Table, message: &[u8]) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
    let from = IpAddr::from([10, 0, 0, 9]);
    let Addressee::Session(_, link) = table.addressee(from, message) else { return (None, None) };
    let mut place = vec![0; 2000];
    match link.open(from, message, &mut place) {
        Ok(Opened::Packet(length)) => (Some(place[..length].to_vec()), None),
        Ok(Opened::Answer(length)) => (None, Some(place[..length].to_vec())),
        Ok(Opened::Nothing) | Err(_) => (None, None),
    }
}

/// Lets one side begin a handshake by a link, and carries the messages to and fro until both are still.
fn shake_hands(begins: &Table, link: &Link, other: &Table) {
    let mut place = [0; 148];
    let length = link.tend(Instant::now(), &mut place).expect("a handshake begins");
    let mut waiting = Some(place[..length].to_vec());
    let mut to = [other, begins].into_iter().cycle();
    while let (Some(message), Some(table)) = (waiting.take(), to.next()) {
        waiting = deliver(table, &message).1;
    }
}

fn sealed(table: &Table, to: u16, packet: &[u8]) -> Vec<u8> {
    let mut place = vec![0; 2000];
    let length = link_to(table, to).seal(packet, &mut place);
    place.truncate(length);
    place
}

#[test]
fn packets_pass_between_peers_and_nobody_else() {
    let (one, other) = tables(vec![OwnKey::new([1; 32])], vec![OwnKey::new([2; 32])]);
    shake_hands(&one, link_to(&one, 2), &other);
    assert!(link_to(&one, 2).is_ready() && link_to(&other, 1).is_ready());
    let packet = Sent::tcp(1, b"secret").segments(1000).remove(0);
    let message = sealed(&one, 2, &packet);
    assert!(!message.windows(6).any(|bytes| bytes == b"secret"));
    let mut damaged = message.clone();
    *damaged.last_mut().unwrap() ^= 1;
    assert_eq!(deliver(&other, &damaged), (None, None));
    assert_eq!(deliver(&other, &message).0, Some(packet));
    assert_eq!(deliver(&other, &message), (None, None), "nothing is taken twice");
    let (stranger, _) = tables(vec![OwnKey::new([3; 32])], vec![OwnKey::new([2; 32])]);
    shake_hands(&stranger, link_to(&stranger, 2), &other);
    assert!(!link_to(&stranger, 2).is_ready(), "whom the managers did not name is not answered");
}

#[test]
fn both_may_begin_at_once() {
    let (one, other) = tables(vec![OwnKey::new([1; 32])], vec![OwnKey::new([2; 32])]);
    let begin = |table: &Table, peer: u16| {
        let mut place = [0; 148];
        let length = link_to(table, peer).tend(Instant::now(), &mut place).expect("a handshake begins");
        place[..length].to_vec()
    };
    let (first, second) = (begin(&one, 2), begin(&other, 1));
    let to_one = deliver(&other, &first).1.expect("an answer");
    let to_other = deliver(&one, &second).1.expect("an answer");
    for (table, message, back) in [(&one, to_one, &other), (&other, to_other, &one)] {
        let confirmed = deliver(table, &message).1.expect("a confirmation");
        assert_eq!(deliver(back, &confirmed), (None, None));
    }
    let packet = Sent::tcp(1, b"both ways").segments(1000).remove(0);
    assert_eq!(deliver(&other, &sealed(&one, 2, &packet)).0.as_ref(), Some(&packet));
    assert_eq!(deliver(&one, &sealed(&other, 1, &packet)).0.as_ref(), Some(&packet));
}

#[test]
fn a_flood_of_handshakes_is_asked_for_its_address() {
    let (one, other) = tables(vec![OwnKey::new([1; 32])], vec![OwnKey::new([2; 32])]);
    let mut place = [0; 148];
    let length = link_to(&one, 2).tend(Instant::now(), &mut place).expect("a handshake begins");
    let from = IpAddr::from([10, 0, 0, 9]);
    let mut asked = (0..=TUNNEL_HANDSHAKES_A_SECOND).map(|_| other.addressee(from, &place[..length]));
    let Some(Addressee::Cookie(cookie)) = asked.find(|who| matches!(who, Addressee::Cookie(_))) else {
        panic!("nobody is ever asked")
    };
    assert_eq!(deliver(&one, &cookie), (None, None), "who began takes note of it");
    let again = link_to(&one, 2).tend(Instant::now() + TUNNEL_HANDSHAKE_LATE, &mut place).expect("it begins again");
    assert!(matches!(other.addressee(from, &place[..again]), Addressee::Session(..)), "and proves its address");
}

#[test]
fn what_was_sent_before_there_was_a_session_comes_with_it() {
    let (one, other) = tables(vec![OwnKey::new([1; 32])], vec![OwnKey::new([2; 32])]);
    let packet = Sent::tcp(1, b"early").segments(1000).remove(0);
    // The library gives the handshake's first message instead.
    let begun = sealed(&one, 2, &packet);
    let answer = deliver(&other, &begun).1.expect("the handshake is answered");
    let keepalive = deliver(&one, &answer).1.expect("and confirmed");
    assert_eq!(deliver(&other, &keepalive), (None, None));
    let mut place = vec![0; 2000];
    let length = link_to(&one, 2).next_kept(&mut place).expect("the packet was kept");
    assert_eq!(deliver(&other, &place[..length]).0, Some(packet));
    assert_eq!(link_to(&one, 2).next_kept(&mut place), None);
}

#[test]
fn a_key_is_replaced_without_a_packet_lost() {
    let (old, new, fixed) = (OwnKey::new([1; 32]), OwnKey::new([11; 32]), OwnKey::new([2; 32]));
    let (mut one, mut other) = tables(vec![old.clone()], vec![fixed.clone()]);
    shake_hands(&one, link_to(&one, 2), &other);
    let packet = Sent::tcp(1, b"on and on").segments(1000).remove(0);
    let flows = |one: &Table, other: &Table| {
        assert_eq!(deliver(other, &sealed(one, 2, &packet)).0.as_ref(), Some(&packet));
        assert_eq!(deliver(one, &sealed(other, 1, &packet)).0.as_ref(), Some(&packet));
    };
    flows(&one, &other);
    let in_flight = sealed(&other, 1, &packet);
    let named = |keys: &[&OwnKey], last: u16| TunnelPeer {
        address: address(last),
        endpoint: one.peer(address(2)).unwrap().endpoint,
        keys: keys.iter().map(|key| key.public).collect(),
    };
    // The node uses both; the other has not heard of it yet.
    let second = one.replaced(vec![old.clone(), new.clone()], &[named(&[&fixed], 2)]);
    let told = named(&[&old, &new], 1);
    let forgotten = named(&[&new], 1);
    one = second;
    flows(&one, &other);
    shake_hands(&one, &one.peer(address(2)).unwrap().links[0], &other);
    assert_eq!(link_to(&one, 2).own, old.public, "nobody answers under a key that was not told");
    other = other.replaced(vec![fixed.clone()], &[told]);
    flows(&one, &other);
    shake_hands(&other, &other.peer(address(1)).unwrap().links[0], &one);
    assert_eq!(link_to(&one, 2).own, new.public);
    assert_eq!(link_to(&other, 1).peer, new.public);
    flows(&one, &other);
    assert_eq!(deliver(&one, &in_flight).0.as_ref(), Some(&packet), "what was under way arrives");
    let last = one.replaced(vec![new], &[TunnelPeer { keys: vec![fixed.public], ..named_peer(&one, 2) }]);
    flows(&last, &other);
    other = other.replaced(vec![fixed], &[forgotten]);
    flows(&last, &other);
}

fn named_peer(table: &Table, last: u16) -> TunnelPeer {
    let peer = table.peer(address(last)).unwrap();
    TunnelPeer { address: peer.address, endpoint: peer.endpoint, keys: Vec::new() }
}

#[test]
fn keys_survive_a_restart_and_are_replaced_in_steps() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tunnel.keys");
    let at = Duration::from_secs;
    let (age, begin) = (at(3600), at(1_000_000));
    let mut ring = Keyring::open(&path, begin).unwrap();
    let first = ring.public();
    assert_eq!(first.len(), 1);
    let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&path).unwrap());
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(ring.step(begin + at(3599), age, true), KeyStep::Keep);
    assert_eq!(ring.step(begin + age, age, true), KeyStep::Add);
    ring.take_step(KeyStep::Add, begin + age).unwrap();
    let both = ring.public();
    assert_eq!((both.len(), both[0]), (2, first[0]));
    let later = begin + age + at(60);
    assert_eq!(ring.step(later - at(1), age, true), KeyStep::Keep);
    assert_eq!(ring.step(later, age, false), KeyStep::Keep, "somebody does not know it yet");
    assert_eq!(Keyring::open(&path, later).unwrap().public(), both);
    assert_eq!(ring.step(later, age, true), KeyStep::Forget);
    ring.take_step(KeyStep::Forget, later).unwrap();
    assert_eq!(Keyring::open(&path, later).unwrap().public(), both[1..]);
    assert_eq!(ring.step(later, age, true), KeyStep::Keep, "a key is as old as it is, not as long as it is used");
    std::fs::write(&path, "torn").unwrap();
    let fresh: Vec<TunnelKey> = Keyring::open(&path, later).unwrap().public();
    assert!(fresh.len() == 1 && !both.contains(&fresh[0]));
    ring.remove().unwrap();
    ring.remove().unwrap();
    assert!(!path.exists());
}
