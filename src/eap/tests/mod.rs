//! Conversations with a peer whose TLS is rustls, and whose EAP is written from the RFCs a second time.

mod anything;
mod login;
mod memory;
mod peer;
mod resumption;
mod rules;

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams,
    SanType,
};

use super::{
    Authenticator, CertificateName, Credentials, Failed, Inner, Judgement, MayResume, Method, Room,
    Settings, Success, Turn, Version,
};
use crate::clock::Clock;
use crate::secret::Secret;
use peer::Peer;

/// A CA with what it signed.
struct Pki {
    ca: CertifiedIssuer<'static, KeyPair>,
    server: (String, String),
}

impl Pki {
    fn new() -> Self {
        Self::named("Test CA")
    }

    fn named(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let mut params = CertificateParams::new(vec!["radius.example.ac.jp".into()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let server = signed(&params, &ca);
        Self { ca, server }
    }

    /// A client certificate of a mail address and a serial number.
    fn client(&self, mail: &str, serial: u8) -> (String, String) {
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::Rfc822Name(mail.try_into().unwrap())];
        params.distinguished_name.push(DnType::CommonName, mail);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.serial_number = Some(vec![serial].into());
        params.not_after = rcgen::date_time_ymd(2040, 1, 1);
        signed(&params, &self.ca)
    }

    /// A list of revoked serial numbers, with the year in which it ends.
    fn revoking(&self, serials: &[u8], until: i32) -> String {
        let revoked = |serial: &u8| RevokedCertParams {
            serial_number: vec![*serial].into(),
            revocation_time: rcgen::date_time_ymd(2020, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: rcgen::date_time_ymd(2020, 1, 1),
            next_update: rcgen::date_time_ymd(until, 1, 1),
            crl_number: vec![1].into(),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.ca).unwrap().pem().unwrap()
    }

    fn settings(&self) -> Settings {
        Settings {
            certificate: self.server.0.clone().into_bytes(),
            key: Secret::from(self.server.1.as_str()),
            client_ca: self.ca.pem().into_bytes(),
            crl: Vec::new(),
            files: Vec::new(),
            methods: vec![Method::Ttls, Method::Peap, Method::Tls],
            inner: vec![Inner::Pap, Inner::Gtc, Inner::MsChapV2],
            oldest: Version::V12,
            newest: Version::V13,
            fragment: 1400,
            resume_for: Duration::from_secs(3600),
            certificate_name: CertificateName::Mail,
        }
    }
}

fn signed(params: &CertificateParams, ca: &CertifiedIssuer<'_, KeyPair>) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, ca).unwrap();
    (certificate.pem(), key.serialize_pem())
}

/// The record of a login.
type Record = u32;

/// How a conversation ended.
struct Ended {
    /// `Ok` with the keys.
    how: Result<Success, Option<Failed>>,
    /// What was yielded, in words.
    yielded: Vec<String>,
    told: String,
    rounds: usize,
}

impl Ended {
    fn why(&self) -> Option<Failed> {
        match &self.how {
            Ok(_) => panic!("let in"),
            Err(why) => why.clone(),
        }
    }

    fn is_success(&self) -> bool {
        self.how.is_ok()
    }
}

/// Whoever judges: lets in the password "right", the code 123456, a response of eights, and certificates of names that begin
/// with "right".
#[derive(Clone, Copy)]
struct Judge {
    record: Option<Record>,
    may_resume: MayResume,
    accepts_resumed: bool,
    /// Asks for a code after the password.
    asks: bool,
}

const JUDGE: Judge = Judge {
    record: Some(7),
    may_resume: MayResume::Yes,
    accepts_resumed: true,
    asks: false,
};

const PROOF: [u8; 20] = [0xab; 20];

impl Judge {
    fn judge(self, credentials: &Credentials<Record>, said: &mut Vec<String>) -> Judgement<Record> {
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        let (what, right) = match credentials {
            Credentials::Password {
                name,
                password,
                can_ask,
            } => {
                let typed = text(password.expose());
                let once = if *can_ask { "" } else { " once" };
                said.push(format!("{}: {typed}{once}", text(name)));
                if self.asks && typed == "right" {
                    return Judgement::Ask("コード / Code: ".into());
                }
                return self.rule(typed == "right" || typed == "123456");
            }
            Credentials::NtResponse { name, response, .. } => {
                (format!("{}: response", text(name)), *response == [8; 24])
            }
            Credentials::Certificate { name, ends, .. } => {
                let name = text(name);
                let right = name.starts_with("right");
                (format!("{name}: certificate until {ends}"), right)
            }
            Credentials::Resumed(record) => (format!("resumed {record}"), self.accepts_resumed),
        };
        said.push(what);
        self.rule(right)
    }

    fn rule(self, right: bool) -> Judgement<Record> {
        if !right {
            return Judgement::Reject;
        }
        Judgement::Accept {
            record: self.record,
            proof: Some(PROOF),
        }
    }
}

/// Lets a peer speak until the end.
fn converse(eap: &Authenticator<Record>, peer: &mut Peer, judge: Judge, room: usize) -> Ended {
    let (mut conversation, mut turn) = eap.begin(&[], Room(room));
    let (mut yielded, mut rounds) = (Vec::new(), 0);
    let mut last = None;
    let mut told = String::new();
    let how = loop {
        turn = match turn {
            Turn::Ask(packet) => {
                rounds += 1;
                assert!(rounds <= 60, "no end");
                assert!(packet.len() <= room, "too long a packet");
                assert_ne!(
                    last.replace(packet[1]),
                    Some(packet[1]),
                    "identifier that was there"
                );
                let answer = peer.answer(&packet);
                conversation.receive(&answer, Room(room))
            }
            Turn::Look(record) => {
                yielded.push(format!("look {record}"));
                conversation.looked(judge.may_resume)
            }
            Turn::Judge(credentials) => {
                told = conversation.told();
                let judgement = judge.judge(&credentials, &mut yielded);
                conversation.judged(judgement)
            }
            Turn::Success(success) => {
                assert_eq!(success.packet, [3, last.unwrap(), 0, 4]);
                peer.succeeded = true;
                break Ok(success);
            }
            Turn::Failure(packet, why) => {
                assert_eq!(packet, [4, last.unwrap(), 0, 4]);
                break Err(why);
            }
            Turn::Discard(why) => panic!("discarded: {why}"),
        };
    };
    Ended {
        told,
        how,
        yielded,
        rounds,
    }
}

fn authenticator(settings: &Settings) -> Authenticator<Record> {
    Authenticator::new(settings, Clock::system()).unwrap()
}
