//! The TLS tunnel of a conversation: rustls over octets, its keys, and what ended it in words.

mod certificate;
mod hello;
mod reasons;
mod sessions;
mod setup;

use std::io::{Read as _, Write as _};
use std::sync::Arc;

use rustls::{HandshakeKind, ProtocolVersion, ServerConnection};
use zeroize::Zeroizing;

use super::Method;
use crate::secret::Secret;

pub(super) use certificate::Shown;
pub(super) use hello::sessions_named;
pub(super) use sessions::{Found, Keeper, Sessions};
pub(super) use setup::Setup;

/// What a handshake or a record broke by.
#[derive(Debug)]
pub(super) enum Broken {
    /// The peer sent an alert, or closed: there is nothing more to tell it.
    ByPeer(String),
    /// We refuse; an alert is ready for it.
    ByUs(String),
}

/// A tunnel that has begun.
pub(super) struct Tunnel {
    connection: ServerConnection,
    keeper: Arc<Keeper>,
}

impl Tunnel {
    /// Begins one; nothing has been said yet.
    ///
    /// # Errors
    ///
    /// When rustls finds its configuration wanting: in words.
    pub(super) fn begin(setup: &Setup, method: Method, keeper: Keeper) -> Result<Self, String> {
        let keeper = Arc::new(keeper);
        let config = setup
            .config(method, &keeper)
            .ok_or_else(|| "method without a configuration".to_owned())?;
        let connection = ServerConnection::new(config).map_err(|error| error.to_string())?;
        Ok(Self { connection, keeper })
    }

    /// Takes octets of the peer and gives what they say inside.
    ///
    /// # Errors
    ///
    /// When the peer or rustls ended it.
    pub(super) fn feed(&mut self, octets: &[u8]) -> Result<Zeroizing<Vec<u8>>, Broken> {
        let mut rest = octets;
        // Nothing becomes longer by being deciphered, so that the buffer is never moved and no copy of it stays.
        let mut plain = Zeroizing::new(Vec::with_capacity(octets.len()));
        while !rest.is_empty() {
            let read = self.connection.read_tls(&mut rest);
            if read.map_err(|_| Broken::ByUs("record that is too long".into()))? == 0 {
                return Err(Broken::ByPeer("the peer closed the tunnel".into()));
            }
            let state = self.connection.process_new_packets();
            let state = state.map_err(reasons::broken)?;
            let more = state.plaintext_bytes_to_read();
            if more > plain.capacity() - plain.len() {
                return Err(Broken::ByUs("more inside than outside".into()));
            }
            let at = plain.len();
            plain.resize(at + more, 0);
            if let Some(fresh) = plain.get_mut(at..) {
                let read = self.connection.reader().read_exact(fresh);
                read.map_err(|_| Broken::ByUs("plaintext that cannot be read".into()))?;
            }
            if state.peer_has_closed() {
                return Err(Broken::ByPeer("the peer closed the tunnel".into()));
            }
        }
        Ok(plain)
    }

    /// Says something inside; it leaves with [`Tunnel::output`].
    pub(super) fn say(&mut self, plain: &[u8]) {
        // A connection's writer takes everything into its buffers.
        drop(self.connection.writer().write_all(plain));
    }

    /// What is ready to be sent.
    pub(super) fn output(&mut self) -> Vec<u8> {
        let mut octets = Vec::new();
        while self.connection.wants_write() && self.connection.write_tls(&mut octets).is_ok() {}
        octets.shrink_to_fit();
        octets
    }

    /// Whether both sides have not finished yet.
    pub(super) fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// Whether rustls took up a session.
    pub(super) fn is_resumed(&self) -> bool {
        self.connection.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// Whether it is TLS 1.3.
    pub(super) fn is_1_3(&self) -> bool {
        self.connection.protocol_version() == Some(ProtocolVersion::TLSv1_3)
    }

    /// Version and suite, as far as they are known.
    pub(super) fn told(&self) -> String {
        let version = match self.connection.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => "TLS 1.2",
            Some(ProtocolVersion::TLSv1_3) => "TLS 1.3",
            _ => return "TLS".into(),
        };
        self.connection.negotiated_cipher_suite().map_or_else(
            || version.into(),
            |suite| format!("{version} {:?}", suite.suite()),
        )
    }

    /// The peer's certificates, its own first.
    pub(super) fn certificates(&self) -> &[rustls::pki_types::CertificateDer<'static>] {
        self.connection.peer_certificates().unwrap_or_default()
    }

    /// Where rustls puts what it would keep.
    pub(super) fn keeper(&self) -> &Keeper {
        &self.keeper
    }

    /// The two halves of the MSK: for MS-MPPE-Recv-Key and MS-MPPE-Send-Key (RFC 5216 §2.3, 5281 §8, 9190 §2.3, 9427 §2.1).
    pub(super) fn keys(&self, method: Method) -> Option<(Secret, Secret)> {
        let kind = [method.kind()];
        let (label, context): (&[u8], Option<&[u8]>) = match (self.is_1_3(), method) {
            (true, _) => (b"EXPORTER_EAP_TLS_Key_Material", Some(&kind)),
            (false, Method::Ttls) => (b"ttls keying material", None),
            (false, Method::Tls | Method::Peap) => (b"client EAP encryption", None),
        };
        // MSK and EMSK together: in TLS 1.3 the length is part of what the octets are made from.
        let mut material = Zeroizing::new([0; 128]);
        self.connection
            .export_keying_material(&mut *material, label, context)
            .ok()?;
        let (receive, rest) = material.split_first_chunk::<32>()?;
        let send = rest.first_chunk::<32>()?;
        Some((Secret::new(receive.to_vec()), Secret::new(send.to_vec())))
    }

    /// Session-Id: of TLS 1.3 alone, since that of TLS 1.2 is made from randoms that rustls does not show (RFC 9190 §2.3).
    pub(super) fn session_id(&self, method: Method) -> Option<Vec<u8>> {
        let kind = [method.kind()];
        let label = b"EXPORTER_EAP_TLS_Method-Id";
        let id = self
            .connection
            .export_keying_material([0; 64], label, Some(&kind));
        let id = id.ok().filter(|_| self.is_1_3())?;
        Some([&kind[..], &id].concat())
    }
}
