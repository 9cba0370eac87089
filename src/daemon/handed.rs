//! Sockets that systemd hands over: those that the daemon before this one left in its keeping, and those of a socket
//! unit.
//!
//! A socket is known by its kind and the address that it is bound to; the configuration alone says where is listened.

use std::net::{SocketAddr, TcpListener, UdpSocket};

use listenfd::ListenFd;

use super::notify;

/// What was handed over and is not yet in use.
#[derive(Debug, Default)]
pub struct Handed {
    pub(super) udp: Vec<UdpSocket>,
    pub(super) tcp: Vec<TcpListener>,
    others: usize,
}

impl Handed {
    /// What systemd hands to this process. A RADIUS socket that does not fit is closed, and taken out of systemd's
    /// keeping before this returns: it could be in the way of one that is to be bound. To be called once, before any
    /// thread is started: it takes the environment's word for the descriptors, and the variables away.
    #[must_use]
    pub fn from_systemd(fits: impl Fn(&UdpSocket) -> bool) -> Self {
        let mut given = ListenFd::from_env();
        let mut handed = Self::default();
        for index in 0..given.len() {
            if let Ok(Some(socket)) = given.take_udp_socket(index) {
                if fits(&socket) {
                    handed.udp.push(socket);
                } else if let Ok(address) = socket.local_addr() {
                    notify::give_up(&name(address));
                }
            } else if let Ok(Some(listener)) = given.take_tcp_listener(index) {
                handed.tcp.push(listener);
            } else {
                handed.others += 1;
            }
        }
        notify::settle();
        handed
    }

    /// Closes what nobody took, and says so.
    pub(super) fn close(self) {
        if self.others > 0 {
            log::warn!(
                "systemd handed over what is neither UDP nor a TCP listener: it is not used"
            );
        }
        let left = self.tcp.iter();
        for address in left.filter_map(|socket| socket.local_addr().ok()) {
            log::warn!(
                "systemd listens at {address}, which nothing is configured for: connections there are left waiting"
            );
        }
    }
}

/// What systemd calls a kept socket: no colon may be in it.
pub(super) fn name(address: SocketAddr) -> String {
    format!("udp {address}").replace(':', ".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_no_colon() {
        for (address, expected) in [
            ("192.0.2.1:1812", "udp 192.0.2.1.1812"),
            ("[::]:1813", "udp [..].1813"),
        ] {
            assert_eq!(name(address.parse().unwrap()), expected);
        }
    }
}
