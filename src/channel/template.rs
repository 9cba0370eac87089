//! Texts with `{{placeholders}}`, filled in and escaped for where they stand.

use std::fmt::Write as _;

use reqwest::header::{HeaderName, HeaderValue};

use super::{Message, NumberForm, Settings};
use crate::account::Language;

/// What stands between `{{` and `}}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Placeholder {
    To,
    From,
    Text,
    /// The text with `<`, `>`, `&` and quotes written as XML wants them, for markup inside a field.
    TextXml,
    Id,
    Lang,
    Locale,
}

impl Placeholder {
    const ALL: [(&'static str, Self); 7] = [
        ("to", Self::To),
        ("from", Self::From),
        ("text", Self::Text),
        ("text-xml", Self::TextXml),
        ("id", Self::Id),
        ("lang", Self::Lang),
        ("locale", Self::Locale),
    ];

    fn read(word: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|(known, _)| *known == word)
            .map(|(_, placeholder)| *placeholder)
    }
}

/// Why a text is no template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTemplate {
    /// A word between braces that means nothing.
    #[error(
        "there is no placeholder {{{{{0}}}}}; there are to, from, text, text-xml, id, lang and locale"
    )]
    Unknown(String),
    /// Braces that never close.
    #[error("a placeholder is opened by {{{{ and never closed")]
    Open,
}

#[derive(Clone, Debug)]
enum Piece {
    Plain(String),
    Filled(Placeholder),
}

/// A text taken apart.
#[derive(Clone, Debug)]
pub(super) struct Pattern(Vec<Piece>);

impl Pattern {
    pub(super) fn read(text: &str) -> Result<Self, BadTemplate> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((plain, opened)) = rest.split_once("{{") {
            let (word, after) = opened.split_once("}}").ok_or(BadTemplate::Open)?;
            let placeholder = Placeholder::read(word.trim())
                .ok_or_else(|| BadTemplate::Unknown(word.trim().to_owned()))?;
            if !plain.is_empty() {
                pieces.push(Piece::Plain(plain.to_owned()));
            }
            pieces.push(Piece::Filled(placeholder));
            rest = after;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Plain(rest.to_owned()));
        }
        Ok(Self(pieces))
    }

    /// Fills in the values as they are: for fields and JSON strings, which are escaped as a whole when they are encoded.
    pub(super) fn fill(&self, values: &Values<'_>) -> String {
        self.fill_by(values, |out, value| out.push_str(value))
    }

    /// Fills in the values percent-encoded, so that none can end a path segment or begin a parameter.
    pub(super) fn fill_url(&self, values: &Values<'_>) -> String {
        self.fill_by(values, percent)
    }

    fn fill_by(&self, values: &Values<'_>, escape: fn(&mut String, &str)) -> String {
        let mut out = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Plain(text) => out.push_str(text),
                Piece::Filled(Placeholder::To) => escape(&mut out, &values.to),
                Piece::Filled(Placeholder::From) => escape(&mut out, values.from),
                Piece::Filled(Placeholder::Text) => escape(&mut out, values.text),
                Piece::Filled(Placeholder::TextXml) => escape(&mut out, &xml(values.text)),
                Piece::Filled(Placeholder::Id) => escape(&mut out, values.id),
                Piece::Filled(Placeholder::Lang) => escape(&mut out, values.lang),
                Piece::Filled(Placeholder::Locale) => escape(&mut out, values.locale),
            }
        }
        out
    }
}

/// What placeholders stand for in one message.
pub(super) struct Values<'a> {
    to: String,
    from: &'a str,
    text: &'a str,
    id: &'a str,
    lang: &'static str,
    locale: &'static str,
}

impl<'a> Values<'a> {
    pub(super) fn of(
        message: &'a Message,
        from: &'a str,
        form: NumberForm,
        settings: &Settings,
    ) -> Self {
        let (lang, locale) = match message.language {
            // A text in both begins with the Japanese.
            Language::Ja | Language::Both => ("ja", "ja-JP"),
            Language::En => ("en", "en-US"),
        };
        Self {
            to: message.to.in_form(form, settings),
            from,
            text: message.text.expose_str().unwrap_or_default(),
            id: &message.idempotency,
            lang,
            locale,
        }
    }
}

/// A JSON value whose strings are patterns. Keys and everything else stay as they are.
#[derive(Clone, Debug)]
pub(super) enum JsonPattern {
    Fixed(serde_json::Value),
    Text(Pattern),
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
}

impl JsonPattern {
    pub(super) fn read(value: &serde_json::Value) -> Result<Self, BadTemplate> {
        use serde_json::Value;
        Ok(match value {
            Value::String(text) => Self::Text(Pattern::read(text)?),
            Value::Array(list) => {
                Self::List(list.iter().map(Self::read).collect::<Result<_, _>>()?)
            }
            Value::Object(fields) => Self::Object(
                fields
                    .iter()
                    .map(|(key, value)| Ok((key.clone(), Self::read(value)?)))
                    .collect::<Result<_, _>>()?,
            ),
            Value::Null | Value::Bool(_) | Value::Number(_) => Self::Fixed(value.clone()),
        })
    }

    pub(super) fn fill(&self, values: &Values<'_>) -> serde_json::Value {
        match self {
            Self::Fixed(value) => value.clone(),
            Self::Text(pattern) => pattern.fill(values).into(),
            Self::List(list) => list.iter().map(|value| value.fill(values)).collect(),
            Self::Object(fields) => fields
                .iter()
                .map(|(key, value)| (key.clone(), value.fill(values)))
                .collect(),
        }
    }
}

/// A header whose value is a pattern.
#[derive(Clone, Debug)]
pub(super) struct HeaderPattern {
    pub(super) name: HeaderName,
    value: Pattern,
}

impl HeaderPattern {
    pub(super) fn read(name: HeaderName, value: &str) -> Result<Self, BadTemplate> {
        Ok(Self {
            name,
            value: Pattern::read(value)?,
        })
    }

    /// The value; none if a line end or another control character is in it.
    pub(super) fn fill(&self, values: &Values<'_>) -> Option<HeaderValue> {
        header_value(self.value.fill(values).as_bytes())
    }
}

/// A header's value that is never shown; none if a control character is in it.
pub(super) fn header_value(octets: &[u8]) -> Option<HeaderValue> {
    if octets.iter().any(u8::is_ascii_control) {
        return None;
    }
    let mut value = HeaderValue::from_bytes(octets).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// All but unreserved characters (RFC 3986 §2.3) by percent.
fn percent(out: &mut String, text: &str) {
    for octet in text.bytes() {
        match octet {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(octet));
            }
            _ => {
                let _infallible = write!(out, "%{octet:02X}");
            }
        }
    }
}

fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values(text: &str) -> Values<'_> {
        Values {
            to: "+819012345678".to_owned(),
            from: "Sakura",
            text,
            id: "a1",
            lang: "ja",
            locale: "ja-JP",
        }
    }

    #[test]
    fn placeholders_are_filled_where_they_stand() {
        let values = values("コード 1&2 <\"'>");
        let fill = |text| Pattern::read(text).unwrap().fill(&values);
        assert_eq!(fill("{{from}}→{{ to }}"), "Sakura→+819012345678");
        assert_eq!(
            fill("<Say>{{text-xml}}</Say>"),
            "<Say>コード 1&amp;2 &lt;&quot;&apos;&gt;</Say>"
        );
        assert_eq!(fill("{{lang}}/{{locale}}/{{id}}"), "ja/ja-JP/a1");
        assert_eq!(fill("no } braces {"), "no } braces {");
        let url = Pattern::read("https://sms.example/{{to}}?t={{text}}").unwrap();
        assert_eq!(
            url.fill_url(&values),
            "https://sms.example/%2B819012345678?t=%E3%82%B3%E3%83%BC%E3%83%89%201%262%20%3C%22%27%3E"
        );
    }

    #[test]
    fn a_value_is_never_a_template() {
        let values = values("{{to}}");
        assert_eq!(Pattern::read("{{text}}").unwrap().fill(&values), "{{to}}");
    }

    #[test]
    fn unknown_and_open_placeholders_are_faults() {
        let fault = |text| Pattern::read(text).unwrap_err();
        assert_eq!(
            fault("{{password}}"),
            BadTemplate::Unknown("password".to_owned())
        );
        assert_eq!(fault("a {{text"), BadTemplate::Open);
        assert!(
            fault("{{x}}")
                .to_string()
                .starts_with("there is no placeholder {{x}};")
        );
    }

    #[test]
    fn json_strings_are_filled_by_value() {
        let pattern = JsonPattern::read(&serde_json::json!({
            "to": ["{{to}}"], "n": 1, "deep": {"text": "{{text}}", "{{to}}": null}
        }))
        .unwrap();
        assert_eq!(
            pattern.fill(&values("\",\"admin\":true,\"x\":\"")),
            serde_json::json!({
                "to": ["+819012345678"], "n": 1,
                "deep": {"text": "\",\"admin\":true,\"x\":\"", "{{to}}": null}
            })
        );
    }

    #[test]
    fn headers_refuse_line_ends() {
        let header = HeaderPattern::read(HeaderName::from_static("x-text"), "{{text}}").unwrap();
        assert!(header.fill(&values("a\r\nX-Admin: 1")).is_none());
        assert!(header.fill(&values("a\nb")).is_none());
        assert_eq!(
            header.fill(&values("コード")).unwrap().as_bytes(),
            "コード".as_bytes()
        );
        assert!(header.fill(&values("a")).unwrap().is_sensitive());
    }

    proptest! {
        #[test]
        fn no_text_leaves_its_parameter(text in "\\PC{0,60}") {
            let pattern = Pattern::read("https://sms.example/a?text={{text}}&end=1").unwrap();
            let url = reqwest::Url::parse(&pattern.fill_url(&values(&text))).unwrap();
            let pairs: Vec<_> = url.query_pairs().into_owned().collect();
            prop_assert_eq!(pairs, vec![("text".to_owned(), text), ("end".to_owned(), "1".to_owned())]);
        }
    }
}
