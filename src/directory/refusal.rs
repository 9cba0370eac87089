//! What the answer to a bind means, in the words of each make of directory.
//!
//! draft-behera-ldap-password-policy-10 §6; Active Directory's sub-codes; the controls of 389-DS.

use super::protocol::{Outcome, PPOLICY, Reader, SEQUENCE};
use super::{Bind, Refusal};

/// Netscape's "password expired" control: 389-DS sends it with a success that may only change the password.
const NETSCAPE_EXPIRED: &str = "2.16.840.1.113730.3.4.4";

const SUCCESS: u32 = 0;
const CONSTRAINT_VIOLATION: u32 = 19;
const NO_SUCH_OBJECT: u32 = 32;
const INVALID_DN_SYNTAX: u32 = 34;
const INAPPROPRIATE_AUTHENTICATION: u32 = 48;
const INVALID_CREDENTIALS: u32 = 49;
const INSUFFICIENT_ACCESS: u32 = 50;
const UNWILLING_TO_PERFORM: u32 = 53;

/// The verdict of a bind; `None` for a result that says nothing about the password.
pub(super) fn judge(answer: &Outcome<'_>) -> Option<Bind> {
    let policy = answer.control(PPOLICY).and_then(Policy::read);
    let refusal = match answer.code {
        SUCCESS => return Some(success(answer, policy)),
        INVALID_CREDENTIALS => invalid_credentials(answer, policy),
        // 389-DS, whatever the password: "Exceed password retry limit."
        CONSTRAINT_VIOLATION => Refusal::Locked,
        NO_SUCH_OBJECT | INVALID_DN_SYNTAX | INAPPROPRIATE_AUTHENTICATION => Refusal::WrongPassword,
        // 389-DS, whatever the password: "Account inactivated."
        UNWILLING_TO_PERFORM | INSUFFICIENT_ACCESS if says_disabled(answer.text) => {
            Refusal::Disabled
        }
        _ => return None,
    };
    Some(Bind::Refused(refusal))
}

/// A password that is right, but may be good for nothing else than being changed. A login that
/// the server counts as grace still proves it.
fn success(answer: &Outcome<'_>, policy: Option<Policy>) -> Bind {
    let policy = policy.unwrap_or_default();
    if policy.error == Some(PolicyError::ChangeAfterReset) {
        return Bind::Refused(Refusal::MustChange);
    }
    if !policy.grace && answer.control(NETSCAPE_EXPIRED).is_some() {
        return Bind::Refused(Refusal::MustChange);
    }
    Bind::Proven
}

fn invalid_credentials(answer: &Outcome<'_>, policy: Option<Policy>) -> Refusal {
    match policy.unwrap_or_default().error {
        Some(PolicyError::PasswordExpired) => return Refusal::PasswordExpired,
        Some(PolicyError::AccountLocked) => return Refusal::Locked,
        Some(PolicyError::ChangeAfterReset) => return Refusal::MustChange,
        None => {}
    }
    if let Some(refusal) = active_directory(answer.text) {
        return refusal;
    }
    let expired = answer
        .text
        .to_ascii_lowercase()
        .contains("password expired");
    if expired || answer.control(NETSCAPE_EXPIRED).is_some() {
        return Refusal::PasswordExpired;
    }
    Refusal::WrongPassword
}

/// Active Directory's `… AcceptSecurityContext error, data 52e, v1db1`.
fn active_directory(text: &str) -> Option<Refusal> {
    let (_, rest) = text.split_once(", data ")?;
    let code = rest.split([',', ' ']).next()?;
    Some(match code {
        "530" | "531" => Refusal::NotNow,
        "532" => Refusal::PasswordExpired,
        "533" => Refusal::Disabled,
        "701" => Refusal::AccountExpired,
        "773" => Refusal::MustChange,
        "775" => Refusal::Locked,
        // 525 no such user, 52e wrong password, and whatever else there may be.
        _ => Refusal::WrongPassword,
    })
}

fn says_disabled(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    ["inactivated", "disabled", "deactivated"]
        .iter()
        .any(|word| text.contains(word))
}

/// What the password policy control answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Policy {
    /// One of the logins left to somebody whose password has expired.
    grace: bool,
    error: Option<PolicyError>,
}

/// The errors that concern a login; the others concern a change of password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PolicyError {
    PasswordExpired,
    AccountLocked,
    ChangeAfterReset,
}

impl Policy {
    const WARNING: u8 = 0xa0;
    const GRACE_LEFT: u8 = 0x81;
    const ERROR: u8 = 0x81;

    /// `SEQUENCE { warning [0] CHOICE { timeBeforeExpiration [0], graceAuthNsRemaining [1] }, error [1] }`,
    /// both optional. Whatever is malformed says nothing.
    fn read(octets: &[u8]) -> Option<Self> {
        let mut policy = Self::default();
        let mut fields = Reader::new(Reader::new(octets).take(SEQUENCE).ok()?);
        while !fields.is_empty() {
            match fields.any().ok()? {
                (Self::WARNING, warning) => {
                    let (tag, _) = Reader::new(warning).any().ok()?;
                    policy.grace = tag == Self::GRACE_LEFT;
                }
                (Self::ERROR, [0]) => policy.error = Some(PolicyError::PasswordExpired),
                (Self::ERROR, [1]) => policy.error = Some(PolicyError::AccountLocked),
                (Self::ERROR, [2]) => policy.error = Some(PolicyError::ChangeAfterReset),
                _ => {}
            }
        }
        Some(policy)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The list of controls, as it comes.
    fn controls(list: &[(&str, &[u8])]) -> Vec<u8> {
        let octet_string =
            |value: &[u8]| [&[4, u8::try_from(value.len()).unwrap()], value].concat();
        list.iter()
            .flat_map(|(oid, value)| {
                let fields = [octet_string(oid.as_bytes()), octet_string(value)].concat();
                [&[SEQUENCE, u8::try_from(fields.len()).unwrap()], &*fields].concat()
            })
            .collect()
    }

    fn judged(code: u32, text: &str, list: &[(&str, &[u8])]) -> Option<Bind> {
        judge(&Outcome {
            code,
            text,
            controls: &controls(list),
        })
    }

    fn refused(code: u32, text: &str, list: &[(&str, &[u8])]) -> Option<Refusal> {
        match judged(code, text, list)? {
            Bind::Proven => None,
            Bind::Refused(refusal) => Some(refusal),
        }
    }

    #[test]
    fn active_directory_says_why_in_its_text() {
        for (code, refusal) in [
            ("525", Refusal::WrongPassword),
            ("52e", Refusal::WrongPassword),
            ("530", Refusal::NotNow),
            ("531", Refusal::NotNow),
            ("532", Refusal::PasswordExpired),
            ("533", Refusal::Disabled),
            ("701", Refusal::AccountExpired),
            ("773", Refusal::MustChange),
            ("775", Refusal::Locked),
        ] {
            let text = format!(
                "80090308: LdapErr: DSID-0C0903A9, comment: AcceptSecurityContext error, data {code}, v1db1\0"
            );
            assert_eq!(refused(49, &text, &[]), Some(refusal), "{code}");
        }
    }

    #[test]
    fn the_password_policy_control_is_read() {
        for (rc, octets, bind) in [
            (
                49,
                &[0x30, 3, 0x81, 1, 1][..],
                Bind::Refused(Refusal::Locked),
            ),
            (
                49,
                &[0x30, 3, 0x81, 1, 0],
                Bind::Refused(Refusal::PasswordExpired),
            ),
            (49, &[0x30, 0], Bind::Refused(Refusal::WrongPassword)),
            (
                0,
                &[0x30, 3, 0x81, 1, 2],
                Bind::Refused(Refusal::MustChange),
            ),
            (0, &[0x30, 5, 0xa0, 3, 0x80, 1, 60], Bind::Proven),
            (0, &[0x30, 5, 0xa0, 3, 0x81, 1, 2], Bind::Proven),
            (
                0,
                &[0x30, 8, 0xa0, 3, 0x81, 1, 2, 0x81, 1, 2],
                Bind::Refused(Refusal::MustChange),
            ),
            (0, &[0x30, 0], Bind::Proven),
        ] {
            assert_eq!(
                judged(rc, "", &[(PPOLICY, octets)]),
                Some(bind),
                "{octets:?}"
            );
        }
    }

    #[test]
    fn a_success_that_may_only_change_the_password_is_none() {
        let must_change = refused(0, "", &[(NETSCAPE_EXPIRED, b"0")]);
        assert_eq!(must_change, Some(Refusal::MustChange));
        let grace = [0x30, 5, 0xa0, 3, 0x81, 1, 2];
        let grace = judged(0, "", &[(NETSCAPE_EXPIRED, b"0"), (PPOLICY, &grace)]);
        assert_eq!(grace, Some(Bind::Proven));
    }

    #[test]
    fn words_of_389_ds_are_known() {
        for (rc, text, refusal) in [
            (
                19,
                "Exceed password retry limit. Please try later.",
                Refusal::Locked,
            ),
            (
                53,
                "Account inactivated. Contact system administrator.",
                Refusal::Disabled,
            ),
            (49, "password expired!", Refusal::PasswordExpired),
            (49, "Invalid credentials", Refusal::WrongPassword),
        ] {
            assert_eq!(refused(rc, text, &[]), Some(refusal), "{text}");
        }
    }

    #[test]
    fn results_about_the_server_decide_nothing() {
        for rc in [1, 2, 3, 7, 8, 10, 11, 13, 14, 50, 51, 52, 53, 80, 4096] {
            assert_eq!(judged(rc, "busy", &[]), None, "{rc}");
        }
        for rc in [32, 34, 48] {
            assert_eq!(refused(rc, "", &[]), Some(Refusal::WrongPassword));
        }
    }

    proptest! {
        #[test]
        fn no_control_turns_a_refusal_into_a_proof(octets in prop::collection::vec(any::<u8>(), 0..40)) {
            let judged = judged(49, "", &[(PPOLICY, &octets)]);
            prop_assert!(matches!(judged, Some(Bind::Refused(_))));
        }
    }
}
