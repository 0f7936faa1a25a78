//! What goes over the wires of a test network: every frame of the switch is looked at; and frames that no daemon sends.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, setsockopt, socket, sockopt};
use nix::sys::time::TimeVal;

use crate::Lan;

/// What was seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Frames of UDP over IPv4, by their receivers' ports.
    pub udp: BTreeMap<u16, usize>,
    /// Networks that had VXLAN frames in the clear.
    pub vnis: BTreeSet<u32>,
    /// Frames with the marker in them.
    pub marked: usize,
}

/// Somebody who listens at the switch.
#[derive(Debug)]
pub struct Wire {
    stop: Arc<AtomicBool>,
    listener: JoinHandle<Seen>,
}

impl Wire {
    /// Listens from now on, and looks for `marker` in each frame.
    ///
    /// # Panics
    /// When the switch can't be listened at.
    #[must_use]
    pub fn listen(lan: &Lan, marker: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (ended, marker) = (Arc::clone(&stop), marker.as_bytes().to_vec());
        let namespace = lan.switch_namespace();
        let (ready, opened) = std::sync::mpsc::sync_channel(1);
        let listener = std::thread::spawn(move || {
            enter(&namespace);
            let all = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::EthAll)
                .expect("the switch can be listened at");
            setsockopt(&all, sockopt::RcvBufForce, &(64 << 20)).expect("the buffer can be set");
            setsockopt(&all, sockopt::ReceiveTimeout, &TimeVal::new(0, 50_000)).expect("the wait can be bounded");
            ready.send(()).expect("somebody waits for it");
            let mut socket = File::from(all);
            let (mut seen, mut frame) = (Seen::default(), vec![0; 1 << 17]);
            while !ended.load(Ordering::Relaxed) {
                if let Ok(length) = socket.read(&mut frame) {
                    seen.note(&frame[..length], &marker);
                }
            }
            seen
        });
        opened.recv().expect("the listener listens");
        Self { stop, listener }
    }

    /// Ends listening.
    ///
    /// # Panics
    /// When the listener did.
    #[must_use]
    pub fn seen(self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        self.listener.join().expect("the listener ends well")
    }
}

impl Seen {
    fn note(&mut self, frame: &[u8], marker: &[u8]) {
        self.marked += usize::from(frame.windows(marker.len()).any(|bytes| bytes == marker));
        // Ethernet, IPv4 without options, UDP.
        let is_udp = frame.len() > 42 && frame[12..15] == [8, 0, 0x45] && frame[23] == 17;
        if !is_udp {
            return;
        }
        let port = u16::from_be_bytes([frame[36], frame[37]]);
        *self.udp.entry(port).or_default() += 1;
        if port == 4789 && frame.len() > 50 {
            self.vnis.insert(u32::from_be_bytes([0, frame[46], frame[47], frame[48]]));
        }
    }
}

/// A VXLAN packet that no daemon sent: a UDP datagram from one container to another, whose MAC follows from its address.
#[must_use]
pub fn forged_vxlan(vni: u32, from: [u8; 4], to: [u8; 4], port: u16, data: &[u8]) -> Vec<u8> {
    let [_, v0, v1, v2] = vni.to_be_bytes();
    let mut packet = vec![8, 0, 0, 0, v0, v1, v2, 0];
    packet.extend_from_slice(&[2, 0x42, to[0], to[1], to[2], to[3], 2, 0x42, from[0], from[1], from[2], from[3], 8, 0]);
    let length = 28 + data.len() as u16;
    let mut header = vec![0x45, 0];
    header.extend_from_slice(&length.to_be_bytes());
    header.extend_from_slice(&[0, 0, 0x40, 0, 64, 17, 0, 0]);
    header.extend_from_slice(&from);
    header.extend_from_slice(&to);
    let mut sum: u32 = header.chunks_exact(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    sum = (sum & 0xffff) + (sum >> 16);
    let sum = !(((sum & 0xffff) + (sum >> 16)) as u16);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    packet.extend_from_slice(&header);
    packet.extend_from_slice(&port.to_be_bytes());
    packet.extend_from_slice(&port.to_be_bytes());
    // A UDP checksum of zero: none.
    packet.extend_from_slice(&(length - 20).to_be_bytes());
    packet.extend_from_slice(&[0, 0]);
    packet.extend_from_slice(data);
    packet
}

/// Sends a datagram from a namespace.
///
/// # Panics
/// When it can't be sent.
pub fn send_from(namespace: &Path, packet: &[u8], to: SocketAddr) {
    within(namespace, || {
        let any: IpAddr = if to.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
        let socket = UdpSocket::bind(SocketAddr::new(any, 0)).expect("a socket can be made");
        socket.set_write_timeout(Some(Duration::from_secs(1))).expect("the wait can be bounded");
        socket.send_to(packet, to).expect("the datagram can be sent");
    });
}

/// Does something in a network namespace. Sockets made there stay there.
///
/// # Panics
/// When it can't be entered, or the work panics.
pub fn within<T: Send>(namespace: &Path, work: impl FnOnce() -> T + Send) -> T {
    let inside = || {
        enter(namespace);
        work()
    };
    std::thread::scope(|scope| scope.spawn(inside).join().expect("the work in the namespace is done"))
}

fn enter(namespace: &Path) {
    let file = File::open(namespace).expect("the namespace is there");
    setns(file, CloneFlags::CLONE_NEWNET).expect("it can be entered");
}
