//! The file: every fault with its place, the shipped files, the manual page, secrets on the disk.

mod faults;
#[expect(clippy::unwrap_used, reason = "a test ends there")]
mod files;
#[expect(clippy::unwrap_used, reason = "a test ends there")]
mod keys;
#[expect(clippy::unwrap_used, reason = "a test ends there")]
mod secrets;
#[expect(clippy::panic, reason = "a test ends there")]
mod settings;

/// The least that is sound.
const SOUND: &str = r#"
[directory.campus]
servers = ["ldaps://ldap.example"]
base = "dc=example"
[client.vpn]
address = "192.0.2.10"
secret = "a secret of more than twelve octets"
station = "Calling-Station-Id"
"#;
