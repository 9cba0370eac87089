//! The file: every fault with its place, the shipped files, the manual page, secrets on the disk.

mod doorbells;
mod faults;
mod files;
mod gear;
mod keys;
mod secrets;
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
