//! DNs in the form in which they are compared.

use std::fmt::Write as _;
use std::sync::Arc;

use unicode_normalization::UnicodeNormalization;

/// A DN in the form in which two spellings of one DN are equal: attribute types and values case-folded, no space
/// around separators, escapes in one form (RFC 4514).
#[must_use]
pub fn same_dn_form(dn: &str) -> Arc<str> {
    let mut form = String::with_capacity(dn.len());
    let mut rest = dn;
    loop {
        let (part, separator, after) = next_part(rest);
        push_part(&mut form, part);
        let Some(separator) = separator else {
            return form.into();
        };
        form.push(separator);
        rest = after;
    }
}

/// One `type=value`, the separator behind it in its one form, and what follows.
fn next_part(dn: &str) -> (&str, Option<char>, &str) {
    let mut escaped = false;
    let mut quoted = false;
    for (at, c) in dn.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            ',' | ';' | '+' if !quoted => {
                let separator = if c == '+' { '+' } else { ',' };
                let (part, after) = dn.split_at(at);
                return (part, Some(separator), after.get(1..).unwrap_or_default());
            }
            _ => {}
        }
    }
    (dn, None, "")
}

fn push_part(form: &mut String, part: &str) {
    let Some((kind, value)) = part.split_once('=') else {
        form.push_str(&part.trim().to_lowercase());
        return;
    };
    form.push_str(&kind.trim().to_lowercase());
    form.push('=');
    let value = trimmed(value);
    if value.bytes().all(is_plain) {
        form.extend(squeezed(value).map(|c| c.to_ascii_lowercase()));
    } else {
        push_unusual(form, value);
    }
}

/// Whether an octet stands for itself in every spelling of a value.
const fn is_plain(octet: u8) -> bool {
    matches!(octet, b' '..=b'~')
        && !matches!(
            octet,
            b',' | b'+' | b'"' | b'\\' | b'<' | b'>' | b';' | b'=' | b'#'
        )
}

/// Without the spaces around it; a trailing space that is escaped stays.
fn trimmed(value: &str) -> &str {
    let value = value.trim_start_matches(' ');
    let bare = value.trim_end_matches(' ');
    let backslashes = bare.len() - bare.trim_end_matches('\\').len();
    if backslashes % 2 == 1 && bare.len() < value.len() {
        value.get(..=bare.len()).unwrap_or(value)
    } else {
        bare
    }
}

/// Runs of spaces as one: values that differ only there match each other (RFC 4518 §2.6.1).
fn squeezed(value: &str) -> impl Iterator<Item = char> {
    let mut space = false;
    value.chars().filter(move |c| {
        let keep = !(space && *c == ' ');
        space = *c == ' ';
        keep
    })
}

/// A value with escapes or letters beyond ASCII: unescaped, folded, and escaped again in one form.
fn push_unusual(form: &mut String, value: &str) {
    let octets = unescaped(value);
    let Ok(text) = String::from_utf8(octets) else {
        // No text: kept as it is, so that it equals itself only.
        form.push_str(value);
        return;
    };
    let folded: String = caseless::default_case_fold_str(&text.nfkc().collect::<String>())
        .nfkc()
        .collect();
    for c in squeezed(folded.trim_matches(' ')) {
        if matches!(c, ',' | '+' | '"' | '\\' | '<' | '>' | ';' | '=' | '#') || c.is_control() {
            let mut utf8 = [0; 4];
            for octet in c.encode_utf8(&mut utf8).bytes() {
                // Writing to a String cannot fail.
                let _ = write!(form, "\\{octet:02x}");
            }
        } else {
            form.push(c);
        }
    }
}

fn unescaped(value: &str) -> Vec<u8> {
    let quoted = value
        .strip_prefix('"')
        .and_then(|inner| inner.strip_suffix('"'));
    let mut rest = quoted.unwrap_or(value).as_bytes();
    let mut octets = Vec::with_capacity(rest.len());
    loop {
        rest = match rest {
            [] => return octets,
            [b'\\', high, low, tail @ ..]
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                let digit = |c: &u8| char::from(*c).to_digit(16).unwrap_or_default();
                octets.push(u8::try_from(digit(high) << 4 | digit(low)).unwrap_or_default());
                tail
            }
            [b'\\', literal, tail @ ..] => {
                octets.push(*literal);
                tail
            }
            [octet, tail @ ..] => {
                octets.push(*octet);
                tail
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_dn_has_one_form() {
        for (one, other) in [
            (
                "uid=taro,ou=people,dc=example",
                "UID=Taro, OU=People , DC=Example",
            ),
            ("cn=a\\,b,dc=example", "CN=A\\2cB,DC=example"),
            ("cn=a\\,b,dc=example", "cn=\"a,b\",dc=example"),
            (
                "cn=東京,dc=example",
                "cn=\\E6\\9D\\B1\\E4\\BA\\AC,dc=example",
            ),
            ("cn=Müller,dc=example", "CN=MÜLLER,dc=example"),
            ("cn=a\\\\,dc=example", "cn=a\\5C;dc=example"),
            ("cn=two  words,dc=example", "cn=Two Words,dc=example"),
            ("cn=\\#x,dc=example", "cn=\\23x,dc=example"),
            ("cn=a\\20,dc=example", "cn=a\\ ,dc=example"),
            ("cn=a+sn=b,dc=example", "CN=A + SN=B,DC=example"),
        ] {
            assert_eq!(same_dn_form(one), same_dn_form(other), "{one} and {other}");
        }
    }

    #[test]
    fn different_dns_have_different_forms() {
        for (one, other) in [
            ("cn=a,cn=b", "cn=a\\,cn=b"),
            ("cn=a+sn=b", "cn=a\\+sn=b"),
            ("cn=ab", "cn=a b"),
            ("cn=a\\\\", "cn=a"),
            ("cn=a\\=b", "cn=ab"),
            ("cn=a", "sn=a"),
        ] {
            assert_ne!(same_dn_form(one), same_dn_form(other), "{one} and {other}");
        }
    }

    proptest! {
        #[test]
        fn every_way_of_escaping_a_value_has_one_form(value in "[ -~あÜßｶ]{1,12}") {
            let hex: String = value.bytes().map(|octet| format!("\\{octet:02X}")).collect();
            let literal: String = value
                .chars()
                .map(|c| if c.is_ascii_alphanumeric() || !c.is_ascii() { c.to_string() } else { format!("\\{c}") })
                .collect();
            let form = same_dn_form(&format!("cn={hex},dc=example"));
            prop_assert_eq!(&form, &same_dn_form(&format!("CN={literal}, DC=Example")));
            prop_assert_eq!(&form, &same_dn_form(&form));
            prop_assert_eq!(form.matches(",dc=").count(), 1);
        }
    }
}
