//! A received request.

use std::fmt;

use crate::secret::{Secret, equal};

use super::packet::{Walked, attributes};
use super::{
    BadPassword, Code, Malformed, RequestAuthenticator, Signed, Signing, Unbelieved, attribute,
    authenticators, password, vendor,
};

/// Those that may occur at most once (RFC 2865 §5.44, 2866 §5.13, 2869 §5.19, 3162 §3) and on
/// which a decision may hang: with two of them, two readers could see two different logins.
const AT_MOST_ONCE: [u8; 15] = [
    attribute::USER_NAME,
    attribute::USER_PASSWORD,
    attribute::CHAP_PASSWORD,
    attribute::CHAP_CHALLENGE,
    attribute::STATE,
    attribute::SERVICE_TYPE,
    attribute::NAS_IDENTIFIER,
    attribute::NAS_IP_ADDRESS,
    attribute::NAS_IPV6_ADDRESS,
    attribute::NAS_PORT,
    attribute::NAS_PORT_TYPE,
    attribute::NAS_PORT_ID,
    attribute::CALLED_STATION_ID,
    attribute::CALLING_STATION_ID,
    attribute::ACCT_SESSION_ID,
];

/// The credentials that exclude EAP-Message (RFC 3579 §3.3, note 1).
const PASSWORDS: [u8; 3] = [
    attribute::USER_PASSWORD,
    attribute::CHAP_PASSWORD,
    attribute::ARAP_PASSWORD,
];

/// A received request: its exact octets, cut to the length field, and where its attributes lie.
#[derive(Clone)]
pub struct Request {
    octets: Box<[u8]>,
    code: Code,
    identifier: u8,
    authenticator: RequestAuthenticator,
    signature: Option<usize>,
}

impl Request {
    /// Walks a datagram; every look at an attribute afterwards is within bounds.
    ///
    /// # Errors
    ///
    /// [`Malformed`], for a silent discard.
    pub fn parse(datagram: &[u8]) -> Result<Self, Malformed> {
        let walked = Walked::read(datagram)?;
        let code = Code::read(walked.code)
            .filter(|code| code.is_request())
            .ok_or(Malformed::Code)?;
        let (eap, password) = credentials(walked.octets);
        if eap && password {
            return Err(Malformed::MixedCredentials);
        }
        Ok(Self {
            octets: walked.octets.into(),
            code,
            identifier: walked.identifier,
            authenticator: walked.authenticator,
            signature: walked.signature,
        })
    }

    /// The code: AccessRequest, AccountingRequest or StatusServer.
    #[must_use]
    pub fn code(&self) -> Code {
        self.code
    }

    /// The Identifier.
    #[must_use]
    pub fn identifier(&self) -> u8 {
        self.identifier
    }

    /// The Request Authenticator.
    #[must_use]
    pub fn authenticator(&self) -> &RequestAuthenticator {
        &self.authenticator
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

    /// The value of the first attribute of a type.
    #[must_use]
    pub fn attribute(&self, kind: u8) -> Option<&[u8]> {
        self.attributes(kind).next()
    }

    /// The first attribute of each of some types, in their order, as a list for [`super::Query::with_list`]; empty ones are left
    /// out.
    #[must_use]
    pub fn list(&self, kinds: &[u8]) -> Vec<u8> {
        let mut list = Vec::new();
        for kind in kinds {
            let value = self.attribute(*kind).unwrap_or_default();
            if let (false, Ok(length)) = (value.is_empty(), u8::try_from(value.len() + 2)) {
                list.extend_from_slice(&[*kind, length]);
                list.extend_from_slice(value);
            }
        }
        list
    }

    /// The EAP packet: all EAP-Message joined in order (RFC 3579 §3.1), so at most as long as this packet. Empty for EAP-Start
    /// (§2.1); `None` when there is no EAP-Message.
    #[must_use]
    pub fn eap(&self) -> Option<Vec<u8>> {
        joined(&self.octets)
    }

    /// The number in an attribute of four octets; one of another length is as none (RFC 6929 §2.8).
    #[must_use]
    pub fn number(&self, kind: u8) -> Option<u32> {
        let octets = self.attribute(kind)?.try_into().ok()?;
        Some(u32::from_be_bytes(octets))
    }

    /// The values of all sub-attributes of a vendor's type, in order; malformed vendor attributes are skipped (RFC 2865 §5.26).
    pub fn vendor_attributes(&self, vendor: u32, kind: u8) -> impl Iterator<Item = &[u8]> {
        self.attributes(attribute::VENDOR_SPECIFIC)
            .filter_map(move |value| vendor::sub_attributes(value, vendor))
            .flat_map(move |list| list.of(kind))
    }

    /// Checks what an Access-Request or Status-Server must have: Message-Authenticator is verified
    /// whenever there is one, and may be absent only where `signing` allows it and a password is
    /// there (RFC 3579 §3.1, §3.3; RFC 5997 §2). An Accounting-Request is checked as by
    /// [`Request::believe_accounting`].
    ///
    /// # Errors
    ///
    /// [`Unbelieved`], for a silent discard.
    pub fn believe(&self, secret: &Secret, signing: Signing) -> Result<Signed, Unbelieved> {
        if self.code == Code::AccountingRequest {
            self.believe_accounting(secret)?;
            return Ok(self.signature.map_or(Signed::No, |_| Signed::Yes));
        }
        if self.signature.is_some() {
            self.verify_signature(&self.authenticator, secret)?;
            return Ok(Signed::Yes);
        }
        let (_, password) = credentials(&self.octets);
        if self.code == Code::StatusServer || !password {
            return Err(Unbelieved::Unsigned);
        }
        match signing {
            Signing::Required => Err(Unbelieved::Unsigned),
            Signing::OptionalWithoutProxyState
                if self.attribute(attribute::PROXY_STATE).is_some() =>
            {
                Err(Unbelieved::UnsignedProxyState)
            }
            Signing::OptionalWithoutProxyState | Signing::Optional => Ok(Signed::No),
        }
    }

    /// Checks the Request Authenticator of an Accounting-Request (RFC 2866 §3), and its Message-Authenticator if there is one.
    ///
    /// # Errors
    ///
    /// [`Unbelieved`], for a silent discard.
    pub fn believe_accounting(&self, secret: &Secret) -> Result<(), Unbelieved> {
        let right = authenticators::response(&self.octets, &[0; 16], secret.expose());
        if self.code != Code::AccountingRequest || !equal(&self.authenticator, &right) {
            return Err(Unbelieved::WrongAuthenticator);
        }
        self.verify_signature(&[0; 16], secret)
    }

    fn verify_signature(
        &self,
        authenticator: &RequestAuthenticator,
        secret: &Secret,
    ) -> Result<(), Unbelieved> {
        let Some(at) = self.signature else {
            return Ok(());
        };
        let right = authenticators::message(&self.octets, at, Some(authenticator), secret.expose());
        let sent = self.octets.get(at..at + right.len()).unwrap_or_default();
        if equal(sent, &right) {
            Ok(())
        } else {
            Err(Unbelieved::WrongSignature)
        }
    }

    /// Reveals User-Password, cut at the first zero octet (RFC 2865 §5.2). `None` when there is none.
    ///
    /// # Errors
    ///
    /// [`BadPassword`], for a Reject.
    pub fn user_password(&self, secret: &Secret) -> Result<Option<Secret>, BadPassword> {
        self.attribute(attribute::USER_PASSWORD)
            .map(|hidden| password::reveal(hidden, secret, &self.authenticator))
            .transpose()
    }

    /// The first type among those that may occur at most once (RFC 2865 §5.44: User-Name, User-Password, State, NAS-Identifier, …) that occurs more than once.
    #[must_use]
    pub fn repeated(&self) -> Option<u8> {
        let mut seen = [false; AT_MOST_ONCE.len()];
        attributes(&self.octets).find_map(|(kind, _)| {
            let at = AT_MOST_ONCE.iter().position(|once| *once == kind)?;
            let seen = seen.get_mut(at)?;
            std::mem::replace(seen, true).then_some(kind)
        })
    }
}

/// What all EAP-Message hold together, if there are any.
pub(super) fn joined(octets: &[u8]) -> Option<Vec<u8>> {
    let mut parts = attributes(octets).of(attribute::EAP_MESSAGE).peekable();
    parts.peek()?;
    Some(parts.flatten().copied().collect())
}

/// Whether there is EAP-Message, and whether there is a password of another kind.
fn credentials(octets: &[u8]) -> (bool, bool) {
    attributes(octets).fold((false, false), |(eap, password), (kind, _)| {
        (
            eap || kind == attribute::EAP_MESSAGE,
            password || PASSWORDS.contains(&kind),
        )
    })
}

/// Shows no attribute: some are secret.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("code", &self.code)
            .field("identifier", &self.identifier)
            .field("octets", &self.octets.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::Query;

    fn attributes_of_a_query() -> impl Strategy<Value = Vec<(u8, Vec<u8>)>> {
        let kind = (1_u8..=255)
            .prop_filter("EAP excludes passwords, 80 is the signature", |kind| {
                ![attribute::EAP_MESSAGE, attribute::MESSAGE_AUTHENTICATOR].contains(kind)
            });
        prop::collection::vec((kind, prop::collection::vec(any::<u8>(), 0..=253)), 0..14)
    }

    fn secret() -> Secret {
        Secret::from("xyzzy5461")
    }

    proptest! {
        #[test]
        fn octets_of_any_kind_never_panic(mut octets in prop::collection::vec(any::<u8>(), 0..300), fit: bool) {
            if let (true, [code, _, high, low, ..]) = (fit, octets.as_mut_slice()) {
                (*code, *high, *low) = (1, 0, 200);
            }
            if let Ok(request) = Request::parse(&octets) {
                let _ = request.believe(&secret(), Signing::Optional);
                let _ = request.believe_accounting(&secret());
                if let Ok(Some(plain)) = request.user_password(&secret()) {
                    prop_assert!(plain.len() <= crate::wire::PASSWORD_OCTETS);
                }
                let _ = request.repeated();
                prop_assert!((0..=255).all(|kind| request.vendor_attributes(311, kind).count() < 300));
            }
        }

        #[test]
        fn what_was_asked_is_read(attributes in attributes_of_a_query(), identifier: u8, password in "[^\0]{0,32}") {
            let query = attributes.iter().fold(Query::access(identifier), |query, (kind, value)| query.with(*kind, value));
            let asked = query.with_password(&secret(), password.as_bytes()).sign(&secret());
            let request = Request::parse(asked.octets()).unwrap();
            prop_assert_eq!(request.believe(&secret(), Signing::Required), Ok(Signed::Yes));
            prop_assert_eq!(request.identifier(), identifier);
            for (kind, _) in &attributes {
                if *kind == attribute::USER_PASSWORD {
                    continue;
                }
                let sent = attributes.iter().filter(|(other, _)| other == kind).map(|(_, value)| value.as_slice());
                prop_assert!(request.attributes(*kind).eq(sent));
            }
            if attributes.iter().all(|(kind, _)| *kind != attribute::USER_PASSWORD) {
                let plain = request.user_password(&secret()).unwrap().unwrap();
                prop_assert_eq!(plain.expose(), password.as_bytes());
            }
        }

        #[test]
        fn a_flipped_bit_anywhere_in_a_signed_query_is_refused(attributes in attributes_of_a_query(), at: prop::sample::Index, bit in 0_u32..8) {
            let query = attributes.iter().fold(Query::access(7), |query, (kind, value)| query.with(*kind, value));
            let mut octets = query.sign(&secret()).octets().to_vec();
            let at = at.index(octets.len());
            octets[at] ^= 1 << bit;
            let believed = Request::parse(&octets).ok().map(|request| request.believe(&secret(), Signing::Required));
            prop_assert!(!matches!(believed, Some(Ok(_))));
        }

        #[test]
        fn a_flipped_bit_anywhere_in_accounting_is_refused(at: prop::sample::Index, bit in 0_u32..8) {
            let query = Query::accounting(7).with(attribute::ACCT_STATUS_TYPE, &[0, 0, 0, 1]);
            let mut octets = query.sign(&secret()).octets().to_vec();
            let at = at.index(octets.len());
            octets[at] ^= 1 << bit;
            let believed = Request::parse(&octets).ok().map(|request| request.believe_accounting(&secret()));
            prop_assert!(!matches!(believed, Some(Ok(()))));
        }
    }

    #[test]
    fn an_eap_packet_is_joined_in_order() {
        let packet: Vec<u8> = (0..=255).cycle().take(1000).collect();
        let read = |query: Query| {
            let asked = query.sign(&secret());
            Request::parse(asked.octets()).unwrap().eap()
        };
        assert_eq!(read(Query::access(7)), None);
        assert_eq!(read(Query::access(7).with_eap(&[])), Some(Vec::new()));
        assert_eq!(read(Query::access(7).with_eap(&packet)), Some(packet));
    }

    #[test]
    fn a_number_has_four_octets() {
        let read = |value: &[u8]| {
            let query = Query::access(7).with(attribute::FRAMED_MTU, value);
            let asked = query.sign(&secret());
            let request = Request::parse(asked.octets()).unwrap();
            request.number(attribute::FRAMED_MTU)
        };
        assert_eq!(read(&[0, 0, 5, 120]), Some(1400));
        assert_eq!(read(&[5, 120]), None);
        assert_eq!(read(&[0, 0, 0, 5, 120]), None);
    }

    #[test]
    fn debug_shows_no_attribute() {
        let asked = Query::access(7)
            .with(attribute::USER_NAME, b"hanako")
            .sign(&secret());
        let shown = format!("{:?}", Request::parse(asked.octets()).unwrap());
        assert_eq!(
            shown,
            "Request { code: AccessRequest, identifier: 7, octets: 46, .. }"
        );
    }
}
