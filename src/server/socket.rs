//! One UDP socket: receives with the address that was asked, replies from it, and knows what the kernel lost.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd as _, AsRawFd, BorrowedFd};
use std::sync::{Mutex, PoisonError};

use nix::libc;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg, setsockopt,
    sockopt,
};
use socket2::{Domain, Protocol, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use super::pulse::Pulse;

/// Receives whole whatever UDP can carry; a datagram that fills it was cut.
pub(super) const DATAGRAM_OCTETS: usize = 65_535;

/// What is listened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Port {
    /// Access-Request and Status-Server.
    Authentication,
    /// Accounting-Request and Status-Server.
    Accounting,
    /// Every request: a connection carries them all (RFC 6614 §2.1).
    All,
}

/// The address that a datagram was sent to, as its reply needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Local {
    /// The one that the socket is bound to.
    Bound,
    /// An IPv4 address.
    V4([u8; 4]),
    /// An IPv6 address (v4-mapped for IPv4 on a socket of both) and, for a link-local one, its interface.
    V6([u8; 16], u32),
}

/// Which families a socket on `[::]` serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Families {
    /// IPv6 and, by v4-mapped addresses, IPv4.
    Both,
    /// IPv6 alone: a socket of its own serves IPv4 on the same port.
    Six,
}

/// Where a datagram is received to.
pub(super) struct Buffer {
    datagram: Vec<u8>,
    control: Vec<u8>,
}

impl Default for Buffer {
    fn default() -> Self {
        Self {
            datagram: vec![0; DATAGRAM_OCTETS],
            control: nix::cmsg_space!(libc::in6_pktinfo, libc::in_pktinfo, u32),
        }
    }
}

impl Buffer {
    /// What was received last.
    pub(super) fn datagram(&self, received: &Received) -> &[u8] {
        self.datagram.get(..received.len).unwrap_or_default()
    }
}

/// A received datagram without its octets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Received {
    /// How many octets.
    pub(super) len: usize,
    /// Who sent it, as the kernel says it: the reply goes there.
    pub(super) peer: SocketAddr,
    /// Whom it was sent to.
    pub(super) local: Local,
    /// Datagrams lost in the receive buffer since the last one received.
    pub(super) lost: u32,
}

/// A bound socket.
#[derive(Debug)]
pub(super) struct Socket {
    socket: UdpSocket,
    address: SocketAddr,
    port: Port,
    number: usize,
    /// How many datagrams the kernel had lost when it received the last one. A socket that was taken over has a count
    /// from before, which its first datagram tells.
    lost: Mutex<Option<u32>>,
    taken_over: bool,
    pulse: Pulse,
}

impl Socket {
    /// Binds an address with a receive buffer of so many octets. Needs a tokio runtime.
    pub(super) fn bind(
        address: SocketAddr,
        port: Port,
        number: usize,
        (families, receive_buffer): (Families, usize),
    ) -> io::Result<Self> {
        let at = |error: io::Error| io::Error::new(error.kind(), format!("{address}: {error}"));
        let socket = open(address, families, receive_buffer).map_err(at)?;
        let socket = UdpSocket::from_std(socket.into()).map_err(at)?;
        Ok(Self {
            address: socket.local_addr()?,
            socket,
            port,
            number,
            lost: Mutex::new(Some(0)),
            taken_over: false,
            pulse: Pulse::default(),
        })
    }

    /// Whether a bound socket is the one that would be bound here.
    pub(super) fn fits(
        socket: &std::net::UdpSocket,
        address: SocketAddr,
        families: Families,
    ) -> bool {
        let only_v6 = || socket2::SockRef::from(socket).only_v6();
        socket.local_addr().is_ok_and(|bound| bound == address)
            && (address.is_ipv4()
                || only_v6().is_ok_and(|only| only == only_six(address, families)))
    }

    /// Takes a bound socket over that fits, with what waits in it.
    pub(super) fn take_over(
        socket: std::net::UdpSocket,
        port: Port,
        number: usize,
        receive_buffer: usize,
    ) -> io::Result<Self> {
        let address = socket.local_addr()?;
        let socket = socket2::Socket::from(socket);
        let at = |error: io::Error| io::Error::new(error.kind(), format!("{address}: {error}"));
        prepare(&socket, address, receive_buffer).map_err(at)?;
        Ok(Self {
            address,
            socket: UdpSocket::from_std(socket.into()).map_err(at)?,
            port,
            number,
            lost: Mutex::new(None),
            taken_over: true,
            pulse: Pulse::default(),
        })
    }

    /// Whether it was bound by another daemon before this one.
    pub(super) const fn is_taken_over(&self) -> bool {
        self.taken_over
    }

    /// Its descriptor, for whoever is to keep it open.
    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Whether its listener comes round.
    pub(super) const fn pulse(&self) -> &Pulse {
        &self.pulse
    }

    /// Its address.
    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it listens for.
    pub(super) const fn port(&self) -> Port {
        self.port
    }

    /// Its number among the sockets.
    pub(super) const fn number(&self) -> usize {
        self.number
    }

    /// Waits until a datagram may be there.
    pub(super) async fn readable(&self) -> io::Result<()> {
        self.socket.readable().await
    }

    /// Takes one datagram; `WouldBlock` when there is none.
    pub(super) fn receive(&self, buffer: &mut Buffer) -> io::Result<Received> {
        self.socket
            .try_io(Interest::READABLE, || self.receive_now(buffer))
    }

    fn receive_now(&self, buffer: &mut Buffer) -> io::Result<Received> {
        let mut slices = [IoSliceMut::new(&mut buffer.datagram)];
        let message = recvmsg::<SockaddrStorage>(
            self.socket.as_raw_fd(),
            &mut slices,
            Some(&mut buffer.control),
            MsgFlags::MSG_DONTWAIT,
        )?;
        let mut received = Received {
            len: if message.flags.contains(MsgFlags::MSG_TRUNC) {
                DATAGRAM_OCTETS
            } else {
                message.bytes
            },
            peer: message
                .address
                .as_ref()
                .and_then(socket_address)
                .ok_or(io::ErrorKind::AddrNotAvailable)?,
            local: Local::Bound,
            lost: 0,
        };
        // The kernel says nothing as long as it has lost nothing.
        let mut count = 0;
        for control in message.cmsgs()? {
            match control {
                ControlMessageOwned::Ipv4PacketInfo(info) => {
                    received.local = Local::V4(info.ipi_spec_dst.s_addr.to_ne_bytes());
                }
                ControlMessageOwned::Ipv6PacketInfo(info) => received.local = local_v6(&info),
                ControlMessageOwned::RxqOvfl(lost) => count = lost,
                _ => {}
            }
        }
        let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        received.lost = count.wrapping_sub(lost.replace(count).unwrap_or(count));
        Ok(received)
    }

    /// Sends a reply from the address that was asked. Never waits: a reply that finds the buffer full is lost like
    /// any datagram, and its retransmission gets it.
    pub(super) fn reply(&self, octets: &[u8], to: SocketAddr, from: Local) -> io::Result<()> {
        let slices = [IoSlice::new(octets)];
        let to = SockaddrStorage::from(to);
        let send = |control: &[ControlMessage<'_>]| {
            sendmsg(
                self.socket.as_raw_fd(),
                &slices,
                control,
                MsgFlags::MSG_DONTWAIT,
                Some(&to),
            )
        };
        match from {
            Local::Bound => send(&[]),
            Local::V4(address) => send(&[ControlMessage::Ipv4PacketInfo(&libc::in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: libc::in_addr {
                    s_addr: u32::from_ne_bytes(address),
                },
                ipi_addr: libc::in_addr { s_addr: 0 },
            })]),
            Local::V6(address, interface) => {
                send(&[ControlMessage::Ipv6PacketInfo(&libc::in6_pktinfo {
                    ipi6_addr: libc::in6_addr { s6_addr: address },
                    ipi6_ifindex: interface,
                })])
            }
        }?;
        Ok(())
    }
}

fn open(
    address: SocketAddr,
    families: Families,
    receive_buffer: usize,
) -> io::Result<socket2::Socket> {
    let socket = socket2::Socket::new(
        Domain::for_address(address),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(only_six(address, families))?;
    }
    prepare(&socket, address, receive_buffer)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Whether a socket at this address serves IPv6 alone.
fn only_six(address: SocketAddr, families: Families) -> bool {
    families == Families::Six || !address.ip().is_unspecified()
}

/// Sets what can be set at any time.
fn prepare(socket: &socket2::Socket, address: SocketAddr, receive_buffer: usize) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    socket.set_recv_buffer_size(receive_buffer)?;
    // Linux answers with the double of what was given, its own bookkeeping included.
    let given = socket.recv_buffer_size()? / 2;
    if given < receive_buffer {
        log::warn!(
            "{address}: the receive buffer is {given} octets instead of {receive_buffer}: raise net.core.rmem_max"
        );
    }
    setsockopt(socket, sockopt::RxqOvfl, &1)?;
    if address.ip().is_unspecified() {
        match address {
            SocketAddr::V4(_) => setsockopt(socket, sockopt::Ipv4PacketInfo, &true)?,
            SocketAddr::V6(_) => setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true)?,
        }
    }
    Ok(())
}

fn socket_address(storage: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(address) = storage.as_sockaddr_in() {
        return Some(SocketAddr::V4((*address).into()));
    }
    storage
        .as_sockaddr_in6()
        .map(|address| SocketAddr::V6((*address).into()))
}

/// The interface is kept for link-local addresses alone, which mean nothing without; for others routing decides.
fn local_v6(info: &libc::in6_pktinfo) -> Local {
    let address = info.ipi6_addr.s6_addr;
    let interface = if Ipv6Addr::from(address).is_unicast_link_local() {
        info.ipi6_ifindex
    } else {
        0
    };
    Local::V6(address, interface)
}

/// The address of a peer as clients are configured: an IPv4 peer of a socket of both families is an IPv4 address.
pub(super) fn canonical(peer: SocketAddr) -> IpAddr {
    peer.ip().to_canonical()
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket as Peer;
    use std::time::Duration;

    use super::*;

    async fn receive(socket: &Socket) -> (Received, Vec<u8>) {
        let mut buffer = Buffer::default();
        loop {
            socket.readable().await.unwrap();
            match socket.receive(&mut buffer) {
                Ok(received) => return (received, buffer.datagram(&received).to_vec()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn peer(address: &str) -> Peer {
        let peer = Peer::bind(address).unwrap();
        peer.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        peer
    }

    async fn reply_comes_from(bound: &str, source: &str, asked: &str) {
        let socket = Socket::bind(
            bound.parse().unwrap(),
            Port::Authentication,
            0,
            (Families::Both, 1 << 16),
        )
        .unwrap();
        let peer = peer(source);
        let asked = SocketAddr::new(asked.parse().unwrap(), socket.address().port());
        peer.send_to(b"question", asked).unwrap();
        let (received, octets) = receive(&socket).await;
        assert_eq!(octets, b"question");
        assert_eq!(canonical(received.peer), peer.local_addr().unwrap().ip());
        socket
            .reply(b"answer", received.peer, received.local)
            .unwrap();
        let mut buffer = [0; 16];
        let (len, from) = peer.recv_from(&mut buffer).unwrap();
        assert_eq!(&buffer[..len], b"answer");
        assert_eq!(from, asked, "bound to {bound}");
    }

    #[tokio::test]
    async fn a_reply_leaves_from_the_address_that_was_asked() {
        reply_comes_from("0.0.0.0:0", "127.0.0.1:0", "127.0.0.2").await;
        reply_comes_from("127.0.0.3:0", "127.0.0.1:0", "127.0.0.3").await;
        reply_comes_from("[::]:0", "127.0.0.1:0", "127.0.0.2").await;
        reply_comes_from("[::]:0", "[::1]:0", "::1").await;
        reply_comes_from("[::1]:0", "[::1]:0", "::1").await;
    }

    #[tokio::test]
    async fn losses_of_a_full_buffer_are_counted() {
        let address = "127.0.0.1:0".parse().unwrap();
        let socket =
            Socket::bind(address, Port::Authentication, 0, (Families::Both, 4096)).unwrap();
        let peer = peer("127.0.0.1:0");
        for _ in 0..200 {
            peer.send_to(&[1; 1000], socket.address()).unwrap();
        }
        let mut buffer = Buffer::default();
        socket.readable().await.unwrap();
        let mut received = 0;
        let mut lost = 0;
        while let Ok(datagram) = socket.receive(&mut buffer) {
            received += 1;
            lost += datagram.lost;
        }
        peer.send_to(b"one more", socket.address()).unwrap();
        lost += receive(&socket).await.0.lost;
        assert!(received < 200);
        assert_eq!(received + lost, 200);
    }

    #[tokio::test]
    async fn what_arrived_between_two_daemons_is_received_by_the_second() {
        let any = "0.0.0.0:0".parse().unwrap();
        let small = (Families::Both, 4096);
        let first = Socket::bind(any, Port::Authentication, 0, small).unwrap();
        assert!(!first.is_taken_over());
        let kept = first.descriptor().try_clone_to_owned().unwrap();
        let at = SocketAddr::new("127.0.0.2".parse().unwrap(), first.address().port());
        drop(first);
        let peer = peer("127.0.0.1:0");
        for _ in 0..200 {
            peer.send_to(&[1; 1000], at).unwrap();
        }
        let second = Socket::take_over(kept.into(), Port::Authentication, 0, 4096).unwrap();
        assert!(second.is_taken_over());
        let (received, _) = receive(&second).await;
        assert_eq!(received.lost, 0, "nothing was lost before the first");
        second
            .reply(b"answer", received.peer, received.local)
            .unwrap();
        assert_eq!(peer.recv_from(&mut [0; 16]).unwrap().1, at);
        let mut buffer = Buffer::default();
        let mut taken = 1;
        while second.receive(&mut buffer).is_ok() {
            taken += 1;
        }
        peer.send_to(b"one more", at).unwrap();
        let lost = usize::try_from(receive(&second).await.0.lost).unwrap();
        assert!(lost > 0 && taken + lost == 200, "{taken} and {lost} lost");
    }

    #[tokio::test]
    async fn a_socket_for_another_address_or_other_families_does_not_fit() {
        let bind = |families| {
            let any = "[::]:0".parse().unwrap();
            Socket::bind(any, Port::Accounting, 0, (families, 4096)).unwrap()
        };
        for (before, now, fits) in [
            (Families::Both, Families::Both, true),
            (Families::Both, Families::Six, false),
            (Families::Six, Families::Both, false),
        ] {
            let bound = bind(before);
            let socket = bound.descriptor().try_clone_to_owned().unwrap().into();
            assert_eq!(Socket::fits(&socket, bound.address(), now), fits);
            let elsewhere = SocketAddr::new("::1".parse().unwrap(), bound.address().port());
            assert!(!Socket::fits(&socket, elsewhere, now));
        }
    }

    #[tokio::test]
    async fn a_socket_of_six_alone_leaves_the_port_to_four() {
        let bind = |address: SocketAddr| {
            Socket::bind(address, Port::Accounting, 0, (Families::Six, 4096)).unwrap()
        };
        let six = bind("[::]:0".parse().unwrap());
        let four = SocketAddr::new("0.0.0.0".parse().unwrap(), six.address().port());
        assert_eq!(bind(four).address(), four);
    }

    #[tokio::test]
    async fn an_address_in_use_is_named() {
        let address = "127.0.0.1:0".parse().unwrap();
        let small = (Families::Both, 4096);
        let first = Socket::bind(address, Port::Accounting, 0, small).unwrap();
        let again = Socket::bind(first.address(), Port::Accounting, 1, small).unwrap_err();
        assert!(again.to_string().contains(&first.address().to_string()));
    }
}
