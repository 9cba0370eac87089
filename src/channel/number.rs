//! Telephone numbers as directories have them, and as gateways want them (E.164).

use std::sync::Arc;

use unicode_normalization::UnicodeNormalization;

use super::{BadNumber, NumberForm, Settings};

/// Characters of a number as written, before anything is done with it: E.164's 15 digits with every sort of decoration.
const WRITTEN: usize = 64;
/// Digits of the shortest number that is taken, country code included.
const DIGITS_LEAST: usize = 8;
/// Digits of the longest (E.164 §6).
const DIGITS_MOST: usize = 15;
/// Digits at the end that may be shown.
const SHOWN: usize = 4;
/// Japan's country code.
const JAPAN: &str = "81";

/// A telephone number in E.164 form.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Number(Arc<str>);

impl Number {
    /// Reads a number as directories have it (`090-1234-5678`, full-width, `+81 (0)90 …`, `0081…`, `010 81 …`), normalised
    /// to E.164. For `sms`, what is no mobile number of Japan is refused.
    ///
    /// # Errors
    ///
    /// [`BadNumber`].
    pub fn read(text: &str, sms: bool, settings: &Settings) -> Result<Self, BadNumber> {
        let digits = international(text, home(settings)).ok_or(BadNumber::Form)?;
        if !(DIGITS_LEAST..=DIGITS_MOST).contains(&digits.len()) || digits.starts_with('0') {
            return Err(BadNumber::Form);
        }
        if let Some(national) = digits.strip_prefix(JAPAN) {
            match Line::of(national).ok_or(BadNumber::Form)? {
                Line::Fixed if sms => return Err(BadNumber::Landline),
                Line::Fixed | Line::Mobile => {}
            }
        }
        if !allowed(&digits, &settings.countries) {
            return Err(BadNumber::Country);
        }
        Ok(Self(format!("+{digits}").into()))
    }

    /// In E.164.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last four digits, which may be shown.
    #[must_use]
    pub fn end(&self) -> &str {
        let start = self.0.len().saturating_sub(SHOWN);
        self.0.get(start..).unwrap_or_default()
    }

    /// As a gateway wants it.
    pub(super) fn in_form(&self, form: NumberForm, settings: &Settings) -> String {
        let digits = self.0.trim_start_matches('+');
        match (form, digits.strip_prefix(home(settings))) {
            (NumberForm::Digits, _) => digits.to_owned(),
            (NumberForm::National, Some(national)) => format!("0{national}"),
            (NumberForm::E164, _) | (NumberForm::National, None) => self.0.to_string(),
        }
    }
}

/// Shows the end only: a number is personal.
impl std::fmt::Debug for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Number(…{})", self.end())
    }
}

/// What a Japanese number reaches, by its national digits without the leading 0.
enum Line {
    Mobile,
    /// A landline or an IP telephone (050).
    Fixed,
}

impl Line {
    /// By Japan's numbering plan. Nothing that cannot be one person's telephone: free (0120, 0800), shared-cost (0570) and
    /// premium (0990) numbers, machines and pagers (020), and emergency or carrier numbers by their length.
    fn of(national: &str) -> Option<Self> {
        let begins = |with: &[&str]| with.iter().any(|start| national.starts_with(start));
        match national.len() {
            10 if begins(&["800"]) => None,
            10 if begins(&["60", "70", "80", "90"]) => Some(Self::Mobile),
            10 if begins(&["50"]) => Some(Self::Fixed),
            9 if begins(&["120", "570", "990"]) => None,
            // No area code ends in a 0 after one digit: those are the ten-digit services, cut short.
            9 if national.get(1..2) == Some("0") || begins(&["0"]) => None,
            9 => Some(Self::Fixed),
            _ => None,
        }
    }
}

fn home(settings: &Settings) -> &str {
    settings.home.trim_start_matches('+')
}

/// The digits after the `+`, whichever way the number was written.
fn international(text: &str, home: &str) -> Option<String> {
    if text.chars().count() > WRITTEN {
        return None;
    }
    let plain: String = text.nfkc().collect();
    let plain = plain.trim();
    let plain = plain.strip_prefix("tel:").unwrap_or(plain);
    let (plus, body) = match plain.strip_prefix('+') {
        Some(body) => (true, body),
        None => (false, plain),
    };
    // The optional trunk 0 of `+81 (0)90`; at the very start it is no option.
    let digits = match body.trim_start().starts_with("(0)") {
        true => digits(body),
        false => digits(&body.replacen("(0)", "", 1)),
    }?;
    if plus {
        return Some(without_trunk(&digits));
    }
    // 010 is Japan's way out of the country, and no Japanese number begins so; 00 is everybody else's.
    if let Some(rest) = digits.strip_prefix("010").filter(|_| home == JAPAN) {
        return Some(without_trunk(rest));
    }
    if let Some(rest) = digits.strip_prefix("00") {
        return Some(without_trunk(rest));
    }
    if let Some(national) = digits.strip_prefix('0') {
        return Some(format!("{home}{national}"));
    }
    // Neither + nor 0: only a whole number of the home country is plain enough.
    (home == JAPAN && digits.starts_with(JAPAN) && digits.len() == JAPAN.len() + 10)
        .then_some(digits)
}

/// `+81 090-…`: the trunk 0 left in place. No Japanese number has it behind the country code.
fn without_trunk(digits: &str) -> String {
    match digits.strip_prefix(JAPAN).and_then(|n| n.strip_prefix('0')) {
        Some(national) => format!("{JAPAN}{national}"),
        None => digits.to_owned(),
    }
}

/// The digits, if there is nothing else but what people put between them.
fn digits(text: &str) -> Option<String> {
    let mut digits = String::with_capacity(DIGITS_MOST);
    for c in text.chars() {
        match c {
            '0'..='9' => digits.push(c),
            ' ' | '-' | '.' | '(' | ')' | '/' => {}
            // Hyphens, dashes, the minus sign, and the long-vowel mark that Japanese keyboards give for one.
            '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{30fc}' | '\u{2500}' => {}
            _ => return None,
        }
    }
    Some(digits)
}

/// Whether the longest entry of the list that the number begins with allows it. `!+1876` takes Jamaica out of `+1`.
fn allowed(digits: &str, countries: &[String]) -> bool {
    countries
        .iter()
        .filter_map(|entry| {
            let (allows, prefix) = match entry.strip_prefix('!') {
                Some(prefix) => (false, prefix),
                None => (true, entry.as_str()),
            };
            let prefix = prefix.trim_start_matches('+');
            (!prefix.is_empty() && digits.starts_with(prefix)).then_some((prefix.len(), allows))
        })
        // Of two entries of one length the refusal is the greater.
        .max_by_key(|(length, allows)| (*length, !allows))
        .is_some_and(|(_, allows)| allows)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn japan(countries: &[&str]) -> Settings {
        Settings {
            countries: countries.iter().map(ToString::to_string).collect(),
            home: "+81".to_owned(),
            ..Settings::default()
        }
    }

    fn read(text: &str) -> Result<String, BadNumber> {
        Number::read(text, true, &japan(&["+81"])).map(|number| number.as_str().to_owned())
    }

    #[test]
    fn every_way_to_write_a_mobile_is_one_number() {
        for text in [
            "09012345678",
            "090-1234-5678",
            " 090 1234 5678 ",
            "090(1234)5678",
            "０９０－１２３４－５６７８",
            "０９０ー１２３４ー５６７８",
            "090‐1234‑5678",
            "090–1234—5678",
            "090−1234−5678",
            "+81 90-1234-5678",
            "+81 (0)90-1234-5678",
            "＋８１（０）９０　１２３４　５６７８",
            "+81-090-1234-5678",
            "819012345678",
            "81 (0)90 1234 5678",
            "(0)90 1234 5678",
            "(090) 1234 5678\n",
            "0081 90 1234 5678",
            "010 81 90 1234 5678",
            "010-81-090-1234-5678",
            "tel:+81-90-1234-5678",
        ] {
            assert_eq!(read(text).as_deref(), Ok("+819012345678"), "{text}");
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in [
            "",
            "-",
            "+",
            "0",
            "090",
            "090-1234-567",
            "090-1234-56789",
            "9012345678",
            "なし",
            "090-1234-5678 内線12",
            "090-1234-5678;ext=1",
            "090-1234-5678, 080-1234-5678",
            "++819012345678",
            "+81901234\n5678",
            "0９a01234567",
            "٠٩٠١٢٣٤٥٦٧٨",
            "+0012345678",
            "+8190123456789012",
            "110",
            "020-1234-5678",
            "0120-123-456",
            "0800-123-4567",
            "0570-012-345",
            "0990-123-456",
            "+81 120 123 456",
            "0000000000000",
        ] {
            assert_eq!(read(text), Err(BadNumber::Form), "{text:?}");
            assert_eq!(
                Number::read(text, false, &japan(&["+81"])),
                Err(BadNumber::Form),
                "{text:?}"
            );
        }
    }

    #[test]
    fn landlines_can_be_called_but_not_written_to() {
        for text in [
            "03-1234-5678",
            "+81 3 1234 5678",
            "075-123-4567",
            "050-1234-5678",
        ] {
            assert_eq!(read(text), Err(BadNumber::Landline), "{text}");
            assert!(
                Number::read(text, false, &japan(&["+81"])).is_ok(),
                "{text}"
            );
        }
    }

    #[test]
    fn countries_are_allowed_by_the_longest_prefix() {
        let read = |text, countries: &[&str]| {
            Number::read(text, true, &japan(countries)).map(|number| number.as_str().to_owned())
        };
        assert_eq!(read("+1 415-555-0100", &["+81"]), Err(BadNumber::Country));
        assert_eq!(
            read("010 1 415 555 0100", &["+81", "+1"]).unwrap(),
            "+14155550100"
        );
        assert_eq!(
            read("+1 876 555 0100", &["+1", "!+1876"]),
            Err(BadNumber::Country)
        );
        assert_eq!(
            read("+1 415 555 0100", &["!+1876", "+1"]).unwrap(),
            "+14155550100"
        );
        assert_eq!(read("090-1234-5678", &[]), Err(BadNumber::Country));
        assert_eq!(read("090-1234-5678", &["+"]), Err(BadNumber::Country));
        assert_eq!(
            read("090-1234-5678", &["+81", "!+81"]),
            Err(BadNumber::Country)
        );
    }

    #[test]
    fn home_is_a_setting() {
        let britain = Settings {
            countries: vec!["+44".to_owned()],
            home: "+44".to_owned(),
            ..Settings::default()
        };
        let number = Number::read("07700 900123", true, &britain).unwrap();
        assert_eq!(number.as_str(), "+447700900123");
        assert_eq!(
            number.in_form(NumberForm::National, &britain),
            "07700900123"
        );
    }

    #[test]
    fn forms_are_those_of_gateways() {
        let settings = japan(&["+81", "+1"]);
        let number = Number::read("090-1234-5678", true, &settings).unwrap();
        assert_eq!(number.in_form(NumberForm::E164, &settings), "+819012345678");
        assert_eq!(
            number.in_form(NumberForm::Digits, &settings),
            "819012345678"
        );
        assert_eq!(
            number.in_form(NumberForm::National, &settings),
            "09012345678"
        );
        let abroad = Number::read("+14155550100", true, &settings).unwrap();
        assert_eq!(
            abroad.in_form(NumberForm::National, &settings),
            "+14155550100"
        );
    }

    #[test]
    fn debug_shows_the_end_only() {
        let number = Number::read("090-1234-5678", true, &japan(&["+81"])).unwrap();
        assert_eq!(format!("{number:?}"), "Number(…5678)");
    }

    proptest! {
        #[test]
        fn anything_read_is_e164_and_reads_as_itself(text in "\\PC{0,40}", sms: bool) {
            let settings = japan(&["+81", "+1", "+44"]);
            if let Ok(number) = Number::read(&text, sms, &settings) {
                let digits = number.as_str().strip_prefix('+').unwrap();
                prop_assert!((DIGITS_LEAST..=DIGITS_MOST).contains(&digits.len()));
                prop_assert!(digits.bytes().all(|digit| digit.is_ascii_digit()));
                prop_assert_eq!(&Number::read(number.as_str(), sms, &settings).unwrap(), &number);
            }
        }

        #[test]
        fn decoration_never_changes_a_number(
            start in prop::sample::select(vec!["060", "070", "090", "081"]),
            rest in "[0-9]{8}",
            between in prop::collection::vec(prop::sample::select(vec!["", "-", " ", "－", "ー", "(", ")", "."]), 11),
            wide: bool,
        ) {
            let number = format!("{start}{rest}");
            let written: String = number
                .chars()
                .zip(between)
                .map(|(digit, mark)| {
                    let digit = if wide {
                        char::from_u32(0xff10 + digit.to_digit(10).unwrap()).unwrap()
                    } else {
                        digit
                    };
                    format!("{digit}{mark}")
                })
                .collect();
            // "(0)" is the optional trunk 0, which is no decoration.
            prop_assume!(!written.replace('０', "0").contains("(0)"));
            let expected = Number::read(&number, true, &japan(&["+81"]));
            prop_assert_eq!(Number::read(&written, true, &japan(&["+81"])), expected);
        }
    }
}
