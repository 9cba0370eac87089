//! Turns octets into RADIUS packets and back, every authenticator checked or computed.
//!
//! No sockets, no clock, no policy. Numbers come from the `radius` crate ([`attribute`] says what
//! of it is not used, and why); the walk over the octets, Message-Authenticator, the
//! authenticators, User-Password, MS-MPPE keys, EAP-Message, Proxy-State and vendor attributes are
//! ours. RFC 2548 §2.4, 2865, 2866, 2869 §5.14, 3162, 3579 §3, 5080, 5176 (as a
//! sender), 5997, 6929 (skipped safely),
//! draft-ietf-radext-deprecating-radius.

pub mod attribute;
mod authenticators;
mod keys;
mod packet;
mod password;
mod query;
mod reader;
mod reply;
mod request;
mod vendor;

use radius::core::code::Code as Number;

pub use query::{Answer, Asked, BadAnswer, MppeKeys, Query};
pub use reply::Reply;
pub use request::Request;

/// Longest packet (RFC 2865 §3).
pub const PACKET_OCTETS: usize = 4096;
/// Most attributes in a packet; more are malformed (FreeRADIUS's bound).
pub const ATTRIBUTES: usize = 200;
/// Longest value of an attribute: its length octet counts type and length too.
pub const VALUE_OCTETS: usize = 253;
/// Longest password that User-Password can carry (RFC 2865 §5.2).
pub const PASSWORD_OCTETS: usize = 128;

/// What a packet is. Others than these are [`Malformed::Code`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Code {
    /// Access-Request.
    AccessRequest = Number::AccessRequest as u8,
    /// Access-Accept.
    AccessAccept = Number::AccessAccept as u8,
    /// Access-Reject.
    AccessReject = Number::AccessReject as u8,
    /// Accounting-Request.
    AccountingRequest = Number::AccountingRequest as u8,
    /// Accounting-Response.
    AccountingResponse = Number::AccountingResponse as u8,
    /// Access-Challenge.
    AccessChallenge = Number::AccessChallenge as u8,
    /// Status-Server.
    StatusServer = Number::StatusServer as u8,
    /// Disconnect-Request (RFC 5176 §2.1): sent to a NAS, never served.
    DisconnectRequest = Number::DisconnectRequest as u8,
    /// Disconnect-ACK.
    DisconnectAck = Number::DisconnectACK as u8,
    /// Disconnect-NAK.
    DisconnectNak = Number::DisconnectNAK as u8,
}

impl Code {
    /// The code of a number, if it is one of these.
    fn read(number: u8) -> Option<Self> {
        [
            Self::AccessRequest,
            Self::AccessAccept,
            Self::AccessReject,
            Self::AccountingRequest,
            Self::AccountingResponse,
            Self::AccessChallenge,
            Self::StatusServer,
            Self::DisconnectRequest,
            Self::DisconnectAck,
            Self::DisconnectNak,
        ]
        .into_iter()
        .find(|code| *code as u8 == number)
    }

    /// Whether a server is asked with it. A Disconnect-Request asks a NAS.
    fn is_request(self) -> bool {
        matches!(
            self,
            Self::AccessRequest | Self::AccountingRequest | Self::StatusServer
        )
    }

    /// Whether a server replies with it.
    fn is_reply(self) -> bool {
        match self {
            Self::AccessAccept
            | Self::AccessReject
            | Self::AccountingResponse
            | Self::AccessChallenge => true,
            Self::AccessRequest
            | Self::AccountingRequest
            | Self::StatusServer
            | Self::DisconnectRequest
            | Self::DisconnectAck
            | Self::DisconnectNak => false,
        }
    }

    /// Whether its Request Authenticator is a digest, as accounting has it (RFC 2866 §3, RFC 5176 §2.3), and no random number.
    fn is_digested(self) -> bool {
        matches!(self, Self::AccountingRequest | Self::DisconnectRequest)
    }
}

/// Why octets are no packet: each is a silent discard and a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Malformed {
    /// Fewer than 20 octets, or a length field under 20 or over 4096 or beyond what was received.
    #[error("length is wrong")]
    Length,
    /// A code that no packet to a server has.
    #[error("code is unknown or of the wrong direction")]
    Code,
    /// An attribute of length 0 or 1, past the end, of type 0, or a left-over octet.
    #[error("attributes do not fit the packet")]
    Attribute,
    /// More than [`ATTRIBUTES`].
    #[error("too many attributes")]
    TooMany,
    /// Message-Authenticator of another length than 18, or more than one.
    #[error("Message-Authenticator is malformed or repeated")]
    MessageAuthenticator,
    /// EAP-Message beside User-Password, CHAP-Password or ARAP-Password (RFC 3579 §3.3).
    #[error("EAP-Message beside another credential")]
    MixedCredentials,
}

/// Why a well-formed packet is not believed: each is a silent discard and a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Unbelieved {
    /// Message-Authenticator is required and absent.
    #[error("Message-Authenticator is required (require-message-authenticator)")]
    Unsigned,
    /// Proxy-State without Message-Authenticator (CVE-2024-3596).
    #[error("Proxy-State without Message-Authenticator (limit-proxy-state)")]
    UnsignedProxyState,
    /// Message-Authenticator is wrong: probably another shared secret.
    #[error("Message-Authenticator is wrong: probably the shared secrets differ")]
    WrongSignature,
    /// The Request Authenticator of an Accounting-Request is wrong.
    #[error("Request Authenticator is wrong: probably the shared secrets differ")]
    WrongAuthenticator,
}

/// Whether requests must carry Message-Authenticator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signing {
    /// Every request must (the default).
    Required,
    /// Requests may lack it, unless they carry Proxy-State.
    OptionalWithoutProxyState,
    /// Requests may lack it.
    Optional,
}

/// Whether a request that was believed carried Message-Authenticator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signed {
    /// It did, and it was right.
    Yes,
    /// It did not.
    No,
}

/// Why a User-Password holds no password: each is a Reject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPassword {
    /// Not 16 to 128 octets, or no multiple of 16 (RFC 2865 §5.2).
    #[error("User-Password has a wrong length")]
    Length,
}

/// The 16 octets of a request's Authenticator field.
pub type RequestAuthenticator = [u8; 16];
