//! The asking side: a query, and the answer to it.

use std::fmt;

use crate::secret::{Secret, equal, random_array};

use super::packet::{Draft, Walked, attributes, patch_authenticator};
use super::reader::Attributes;
use super::request::joined;
use super::{
    Code, RequestAuthenticator, VALUE_OCTETS, attribute, authenticators, keys, password, vendor,
};

/// MS-MPPE-Send-Key and MS-MPPE-Recv-Key of an Access-Accept.
pub type MppeKeys = (Secret, Secret);

/// The asking side: what `sekisho try` and the tests send.
///
/// What has no room in a packet of 4096 octets and 200 attributes is an error of the caller and is
/// left out (debug: asserts).
pub struct Query {
    code: Code,
    identifier: u8,
    authenticator: RequestAuthenticator,
    draft: Draft,
}

impl Query {
    /// Begins an Access-Request with a random authenticator.
    #[must_use]
    pub fn access(identifier: u8) -> Self {
        Self::signed(Code::AccessRequest, identifier, random_array())
    }

    /// Begins a Status-Server with a random authenticator.
    #[must_use]
    pub fn status(identifier: u8) -> Self {
        Self::signed(Code::StatusServer, identifier, random_array())
    }

    /// Begins an Accounting-Request.
    #[must_use]
    pub fn accounting(identifier: u8) -> Self {
        let (code, authenticator) = (Code::AccountingRequest, [0; 16]);
        Self {
            code,
            identifier,
            authenticator,
            draft: Draft::new(code as u8, identifier, &authenticator),
        }
    }

    /// Begins a Disconnect-Request (RFC 5176 §2.1).
    #[must_use]
    pub fn disconnect(identifier: u8) -> Self {
        Self::signed(Code::DisconnectRequest, identifier, [0; 16])
    }

    fn signed(code: Code, identifier: u8, authenticator: RequestAuthenticator) -> Self {
        Self {
            code,
            identifier,
            authenticator,
            draft: Draft::signed(code as u8, identifier, &authenticator),
        }
    }

    /// Adds an attribute. Message-Authenticator is added by [`Query::sign`] alone.
    #[must_use]
    pub fn with(mut self, kind: u8, value: &[u8]) -> Self {
        let ours = kind == attribute::MESSAGE_AUTHENTICATOR;
        let added = !ours && self.draft.add(kind, value).is_ok();
        debug_assert!(added, "attribute {kind} of {} octets", value.len());
        self
    }

    /// Adds the attributes of a list that [`super::Request::list`] made.
    #[must_use]
    pub fn with_list(self, list: &[u8]) -> Self {
        Attributes::new(list).fold(self, |query, (kind, value)| query.with(kind, value))
    }

    /// Adds a vendor's sub-attribute.
    #[must_use]
    pub fn with_vendor(self, vendor: u32, kind: u8, value: &[u8]) -> Self {
        let whole = vendor::value(vendor, kind, value);
        debug_assert!(whole.is_some(), "{vendor}/{kind} of {} octets", value.len());
        match whole {
            Some(whole) => self.with(attribute::VENDOR_SPECIFIC, &whole),
            None => self,
        }
    }

    /// Adds an EAP packet, in as many EAP-Message as it needs; one without octets is EAP-Start (RFC 3579 §2.1).
    #[must_use]
    pub fn with_eap(self, packet: &[u8]) -> Self {
        if packet.is_empty() {
            return self.with(attribute::EAP_MESSAGE, &[]);
        }
        packet
            .chunks(VALUE_OCTETS)
            .fold(self, |query, part| query.with(attribute::EAP_MESSAGE, part))
    }

    /// Adds User-Password, hidden under the secret. Octets beyond the 128th are cut off: the
    /// attribute has no room for them.
    #[must_use]
    pub fn with_password(self, secret: &Secret, password: &[u8]) -> Self {
        let hidden = password::hide(password, secret, &self.authenticator);
        self.with(attribute::USER_PASSWORD, &hidden)
    }

    /// Signs with Message-Authenticator (first) and finishes. An Accounting-Request gets its Request Authenticator instead, a
    /// Disconnect-Request both.
    #[must_use]
    pub fn sign(self, secret: &Secret) -> Asked {
        let mut octets = self.draft.finish(secret.expose());
        let mut authenticator = self.authenticator;
        if self.code.is_digested() {
            authenticator = authenticators::response(&octets, &[0; 16], secret.expose());
            patch_authenticator(&mut octets, &authenticator);
        }
        Asked {
            octets,
            code: self.code,
            identifier: self.identifier,
            authenticator,
        }
    }

    /// Finishes without Message-Authenticator, as old gear does.
    #[must_use]
    pub fn unsigned(mut self, secret: &Secret) -> Asked {
        let mut draft = Draft::new(self.code as u8, self.identifier, &self.authenticator);
        let others = self.draft.attributes();
        let copied =
            draft.add_all(others.filter(|(kind, _)| *kind != attribute::MESSAGE_AUTHENTICATOR));
        debug_assert!(copied.is_ok(), "fewer attributes need less room");
        self.draft = draft;
        self.sign(secret)
    }
}

/// A query as sent: its octets, and what is needed to believe the answer.
pub struct Asked {
    octets: Vec<u8>,
    code: Code,
    identifier: u8,
    authenticator: RequestAuthenticator,
}

impl Asked {
    /// The datagram.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// Reads an answer and checks both its authenticators. Only an Accounting-Response and the answers to a Disconnect-Request may
    /// lack Message-Authenticator.
    ///
    /// # Errors
    ///
    /// When the octets are no answer to this query.
    pub fn answer(&self, datagram: &[u8], secret: &Secret) -> Result<Answer, BadAnswer> {
        let walked = Walked::read(datagram).map_err(|_| BadAnswer::Malformed)?;
        let code = Code::read(walked.code)
            .filter(|code| self.is_answered_by(*code))
            .ok_or(BadAnswer::Malformed)?;
        if walked.identifier != self.identifier {
            return Err(BadAnswer::Identifier);
        }
        let right = authenticators::response(walked.octets, &self.authenticator, secret.expose());
        let signed = match walked.signature {
            Some(at) => self.is_signature(walked.octets, at, secret),
            None => self.code == Code::DisconnectRequest || code == Code::AccountingResponse,
        };
        if !equal(&walked.authenticator, &right) || !signed {
            return Err(BadAnswer::Authenticator);
        }
        Ok(Answer {
            octets: walked.octets.into(),
            code,
            asked: self.authenticator,
        })
    }

    fn is_answered_by(&self, code: Code) -> bool {
        match self.code {
            Code::AccountingRequest => code == Code::AccountingResponse,
            Code::StatusServer => matches!(code, Code::AccessAccept | Code::AccountingResponse),
            Code::DisconnectRequest => matches!(code, Code::DisconnectAck | Code::DisconnectNak),
            _ => matches!(
                code,
                Code::AccessAccept | Code::AccessReject | Code::AccessChallenge
            ),
        }
    }

    /// The request's authenticator stands in the answer's header (RFC 5176 §3.4). FreeRADIUS has zeros there in the answer to a
    /// Disconnect-Request, which take the secret no less.
    fn is_signature(&self, octets: &[u8], at: usize, secret: &Secret) -> bool {
        let sent = octets.get(at..at + self.authenticator.len());
        let is_by = |authenticator| {
            let right = authenticators::message(octets, at, Some(authenticator), secret.expose());
            equal(sent.unwrap_or_default(), &right)
        };
        is_by(&self.authenticator) || self.code == Code::DisconnectRequest && is_by(&[0; 16])
    }
}

/// A believed answer.
pub struct Answer {
    octets: Box<[u8]>,
    code: Code,
    /// The Request Authenticator, under which keys are hidden.
    asked: RequestAuthenticator,
}

impl Answer {
    /// Its code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.code
    }

    /// The exact octets.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// The values of all attributes of a type, in order.
    pub fn attributes(&self, kind: u8) -> impl Iterator<Item = &[u8]> {
        attributes(&self.octets).of(kind)
    }

    /// The values of all sub-attributes of a vendor's type, in order.
    pub fn vendor_attributes(&self, vendor: u32, kind: u8) -> impl Iterator<Item = &[u8]> {
        self.attributes(attribute::VENDOR_SPECIFIC)
            .filter_map(move |value| vendor::sub_attributes(value, vendor))
            .flat_map(move |list| list.of(kind))
    }

    /// The EAP packet, if there is one.
    #[must_use]
    pub fn eap(&self) -> Option<Vec<u8>> {
        joined(&self.octets)
    }

    /// MS-MPPE-Send-Key and MS-MPPE-Recv-Key, if both are there and can be revealed.
    #[must_use]
    pub fn mppe_keys(&self, secret: &Secret) -> Option<MppeKeys> {
        let key = |kind| {
            let mut hidden = self.vendor_attributes(attribute::MICROSOFT, kind);
            keys::reveal(hidden.next()?, secret, &self.asked)
        };
        let send = key(attribute::MS_MPPE_SEND_KEY)?;
        Some((send, key(attribute::MS_MPPE_RECV_KEY)?))
    }

    /// The type of the first attribute.
    #[must_use]
    pub fn first_attribute(&self) -> Option<u8> {
        self.all().next().map(|(kind, _)| kind)
    }

    /// Every attribute, in order.
    pub fn all(&self) -> impl Iterator<Item = (u8, &[u8])> {
        attributes(&self.octets)
    }
}

/// Shows no attribute: some are secret.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("code", &self.code)
            .field("octets", &self.octets.len())
            .finish_non_exhaustive()
    }
}

/// Why octets are no answer to a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAnswer {
    /// No RADIUS packet, or of a code that answers something else.
    #[error("malformed")]
    Malformed,
    /// Another identifier: the answer to something else.
    #[error("identifier of another request")]
    Identifier,
    /// Response Authenticator or Message-Authenticator is wrong or missing.
    #[error("authenticators are wrong: probably the shared secrets differ")]
    Authenticator,
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;

    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        HEXLOWER.decode(text.as_bytes()).unwrap()
    }

    #[test]
    fn rfc_2865_section_7_1_is_written_as_printed() {
        let printed = hex(concat!(
            "010000380f403f9473978057bd83d5cb98f4227a01066e656d6f",
            "02120dbe708d93d413ce3196e43f782a0aee0406c0a80110050600000003",
        ));
        let secret = Secret::from("xyzzy5461");
        let authenticator = *printed[4..].first_chunk().unwrap();
        let asked = Query::signed(Code::AccessRequest, 0, authenticator)
            .with(attribute::USER_NAME, b"nemo")
            .with_password(&secret, b"arctangent")
            .with(attribute::NAS_IP_ADDRESS, &[192, 168, 1, 16])
            .with(attribute::NAS_PORT, &[0, 0, 0, 3])
            .unsigned(&secret);
        assert_eq!(asked.octets(), printed);
    }

    #[test]
    fn rfc_5997_section_6_1_is_written_as_printed() {
        let printed = hex(concat!(
            "0cda00268a54f4686fb394c52866e302185d0623",
            "50125a665e2e1e8411f3e243822097c84fa3",
        ));
        let authenticator = *printed[4..].first_chunk().unwrap();
        let asked =
            Query::signed(Code::StatusServer, 0xda, authenticator).sign(&Secret::from("xyzzy5461"));
        assert_eq!(asked.octets(), printed);
    }

    #[test]
    fn answers_without_signature_are_refused() {
        // RFC 2865 §7.1 and RFC 5997 §6.1: right by their Response Authenticator alone, which MD5
        // no longer protects (CVE-2024-3596).
        let secret = Secret::from("xyzzy5461");
        for (code, identifier, asked, answer) in [
            (
                Code::AccessRequest,
                0,
                "0f403f9473978057bd83d5cb98f4227a",
                "0200002686fe220e7624ba2a1005f6bf9b55e0b20606000000010f06000000000e06c0a80103",
            ),
            (
                Code::StatusServer,
                0xda,
                "8a54f4686fb394c52866e302185d0623",
                "02da0014ef0d552a4bf2d693ec2b6fe8b5411d66",
            ),
        ] {
            let authenticator = hex(asked).try_into().unwrap();
            let asked = Query::signed(code, identifier, authenticator).sign(&secret);
            let refused = asked.answer(&hex(answer), &secret).unwrap_err();
            assert_eq!(refused, BadAnswer::Authenticator);
        }
    }
}
