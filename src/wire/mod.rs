//! Turns octets into RADIUS packets and back, every authenticator checked or computed.
//!
//! No sockets, no clock, no policy. Numbers and names come from the `radius` crate; the walk over
//! the octets, Message-Authenticator, the authenticators, User-Password, Proxy-State and vendor
//! attributes are ours. RFC 2865, 2866, 2869 §5.14, 3162, 3579 §3.2, 5080, 5997, 6929 (skipped
//! safely), draft-ietf-radext-deprecating-radius.

use crate::secret::Secret;

/// Longest packet (RFC 2865 §3).
pub const PACKET_OCTETS: usize = 4096;
/// Most attributes in a packet; more are malformed (FreeRADIUS's bound).
pub const ATTRIBUTES: usize = 200;

/// What a packet is. Others than these are [`Malformed::Code`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Code {
    /// Access-Request.
    AccessRequest = 1,
    /// Access-Accept.
    AccessAccept = 2,
    /// Access-Reject.
    AccessReject = 3,
    /// Accounting-Request.
    AccountingRequest = 4,
    /// Accounting-Response.
    AccountingResponse = 5,
    /// Access-Challenge.
    AccessChallenge = 11,
    /// Status-Server.
    StatusServer = 12,
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

/// A received request: its exact octets, cut to the length field, and where its attributes lie.
#[derive(Clone)]
pub struct Request {
    octets: Box<[u8]>,
}

impl Request {
    /// Walks a datagram; every look at an attribute afterwards is within bounds.
    ///
    /// # Errors
    ///
    /// [`Malformed`], for a silent discard.
    pub fn parse(datagram: &[u8]) -> Result<Self, Malformed> {
        todo!()
    }
    /// The code: AccessRequest, AccountingRequest or StatusServer.
    pub fn code(&self) -> Code {
        todo!()
    }
    /// The Identifier.
    pub fn identifier(&self) -> u8 {
        todo!()
    }
    /// The Request Authenticator.
    pub fn authenticator(&self) -> &RequestAuthenticator {
        todo!()
    }
    /// The exact octets.
    pub fn octets(&self) -> &[u8] {
        &self.octets
    }
    /// The values of all attributes of a type, in order.
    pub fn attributes(&self, kind: u8) -> impl Iterator<Item = &[u8]> {
        let _ = kind;
        std::iter::empty()
    }
    /// The value of the first attribute of a type.
    pub fn attribute(&self, kind: u8) -> Option<&[u8]> {
        self.attributes(kind).next()
    }
    /// The values of all sub-attributes of a vendor's type, in order; malformed vendor attributes are skipped (RFC 2865 §5.26).
    pub fn vendor_attributes(&self, vendor: u32, kind: u8) -> impl Iterator<Item = &[u8]> {
        let _ = (vendor, kind);
        std::iter::empty()
    }
    /// Checks what an Access-Request or Status-Server must have (A2): Message-Authenticator.
    ///
    /// # Errors
    ///
    /// [`Unbelieved`], for a silent discard.
    pub fn believe(&self, secret: &Secret, signing: Signing) -> Result<Signed, Unbelieved> {
        todo!()
    }
    /// Checks the Request Authenticator of an Accounting-Request (RFC 2866 §3), and its Message-Authenticator if there is one.
    ///
    /// # Errors
    ///
    /// [`Unbelieved`], for a silent discard.
    pub fn believe_accounting(&self, secret: &Secret) -> Result<(), Unbelieved> {
        todo!()
    }
    /// Reveals User-Password, cut at the first zero octet (RFC 2865 §5.2). `None` when there is none.
    ///
    /// # Errors
    ///
    /// [`BadPassword`], for a Reject.
    pub fn user_password(&self, secret: &Secret) -> Result<Option<Secret>, BadPassword> {
        todo!()
    }
    /// The first type among those that may occur at most once (RFC 2865 §5.44: User-Name, User-Password, State, NAS-Identifier, …) that occurs more than once.
    pub fn repeated(&self) -> Option<u8> {
        todo!()
    }
}

/// A reply, built from its request so that identifier, authenticator and Proxy-States are inherited.
/// Message-Authenticator is always the first attribute; the Proxy-States are always the last.
pub struct Reply<'a> {
    request: &'a Request,
}

impl<'a> Reply<'a> {
    /// Begins a reply.
    pub fn to(request: &'a Request, code: Code) -> Self {
        todo!()
    }
    /// Adds an attribute; a value over 253 octets is an error of the caller and is left out (debug: asserts).
    #[must_use]
    pub fn with(self, kind: u8, value: &[u8]) -> Self {
        todo!()
    }
    /// Adds a vendor's sub-attribute.
    #[must_use]
    pub fn with_vendor(self, vendor: u32, kind: u8, value: &[u8]) -> Self {
        todo!()
    }
    /// Signs: Message-Authenticator, then Response Authenticator. A reply that would be longer than 4096 octets becomes
    /// an Access-Reject with Proxy-States only.
    pub fn sign(self, secret: &Secret) -> Vec<u8> {
        todo!()
    }
}

/// The asking side: what `sekisho try` and the tests send.
pub struct Query {
    octets: Vec<u8>,
}

impl Query {
    /// Begins an Access-Request with a random authenticator.
    pub fn access(identifier: u8) -> Self {
        todo!()
    }
    /// Begins a Status-Server.
    pub fn status(identifier: u8) -> Self {
        todo!()
    }
    /// Begins an Accounting-Request.
    pub fn accounting(identifier: u8) -> Self {
        todo!()
    }
    /// Adds an attribute.
    #[must_use]
    pub fn with(self, kind: u8, value: &[u8]) -> Self {
        todo!()
    }
    /// Adds a vendor's sub-attribute.
    #[must_use]
    pub fn with_vendor(self, vendor: u32, kind: u8, value: &[u8]) -> Self {
        todo!()
    }
    /// Adds User-Password, hidden under the secret.
    #[must_use]
    pub fn with_password(self, secret: &Secret, password: &[u8]) -> Self {
        todo!()
    }
    /// Signs with Message-Authenticator (first) and finishes. An Accounting-Request gets its Request Authenticator instead.
    pub fn sign(self, secret: &Secret) -> Asked {
        todo!()
    }
    /// Finishes without Message-Authenticator, as old gear does.
    pub fn unsigned(self, secret: &Secret) -> Asked {
        todo!()
    }
}

/// A query as sent: its octets, and what is needed to believe the answer.
pub struct Asked {
    octets: Vec<u8>,
}

impl Asked {
    /// The datagram.
    pub fn octets(&self) -> &[u8] {
        &self.octets
    }
    /// Reads an answer and checks both its authenticators.
    ///
    /// # Errors
    ///
    /// When the octets are no answer to this query.
    pub fn answer(&self, datagram: &[u8], secret: &Secret) -> Result<Answer, BadAnswer> {
        todo!()
    }
}

/// A believed answer.
pub struct Answer {
    octets: Box<[u8]>,
}

impl Answer {
    /// Its code.
    pub fn code(&self) -> Code {
        todo!()
    }
    /// The values of all attributes of a type, in order.
    pub fn attributes(&self, kind: u8) -> impl Iterator<Item = &[u8]> {
        let _ = kind;
        std::iter::empty()
    }
    /// The type of the first attribute.
    pub fn first_attribute(&self) -> Option<u8> {
        todo!()
    }
    /// Every attribute, in order.
    pub fn all(&self) -> impl Iterator<Item = (u8, &[u8])> {
        std::iter::empty()
    }
}

/// Why octets are no answer to a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAnswer {
    /// No RADIUS packet.
    #[error("malformed")]
    Malformed,
    /// Another identifier: the answer to something else.
    #[error("identifier of another request")]
    Identifier,
    /// Response Authenticator or Message-Authenticator is wrong or missing.
    #[error("authenticators are wrong: probably the shared secrets differ")]
    Authenticator,
}
