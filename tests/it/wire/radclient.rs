//! Packets exchanged with FreeRADIUS's radclient.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use md5::{Digest as _, Md5};
use sekisho::wire::{Code, Reply, Request, Signed, Signing, Unbelieved, attribute};

use super::secret;

/// How long a packet of radclient's may take to arrive: process start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn md5(octets: &[u8]) -> [u8; 16] {
    Md5::digest(octets).into()
}

pub(crate) fn hmac_md5(key: &[u8], octets: &[u8]) -> [u8; 16] {
    let mac = Hmac::<Md5>::new_from_slice(key).map(|mac| mac.chain_update(octets));
    mac.map(|mac| mac.finalize().into_bytes().into())
        .unwrap_or_default()
}

/// radclient, asking a socket of the test's.
struct Radclient {
    child: Child,
    socket: UdpSocket,
    peer: SocketAddr,
    request: Request,
}

impl Radclient {
    /// Starts radclient with these attributes and takes its packet.
    fn ask(kind: &str, attributes: &str) -> std::io::Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let mut child = Command::new("radclient")
            .args(["-r", "1", "-t", "1"])
            .arg(socket.local_addr()?.to_string())
            .args([kind, "xyzzy5461"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        // Dropping its standard input tells radclient that there is no more.
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(attributes.as_bytes())?;
        }
        let mut datagram = [0; 4096];
        let (length, peer) = socket.recv_from(&mut datagram)?;
        let octets = datagram.get(..length).unwrap_or_default();
        let request = Request::parse(octets).map_err(std::io::Error::other)?;
        Ok(Self {
            child,
            socket,
            peer,
            request,
        })
    }

    /// Sends octets to radclient; what it says of them.
    fn told(mut self, octets: &[u8]) -> std::io::Result<String> {
        self.socket.send_to(octets, self.peer)?;
        let mut said = String::new();
        if let (Some(mut out), Some(mut err)) = (self.child.stdout.take(), self.child.stderr.take())
        {
            out.read_to_string(&mut said)?;
            err.read_to_string(&mut said)?;
        }
        Ok(said)
    }
}

impl Drop for Radclient {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Said of an answer whose authenticators are wrong.
const REFUSED: &str = "Reply verification failed";

const LOGIN: &str = "User-Name = bob, User-Password = \"ひみつ,123456\", \
    NAS-Identifier = vpn, Calling-Station-Id = 192.0.2.7, \
    Proxy-State = 0x6f6e65, Proxy-State = 0x74776f, Cisco-AVPair = \"ip:source-ip=192.0.2.7\"";
const SIGNATURE: &str = ", Message-Authenticator = 0x00";

fn signed_login() -> Radclient {
    Radclient::ask("auth", &[LOGIN, SIGNATURE].concat()).expect("radclient of freeradius-utils")
}

#[test]
fn signed_login_is_believed_and_read() {
    let radclient = signed_login();
    let request = &radclient.request;
    let believed = request.believe(&secret(), Signing::Required);
    assert_eq!(believed, Ok(Signed::Yes));
    assert_eq!(request.attribute(attribute::USER_NAME).unwrap(), b"bob");
    let plain = request.user_password(&secret()).unwrap().unwrap();
    assert_eq!(plain.expose_str(), Some("ひみつ,123456"));
    let states = request.attributes(attribute::PROXY_STATE);
    assert!(states.eq([b"one", b"two"]));
    let pairs = request.vendor_attributes(9, 1);
    assert!(pairs.eq([b"ip:source-ip=192.0.2.7"]));
}

#[test]
fn unsigned_login_is_believed_only_where_allowed() {
    let radclient = Radclient::ask("auth", LOGIN).unwrap();
    for (signing, believed) in [
        (Signing::Required, Err(Unbelieved::Unsigned)),
        (
            Signing::OptionalWithoutProxyState,
            Err(Unbelieved::UnsignedProxyState),
        ),
        (Signing::Optional, Ok(Signed::No)),
    ] {
        assert_eq!(radclient.request.believe(&secret(), signing), believed);
    }
    let accept = Reply::to(&radclient.request, Code::AccessAccept).sign(&secret());
    let said = radclient.told(&accept).unwrap();
    assert!(said.contains("Received Access-Accept"), "{said}");
}

#[test]
fn our_replies_are_accepted() {
    let radclient = signed_login();
    let accept = Reply::to(&radclient.request, Code::AccessAccept)
        .with(attribute::REPLY_MESSAGE, "ようこそ".as_bytes())
        .with_vendor(25461, 5, b"staff")
        .sign(&secret());
    let said = radclient.told(&accept).unwrap();
    assert!(said.contains("Received Access-Accept"), "{said}");
}

#[test]
fn challenge_is_taken_as_one() {
    let radclient = signed_login();
    let challenge = Reply::to(&radclient.request, Code::AccessChallenge)
        .with(attribute::STATE, &[7; 16])
        .with(attribute::REPLY_MESSAGE, "番号を入力".as_bytes())
        .sign(&secret());
    let said = radclient.told(&challenge).unwrap();
    assert!(said.contains("Received Access-Challenge"), "{said}");
}

#[test]
fn reject_is_taken_as_one() {
    let radclient = signed_login();
    let reject = Reply::to(&radclient.request, Code::AccessReject).sign(&secret());
    let said = radclient.told(&reject).unwrap();
    assert!(said.contains("Received Access-Reject"), "{said}");
}

#[test]
fn reply_with_a_flipped_bit_is_refused() {
    let radclient = signed_login();
    let mut accept = Reply::to(&radclient.request, Code::AccessAccept)
        .with(attribute::CLASS, b"staff")
        .sign(&secret());
    // The last octet of Class: Proxy-States of 5 octets each come after it.
    let at = accept.len() - 11;
    accept[at] ^= 1;
    let said = radclient.told(&accept).unwrap();
    assert!(said.contains(REFUSED), "{said}");
}

#[test]
fn reply_whose_signature_alone_is_wrong_is_refused() {
    let radclient = signed_login();
    let accept = Reply::to(&radclient.request, Code::AccessAccept).sign(&secret());
    let authenticator = radclient.request.authenticator();
    // The Response Authenticator is made right again, so that only Message-Authenticator tells.
    let mut list = accept[20..].to_vec();
    list[2] ^= 1;
    let hashed = [&accept[..4], authenticator, &list, b"xyzzy5461"].concat();
    let octets = [&accept[..4], &md5(&hashed), &list].concat();
    let said = radclient.told(&octets).unwrap();
    assert!(said.contains(REFUSED), "{said}");
}

#[test]
fn status_server_is_believed_and_answered() {
    let radclient = Radclient::ask("status", "Message-Authenticator = 0x00").unwrap();
    assert_eq!(radclient.request.code(), Code::StatusServer);
    let believed = radclient.request.believe(&secret(), Signing::Required);
    assert_eq!(believed, Ok(Signed::Yes));
    let accept = Reply::to(&radclient.request, Code::AccessAccept).sign(&secret());
    let said = radclient.told(&accept).unwrap();
    assert!(said.contains("Received Access-Accept"), "{said}");
}

#[test]
fn accounting_is_believed_and_answered() {
    let start = "User-Name = bob, Acct-Status-Type = Start, Acct-Session-Id = 1, \
        Proxy-State = 0x6f6e65";
    for attributes in [start.to_owned(), [start, SIGNATURE].concat()] {
        let radclient = Radclient::ask("acct", &attributes).unwrap();
        let request = &radclient.request;
        assert_eq!(request.believe_accounting(&secret()), Ok(()));
        let response = Reply::to(request, Code::AccountingResponse).sign(&secret());
        let said = radclient.told(&response).unwrap();
        assert!(said.contains("Received Accounting-Response"), "{said}");
    }
}
