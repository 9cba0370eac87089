//! Where the typed text ends being a password and begins being a code (D7). One reading, never two: each guess would cost a
//! bind, and directories count binds.
//!
//! - *Delimited* goes first, since it is explicit: what follows the last delimiter is a code if it is 6 to 8 digits, a way if it is
//!   the name of one, a number for the phone if it is 2 to 4 digits and the account has a phone to type it on, a recovery code if it has that form and the account has recovery codes. Anything else belongs to the password.
//! - *Appended*: if the account's code factors make codes of exactly one length, that many digits at the end are the code. Lengths that
//!   differ need the delimiter. Recovery codes are never read this way: letters at the end may be anybody's password.
//! - Where the rule asks for the password alone, the whole text is the password, and appended digits are not looked for: nobody
//!   who is not asked can be expected to add a code. Only the explicit form is cut off (and passed over) there too, if its
//!   digits are of a length that the account's own factors make.
//! - A password is never empty: if nothing would be left of it, the whole text is the password.

use super::policy::has_own;
use super::{ClientPolicy, CodeEntry, PushMode, Then};
use crate::account::FactorKind;
use crate::factor::{RecoveryCode, typed_code};
use crate::store::Standing;

/// How many digits codes can have.
const CODE_DIGITS: std::ops::RangeInclusive<usize> = 6..=8;
/// How many digits a number for a device can have (D8).
const NUMBER_DIGITS: std::ops::RangeInclusive<usize> = 2..=4;
/// From an ASCII character to its full-width form (U+FF01 to U+FF5E), which Japanese input methods type.
const FULL_WIDTH: u32 = 0xfee0;

/// What was typed, in two parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Split<'a> {
    /// What the directory is to judge: never empty unless nothing was typed.
    pub(super) password: &'a str,
    pub(super) extra: Extra<'a>,
}

/// What came with the password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extra<'a> {
    Nothing,
    /// A code, as typed.
    Code(&'a str),
    /// Digits to be typed on the phone.
    Number(&'a str),
    /// The name of a way.
    Way(Way),
}

/// A way that can be asked for by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// An approval on a device.
    Push,
    /// A code by SMS or voice.
    Sent(FactorKind),
}

impl Way {
    /// Reads the name of a way.
    pub(super) fn read(word: &str) -> Option<Self> {
        [
            ("push", Self::Push),
            ("sms", Self::Sent(FactorKind::Sms)),
            ("voice", Self::Sent(FactorKind::Voice)),
        ]
        .into_iter()
        .find_map(|(name, way)| name.eq_ignore_ascii_case(word.trim()).then_some(way))
    }
}

/// The forms of code that an account's factors make.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Forms {
    /// Bit n: codes of n digits.
    lengths: u16,
    recovery: bool,
    /// A number may be typed for a device.
    number: bool,
}

impl Forms {
    /// The forms that a client allows an account; `phone` says that something can ask it for an approval.
    pub(super) fn of(standing: &Standing, client: &ClientPolicy, phone: bool) -> Self {
        let mut forms = Self::default();
        let allowed = |kind| client.ways.contains(&kind);
        for factor in standing.factors.iter().filter(|f| allowed(f.kind)) {
            match factor.kind {
                FactorKind::Totp => forms.lengths |= bit(usize::from(factor.digits)),
                FactorKind::Recovery => forms.recovery = true,
                FactorKind::Push | FactorKind::Sms | FactorKind::Voice => {}
            }
        }
        forms.number = client.push.contains(&PushMode::Typed) && phone;
        let sent = allowed(FactorKind::Sms) || allowed(FactorKind::Voice);
        if standing.sent_code_open && sent && !has_own(standing) {
            forms.lengths |= bit(usize::from(standing.sent_code_digits));
        }
        forms
    }

    fn makes(self, digits: usize) -> bool {
        self.lengths & bit(digits) != 0
    }

    fn only_length(self) -> Option<usize> {
        CODE_DIGITS.into_iter().find(|n| self.lengths == bit(*n))
    }
}

fn bit(length: usize) -> u16 {
    u32::try_from(length)
        .ok()
        .and_then(|length| 1_u16.checked_shl(length))
        .unwrap_or(0)
}

/// Splits what was typed.
pub(super) fn split<'a>(
    typed: &'a str,
    client: &ClientPolicy,
    forms: Forms,
    then: Then,
) -> Split<'a> {
    let way_in = |entry| client.code.contains(&entry);
    let delimited = || delimited(typed, client.delimiter, forms, then);
    let appended = || appended(typed, forms);
    // A number or a way for a device is delimited, whatever the form of codes.
    (way_in(CodeEntry::Delimited) || forms.number)
        .then(delimited)
        .flatten()
        .or_else(|| {
            (way_in(CodeEntry::Appended) && then != Then::PasswordOnly)
                .then(appended)
                .flatten()
        })
        .filter(|split| !split.password.is_empty())
        .unwrap_or(Split {
            password: typed,
            extra: Extra::Nothing,
        })
}

fn delimited(typed: &str, delimiter: char, forms: Forms, then: Then) -> Option<Split<'_>> {
    let wide = char::from_u32(u32::from(delimiter).saturating_add(FULL_WIDTH))
        .filter(|_| delimiter.is_ascii_graphic());
    let (password, after) = typed.rsplit_once(|c| c == delimiter || Some(c) == wide)?;
    let word = after.trim();
    let extra = match Way::read(word) {
        Some(way) => Extra::Way(way),
        None if is_code(word, forms, then) => Extra::Code(word),
        None if is_number(word, forms) => Extra::Number(word),
        None => return None,
    };
    Some(Split { password, extra })
}

fn is_code(word: &str, forms: Forms, then: Then) -> bool {
    let digits = word.chars().count();
    if word.chars().all(is_digit) {
        return CODE_DIGITS.contains(&digits)
            && (then != Then::PasswordOnly || forms.makes(digits));
    }
    forms.recovery && RecoveryCode::has_form(&typed_code(word))
}

fn is_number(word: &str, forms: Forms) -> bool {
    let digits = NUMBER_DIGITS.contains(&word.len());
    forms.number && digits && word.bytes().all(|digit| digit.is_ascii_digit())
}

fn appended(typed: &str, forms: Forms) -> Option<Split<'_>> {
    let length = forms.only_length()?;
    let (start, _) = typed.char_indices().rev().nth(length.checked_sub(1)?)?;
    let (password, code) = typed.split_at_checked(start)?;
    code.chars().all(is_digit).then_some(Split {
        password,
        extra: Extra::Code(code),
    })
}

fn is_digit(c: char) -> bool {
    c.is_ascii_digit() || ('０'..='９').contains(&c)
}

#[cfg(test)]
pub(super) mod tests;
