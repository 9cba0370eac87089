//! What tests start: a directory, the daemon, a NAS. Everything is on loopback with ports of its
//! own, in a folder of its own, and ends with its value.

#[expect(clippy::disallowed_methods, reason = "waits for other processes")]
pub mod daemon;
pub mod ds389;
pub mod mschap;
pub mod nas;
pub mod phone;
pub mod ports;
pub mod samba;
pub mod slapd;
