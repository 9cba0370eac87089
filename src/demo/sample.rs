//! The folder of one demonstration: its configuration, store, socket and spool, all gone with it.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;

use super::people::{BASE, SERVICE};
use crate::secret::{Secret, random_array};

/// Octets of the shared secret that the demonstration makes: it is typed by hand at times.
const SECRET_OCTETS: usize = 8;

/// A folder that is removed when dropped.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new() -> io::Result<Self> {
        let name = format!("sekisho-demo-{}", HEXLOWER.encode(&random_array::<6>()));
        let path = std::env::temp_dir().join(name);
        DirBuilder::new().mode(0o700).create(&path)?;
        let folder = Self(path);
        for inner in [folder.spool(), folder.store()] {
            DirBuilder::new().mode(0o700).create(inner)?;
        }
        Ok(folder)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn spool(&self) -> PathBuf {
        self.0.join("phone")
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.0.join("control.sock")
    }

    fn store(&self) -> PathBuf {
        self.0.join("store")
    }

    /// Writes the configuration, which holds secrets, and gives its path.
    pub(super) fn write(&self, text: &str) -> io::Result<PathBuf> {
        let path = self.0.join("sekisho.toml");
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        file.write_all(text.as_bytes())?;
        Ok(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _nothing_more_to_do = fs::remove_dir_all(&self.0);
    }
}

/// A new shared secret, in letters that can be typed.
pub(super) fn shared_secret() -> Secret {
    Secret::from(HEXLOWER.encode(&random_array::<SECRET_OCTETS>()).as_str())
}

/// The address itself if it is free; another port of it if it is not.
pub(super) fn free(wanted: SocketAddr) -> io::Result<SocketAddr> {
    match UdpSocket::bind(wanted) {
        Ok(free) => free.local_addr(),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            UdpSocket::bind(SocketAddr::new(wanted.ip(), 0))?.local_addr()
        }
        Err(error) => Err(error),
    }
}

/// The same for the portal.
pub(super) fn free_for_pages(wanted: SocketAddr) -> io::Result<SocketAddr> {
    match TcpListener::bind(wanted) {
        Ok(free) => free.local_addr(),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            TcpListener::bind(SocketAddr::new(wanted.ip(), 0))?.local_addr()
        }
        Err(error) => Err(error),
    }
}

/// The configuration, as an operator would write it.
pub(super) fn configuration(
    folder: &Folder,
    (listen, portal): (SocketAddr, SocketAddr),
    ldap: SocketAddr,
    secret: &Secret,
) -> String {
    let at = |path: &Path| toml::Value::from(path.to_string_lossy().into_owned()).to_string();
    let (folder_store, key) = (at(&folder.store()), at(&folder.path().join("master.key")));
    let (socket, spool) = (at(&folder.socket()), at(&folder.spool()));
    let (from, pages, (service, password)) = (clients(listen.ip()), portal.port(), SERVICE);
    let secret = secret.expose_str().unwrap_or_default();
    format!(
        r#"# Made by "sekisho demo", and gone with it.
[radius]
listen = ["{listen}"]
accounting = []

[log]
to = "stderr"
level = "error"

[store]
folder = {folder_store}
key-file = {key}

[control]
socket = {socket}

[portal]
listen = ["{portal}"]
url = "http://localhost:{pages}"

[login.issuer]
ja = "桜大学"
en = "Sakura University"

[directory.sakura]
servers = ["ldap://{ldap}"]
start-tls = false
base = "ou=people,{BASE}"
bind-dn = "{service}"
password = "{password}"
realms = ["sakura-u.example"]
domains = ["SAKURA"]

# Gear that can ask: the code behind the password, or on its own when asked for.
[client.vpn]
address = {from}
secret = "{secret}"
station = ["Calling-Station-Id"]
code = ["appended", "challenge"]
push = ["shown"]
label = {{ ja = "VPN(学外接続)", en = "VPN" }}

# Gear that cannot: "sekisho try" borrows it, so its address is nobody's.
[client.old-vpn]
address = ["192.0.2.1"]
secret = "{secret}"
station = ["Calling-Station-Id"]
code = ["appended"]
label = {{ ja = "旧VPN", en = "Old VPN" }}

[zone.campus]
networks = ["203.0.113.0/24"]

[[rule]]
zone = "campus"
then = "password-only"
[[rule]]
then = "ask"

[sms]
spool = {spool}

[voice]
spool = {spool}
"#
    )
}

/// Who may ask: this machine, under the addresses that it would use.
fn clients(listen: IpAddr) -> String {
    let mut from = vec!["127.0.0.1".to_owned(), "::1".to_owned()];
    if !listen.is_unspecified() && !listen.is_loopback() {
        from.push(listen.to_string());
    }
    format!("{from:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configuration_is_toml_and_the_folder_goes_with_its_owner() {
        let folder = Folder::new().unwrap();
        let listen = "127.0.0.1:1812".parse().unwrap();
        let text = configuration(&folder, (listen, listen), listen, &shared_secret());
        let table: toml::Table = text.parse().unwrap();
        assert_eq!(
            table["client"]["vpn"]["address"][0].as_str(),
            Some("127.0.0.1")
        );
        folder.write(&text).unwrap();
        let path = folder.path().to_owned();
        assert!(path.join("sekisho.toml").exists());
        drop(folder);
        assert!(!path.exists());
    }

    #[test]
    fn a_taken_port_gives_way_to_a_free_one() {
        let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
        let wanted = taken.local_addr().unwrap();
        let free = free(wanted).unwrap();
        assert_ne!(free.port(), wanted.port());
        assert_eq!(free.ip(), wanted.ip());
    }
}
