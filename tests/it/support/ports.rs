//! Ports that a server can be given before it starts, and keep when it starts again.

use std::net::{TcpListener, UdpSocket};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU16, Ordering};

/// Below those that the kernel gives to sockets without a wish, so that none of these takes one meanwhile.
const FIRST: u16 = 10_240;
const COUNT: u16 = 20_480;

/// The next to be tried; runs beside each other begin at different places.
static NEXT: LazyLock<AtomicU16> = LazyLock::new(|| {
    let spread = std::process::id().wrapping_mul(997) % u32::from(COUNT);
    AtomicU16::new(u16::try_from(spread).unwrap())
});

/// A port of 127.0.0.1 that nobody has, neither UDP nor TCP; each is given once in a run.
pub fn free() -> u16 {
    (0..COUNT)
        .map(|_| FIRST + NEXT.fetch_add(1, Ordering::Relaxed) % COUNT)
        .find(|&port| {
            TcpListener::bind(("127.0.0.1", port)).is_ok()
                && UdpSocket::bind(("127.0.0.1", port)).is_ok()
        })
        .expect("a free port")
}
