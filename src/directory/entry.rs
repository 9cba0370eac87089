//! What an entry's attributes say of a person.

use std::fmt::Write as _;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::protocol::Attributes;
use super::settings::{Groups, Settings};
use super::{Entry, Refusal, State};
use crate::account::AccountId;
use crate::clock::Timestamp;

/// Stable ids, in the order in which they are looked for: newer versions of 389-DS can give an
/// entryUUID to entries that have had an nsUniqueId all along, and an id must not change.
const IDS: [&str; 3] = ["nsUniqueId", "objectGUID", "entryUUID"];
/// Attributes that tell the state of an account.
const STATES: [&str; 6] = [
    "userAccountControl",
    "msDS-User-Account-Control-Computed",
    "accountExpires",
    "shadowExpire",
    "nsAccountLock",
    "pwdAccountLockedTime",
];
/// When the password was changed, as a time of LDAP: OpenLDAP, 389-DS.
const PASSWORD_CHANGED: [&str; 3] = ["pwdChangedTime", "pwdUpdateTime", "passwordChangedTime"];
/// The same of Active Directory, as a count of 100 ns since 1601.
const PASSWORD_LAST_SET: &str = "pwdLastSet";
const CHANGED: [&str; 2] = ["modifyTimestamp", "whenChanged"];
pub(super) const MEMBER_OF: &str = "memberOf";

/// Telephone numbers taken of one entry; nobody chooses among more.
const MAX_PHONES: usize = 8;
/// Octets of a number or a language.
const MAX_TEXT: usize = 128;
/// Octets of a stable id: a UUID has 36.
const MAX_ID: usize = 128;

/// userAccountControl: ACCOUNTDISABLE (MS-ADTS 2.2.16).
const ACCOUNT_DISABLED: i64 = 0x2;
/// msDS-User-Account-Control-Computed: LOCKOUT, PASSWORD_EXPIRED.
const LOCKOUT: i64 = 0x10;
const COMPUTED_EXPIRED: i64 = 0x80_0000;
/// pwdAccountLockedTime of an account that an administrator locked for good.
const LOCKED_FOR_GOOD: &str = "000001010000Z";
/// accountExpires of an account that never expires, besides 0.
const NEVER: i64 = i64::MAX;
/// Milliseconds from 1601 to 1970.
const FILETIME_EPOCH: i64 = 11_644_473_600_000;
const DAY_SECONDS: i64 = 86_400;

/// The attributes that a person is asked for.
pub(super) fn wanted(settings: &Settings) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    match &settings.id_attribute {
        Some(id) => names.push(id),
        None => names.extend(IDS),
    }
    if matches!(settings.groups, Groups::MemberOf { .. }) {
        names.push(MEMBER_OF);
    }
    names.extend(settings.phone.iter().map(String::as_str));
    names.extend(settings.language.as_deref());
    names.extend(STATES);
    names.extend(PASSWORD_CHANGED);
    names.push(PASSWORD_LAST_SET);
    names.extend(CHANGED);
    names
}

/// The person of an entry, without groups; `None` if nothing in it is a stable id.
pub(super) fn person(found: &Attributes, settings: &Settings, now: Timestamp) -> Option<Entry> {
    let id = match &settings.id_attribute {
        Some(name) => stable_id(found, name)?,
        None => IDS.iter().find_map(|name| stable_id(found, name))?,
    };
    let phones = settings.phone.iter().flat_map(|name| found.texts(name));
    Some(Entry {
        id: AccountId::new(&settings.name, &id),
        dn: found.dn().into(),
        groups: Vec::new(),
        phones: phones
            .filter(|number| number.len() <= MAX_TEXT)
            .take(MAX_PHONES)
            .map(str::to_owned)
            .collect(),
        language: settings
            .language
            .as_ref()
            .and_then(|name| found.text(name))
            .filter(|language| language.len() <= MAX_TEXT)
            .map(str::to_owned),
        state: state(found, now),
        password_changed: password_changed(found),
        changed: CHANGED
            .iter()
            .find_map(|name| generalized_time(found.text(name)?)),
    })
}

/// The attribute in which an entry has a stable id, where none is configured.
pub(super) fn own_id(found: &Attributes) -> Option<&'static str> {
    IDS.into_iter()
        .find(|name| stable_id(found, name).is_some())
}

fn stable_id(found: &Attributes, name: &str) -> Option<String> {
    let value = found.all(name).next()?;
    if value.is_empty() || value.len() > MAX_ID {
        return None;
    }
    if name.eq_ignore_ascii_case("objectGUID") {
        return <[u8; 16]>::try_from(value).ok().map(guid);
    }
    match std::str::from_utf8(value) {
        Ok(text) if !text.chars().any(char::is_control) => Some(text.to_ascii_lowercase()),
        _ => Some(data_encoding::HEXLOWER.encode(value)),
    }
}

/// A GUID as text: its first three fields are little-endian (MS-DTYP 2.3.4).
fn guid(octets: [u8; 16]) -> String {
    let [a, b, c, d, e, f, g, h, tail @ ..] = octets;
    let mut text = String::with_capacity(36);
    for (at, octet) in [d, c, b, a, f, e, h, g].into_iter().chain(tail).enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        let _ = write!(text, "{octet:02x}");
    }
    text
}

fn number(found: &Attributes, name: &str) -> Option<i64> {
    found.text(name)?.trim().parse().ok()
}

/// Only what stands whatever the bind says. A lock that passes by itself is left to the bind,
/// since its attribute stays until the next success.
fn state(found: &Attributes, now: Timestamp) -> State {
    let has = |name: &str, flag: i64| number(found, name).is_some_and(|flags| flags & flag != 0);
    let locked_for_good = found.text("pwdAccountLockedTime") == Some(LOCKED_FOR_GOOD);
    let inactive = found
        .text("nsAccountLock")
        .is_some_and(|value| value.eq_ignore_ascii_case("true"));
    if has("userAccountControl", ACCOUNT_DISABLED) || inactive {
        State::Barred(Refusal::Disabled)
    } else if has("msDS-User-Account-Control-Computed", LOCKOUT) || locked_for_good {
        State::Barred(Refusal::Locked)
    } else if account_expired(found, now) {
        State::Barred(Refusal::AccountExpired)
    } else if has("msDS-User-Account-Control-Computed", COMPUTED_EXPIRED) {
        // A password that an administrator wants changed counts as one set at no time.
        let reset = number(found, PASSWORD_LAST_SET) == Some(0);
        State::Barred(if reset {
            Refusal::MustChange
        } else {
            Refusal::PasswordExpired
        })
    } else {
        State::Usable
    }
}

fn account_expired(found: &Attributes, now: Timestamp) -> bool {
    let ends_filetime = number(found, "accountExpires")
        .filter(|ticks| *ticks != 0 && *ticks != NEVER)
        .map(filetime);
    // shadow(5): -1 is never; 0 is read as never too, as other clients do.
    let ends_shadow = number(found, "shadowExpire")
        .filter(|days| *days > 0)
        .map(|days| Timestamp::from_secs(days.saturating_mul(DAY_SECONDS)));
    [ends_filetime, ends_shadow]
        .into_iter()
        .flatten()
        .any(|end| end <= now)
}

fn password_changed(found: &Attributes) -> Option<Timestamp> {
    PASSWORD_CHANGED
        .iter()
        .find_map(|name| generalized_time(found.text(name)?))
        .or_else(|| {
            let ticks = number(found, PASSWORD_LAST_SET)?;
            (ticks > 0).then(|| filetime(ticks))
        })
}

fn filetime(ticks: i64) -> Timestamp {
    Timestamp::from_millis((ticks / 10_000).saturating_sub(FILETIME_EPOCH))
}

/// `YYYYMMDDHH[MM[SS]][.fraction]` with `Z` or `±HH[MM]` (RFC 4517 §3.3.13); the fraction is dropped.
fn generalized_time(text: &str) -> Option<Timestamp> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (moment, rest) = text.split_at_checked(digits)?;
    let part = |from: usize, to: usize| moment.get(from..to)?.parse::<i8>().ok();
    let later = |from: usize| {
        if moment.len() > from {
            part(from, from + 2)
        } else {
            Some(0)
        }
    };
    let civil = DateTime::new(
        moment.get(..4)?.parse().ok()?,
        part(4, 6)?,
        part(6, 8)?,
        part(8, 10)?,
        later(10)?,
        later(12)?.min(59),
        0,
    )
    .ok()?;
    let zone = rest.trim_start_matches(|c: char| matches!(c, '.' | ',') || c.is_ascii_digit());
    let utc = civil.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second();
    Some(Timestamp::from_secs(
        utc.saturating_sub(offset_seconds(zone)?),
    ))
}

fn offset_seconds(zone: &str) -> Option<i64> {
    if zone == "Z" {
        return Some(0);
    }
    let (sign, digits) = zone.split_at_checked(1)?;
    let hours: i64 = digits.get(..2)?.parse().ok()?;
    let minutes: i64 = match digits.len() {
        2 => 0,
        4 => digits.get(2..)?.parse().ok()?,
        _ => return None,
    };
    match sign {
        "+" => Some((hours * 60 + minutes) * 60),
        "-" => Some((hours * 60 + minutes) * -60),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

    fn entry(values: &[(&str, &[u8])]) -> Attributes {
        Attributes::made("uid=taro", values)
    }

    fn state_of(name: &str, value: &str) -> State {
        state(&entry(&[(name, value.as_bytes())]), NOW)
    }

    #[test]
    fn states_of_every_make_are_read() {
        for (name, value, expected) in [
            ("userAccountControl", "512", State::Usable),
            (
                "userAccountControl",
                "514",
                State::Barred(Refusal::Disabled),
            ),
            (
                "msDS-User-Account-Control-Computed",
                "16",
                State::Barred(Refusal::Locked),
            ),
            (
                "msDS-User-Account-Control-Computed",
                "8388608",
                State::Barred(Refusal::PasswordExpired),
            ),
            ("accountExpires", "0", State::Usable),
            ("accountExpires", "9223372036854775807", State::Usable),
            (
                "accountExpires",
                "133444735999999999",
                State::Barred(Refusal::AccountExpired),
            ),
            ("accountExpires", "133444736010000000", State::Usable),
            ("shadowExpire", "-1", State::Usable),
            ("shadowExpire", "0", State::Usable),
            (
                "shadowExpire",
                "19675",
                State::Barred(Refusal::AccountExpired),
            ),
            ("shadowExpire", "19676", State::Usable),
            ("nsaccountlock", "TRUE", State::Barred(Refusal::Disabled)),
            ("nsAccountLock", "false", State::Usable),
            (
                "pwdAccountLockedTime",
                "000001010000Z",
                State::Barred(Refusal::Locked),
            ),
            ("pwdAccountLockedTime", "20200101000000Z", State::Usable),
            ("userAccountControl", "nonsense", State::Usable),
        ] {
            assert_eq!(state_of(name, value), expected, "{name}: {value}");
        }
    }

    #[test]
    fn a_password_that_must_be_changed_first_has_not_run_out() {
        for (last_set, refusal) in [
            ("0", Refusal::MustChange),
            ("133444736000000000", Refusal::PasswordExpired),
        ] {
            let found = entry(&[
                ("msDS-User-Account-Control-Computed", b"8388608"),
                ("pwdLastSet", last_set.as_bytes()),
            ]);
            assert_eq!(state(&found, NOW), State::Barred(refusal), "{last_set}");
        }
    }

    #[test]
    fn times_are_read() {
        for (text, seconds) in [
            ("19700101000000Z", Some(0)),
            ("20231114221320Z", Some(1_700_000_000)),
            ("20231114221320.0Z", Some(1_700_000_000)),
            ("20231114221320,123456Z", Some(1_700_000_000)),
            ("20231115071320+0900", Some(1_700_000_000)),
            ("202311142213Z", Some(1_699_999_980)),
            ("2023111422Z", Some(1_699_999_200)),
            ("20231314221320Z", None),
            ("2023", None),
            ("20231114221320", None),
            ("", None),
        ] {
            assert_eq!(
                generalized_time(text),
                seconds.map(Timestamp::from_secs),
                "{text}"
            );
        }
        assert_eq!(filetime(133_444_736_000_000_000), NOW);
    }

    #[test]
    fn a_password_that_was_never_set_has_no_time() {
        assert_eq!(password_changed(&entry(&[("pwdLastSet", b"0")])), None);
        let set = entry(&[("pwdLastSet", b"133444736000000000")]);
        assert_eq!(password_changed(&set), Some(NOW));
    }

    #[test]
    fn a_guid_is_written_as_its_owner_writes_it() {
        let octets = [
            0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd,
            0xee, 0xff,
        ];
        assert_eq!(guid(octets), "00112233-4455-6677-8899-aabbccddeeff");
        let found = entry(&[("objectGUID", &octets[..15])]);
        assert_eq!(stable_id(&found, "objectGUID"), None);
    }

    proptest! {
        #[test]
        fn no_time_makes_it_panic(text in "[0-9]{0,16}[.,]?[0-9]{0,3}[-+Z]?[0-9]{0,5}") {
            let _ = generalized_time(&text);
        }
    }
}
