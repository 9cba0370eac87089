//! An application server as RFC 8030, 8291 and 8292 have it: encrypts for a subscription, says who it is, and posts. It is the
//! tests' own, so that the product's is judged by another reading of the RFCs.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};

/// How long a service may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Octets of a record, at most.
const RECORD: u32 = 4096;

/// What a browser subscribed to, as `PushSubscription.toJSON()` has it.
pub(super) struct Subscription {
    pub(super) endpoint: String,
    key: Vec<u8>,
    secret: Vec<u8>,
}

impl From<&Value> for Subscription {
    fn from(json: &Value) -> Self {
        let octets = |name: &str| decode(json["keys"][name].as_str().unwrap());
        Self {
            endpoint: json["endpoint"].as_str().unwrap().to_owned(),
            key: octets("p256dh"),
            secret: octets("auth"),
        }
    }
}

/// Who sends.
pub(super) struct Sender(EcdsaKeyPair);

impl Sender {
    pub(super) fn new() -> Self {
        Self(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    /// The key that browsers subscribe with.
    pub(super) fn key(&self) -> String {
        BASE64URL_NOPAD.encode(self.0.public_key().as_ref())
    }

    /// The field by which it says who it is, good until a second of the epoch.
    pub(super) fn vapid(&self, endpoint: &str, until: u64) -> String {
        let origin = endpoint.match_indices('/').nth(2).unwrap().0;
        let claims = json!({
            "aud": endpoint[..origin], "exp": until, "sub": "mailto:desk@example.ac.jp",
        });
        let part = |part: Value| BASE64URL_NOPAD.encode(part.to_string().as_bytes());
        let head = part(json!({ "typ": "JWT", "alg": "ES256" }));
        let signed = format!("{head}.{}", part(claims));
        let signature = self
            .0
            .sign(&SystemRandom::new(), signed.as_bytes())
            .unwrap();
        let signature = BASE64URL_NOPAD.encode(signature.as_ref());
        format!("vapid t={signed}.{signature}, k={}", self.key())
    }
}

/// Encrypts a message in one record (RFC 8291 §4).
pub(super) fn encrypt(to: &Subscription, message: &str) -> Vec<u8> {
    let own = PrivateKey::generate(&ECDH_P256).unwrap();
    let public = own.compute_public_key().unwrap();
    let mut salt = [0; 16];
    aws_lc_rs::rand::fill(&mut salt).unwrap();
    let shared = agree(
        &own,
        UnparsedPublicKey::new(&ECDH_P256, &to.key),
        (),
        |shared| Ok(shared.to_vec()),
    )
    .unwrap();
    let info = [b"WebPush: info\0", to.key.as_slice(), public.as_ref()].concat();
    let input = derive::<32>((&to.secret, &shared), &info);
    let key = derive::<16>((&salt, &input), b"Content-Encoding: aes128gcm\0");
    let nonce = derive::<12>((&salt, &input), b"Content-Encoding: nonce\0");
    // The delimiter of the last record, and no padding.
    let mut record = [message.as_bytes(), &[2]].concat();
    LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key).unwrap())
        .seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::empty(),
            &mut record,
        )
        .unwrap();
    let length = u8::try_from(public.as_ref().len()).unwrap();
    [
        &salt,
        RECORD.to_be_bytes().as_slice(),
        &[length],
        public.as_ref(),
        &record,
    ]
    .concat()
}

/// HKDF (RFC 5869) with SHA-256: salt and input to as many octets as are wanted, at most one block of it.
fn derive<const N: usize>((salt, input): (&[u8], &[u8]), info: &[u8]) -> [u8; N] {
    let mut block = [0; 32];
    let extracted = Salt::new(HKDF_SHA256, salt).extract(input);
    let info = [info];
    let expanded = extracted.expand(&info, HKDF_SHA256).unwrap();
    expanded.fill(&mut block).unwrap();
    *block.first_chunk().unwrap()
}

/// Posts to an endpoint of this machine, and gives the status; none, if nobody listens.
pub(super) fn post(endpoint: &str, fields: &[(&str, &str)], body: &[u8]) -> Option<u16> {
    let (authority, path) = endpoint
        .strip_prefix("http://")
        .unwrap()
        .split_once('/')
        .unwrap();
    let mut stream = TcpStream::connect(authority).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let fields: String = fields
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    let head = format!(
        "POST /{path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n{fields}Content-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), body].concat()).ok()?;
    let mut answer = Vec::new();
    let _reset = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer);
    answer.split(' ').nth(1)?.parse().ok()
}

pub(super) fn decode(text: &str) -> Vec<u8> {
    BASE64URL_NOPAD.decode(text.as_bytes()).unwrap()
}
