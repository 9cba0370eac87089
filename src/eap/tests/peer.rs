//! A peer: EAP, fragments, TTLS, PEAP and EAP-TLS from the other side.

use std::collections::VecDeque;
use std::io::{Read as _, Write as _};
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{
    ClientConfig, ClientConnection, HandshakeKind, ProtocolVersion, RootCertStore, version,
};

use super::Pki;
use crate::eap::{Method, Version};

/// What a peer says inside.
#[derive(Clone)]
pub(super) enum Script {
    /// TTLS/PAP.
    Pap(&'static str),
    /// GTC, each question's answer.
    Gtc(Vec<&'static str>),
    /// MSCHAPv2: the response, and whether the peer agrees to the proof.
    MsChapV2([u8; 24], bool),
    /// These octets, one after the other, whatever is asked.
    Raw(VecDeque<Vec<u8>>),
    /// Nothing inside: EAP-TLS.
    Nothing,
}

/// Everything that makes a peer but its TLS.
#[derive(Clone)]
pub(super) struct Habits {
    pub(super) method: Method,
    pub(super) script: Script,
    pub(super) fragment: usize,
    /// Speaks inside together with its Finished.
    pub(super) eager: bool,
    /// Answers to Identity.
    pub(super) identity: &'static [u8],
    /// Answers to our Result TLV with this value.
    pub(super) result: u8,
}

impl Habits {
    pub(super) fn new(method: Method, script: Script) -> Self {
        Self {
            method,
            script,
            fragment: 1400,
            eager: false,
            identity: b"anonymous@example.ac.jp",
            result: 1,
        }
    }
}

pub(super) struct Peer {
    habits: Habits,
    pub(super) tls: ClientConnection,
    incoming: Vec<u8>,
    outgoing: VecDeque<Vec<u8>>,
    total: usize,
    declined: bool,
    began_inside: bool,
    /// What was heard inside, as octets.
    pub(super) heard: Vec<Vec<u8>>,
    inner_identifier: u8,
    pub(super) alert: Option<rustls::Error>,
    pub(super) succeeded: bool,
}

/// A TLS configuration that trusts the CA; its sessions are shared by the connections that it makes.
pub(super) fn tls(
    pki: &Pki,
    version: Version,
    own: Option<&(String, String)>,
) -> Arc<ClientConfig> {
    trusting(&pki.ca.pem(), version, own)
}

pub(super) fn trusting(
    ca: &str,
    version: Version,
    own: Option<&(String, String)>,
) -> Arc<ClientConfig> {
    let provider = aws_lc_rs::default_provider();
    with_provider(ca, version, own, provider)
}

/// The same, of TLS 1.3 alone, with a first key share that is not the one we want: there is one more round.
pub(super) fn retrying(pki: &Pki) -> Arc<ClientConfig> {
    let provider = CryptoProvider {
        kx_groups: vec![aws_lc_rs::kx_group::MLKEM768, aws_lc_rs::kx_group::X25519],
        ..aws_lc_rs::default_provider()
    };
    with_provider(&pki.ca.pem(), Version::V13, None, provider)
}

fn with_provider(
    ca: &str,
    version: Version,
    own: Option<&(String, String)>,
    provider: CryptoProvider,
) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(ca.as_bytes()).unwrap())
        .unwrap();
    let versions = match version {
        Version::V12 => &[&version::TLS12],
        Version::V13 => &[&version::TLS13],
    };
    let config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match own {
        None => config.with_no_client_auth(),
        Some((certificate, key)) => config
            .with_client_auth_cert(
                vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
            )
            .unwrap(),
    };
    config.resumption = Resumption::in_memory_sessions(8);
    Arc::new(config)
}

impl Peer {
    pub(super) fn new(tls: &Arc<ClientConfig>, habits: Habits) -> Self {
        let name = "radius.example.ac.jp".try_into().unwrap();
        Self {
            habits,
            tls: ClientConnection::new(tls.clone(), name).unwrap(),
            incoming: Vec::new(),
            outgoing: VecDeque::new(),
            total: 0,
            declined: false,
            began_inside: false,
            heard: Vec::new(),
            inner_identifier: 0,
            alert: None,
            succeeded: false,
        }
    }

    pub(super) fn told(&self) -> String {
        format!(
            "{:?} {:?}",
            self.tls.protocol_version(),
            self.tls.handshake_kind()
        )
    }

    pub(super) fn is_resumed(&self) -> bool {
        self.tls.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    pub(super) fn kind(&self) -> u8 {
        match self.habits.method {
            Method::Tls => 13,
            Method::Ttls => 21,
            Method::Peap => 25,
        }
    }

    /// Recv and Send key and Session-Id, as the RFCs have them.
    pub(super) fn keys(&self) -> (Vec<u8>, Vec<u8>, Option<Vec<u8>>) {
        let kind = [self.kind()];
        let is_1_3 = self.tls.protocol_version() == Some(ProtocolVersion::TLSv1_3);
        let (label, context): (_, Option<&[u8]>) = match (is_1_3, self.habits.method) {
            (true, _) => ("EXPORTER_EAP_TLS_Key_Material", Some(&kind)),
            (_, Method::Ttls) => ("ttls keying material", None),
            _ => ("client EAP encryption", None),
        };
        let export = |label: &str, size, context| {
            self.tls
                .export_keying_material(vec![0; size], label.as_bytes(), context)
                .unwrap()
        };
        let material = export(label, 128, context);
        let id = is_1_3.then(|| {
            let id = export("EXPORTER_EAP_TLS_Method-Id", 64, Some(&kind));
            [&kind[..], &id].concat()
        });
        (material[..32].to_vec(), material[32..64].to_vec(), id)
    }

    /// Answers a Request.
    pub(super) fn answer(&mut self, request: &[u8]) -> Vec<u8> {
        assert_eq!(request[0], 1, "a Request");
        let length = usize::from(u16::from_be_bytes([request[2], request[3]]));
        assert_eq!(length, request.len());
        let (identifier, kind, data) = (request[1], request[4], &request[5..]);
        if kind == 1 {
            return packet(identifier, 1, self.habits.identity);
        }
        if kind != self.kind() {
            assert!(
                !std::mem::replace(&mut self.declined, true),
                "declined once"
            );
            return packet(identifier, 3, &[99, self.kind()]);
        }
        let data = self.frame(data, identifier);
        packet(identifier, kind, &data)
    }

    /// Flags and octets that answer flags and octets.
    fn frame(&mut self, data: &[u8], identifier: u8) -> Vec<u8> {
        let flags = data[0];
        if flags & 0x20 != 0 {
            assert_eq!(data, [0x20], "a start has nothing but its flag");
            return self.respond();
        }
        if !self.outgoing.is_empty() {
            assert_eq!(data, [0], "an acknowledgement");
            return self.fragment();
        }
        let body = if flags & 0x80 != 0 {
            &data[5..]
        } else {
            &data[1..]
        };
        if flags & 0x80 != 0 {
            self.total =
                usize::try_from(u32::from_be_bytes(data[1..5].try_into().unwrap())).unwrap();
        }
        self.incoming.extend(body);
        if flags & 0x40 != 0 {
            return vec![0];
        }
        let message = std::mem::take(&mut self.incoming);
        if self.total > 0 {
            assert_eq!(message.len(), std::mem::take(&mut self.total));
        }
        self.hear(&message, identifier);
        self.respond()
    }

    fn respond(&mut self) -> Vec<u8> {
        let mut octets = Vec::new();
        while self.tls.wants_write() {
            self.tls.write_tls(&mut octets).unwrap();
        }
        let total = u32::try_from(octets.len()).unwrap().to_be_bytes();
        let room = self.habits.fragment - 6;
        if octets.len() <= room {
            return [&[0][..], &octets].concat();
        }
        let (first, rest) = octets.split_at(room - 4);
        self.outgoing = rest.chunks(room).map(<[u8]>::to_vec).collect();
        [&[0xc0][..], &total, first].concat()
    }

    fn fragment(&mut self) -> Vec<u8> {
        let next = self.outgoing.pop_front().unwrap();
        let more = if self.outgoing.is_empty() { 0 } else { 0x40 };
        [&[more][..], &next].concat()
    }

    fn hear(&mut self, message: &[u8], identifier: u8) {
        let mut rest = message;
        while !rest.is_empty() {
            self.tls.read_tls(&mut rest).unwrap();
            if let Err(error) = self.tls.process_new_packets() {
                self.alert = Some(error);
                return;
            }
        }
        let mut plain = Vec::new();
        let read = self.tls.reader().read_to_end(&mut plain);
        assert!(read.is_err(), "the connection is open");
        if !plain.is_empty() {
            self.heard.push(plain.clone());
            self.inside(&plain, identifier);
        } else if self.may_begin() {
            self.began_inside = true;
            self.begin();
        }
    }

    /// Whether it is a TTLS peer's turn.
    fn may_begin(&self) -> bool {
        let quiet = self.habits.eager || !self.tls.wants_write();
        self.habits.method == Method::Ttls
            && !self.tls.is_handshaking()
            && !self.is_resumed()
            && !self.began_inside
            && quiet
    }

    fn begin(&mut self) {
        let said = match &mut self.habits.script {
            Script::Pap(password) => {
                let mut padded = password.as_bytes().to_vec();
                padded.resize(padded.len().next_multiple_of(16), 0);
                [avp(1, b"taro"), avp(2, &padded)].concat()
            }
            Script::Gtc(_) | Script::MsChapV2(..) => avp(79, &packet(0, 1, b"taro")),
            Script::Raw(said) => said.pop_front().unwrap_or_default(),
            Script::Nothing => Vec::new(),
        };
        self.say(&said);
    }

    fn inside(&mut self, plain: &[u8], identifier: u8) {
        if let Script::Raw(said) = &mut self.habits.script {
            let said = said.pop_front().unwrap_or_default();
            return self.say(&said);
        }
        match self.habits.method {
            Method::Tls => assert_eq!(plain, [0], "the promise of success"),
            Method::Ttls if self.is_resumed() => assert_eq!(plain, [0]),
            Method::Ttls => {
                assert_eq!(plain[..5], [0, 0, 0, 79, 0x40]);
                let length = usize::from(plain[7]);
                let request = &plain[8..length];
                assert_eq!((request[0], usize::from(request[3])), (1, request.len()));
                let asked = std::mem::replace(&mut self.inner_identifier, request[1]);
                assert_ne!(asked, request[1]);
                let (kind, data) = self.inner(&request[4..]);
                let answer = avp(79, &packet(self.inner_identifier, kind, &data));
                self.say(&answer);
            }
            Method::Peap if plain[..1] == [1] && plain.len() == 11 => {
                assert_eq!(plain[..10], [1, identifier, 0, 11, 33, 0x80, 3, 0, 2, 0]);
                let answer = packet(identifier, 33, &[0x80, 3, 0, 2, 0, self.habits.result]);
                self.say(&answer);
            }
            Method::Peap => {
                let (kind, data) = self.inner(plain);
                self.say(&[&[kind][..], &data].concat());
            }
        }
    }

    /// Type and data that answer type and data.
    fn inner(&mut self, asked: &[u8]) -> (u8, Vec<u8>) {
        let wanted = match self.habits.script {
            Script::MsChapV2(..) => 26,
            _ => 6,
        };
        match (asked[0], &mut self.habits.script) {
            (1, _) => (1, b"taro".to_vec()),
            (kind, _) if kind != wanted => (3, vec![wanted]),
            (_, Script::Gtc(answers)) => (6, answers.remove(0).as_bytes().to_vec()),
            (_, Script::MsChapV2(response, agrees)) => match asked[1] {
                1 => {
                    assert_eq!(asked[5], 16);
                    let value =
                        [&[49][..], &[7; 16], &[0; 8], &response[..], &[0], b"taro"].concat();
                    let length = u8::try_from(4 + value.len()).unwrap();
                    (26, [&[2, asked[2], 0, length][..], &value].concat())
                }
                3 => (26, vec![if *agrees { 3 } else { 4 }]),
                other => (26, vec![other]),
            },
            _ => panic!("asked for {asked:?}"),
        }
    }

    pub(super) fn say(&mut self, plain: &[u8]) {
        self.tls.writer().write_all(plain).unwrap();
    }
}

/// A Response.
pub(super) fn packet(identifier: u8, kind: u8, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(5 + data.len()).unwrap().to_be_bytes();
    [&[2, identifier][..], &length, &[kind], data].concat()
}

/// A mandatory AVP with its padding.
pub(super) fn avp(code: u32, value: &[u8]) -> Vec<u8> {
    let [_, length @ ..] = u32::try_from(8 + value.len()).unwrap().to_be_bytes();
    let mut avp = [&code.to_be_bytes()[..], &[0x40], &length, value].concat();
    avp.resize(avp.len().next_multiple_of(4), 0);
    avp
}
