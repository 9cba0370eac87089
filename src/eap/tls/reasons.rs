//! What rustls says, in words that an administrator can act on.

use rustls::{AlertDescription, CertificateError, Error, PeerIncompatible};

use super::Broken;

/// Sorts an error by who ended the tunnel.
pub(super) fn broken(error: Error) -> Broken {
    match error {
        Error::AlertReceived(alert) => Broken::ByPeer(alert_in_words(alert)),
        Error::PeerIncompatible(why) => Broken::ByUs(incompatible(&why)),
        Error::InvalidCertificate(why) => Broken::ByUs(certificate(&why)),
        Error::NoCertificatesPresented => Broken::ByUs("the peer shows no certificate".into()),
        other => Broken::ByUs(other.to_string()),
    }
}

fn alert_in_words(alert: AlertDescription) -> String {
    let meaning = match alert {
        AlertDescription::UnknownCA => "the peer does not trust our certificate",
        AlertDescription::BadCertificate | AlertDescription::CertificateUnknown => {
            "the peer does not accept our certificate: its CA or its name is not what the peer expects"
        }
        AlertDescription::CertificateExpired => "our certificate has expired, as the peer sees it",
        AlertDescription::UnsupportedCertificate => "the peer cannot use our certificate's kind",
        AlertDescription::DecryptError => {
            "the peer finds a signature of ours wrong: it may trust another CA of the same name"
        }
        AlertDescription::ProtocolVersion => "the peer wants another version of TLS",
        AlertDescription::HandshakeFailure => "the peer finds no common parameters",
        AlertDescription::AccessDenied => "the peer denies access",
        AlertDescription::UserCanceled => "the person at the peer cancelled",
        AlertDescription::CloseNotify => "the peer closed the tunnel",
        _ => "the peer ended the handshake",
    };
    format!("{meaning} (alert {} from the peer)", name(alert))
}

/// The alert's name as in RFC 8446 §6: rustls writes it without underlines.
fn name(alert: AlertDescription) -> String {
    let mut name = String::new();
    let mut before = '_';
    for letter in format!("{alert:?}").chars() {
        if letter.is_uppercase() && !before.is_uppercase() && before != '_' {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
        before = letter;
    }
    name
}

fn incompatible(why: &PeerIncompatible) -> String {
    match why {
        PeerIncompatible::Tls12NotOffered
        | PeerIncompatible::Tls12NotOfferedOrEnabled
        | PeerIncompatible::SupportedVersionsExtensionRequired
        | PeerIncompatible::ServerDoesNotSupportTls12Or13 => {
            "no common version of TLS: the peer is too old, or its newest version is switched off here".into()
        }
        PeerIncompatible::NoCipherSuitesInCommon => {
            "no common cipher suite: the peer has none with ECDHE and AES-GCM or ChaCha20, or none for our kind of key".into()
        }
        PeerIncompatible::NoKxGroupsInCommon => {
            "no common key exchange: the peer has none of X25519, P-256 and P-384".into()
        }
        PeerIncompatible::NoSignatureSchemesInCommon => {
            "no common signature scheme: the peer cannot verify our kind of key".into()
        }
        other => format!("the peer cannot do what is needed: {other:?}"),
    }
}

fn certificate(why: &CertificateError) -> String {
    let meaning = match why {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "has expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "is not valid yet"
        }
        CertificateError::Revoked => "is revoked",
        CertificateError::UnknownIssuer => "is of an unknown CA",
        CertificateError::UnknownRevocationStatus => "is of a CA that has no revocation list here",
        CertificateError::ExpiredRevocationList
        | CertificateError::ExpiredRevocationListContext { .. } => {
            "cannot be looked up, as its revocation list has expired"
        }
        CertificateError::BadSignature => "is wrongly signed, or its key is not the peer's",
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "is not for client authentication"
        }
        other => return format!("the client certificate cannot be used: {other}"),
    };
    format!("the client certificate {meaning}")
}

/// The same words for a certificate that is looked at again.
pub(super) fn refused(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(why) => certificate(why),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_are_told_in_words() {
        let told = |alert| match broken(Error::AlertReceived(alert)) {
            Broken::ByPeer(told) => told,
            Broken::ByUs(told) => panic!("{told}"),
        };
        assert_eq!(
            told(AlertDescription::UnknownCA),
            "the peer does not trust our certificate (alert unknown_ca from the peer)"
        );
        assert!(told(AlertDescription::BadRecordMac).contains("bad_record_mac"));
    }
}
