//! Conversations over EAP: what a peer says outside of the tunnel, and inside.

use std::io::{Read as _, Write as _};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use sekisho::clock::Clock;
use sekisho::eap::{
    Authenticator, CertificateName, Conversation, Credentials, Inner, Judgement, Method, ROUNDS,
    Room, Settings, Turn, Version,
};
use sekisho::secret::Secret;

/// Small enough that the server's flight has several fragments.
const ROOM: Room = Room(400);

/// Who answers, and who trusts its certificate.
static HOUSE: LazyLock<(Authenticator<u8>, Arc<ClientConfig>)> = LazyLock::new(|| {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["radius.example".into()]).expect("a name");
    let certificate = params.self_signed(&key).expect("a certificate");
    let settings = Settings {
        certificate: certificate.pem().into_bytes(),
        key: Secret::from(key.serialize_pem().as_str()),
        client_ca: certificate.pem().into_bytes(),
        crl: Vec::new(),
        files: Vec::new(),
        methods: vec![Method::Ttls, Method::Peap, Method::Tls],
        inner: vec![Inner::MsChapV2, Inner::Gtc, Inner::Pap],
        oldest: Version::V12,
        newest: Version::V13,
        fragment: 400,
        resume_for: Duration::from_secs(60),
        certificate_name: CertificateName::Mail,
    };
    let mut roots = RootCertStore::empty();
    roots.add(certificate.der().clone()).expect("a root");
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let eap = Authenticator::new(&settings, Clock::system()).expect("its own certificate");
    (eap, Arc::new(config))
});

/// The first octet chooses: packets as they are, or what is said inside of TTLS or PEAP. The rest are pieces, each after its
/// length in two octets.
pub fn eap(octets: &[u8]) {
    let Some((choice, mut rest)) = octets.split_first() else {
        return;
    };
    let mut pieces = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes(*length)).min(after.len());
        let (piece, after) = after.split_at(length);
        pieces.push(piece);
        rest = after;
    }
    match choice % 3 {
        0 => outside(&pieces),
        1 => inside(21, &pieces),
        _ => inside(25, &pieces),
    }
}

/// Packets, each with the identifier that is waited for: nothing of them is believed, and there is an end.
fn outside(packets: &[&[u8]]) {
    let (eap, _) = &*HOUSE;
    let first = packets.first().copied().unwrap_or_default();
    let (mut conversation, mut turn) = eap.begin(first, ROOM);
    let mut rounds = 0;
    for packet in packets.iter().skip(1) {
        let identifier = match turn {
            Turn::Ask(asked) => {
                check(&asked);
                rounds += 1;
                asked.get(1).copied()
            }
            Turn::Discard(_) => None,
            Turn::Failure(packet, _) => {
                assert_eq!((packet.first(), packet.len()), (Some(&4), 4));
                return;
            }
            _ => panic!("packets without a tunnel are believed"),
        };
        assert!(rounds <= u32::from(ROUNDS) + 1, "no end");
        let mut packet = packet.to_vec();
        if let (Some(octet), Some(identifier)) = (packet.get_mut(1), identifier) {
            *octet = identifier;
        }
        turn = conversation.receive(&packet, ROOM);
    }
}

/// Octets inside a tunnel, before a judge who refuses everybody: nobody is let in.
fn inside(kind: u8, said: &[&[u8]]) {
    let (eap, config) = &*HOUSE;
    let name = "radius.example".try_into().expect("a name");
    let mut peer = ClientConnection::new(config.clone(), name).expect("a connection");
    let (mut conversation, mut turn) = eap.begin(&[2, 0, 0, 5, 1], ROOM);
    let (mut said, mut message) = (said.iter(), Vec::new());
    for _ in 0..4 * usize::from(ROUNDS) {
        turn = match turn {
            Turn::Ask(asked) => {
                check(&asked);
                let answer = answer(&mut peer, (kind, &mut said), &asked, &mut message);
                conversation.receive(&answer, ROOM)
            }
            Turn::Judge(credentials) => judge(&mut conversation, &credentials),
            Turn::Failure(..) => return,
            Turn::Success(_) => panic!("let in"),
            Turn::Look(_) => panic!("a session of nobody"),
            Turn::Discard(why) => panic!("discarded: {why}"),
        };
    }
    panic!("no end");
}

/// Asks once more whoever can be asked and says so; refuses the others.
fn judge(conversation: &mut Conversation<u8>, credentials: &Credentials<u8>) -> Turn<u8> {
    let ask = match credentials {
        Credentials::Password {
            name,
            password,
            can_ask,
        } => {
            assert!(!name.is_empty() && !password.is_empty());
            *can_ask && password.expose().starts_with(b"ask")
        }
        Credentials::NtResponse { name, .. } => {
            assert!(!name.is_empty());
            false
        }
        _ => panic!("shown without a certificate or a session"),
    };
    conversation.judged(if ask {
        Judgement::Ask("code?".into())
    } else {
        Judgement::Reject
    })
}

/// A peer's answer: TLS by the rules, and whatever there is to say inside.
fn answer<'a>(
    peer: &mut ClientConnection,
    (kind, said): (u8, &mut impl Iterator<Item = &'a &'a [u8]>),
    asked: &[u8],
    message: &mut Vec<u8>,
) -> Vec<u8> {
    let [_, identifier, _, _, method, flags, data @ ..] = asked else {
        panic!("a Request without flags");
    };
    if *method != kind {
        return vec![2, *identifier, 0, 6, 3, kind];
    }
    message.extend(if flags & 0x80 == 0 {
        data
    } else {
        data.get(4..).expect("a length")
    });
    let mut octets = Vec::new();
    if flags & 0x40 == 0 {
        let message = std::mem::take(message);
        let mut rest = &message[..];
        while !rest.is_empty() {
            peer.read_tls(&mut rest).expect("octets");
            peer.process_new_packets().expect("our own TLS");
        }
        drop(peer.reader().read_to_end(&mut Vec::new()));
        if !peer.is_handshaking() && !peer.wants_write() {
            let piece = said.next().copied().unwrap_or_default();
            // One record's worth, so that it fits one packet.
            let piece = piece.get(..2000).unwrap_or(piece);
            peer.writer().write_all(piece).expect("a buffer");
        }
        while peer.wants_write() {
            peer.write_tls(&mut octets).expect("a buffer");
        }
    }
    let [.., high, low] = (6 + octets.len()).to_be_bytes();
    [&[2, *identifier, high, low, kind, 0], &octets[..]].concat()
}

/// What is sent is a Request that fits.
fn check(asked: &[u8]) {
    let [1, _, high, low, ..] = asked else {
        panic!("no Request: {asked:?}");
    };
    assert_eq!(usize::from(u16::from_be_bytes([*high, *low])), asked.len());
    assert!(asked.len() <= ROOM.0);
}
