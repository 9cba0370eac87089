//! Texts for users and the help desk, in every language: what a language lacks does not compile.

mod en;
mod ja;

use crate::control::{FactorKind, Language, Outcome, Reason};

/// What a reason means, and what the user or the help desk can do; nothing, if nothing is to be done.
pub(super) struct Explained {
    pub(super) what: &'static str,
    pub(super) mend: &'static str,
}

impl Explained {
    const fn new(what: &'static str, mend: &'static str) -> Self {
        Self { what, mend }
    }
}

/// The texts of one language.
pub(super) trait Words {
    /// Above the URI of a QR code.
    fn scan(&self) -> &'static str;
    /// Asks for the first code of an app.
    fn code(&self) -> &'static str;
    /// The code did not prove the app.
    fn code_wrong(&self, left: u8) -> String;
    /// Above recovery codes.
    fn recovery(&self) -> &'static str;
    /// What a factor is called.
    fn factor(&self, kind: FactorKind) -> &'static str;
    /// What an answer is called.
    fn outcome(&self, outcome: Outcome) -> &'static str;
    /// What a reason means.
    fn reason(&self, reason: Reason) -> Explained;
    /// Which way a login came.
    fn way(&self, client: &str, nas: &str, station: &str, zone: Option<&str>) -> String;
    /// A station that nobody knows.
    fn unknown_station(&self) -> &'static str;
    /// Which rule held.
    fn rule(&self, rule: &str) -> String;
    /// How long it took, in all and at the directory.
    fn took(&self, total: &str, directory: &str) -> String;
    /// How many failures a row stands for, and until when.
    fn failures(&self, count: u64, last: &str) -> String;
    /// Names that were typed.
    fn typed(&self, names: &str) -> String;
    /// Stations they came from.
    fn stations(&self, stations: &str) -> String;
    /// What an operator did.
    fn operator(&self, who: &str, what: &str) -> String;
    /// Nothing is known.
    fn no_story(&self, about: Option<&str>) -> String;
}

/// The texts in a language.
pub(super) fn of(language: Language) -> &'static dyn Words {
    match language {
        Language::Ja => &ja::Ja,
        Language::En | Language::Both => &en::En,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_a_sentence_in_both_languages() {
        for reason in Reason::ALL {
            let en = of(Language::En).reason(*reason);
            let ja = of(Language::Ja).reason(*reason);
            assert!(en.what.ends_with('.') && en.what.is_ascii(), "{reason}");
            assert!(en.mend.is_empty() || en.mend.ends_with('.'), "{reason}");
            assert!(ja.what.ends_with('。'), "{reason}");
            assert!(ja.mend.is_empty() || ja.mend.ends_with('。'), "{reason}");
            assert_eq!(en.mend.is_empty(), ja.mend.is_empty(), "{reason}");
        }
    }
}
