//! What people are told: the texts of replies and messages, in Japanese and English. One file per language; a text that lacks a
//! language does not compile.
//!
//! A Reply-Message has at most 253 octets (RFC 2865 §5.18) and echoes nothing of the request. English prompts keep the words
//! "one-time password", by which clients such as openfortivpn know a prompt for a code, and end in a colon and a space, since
//! pam_radius shows them as they are.

mod en;
mod ja;

use std::sync::Arc;
use std::time::Duration;

use super::{ClientPolicy, Label, Texts};
use crate::account::{FactorKind, Language};
use crate::channel::Notice;
use crate::store::Prompt;

/// Longest name of the university in a message, in characters: a message should stay one segment.
const ISSUER_CHARS: usize = 30;
/// Between the languages.
const BETWEEN: &str = " / ";

/// A text of a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Text<'a> {
    /// Before the password is proven, whatever the reason.
    Failed,
    /// Asks for a code of the person's own factor.
    AskCode,
    /// Asks for a recovery code.
    AskRecovery,
    /// A code was sent, and is asked for.
    Sent { kind: FactorKind, end: &'a str },
    /// A code was sent, and is to be typed at the next login.
    SentLogInAgain { kind: FactorKind, end: &'a str },
    /// The code was wrong, and another is asked for.
    WrongCodeAgain { tries: u32 },
    /// The code was used before, and another is asked for.
    UsedCodeAgain,
    /// The code was wrong.
    WrongCode,
    /// The code was used before.
    UsedCode,
    /// Too many wrong codes.
    Paused { minutes: u64 },
    /// No code was given.
    CodeMissing,
    /// There is no factor, and no number.
    NoFactor,
    /// The number cannot be used.
    NumberRefused,
    /// The number is too new.
    NumberTooNew { hours: u64 },
    /// Too many messages.
    MessageLimit { minutes: u64 },
    /// A number is to be typed on the phone.
    AskNumber { number: &'a str },
    /// A number is still to be typed on the phone, or a code here.
    StillWaiting { codes: bool },
    /// No device could be reached in time: a code is asked for.
    CodeInstead,
    /// It may yet be approved; then the login is to be made again.
    ApproveThenConnect,
    /// It was denied on the phone.
    DeniedOnPhone,
    /// Too many prompts.
    PromptLimit { minutes: u64 },
    /// Two to four digits are to be added to the password.
    NumberMissing { delimiter: char },
    /// Reported, and the password not changed since.
    Exposed,
    /// A rule denies.
    Denied,
    /// The challenge is not open any more.
    TimedOut,
    /// Something behind us failed.
    Trouble { reference: &'a str },
}

impl Text<'_> {
    fn asks(&self) -> bool {
        matches!(
            self,
            Self::AskCode
                | Self::AskRecovery
                | Self::Sent { .. }
                | Self::WrongCodeAgain { .. }
                | Self::UsedCodeAgain
                | Self::CodeInstead
        )
    }
}

/// The text as a client can show it, if it shows any.
pub(super) fn reply(
    text: &Text<'_>,
    language: Language,
    client: &ClientPolicy,
) -> Option<Arc<str>> {
    let colon = if text.asks() { ": " } else { "" };
    let said = match (client.texts, language) {
        (Texts::None, _) => return None,
        (Texts::Page, _) if let Text::AskNumber { number } = text => (*number).to_owned(),
        (Texts::Page, Language::Ja) => ja::reply(text),
        (Texts::Page, Language::En | Language::Both) => en::reply(text),
        (Texts::Ascii, _) | (Texts::Full, Language::En) => en::reply(text) + colon,
        (Texts::Full, Language::Ja) if text.asks() => ja::reply(text) + " (one-time password): ",
        (Texts::Full, Language::Ja) => ja::reply(text),
        (Texts::Full, Language::Both) => ja::reply(text) + BETWEEN + &en::reply(text) + colon,
    };
    Some(said.into())
}

/// The text of a message that carries a code, which holds for so long.
pub(super) fn message(
    kind: FactorKind,
    (code, life): (&str, Duration),
    issuer: &Label,
    language: Language,
) -> String {
    let (ja, en) = (short(&issuer.ja), short(&issuer.en));
    // Whole minutes that it surely holds.
    let minutes = (life.as_secs() / 60).max(1);
    let (ja, en) = match kind {
        FactorKind::Voice => (ja::call(code, &ja), en::call(code, &en)),
        FactorKind::Push | FactorKind::Totp | FactorKind::Sms | FactorKind::Recovery => {
            (ja::sms(code, minutes, &ja), en::sms(code, minutes, &en))
        }
    };
    match language {
        Language::Ja => ja,
        Language::En => en,
        Language::Both => ja + " " + &en,
    }
}

/// The words of an alert: somebody reported a login.
pub(super) fn reported(prompt: &Prompt) -> (Notice, Notice) {
    let name = prompt.name.as_str();
    let (client, station) = (&prompt.client, &prompt.facts.station);
    let notice = |subject: String, text: String| Notice { subject, text };
    (
        notice(
            ja::report_subject(name),
            ja::report(name, (client, station), prompt.id()),
        ),
        notice(
            en::report_subject(name),
            en::report(name, (client, station), prompt.id()),
        ),
    )
}

fn short(name: &str) -> String {
    name.chars().take(ISSUER_CHARS).collect()
}

/// The language that the directory names for a person (`ja`, `en-GB`, `ja;q=0.8, en`), or else the client's.
pub(super) fn language(named: Option<&str>, client: &ClientPolicy) -> Language {
    if client.texts == Texts::Page {
        return client.language;
    }
    let primary = named
        .unwrap_or_default()
        .split(['-', '_', ';', ','])
        .next()
        .unwrap_or_default()
        .trim();
    match primary {
        ja if ja.eq_ignore_ascii_case("ja") => Language::Ja,
        en if en.eq_ignore_ascii_case("en") => Language::En,
        _ => client.language,
    }
}

/// Whole minutes of a wait, rounded up, so that nobody comes back too early.
pub(super) fn minutes(wait: Duration) -> u64 {
    wait.as_secs().div_ceil(60).max(1)
}

/// Whole hours of a wait, rounded up.
pub(super) fn hours(wait: Duration) -> u64 {
    wait.as_secs().div_ceil(3600).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::split::tests::client;

    const LIFE: Duration = Duration::from_secs(300);

    fn all() -> Vec<Text<'static>> {
        let end = "1234";
        let mut texts = vec![
            Text::Failed,
            Text::AskCode,
            Text::AskRecovery,
            Text::WrongCodeAgain { tries: u32::MAX },
            Text::UsedCodeAgain,
            Text::WrongCode,
            Text::UsedCode,
            Text::Paused { minutes: u64::MAX },
            Text::CodeMissing,
            Text::NoFactor,
            Text::NumberRefused,
            Text::NumberTooNew { hours: u64::MAX },
            Text::MessageLimit { minutes: u64::MAX },
            Text::AskNumber { number: "1234" },
            Text::StillWaiting { codes: true },
            Text::StillWaiting { codes: false },
            Text::CodeInstead,
            Text::ApproveThenConnect,
            Text::DeniedOnPhone,
            Text::PromptLimit { minutes: u64::MAX },
            Text::NumberMissing { delimiter: ',' },
            Text::Exposed,
            Text::Denied,
            Text::TimedOut,
            Text::Trouble {
                reference: "ABCDEFGH",
            },
        ];
        for kind in [FactorKind::Sms, FactorKind::Voice] {
            texts.push(Text::Sent { kind, end });
            texts.push(Text::SentLogInAgain { kind, end });
        }
        texts
    }

    #[test]
    fn every_text_fits_one_attribute_in_every_form() {
        for text in all() {
            for language in [Language::Ja, Language::En, Language::Both] {
                for texts in [Texts::Full, Texts::Ascii] {
                    let client = ClientPolicy { texts, ..client() };
                    let said = reply(&text, language, &client).unwrap();
                    assert!(said.len() <= 253, "{} octets: {said}", said.len());
                    assert!(!said.chars().any(char::is_control), "{said}");
                    assert_eq!(
                        said.is_ascii(),
                        texts == Texts::Ascii || language == Language::En
                    );
                }
            }
        }
    }

    #[test]
    fn every_prompt_keeps_the_words_that_clients_look_for() {
        for text in all().iter().filter(|text| text.asks()) {
            for language in [Language::Ja, Language::En, Language::Both] {
                let said = reply(text, language, &client()).unwrap();
                assert!(said.contains("one-time password"), "{said}");
                assert!(said.ends_with(": "), "{said}");
            }
        }
    }

    #[test]
    fn a_page_is_told_in_its_own_language_and_numbers_alone() {
        let page = |language| ClientPolicy {
            texts: Texts::Page,
            language,
            ..client()
        };
        let (ja, en) = (page(Language::Ja), page(Language::En));
        assert_eq!(language(Some("ja"), &en), Language::En);
        let said = |text: &Text<'_>, client: &ClientPolicy| {
            reply(text, client.language, client).unwrap().to_string()
        };
        for text in all() {
            if let Text::AskNumber { number } = text {
                assert_eq!(
                    (said(&text, &ja), said(&text, &en)),
                    (number.into(), number.into())
                );
            } else {
                assert!(said(&text, &en).is_ascii() && !said(&text, &ja).is_ascii());
                assert!(!said(&text, &ja).contains("one-time"));
            }
        }
    }

    #[test]
    fn nothing_is_said_on_gear_that_is_not_to_be_told() {
        let client = ClientPolicy {
            texts: Texts::None,
            ..client()
        };
        assert_eq!(reply(&Text::AskCode, Language::Both, &client), None);
    }

    #[test]
    fn the_measured_texts_are_as_measured() {
        let said = |text| reply(&text, Language::Both, &client()).unwrap();
        assert_eq!(
            &*said(Text::Failed),
            "認証できませんでした / Authentication failed."
        );
        assert_eq!(
            &*said(Text::Sent {
                kind: FactorKind::Sms,
                end: "1234"
            }),
            "SMSを末尾1234の番号へ送信。確認コードを入力 / Code sent to number ending 1234. Enter one-time password: "
        );
        assert_eq!(
            &*said(Text::WrongCodeAgain { tries: 2 }),
            "コードが違います(残り2回)。新しいコードを入力 / Wrong code, 2 tries left. Enter one-time password: "
        );
        assert_eq!(
            &*said(Text::Trouble { reference: "7F3A" }),
            "認証サービスの障害です(番号 7F3A) / Service problem (ref 7F3A)."
        );
    }

    #[test]
    fn a_message_is_one_segment_and_a_call_says_each_digit_twice() {
        let issuer = Label {
            ja: "関所大学".into(),
            en: "Sekisho University".into(),
        };
        let sms = message(FactorKind::Sms, ("12345678", LIFE), &issuer, Language::Ja);
        assert!(
            sms.contains("12345678(5分間)") && sms.encode_utf16().count() <= 70,
            "{sms}"
        );
        let sms = message(FactorKind::Sms, ("12345678", LIFE), &issuer, Language::En);
        assert!(sms.is_ascii() && sms.len() <= 160, "{sms}");
        for (language, digits) in [
            (Language::Ja, "4、 8、 2、 9、 1、 3"),
            (Language::En, "4, 8, 2, 9, 1, 3"),
        ] {
            let call = message(FactorKind::Voice, ("482913", LIFE), &issuer, language);
            assert_eq!(call.matches(digits).count(), 2, "{call}");
            assert!(!call.contains("482913"), "{call}");
        }
        let both = message(FactorKind::Voice, ("482913", LIFE), &issuer, Language::Both);
        assert_eq!(both.matches("4").count(), 4, "{both}");
    }

    #[test]
    fn a_long_name_is_cut_between_characters() {
        let issuer = Label {
            ja: "学".repeat(400),
            en: "u".repeat(400),
        };
        let sms = message(FactorKind::Sms, ("482913", LIFE), &issuer, Language::Both);
        assert!(sms.chars().count() < 200 && sms.contains("482913"));
    }

    #[test]
    fn the_directory_names_the_language() {
        let client = client();
        for (named, language_of) in [
            (Some("ja"), Language::Ja),
            (Some("JA-jp"), Language::Ja),
            (Some("en_GB"), Language::En),
            (Some("en;q=0.8, ja"), Language::En),
            (Some("zh"), Language::Both),
            (Some(""), Language::Both),
            (None, Language::Both),
        ] {
            assert_eq!(language(named, &client), language_of, "{named:?}");
        }
    }

    #[test]
    fn waits_are_rounded_up() {
        assert_eq!(minutes(Duration::ZERO), 1);
        assert_eq!(minutes(Duration::from_secs(61)), 2);
        assert_eq!(hours(Duration::from_secs(72 * 3600)), 72);
    }
}
