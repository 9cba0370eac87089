//! The client certificate: whose it is, and what to say of it.

use rustls::pki_types::CertificateDer;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::super::CertificateName;
use super::super::reader::Reader;

/// The longest name that stands for an account: as long as a User-Name can be (RFC 2865 §5.1).
const NAME_OCTETS: usize = 253;
/// The longest subject and serial number in a log.
const TOLD_CHARACTERS: usize = 300;
/// Microsoft's userPrincipalName.
const UPN: &str = "1.3.6.1.4.1.311.20.2.3";

/// A certificate that was verified.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::eap) struct Shown {
    /// The name that stands for an account.
    pub(in crate::eap) name: Box<[u8]>,
    /// Serial number and subject.
    pub(in crate::eap) told: String,
    /// When it ends, in seconds of Unix time.
    pub(in crate::eap) ends: i64,
}

impl Shown {
    /// Reads the peer's own certificate.
    ///
    /// # Errors
    ///
    /// When there is none, or it has not exactly one name of the kind: in words.
    pub(in crate::eap) fn read(
        chain: &[CertificateDer<'_>],
        kind: CertificateName,
    ) -> Result<Self, String> {
        let own = chain.first().ok_or("the peer shows no certificate")?;
        let read = X509Certificate::from_der(own);
        let (_, certificate) = read.map_err(|_| "the client certificate cannot be read")?;
        let told = format!(
            "serial {}, {}",
            certificate.raw_serial_as_string(),
            certificate.subject()
        );
        let told: String = told
            .chars()
            .filter(|letter| !letter.is_control())
            .take(TOLD_CHARACTERS)
            .collect();
        let mut names = names(&certificate, kind);
        let (Some(name), true) = (names.pop(), names.is_empty()) else {
            let kind = match kind {
                CertificateName::Mail => "rfc822Name",
                CertificateName::Upn => "userPrincipalName",
                CertificateName::CommonName => "common name",
            };
            return Err(format!(
                "the client certificate has not exactly one {kind} ({told})"
            ));
        };
        if name.is_empty() || name.len() > NAME_OCTETS {
            return Err(format!(
                "the client certificate's name is empty or too long ({told})"
            ));
        }
        Ok(Self {
            name,
            told,
            ends: certificate.validity().not_after.timestamp(),
        })
    }
}

/// All names of the kind.
fn names(certificate: &X509Certificate<'_>, kind: CertificateName) -> Vec<Box<[u8]>> {
    if kind == CertificateName::CommonName {
        let names = certificate.subject().iter_common_name();
        return names
            .map(|name| name.as_str().unwrap_or_default().as_bytes().into())
            .collect();
    }
    let Ok(Some(alternative)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    let names = alternative.value.general_names.iter();
    names
        .filter_map(|name| match (kind, name) {
            (CertificateName::Mail, GeneralName::RFC822Name(mail)) => Some(mail.as_bytes().into()),
            (CertificateName::Upn, GeneralName::OtherName(kind, value))
                if kind.to_id_string() == UPN =>
            {
                Some(upn(value).unwrap_or_default().into())
            }
            _ => None,
        })
        .collect()
}

/// The UTF8String in an explicit tag 0.
fn upn(value: &[u8]) -> Option<&[u8]> {
    let outer = element(&mut Reader::new(value), 0xa0)?;
    element(&mut Reader::new(outer), 0x0c)
}

/// A DER element of up to 255 octets, which must be all that there is.
fn element<'a>(reader: &mut Reader<'a>, tag: u8) -> Option<&'a [u8]> {
    if reader.octet()? != tag {
        return None;
    }
    let length = match reader.octet()? {
        0x81 => reader.octet().filter(|length| *length >= 0x80)?,
        length => Some(length).filter(|length| *length < 0x80)?,
    };
    let content = reader.take(usize::from(length))?;
    reader.is_empty().then_some(content)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    fn made(change: impl FnOnce(&mut CertificateParams)) -> CertificateDer<'static> {
        let mut params = CertificateParams::default();
        params.not_after = rcgen::date_time_ymd(2040, 1, 1);
        params.serial_number = Some(vec![0x0a, 0x0b].into());
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().clone()
    }

    fn mail(name: &str) -> SanType {
        SanType::Rfc822Name(name.try_into().unwrap())
    }

    fn upn(name: &str) -> SanType {
        let oid = vec![1, 3, 6, 1, 4, 1, 311, 20, 2, 3];
        SanType::OtherName((oid, rcgen::OtherNameValue::Utf8String(name.into())))
    }

    fn name(certificate: &CertificateDer<'_>, kind: CertificateName) -> Option<Vec<u8>> {
        let shown = Shown::read(std::slice::from_ref(certificate), kind);
        shown.ok().map(|shown| shown.name.into_vec())
    }

    #[test]
    fn configured_name_is_found() {
        let certificate = made(|params| {
            params.subject_alt_names = vec![mail("hanako@example.ac.jp"), upn("taro@ad.example")];
            params.distinguished_name.push(DnType::CommonName, "jiro");
        });
        let name = |kind| name(&certificate, kind);
        assert_eq!(
            name(CertificateName::Mail).unwrap(),
            b"hanako@example.ac.jp"
        );
        assert_eq!(name(CertificateName::Upn).unwrap(), b"taro@ad.example");
        assert_eq!(name(CertificateName::CommonName).unwrap(), b"jiro");
        let shown = Shown::read(&[certificate], CertificateName::Mail).unwrap();
        assert_eq!(shown.told, "serial 0a:0b, CN=jiro");
        assert_eq!(shown.ends, 2_208_988_800);
    }

    #[test]
    fn no_name_or_two_stand_for_nobody() {
        let none = made(|_| ());
        let two = made(|params| {
            params.subject_alt_names = vec![mail("a@x.example"), mail("b@x.example")]
        });
        let long = made(|params| params.subject_alt_names = vec![upn(&"x".repeat(254))]);
        assert_eq!(name(&none, CertificateName::Mail), None);
        assert_eq!(name(&none, CertificateName::Upn), None);
        assert_eq!(name(&two, CertificateName::Mail), None);
        assert_eq!(name(&long, CertificateName::Upn), None);
        assert!(Shown::read(&[], CertificateName::Mail).is_err());
    }
}
