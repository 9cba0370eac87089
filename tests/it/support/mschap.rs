//! The peer's side of MSCHAPv2 (RFC 2759), written from the document alone: what it sends, and what it expects back.

use des::Des;
use des::cipher::{BlockCipherEncrypt, KeyInit};
use md4::Md4;
use sekisho::access::NtResponse;
use sha1::Sha1;
use sha1::digest::Digest;

/// MD4 of the password in UTF-16LE (§8.3).
pub(crate) fn nt_hash(password: &str) -> [u8; 16] {
    let units = password.encode_utf16().flat_map(u16::to_le_bytes);
    Md4::digest(units.collect::<Vec<u8>>()).into()
}

/// What a peer sends for a challenge that nobody else has put (§8.1).
pub(crate) fn respond(name: &str, password: &str) -> NtResponse {
    let challenge: [u8; 16] = sekisho::secret::random_array();
    let peer_challenge: [u8; 16] = sekisho::secret::random_array();
    let block = challenge_hash(&peer_challenge, &challenge, name);
    let mut padded = nt_hash(password).to_vec();
    padded.resize(21, 0);
    let mut response = [0; 24];
    for (third, octets) in response.chunks_mut(8).enumerate() {
        octets.copy_from_slice(&encrypt(&block, &padded[third * 7..third * 7 + 7]));
    }
    NtResponse {
        name: name.as_bytes().into(),
        challenge,
        peer_challenge,
        response,
    }
}

/// What the peer expects of who knows its password (§8.7).
pub(crate) fn expected(shown: &NtResponse, password: &str) -> [u8; 20] {
    let name = String::from_utf8(shown.name.to_vec()).unwrap();
    let challenge = challenge_hash(&shown.peer_challenge, &shown.challenge, &name);
    let of_hash = Md4::digest(nt_hash(password));
    let mut first = of_hash.to_vec();
    first.extend(shown.response);
    first.extend(b"Magic server to client signing constant");
    let mut second = Sha1::digest(&first).to_vec();
    second.extend(challenge);
    second.extend(b"Pad to make it do more than one iteration");
    Sha1::digest(&second).into()
}

fn challenge_hash(peer: &[u8; 16], challenge: &[u8; 16], name: &str) -> [u8; 8] {
    let name = name.rsplit('\\').next().unwrap();
    let digest = Sha1::digest([&peer[..], &challenge[..], name.as_bytes()].concat());
    digest[..8].try_into().unwrap()
}

fn encrypt(block: &[u8; 8], seven: &[u8]) -> [u8; 8] {
    let bits: Vec<u8> = seven
        .iter()
        .flat_map(|octet| (0..8).rev().map(move |bit| octet >> bit & 1))
        .collect();
    let octet = |seven: &[u8]| seven.iter().fold(0, |octet, bit| (octet | bit) << 1);
    let key: [u8; 8] = std::array::from_fn(|at| octet(&bits[at * 7..at * 7 + 7]));
    let mut block = (*block).into();
    Des::new(&key.into()).encrypt_block(&mut block);
    block.into()
}
