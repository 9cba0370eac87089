//! Texts for users and the help desk, in every language: what a language lacks does not compile.

mod en;
mod ja;
mod sessions;

use crate::control::{Cause, Deed, FactorKind, Language, Outcome, Reason, Recorded};

pub(super) use sessions::SessionWords;

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

/// What stands before a row.
#[derive(Clone, Copy, Debug)]
pub(super) enum Label {
    Account,
    Barred,
    Phones,
    Groups,
    Codes,
    Report,
    Factors,
    Sessions,
    Remembered,
    ListensAt,
    Clients,
    Directories,
    Store,
    Certificates,
}

/// How the store is, but whether it can be written.
pub(super) struct StoreFacts {
    pub(super) accounts: u64,
    pub(super) audit_rows: u64,
    pub(super) size: String,
    pub(super) schema: u32,
}

/// The texts of one language.
pub(super) trait Words: SessionWords {
    /// What stands before a row.
    fn label(&self, label: Label) -> &'static str;
    /// An empty row.
    fn none(&self) -> &'static str;
    /// A number of groups.
    fn groups(&self, count: usize) -> String;
    /// Until when codes are locked.
    fn locked_until(&self, when: &str) -> String;
    /// What a factor is called, with how long its codes are or how many of them are left.
    fn form(&self, kind: FactorKind, digits: u8) -> String;
    /// No code has proven the factor: follows its form.
    fn unproven(&self) -> &'static str;
    /// When the factor was enrolled.
    fn enrolled(&self, when: &str) -> String;
    /// When it was last used, if it was.
    fn used(&self, when: Option<&str>) -> String;
    /// Since when a device cannot be rung.
    fn silent(&self, when: &str) -> String;
    /// Where and how long a station is remembered.
    fn remembered(&self, client: &str, since: &str, until: &str) -> String;
    /// When the owner reported a login.
    fn reported(&self, when: &str) -> String;
    /// Whether logins can be decided.
    fn ready(&self, version: &str, ready: &str) -> String;
    /// The words of readiness: yes, and no.
    fn readiness(&self) -> (&'static str, &'static str);
    /// The words of a server: up, and down.
    fn server(&self) -> (&'static str, &'static str);
    /// The error of a server before it was up again.
    fn before(&self, error: &str) -> String;
    /// The store can be written.
    fn writable(&self) -> &'static str;
    /// The store cannot be written.
    fn not_writable(&self, error: Option<&str>) -> String;
    /// How many days are left of a certificate, below zero when it has ended, and when that is.
    fn certificate_ends(&self, days: i64, when: &str) -> String;
    /// What is in the store.
    fn store(&self, facts: &StoreFacts) -> String;
    /// Nobody listens at the socket.
    fn nobody_listens(&self, socket: &str, why: &str) -> String;
    /// The socket may not be used.
    fn not_allowed(&self, socket: &str, group: &str) -> String;
    /// Why something was not done or told; `why` is the daemon's own sentence.
    fn cause(&self, cause: &Cause, why: &str) -> String;
    /// What an operator does, with `{0}`, `{1}` … for the parts in the order of [`Deed`]; `None` where the trail's own sentence
    /// says it.
    fn deed(&self, deed: Deed) -> Option<&'static str>;
    /// That it was tried in vain.
    fn tried(&self, act: &str, why: &str) -> String;
    /// A note of ours in a decision.
    fn note(&self, note: &str) -> String;
    /// The attempt has no row of its own: when it began, and whether there are rows in which it may be counted.
    fn counted_in(&self, attempt: &str, when: &str, known: bool) -> String;
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
    /// What stands in its place for what an owner or a device did.
    fn noted(&self) -> &'static str;
    /// What a reason means.
    fn reason(&self, reason: Reason) -> Explained;
    /// Which way a login came.
    fn way(&self, client: &str, nas: &str, station: &str, zone: Option<&str>) -> String;
    /// A station that nobody knows.
    fn unknown_station(&self) -> &'static str;
    /// Which rule held.
    fn rule(&self, rule: &str) -> String;
    /// How long it took, in all and at the directory if it was asked.
    fn took(&self, total: &str, directory: Option<&str>) -> String;
    /// How many failures a row stands for.
    fn failures(&self, count: u64) -> String;
    /// Names that were typed.
    fn typed(&self, names: &str) -> String;
    /// Stations they came from.
    fn stations(&self, stations: &str) -> String;
    /// What an operator did.
    fn operator(&self, who: &str, what: &str) -> String;
    /// Nothing is known.
    fn no_story(&self, about: Option<&str>) -> String;
}

/// What an operator did, from the trail's own sentence.
pub(super) fn act(words: &dyn Words, sentence: &str) -> String {
    let Some(Recorded { act, failed }) = Recorded::read(sentence) else {
        return sentence.to_owned();
    };
    let Some(template) = words.deed(act.deed) else {
        return sentence.to_owned();
    };
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, behind)) = rest.split_once('{') {
        text.push_str(before);
        let (number, after) = behind.split_once('}').unwrap_or((behind, ""));
        let part = number.parse().ok().and_then(|at: usize| act.parts.get(at));
        text.push_str(part.map_or("", String::as_str));
        rest = after;
    }
    text.push_str(rest);
    match failed {
        Some(why) => words.tried(&text, &why),
        None => text,
    }
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
    fn acts_are_told_in_the_language_and_unknown_ones_as_they_are() {
        let told = |language, sentence| act(of(language), sentence);
        let removed = "removes factor 3 (app) of campus/taro";
        assert_eq!(told(Language::En, removed), removed);
        assert_eq!(
            told(Language::Ja, removed),
            "campus/taro の認証手段 3(app)を削除"
        );
        let failed = "tried to copy the store to /x, failed: the disk is full";
        assert_eq!(
            told(Language::Ja, failed),
            "データベースを /x にコピーしようとして失敗: the disk is full"
        );
        assert_eq!(told(Language::Ja, "dances"), "dances");
    }

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
