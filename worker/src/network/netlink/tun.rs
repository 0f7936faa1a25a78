//! The TAP device of the tunnel: one open file a queue, with the kernel's offloads for large pieces.
//!
//! The device stays when its files are closed, so that a restart of the daemon changes no route and no address.

#![expect(unsafe_code, reason = "the settings of a TAP device have no safe wrapper")]

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::OpenOptionsExt;

use nix::libc::{self, IFF_MULTI_QUEUE, IFF_NO_PI, IFF_TAP, IFF_VNET_HDR, c_int, c_ulong, ifreq};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Bytes of the kernel's header before each packet: that of packets within tunnels.
const HEADER: c_int = 24;

const CHECKSUMS: c_ulong = 0x01;
const TCP_SEGMENTS: c_ulong = 0x02 | 0x04;
const UDP_SEGMENTS: c_ulong = 0x20 | 0x40;
const TUNNELLED: c_ulong = 0x80;

/// One queue of a TAP device.
#[derive(Debug)]
pub(in crate::network) struct TunQueue {
    file: File,
    /// The kernel takes and gives large pieces that lie within a UDP tunnel (Linux 6.17).
    takes_large: bool,
}

impl TunQueue {
    /// Opens a queue of the device in the calling thread's network namespace; makes the device if need be.
    pub(in crate::network) fn open(name: &str) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open("/dev/net/tun")?;
        let descriptor = file.as_raw_fd();
        let mut request = empty_request();
        if name.len() >= request.ifr_name.len() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        for (place, byte) in request.ifr_name.iter_mut().zip(name.bytes()) {
            *place = byte as libc::c_char;
        }
        request.ifr_ifru.ifru_flags = (IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE) as libc::c_short;
        // SAFETY: the descriptor is open, and the kernel reads and writes one `ifreq`, which lives through the call.
        checked(unsafe { libc::ioctl(descriptor, libc::TUNSETIFF, &raw mut request) })?;
        // SAFETY: as above; the argument is a number.
        checked(unsafe { libc::ioctl(descriptor, libc::TUNSETPERSIST, 1 as c_ulong) })?;
        let header = HEADER;
        // SAFETY: as above; the kernel reads one `c_int`.
        checked(unsafe { libc::ioctl(descriptor, libc::TUNSETVNETHDRSZ, &raw const header) })?;
        let mut takes_large = true;
        let wishes = [CHECKSUMS | TCP_SEGMENTS | UDP_SEGMENTS | TUNNELLED, CHECKSUMS];
        let mut outcome = Ok(());
        for wish in wishes {
            // SAFETY: as above; the argument is a number.
            outcome = checked(unsafe { libc::ioctl(descriptor, libc::TUNSETOFFLOAD, wish) });
            if outcome.is_ok() {
                break;
            }
            takes_large = false;
        }
        outcome.map(|()| Self { file, takes_large })
    }

    /// Whether pieces larger than a packet may be written.
    pub(in crate::network) fn takes_large(&self) -> bool {
        self.takes_large
    }

    /// Reads the next frame; `WouldBlock` when there is none.
    pub(in crate::network) fn read(&self, frame: &mut [u8]) -> io::Result<usize> {
        (&self.file).read(frame)
    }

    /// Writes a frame.
    pub(in crate::network) fn write(&self, frame: &[u8]) -> io::Result<()> {
        (&self.file).write(frame).map(drop)
    }

    /// Waits a while for a frame.
    pub(in crate::network) fn wait(&self, milliseconds: u16) -> io::Result<bool> {
        let mut polled = [PollFd::new(self.file.as_fd(), PollFlags::POLLIN)];
        Ok(poll(&mut polled, PollTimeout::from(milliseconds))? > 0)
    }
}

fn empty_request() -> ifreq {
    ifreq { ifr_name: [0; libc::IFNAMSIZ], ifr_ifru: libc::__c_anonymous_ifr_ifru { ifru_flags: 0 } }
}

fn checked(answer: c_int) -> io::Result<()> {
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
