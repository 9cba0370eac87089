//! AVPs of TTLS (RFC 5281 §10): what a peer says in one flight, and the AVP that carries inner EAP.

use super::super::reader::Reader;
use super::{NAME_OCTETS, PASSWORD_OCTETS};
use crate::secret::Secret;

const VENDOR: u8 = 0x80;
const MANDATORY: u8 = 0x40;
const HEADER_OCTETS: usize = 8;

const USER_NAME: u32 = 1;
const USER_PASSWORD: u32 = 2;
const EAP_MESSAGE: u32 = 79;
/// Those that begin CHAP and MS-CHAP by bare AVPs (§11.2.2–11.2.4).
const CHAP_PASSWORD: u32 = 3;
const CHAP_CHALLENGE: u32 = 60;
const MICROSOFT: u32 = 311;

/// What one flight says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Flight {
    /// User-Name and User-Password (§11.2.5).
    Password {
        /// The inner name.
        name: Box<[u8]>,
        /// Without its padding.
        password: Secret,
    },
    /// EAP-Message (§11.2.1): one whole packet.
    Eap(Secret),
}

/// Reads a flight.
///
/// # Errors
///
/// What is against the rules or not offered, in words.
pub(super) fn read(plain: &[u8]) -> Result<Flight, &'static str> {
    let (mut name, mut password, mut eap) = (None, None, None);
    let mut reader = Reader::new(plain);
    while !reader.is_empty() {
        let avp = Avp::read(&mut reader).ok_or("malformed AVP")?;
        let place = match (avp.vendor, avp.code) {
            (0, USER_NAME) => &mut name,
            (0, USER_PASSWORD) => &mut password,
            (0, EAP_MESSAGE) => &mut eap,
            (0, CHAP_PASSWORD | CHAP_CHALLENGE) | (MICROSOFT, _) => {
                return Err("inner CHAP or MS-CHAP without EAP is not offered");
            }
            _ if avp.mandatory => return Err("unknown mandatory AVP"),
            _ => continue,
        };
        if place.replace(avp.value).is_some() {
            return Err("AVP that is there twice");
        }
    }
    match (name, password, eap) {
        (Some(name), Some(password), None) => typed(name, password),
        (_, None, Some(eap)) => Ok(Flight::Eap(Secret::new(eap.to_vec()))),
        (_, Some(_), Some(_)) => Err("two inner methods at once"),
        (None, Some(_), None) => Err("inner password without a name"),
        (_, None, None) => Err("no inner method"),
    }
}

fn typed(name: &[u8], padded: &[u8]) -> Result<Flight, &'static str> {
    // Padded with zeros to hide its length (§11.2.5).
    let password = padded.split(|octet| *octet == 0).next().unwrap_or_default();
    if name.is_empty() || name.len() > NAME_OCTETS {
        return Err("inner name that is empty or too long");
    }
    if password.is_empty() || password.len() > PASSWORD_OCTETS {
        return Err("inner password that is empty or too long");
    }
    Ok(Flight::Password {
        name: name.into(),
        password: Secret::new(password.to_vec()),
    })
}

/// An EAP packet in its AVP, mandatory as all of EAP-Message are.
pub(super) fn eap(packet: &[u8]) -> Vec<u8> {
    let length = u32::try_from(HEADER_OCTETS + packet.len()).unwrap_or(u32::MAX);
    let [_, length @ ..] = length.to_be_bytes();
    let mut avp = [
        &EAP_MESSAGE.to_be_bytes()[..],
        &[MANDATORY],
        &length,
        packet,
    ]
    .concat();
    avp.resize(avp.len().next_multiple_of(4), 0);
    avp
}

struct Avp<'a> {
    vendor: u32,
    code: u32,
    mandatory: bool,
    value: &'a [u8],
}

impl<'a> Avp<'a> {
    fn read(reader: &mut Reader<'a>) -> Option<Self> {
        let code = u32::from_be_bytes(reader.array()?);
        let flags = reader.octet()?;
        let length = reader.triple()?;
        let mut value = reader.take(length.checked_sub(HEADER_OCTETS)?)?;
        // The padding of the last one may be missing.
        let padding = (length.next_multiple_of(4) - length).min(reader.rest().len());
        reader.take(padding)?;
        let mut vendor = 0;
        if flags & VENDOR != 0 {
            let (front, back) = value.split_first_chunk()?;
            (vendor, value) = (u32::from_be_bytes(*front), back);
        }
        Some(Self {
            vendor,
            code,
            mandatory: flags & MANDATORY != 0,
            value,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn avp(code: u32, flags: u8, value: &[u8]) -> Vec<u8> {
        let mut avp = eap(value);
        avp[..4].copy_from_slice(&code.to_be_bytes());
        avp[4] = flags;
        avp
    }

    fn flight(avps: &[Vec<u8>]) -> Result<Flight, &'static str> {
        read(&avps.concat())
    }

    #[test]
    fn padded_password_is_read() {
        let mut padded = b"correct horse".to_vec();
        padded.resize(16, 0);
        let read = flight(&[avp(1, 0x40, b"taro"), avp(2, 0x40, &padded)]);
        let expected = Flight::Password {
            name: (*b"taro").into(),
            password: Secret::from("correct horse"),
        };
        assert_eq!(read, Ok(expected));
    }

    #[test]
    fn unknown_avp_is_passed_over_unless_mandatory() {
        let login = [avp(1, 0x40, b"taro"), avp(2, 0x40, b"secret")].concat();
        let vendor = avp(9, 0x80, &[0, 0, 0, 9, 1, 2, 3]);
        assert!(flight(&[avp(999, 0, b"x"), login.clone(), vendor]).is_ok());
        let refused = flight(&[login.clone(), avp(999, 0x40, b"x")]);
        assert_eq!(refused, Err("unknown mandatory AVP"));
        let of_vendor = avp(1, 0xc0, &[0, 0, 0, 9, 1]);
        assert_eq!(flight(&[login, of_vendor]), Err("unknown mandatory AVP"));
    }

    #[test]
    fn exactly_one_inner_method_is_taken() {
        let (name, password) = (avp(1, 0x40, b"taro"), avp(2, 0x40, b"secret"));
        let inner = avp(79, 0x40, &[2, 1, 0, 5, 1]);
        let microsoft = avp(11, 0xc0, &[0, 0, 1, 55, 1, 2]);
        let cases: &[(&[&Vec<u8>], &str)] = &[
            (&[], "no inner method"),
            (&[&name], "no inner method"),
            (&[&password], "inner password without a name"),
            (&[&name, &password, &inner], "two inner methods at once"),
            (&[&inner, &inner], "AVP that is there twice"),
            (&[&name, &name, &password], "AVP that is there twice"),
            (
                &[&name, &microsoft],
                "inner CHAP or MS-CHAP without EAP is not offered",
            ),
            (
                &[&name, &avp(2, 0x40, &[0; 16])],
                "inner password that is empty or too long",
            ),
            (
                &[&name, &avp(2, 0x40, &[1; 200])],
                "inner password that is empty or too long",
            ),
            (
                &[&avp(1, 0x40, &[1; 254]), &password],
                "inner name that is empty or too long",
            ),
        ];
        for (avps, why) in cases {
            let plain: Vec<u8> = avps.iter().flat_map(|avp| avp.iter().copied()).collect();
            assert_eq!(read(&plain), Err(*why));
        }
    }

    #[test]
    fn malformed_avp_is_refused() {
        let short = [0, 0, 0, 1, 0x40, 0, 0, 7];
        let long = [0, 0, 0, 1, 0x40, 0, 0, 13, 1, 2, 3, 4];
        let vendor = [0, 0, 0, 1, 0x80, 0, 0, 10, 1, 2, 0, 0];
        for plain in [&short[..], &long, &vendor, &[0]] {
            assert_eq!(read(plain), Err("malformed AVP"));
        }
    }

    proptest! {
        #[test]
        fn any_octets_are_a_bounded_flight_or_refused(plain in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(Flight::Password { name, password }) = read(&plain) {
                prop_assert!(name.len() + password.len() <= plain.len());
            }
        }
    }
}
