//! Holds an EAP conversation over octets: framing, the TLS tunnel, TTLS, PEAP, GTC, MSCHAPv2, TLS, keys.
//!
//! Yields credentials to judge and is told the verdict. No sockets, no RADIUS, no directory. RFC 3748, 5216, 5281, 9190, 9427,
//! 2759; draft-kamath-pppext-peapv0, draft-josefsson-pppext-eap-tls-eap (PEAP), draft-kamath-pppext-eap-mschapv2.

mod authenticator;
mod conversation;
mod dialogue;
mod framing;
mod inner;
mod packet;
mod reader;
mod settings;
mod tls;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::secret::Secret;

pub use authenticator::Authenticator;
use authenticator::House;
pub use conversation::Conversation;
pub use settings::{CertificateName, Error, Inner, Method, Settings, Version};

/// Longest EAP packet that is read or written: what fits a RADIUS packet (RFC 2865 §3).
pub const PACKET_OCTETS: usize = 4096;
/// Longest identity that is taken: what an EAP packet of 1,025 octets holds, the most that every link carries (RFC 3748 §5.1).
pub const IDENTITY_OCTETS: usize = 1020;
/// Most answers of a peer in one conversation, as FreeRADIUS has it: more are a peer that goes in circles.
pub const ROUNDS: u8 = 50;
/// Most packets that are discarded in one conversation (RFC 3579 §2.2).
pub const ODD_PACKETS: u8 = 5;

/// How much room the way to the peer has for one EAP packet: the smaller of the configured fragment and Framed-MTU less 4
/// (RFC 3579 §2.4). Octets, clamped to 100–4000.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room(pub usize);

/// What follows.
#[must_use]
pub enum Turn<R> {
    /// An EAP-Request for the peer: Access-Challenge.
    Ask(Vec<u8>),
    /// The peer asks to resume a session: look whether its login would still be let in. Nothing is proven yet.
    Look(R),
    /// Credentials to judge.
    Judge(Credentials<R>),
    /// The end: Access-Accept.
    Success(Success),
    /// The end: an EAP-Failure for an Access-Reject, and why, for the log. `None` when it follows from a judgement.
    Failure(Vec<u8>, Option<Failed>),
    /// The packet is discarded without an answer (RFC 3748 §4.1), and why; the conversation goes on.
    Discard(&'static str),
}

/// Whether a session that a peer only names may be resumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MayResume {
    /// It may, by who proves to hold it.
    Yes,
    /// Not here or not now. It is left to its owner: whoever names it may have only seen its name, which is sent in the open.
    NotHere,
    /// Never again: it ends.
    Never,
}

/// What the peer shows.
pub enum Credentials<R> {
    /// A password (TTLS with PAP, or the first GTC), or what was typed at [`Judgement::Ask`].
    Password {
        /// The inner name, as octets.
        name: Box<[u8]>,
        /// What was typed; empty at most where it answers a question.
        password: Secret,
        /// Whether a question can follow: GTC alone shows one.
        can_ask: bool,
    },
    /// A response to a challenge, by the NT hash of a password (RFC 2759 §8.1).
    NtResponse {
        /// The inner name as typed: it is part of what the response was computed from.
        name: Box<[u8]>,
        /// The challenge that was put.
        challenge: [u8; 16],
        /// The peer's own.
        peer_challenge: [u8; 16],
        /// The response.
        response: [u8; 24],
    },
    /// A certificate that was verified by the configured CAs, CRLs, times and key usage.
    Certificate {
        /// The name in it that stands for an account, as configured.
        name: Box<[u8]>,
        /// Its serial number and subject, for the log.
        told: String,
        /// When it ends, in seconds of Unix time.
        ends: i64,
    },
    /// A resumed session: the peer has proven to hold its secret.
    Resumed(R),
}

/// What became of credentials.
pub enum Judgement<R> {
    /// Let in.
    Accept {
        /// What makes the session resumable: shown again when it is. `None`: it never is.
        record: Option<R>,
        /// What proves to an MSCHAPv2 peer that its password is known here (RFC 2759 §8.7).
        proof: Option<[u8; 20]>,
    },
    /// Refused.
    Reject,
    /// One more question, for GTC: the text is shown, at most 253 octets.
    Ask(Arc<str>),
}

/// A conversation that ended well.
pub struct Success {
    /// EAP-Success.
    pub packet: Vec<u8>,
    /// The peer's half: MS-MPPE-Recv-Key, MSK 0..32 (RFC 3748 §7.10, 2548 §2.4.3).
    pub receive_key: Secret,
    /// The other half: MS-MPPE-Send-Key, MSK 32..64.
    pub send_key: Secret,
    /// The Session-Id (RFC 5247 §1.4), where it can be had: TLS 1.3.
    pub session_id: Option<Vec<u8>>,
}

/// Why a conversation failed by itself, before or after a judgement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failed {
    /// No method that both sides have.
    NoMethod,
    /// The TLS handshake failed; the alert or error in words: the peer does not trust our certificate, has no common suite, …
    Tls(String),
    /// The peer's packets were against the rules, or too many.
    Protocol(&'static str),
    /// The peer says that it does not accept our proof, or failed inside after an Accept.
    ByPeer,
}
