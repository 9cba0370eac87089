//! What the portal's pages say, in Japanese and English. One file per language; a text that lacks a language does not compile.
//!
//! Japanese is 敬体, with the same word for the same thing throughout: 承認, 拒否, 確認コード, 端末, 窓口.

mod en;
mod ja;

use jiff::tz::TimeZone;

use crate::account::{FactorKind, Language, Reason};
use crate::clock::Timestamp;

/// The texts of the pages.
#[derive(Debug)]
pub(super) struct Words {
    pub(super) skip: &'static str,
    pub(super) menu: &'static str,
    pub(super) sign_in: &'static str,
    pub(super) sign_out: &'static str,
    pub(super) cannot_login: &'static str,
    pub(super) to_home: &'static str,
    pub(super) refused_title: &'static str,
    pub(super) form_is_old: &'static str,
    pub(super) form_is_bad: &'static str,
    pub(super) no_such_page: &'static str,
    pub(super) too_many: &'static str,
    pub(super) trouble: &'static str,
    pub(super) home_title: &'static str,
    pub(super) home_lead: &'static str,
    pub(super) is_set_up: &'static str,
    pub(super) is_not_set_up: &'static str,
    pub(super) add_a_second: &'static str,
    pub(super) task_methods: &'static str,
    pub(super) task_add: &'static str,
    pub(super) task_change: &'static str,
    pub(super) task_lost: &'static str,
    pub(super) task_unknown: &'static str,
    pub(super) task_logins: &'static str,
    pub(super) task_app: &'static str,
    pub(super) prove_again: &'static str,
    pub(super) user_name: &'static str,
    pub(super) password: &'static str,
    pub(super) go_on: &'static str,
    pub(super) cancel: &'static str,
    pub(super) back: &'static str,
    pub(super) close: &'static str,
    pub(super) done: &'static str,
    pub(super) change_password: &'static str,
    pub(super) code_title: &'static str,
    pub(super) type_this_number: &'static str,
    pub(super) open_the_app: &'static str,
    pub(super) i_approved: &'static str,
    pub(super) code_instead: &'static str,
    pub(super) code: &'static str,
    pub(super) use_recovery: &'static str,
    pub(super) this_site: &'static str,
    pub(super) failures: &'static str,
    pub(super) still_waiting: &'static str,
    pub(super) login_over: &'static str,
    pub(super) no_factor: &'static str,
    pub(super) methods_title: &'static str,
    pub(super) no_methods: &'static str,
    pub(super) kind: &'static str,
    pub(super) kind_push: &'static str,
    pub(super) kind_totp: &'static str,
    pub(super) kind_sms: &'static str,
    pub(super) kind_voice: &'static str,
    pub(super) kind_recovery: &'static str,
    pub(super) added: &'static str,
    pub(super) last_used: &'static str,
    pub(super) never: &'static str,
    pub(super) state: &'static str,
    pub(super) state_unproven: &'static str,
    pub(super) ntfy_title: &'static str,
    pub(super) ntfy_subscribe: &'static str,
    pub(super) ntfy_then: &'static str,
    pub(super) ntfy_secret: &'static str,
    pub(super) ntfy_use: &'static str,
    pub(super) state_silent: &'static str,
    pub(super) state_polls: &'static str,
    pub(super) state_rings: &'static str,
    pub(super) codes_left: &'static str,
    pub(super) test: &'static str,
    pub(super) rename: &'static str,
    pub(super) new_name: &'static str,
    pub(super) remove: &'static str,
    pub(super) remove_sure: &'static str,
    pub(super) is_last: &'static str,
    pub(super) renamed: &'static str,
    pub(super) removed: &'static str,
    pub(super) too_many_methods: &'static str,
    pub(super) stations_title: &'static str,
    pub(super) stations_lead: &'static str,
    pub(super) station: &'static str,
    pub(super) station_client: &'static str,
    pub(super) station_since: &'static str,
    pub(super) station_until: &'static str,
    pub(super) forget: &'static str,
    pub(super) forgotten: &'static str,
    pub(super) recovery_lead: &'static str,
    pub(super) recovery_make: &'static str,
    pub(super) recovery_title: &'static str,
    pub(super) recovery_once: &'static str,
    pub(super) add_device: &'static str,
    pub(super) add_device_lead: &'static str,
    pub(super) add_totp: &'static str,
    pub(super) add_totp_lead: &'static str,
    pub(super) pair_title: &'static str,
    pub(super) pair_open: &'static str,
    pub(super) pair_install: &'static str,
    pub(super) pair_enter: &'static str,
    pub(super) pair_ends: &'static str,
    pub(super) pair_over: &'static str,
    pub(super) pair_again: &'static str,
    pub(super) pair_done: &'static str,
    pub(super) test_title: &'static str,
    pub(super) test_done: &'static str,
    pub(super) test_lead: &'static str,
    pub(super) test_failed: &'static str,
    pub(super) test_again: &'static str,
    pub(super) look_again: &'static str,
    pub(super) totp_scan: &'static str,
    pub(super) totp_qr: &'static str,
    pub(super) totp_by_hand: &'static str,
    pub(super) totp_code: &'static str,
    pub(super) totp_label: &'static str,
    pub(super) totp_wrong: &'static str,
    pub(super) totp_done: &'static str,
    pub(super) logins_title: &'static str,
    pub(super) logins_lead: &'static str,
    pub(super) no_logins: &'static str,
    pub(super) what: &'static str,
    pub(super) from: &'static str,
    pub(super) moment: &'static str,
    pub(super) new_place: &'static str,
    pub(super) when: &'static str,
    pub(super) method: &'static str,
    pub(super) reference: &'static str,
    pub(super) outside: &'static str,
    pub(super) unknown_station: &'static str,
    pub(super) not_me_title: &'static str,
    pub(super) not_me_lead: &'static str,
    pub(super) not_me: &'static str,
    pub(super) report: &'static str,
    pub(super) report_sure: &'static str,
    pub(super) reported: &'static str,
    pub(super) reported_next: &'static str,
    pub(super) lost_title: &'static str,
    pub(super) lost_lead: &'static str,
    pub(super) lost_this: &'static str,
    pub(super) lost_done: &'static str,
    pub(super) lost_next: &'static str,
    pub(super) way_other: &'static str,
    pub(super) way_recovery: &'static str,
    pub(super) way_desk: &'static str,
    pub(super) forgot_password: &'static str,
    pub(super) app_title: &'static str,
    pub(super) app_needs_script: &'static str,
    pub(super) app_unsupported: &'static str,
    pub(super) app_gone: &'static str,
    pub(super) app_pair_again: &'static str,
    pub(super) app_install_ios: &'static str,
    pub(super) app_pair_lead: &'static str,
    pub(super) app_pair: &'static str,
    pub(super) pair_code: &'static str,
    pub(super) app_keep_open: &'static str,
    pub(super) bell_lead: &'static str,
    pub(super) bell_on: &'static str,
    pub(super) bell_later: &'static str,
    pub(super) several_computers: &'static str,
    pub(super) offline: &'static str,
    pub(super) nothing_waits: &'static str,
    pub(super) account: &'static str,
    pub(super) remaining: &'static str,
    pub(super) deny: &'static str,
    pub(super) approve: &'static str,
    pub(super) app: App,
}

/// The texts that the script of the approval page fills in; `{name}` stands for a value.
#[derive(Debug)]
pub(super) struct App {
    pair_wrong: &'static str,
    bell_works: &'static str,
    bell_fails: &'static str,
    test_title: &'static str,
    digits_shown: &'static str,
    digits_typed: &'static str,
    arrived: &'static str,
    seconds: &'static str,
    seconds_left: &'static str,
    of_several: &'static str,
    wrong_number: &'static str,
    not_taken: &'static str,
    replayed: &'static str,
    title_approved: &'static str,
    title_tested: &'static str,
    told_tested: &'static str,
    told_approved: &'static str,
    title_denied: &'static str,
    told_denied: &'static str,
    title_reported: &'static str,
    told_reported: &'static str,
    title_wrong_number_again: &'static str,
    told_wrong_number_again: &'static str,
    title_too_late: &'static str,
    told_too_late: &'static str,
    title_over: &'static str,
    told_over: &'static str,
    title_elsewhere: &'static str,
    told_elsewhere: &'static str,
}

impl Words {
    /// What the script is given, by the names that it knows.
    pub(super) const fn for_script(&self) -> [(&'static str, &'static str); 34] {
        [
            ("pair_wrong", self.app.pair_wrong),
            ("bell_works", self.app.bell_works),
            ("bell_fails", self.app.bell_fails),
            ("test_title", self.app.test_title),
            ("digits_shown", self.app.digits_shown),
            ("digits_typed", self.app.digits_typed),
            ("arrived", self.app.arrived),
            ("seconds", self.app.seconds),
            ("seconds_left", self.app.seconds_left),
            ("of_several", self.app.of_several),
            ("wrong_number", self.app.wrong_number),
            ("not_taken", self.app.not_taken),
            ("replayed", self.app.replayed),
            ("title_approved", self.app.title_approved),
            ("title_tested", self.app.title_tested),
            ("told_tested", self.app.told_tested),
            ("told_approved", self.app.told_approved),
            ("title_denied", self.app.title_denied),
            ("told_denied", self.app.told_denied),
            ("title_reported", self.app.title_reported),
            ("told_reported", self.app.told_reported),
            (
                "title_wrong_number_again",
                self.app.title_wrong_number_again,
            ),
            ("told_wrong_number_again", self.app.told_wrong_number_again),
            ("title_too_late", self.app.title_too_late),
            ("told_too_late", self.app.told_too_late),
            ("title_over", self.app.title_over),
            ("told_over", self.app.told_over),
            ("title_elsewhere", self.app.title_elsewhere),
            ("told_elsewhere", self.app.told_elsewhere),
            ("too_many", self.too_many),
            ("offline", self.offline),
            ("outside", self.outside),
            ("unknown_station", self.unknown_station),
            ("when", self.when),
        ]
    }

    /// What a factor is called.
    pub(super) const fn kind(&self, kind: FactorKind) -> &'static str {
        match kind {
            FactorKind::Push => self.kind_push,
            FactorKind::Totp => self.kind_totp,
            FactorKind::Sms => self.kind_sms,
            FactorKind::Voice => self.kind_voice,
            FactorKind::Recovery => self.kind_recovery,
        }
    }
}

/// The texts of a language.
pub(super) const fn words(language: Language) -> &'static Words {
    match language {
        Language::Ja => &ja::WORDS,
        Language::En | Language::Both => &en::WORDS,
    }
}

/// What came of a login, in the person's words.
pub(super) const fn reason(reason: Reason, language: Language) -> &'static str {
    match language {
        Language::Ja => ja::reason(reason),
        Language::En | Language::Both => en::reason(reason),
    }
}

/// A notification: its title, its text and its button, in a language or both.
pub(super) fn notification(issuer: &str, language: Language) -> [String; 3] {
    let [ja, en] = [ja::NOTIFICATION, en::NOTIFICATION];
    let parts = |parts: [&str; 3]| parts.map(str::to_owned);
    let [title, body, deny] = match language {
        Language::Ja => parts(ja),
        Language::En => parts(en),
        Language::Both => {
            let [[a, b, c], [x, y, z]] = [ja, en];
            [
                format!("{a} / {x}"),
                format!("{b} / {y}"),
                format!("{c} / {z}"),
            ]
        }
    };
    [format!("{issuer} {title}"), body, deny]
}

/// A moment, as people of the language write it, in the zone of this machine.
pub(super) fn date(at: Timestamp, language: Language) -> String {
    let moment = jiff::Timestamp::from_millisecond(at.millis()).unwrap_or_default();
    let here = moment.to_zoned(TimeZone::system());
    match language {
        Language::Ja => {
            let days = ["月", "火", "水", "木", "金", "土", "日"];
            let day = usize::try_from(here.weekday().to_monday_zero_offset()).unwrap_or_default();
            let day = days.get(day).copied().unwrap_or_default();
            here.strftime(&format!("%Y年%-m月%-d日({day}) %-H:%M"))
                .to_string()
        }
        Language::En | Language::Both => here.strftime("%-d %b %Y %H:%M %Z").to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_languages_have_the_same_places_for_values() {
        let (ja, en) = (words(Language::Ja), words(Language::En));
        for ((key, ja), (_, en)) in ja.for_script().into_iter().zip(en.for_script()) {
            for place in [
                "{what}",
                "{seconds}",
                "{number}",
                "{all}",
                "{time}",
                "{ago}",
            ] {
                assert_eq!(ja.contains(place), en.contains(place), "{key}: {place}");
            }
        }
        assert!(ja.codes_left.contains("{}") && en.codes_left.contains("{}"));
    }

    #[test]
    fn english_is_ascii_and_japanese_is_not() {
        let (ja, en) = (words(Language::Ja), words(Language::En));
        for ((key, ja), (_, en)) in ja.for_script().into_iter().zip(en.for_script()) {
            assert!(en.is_ascii() && !ja.is_ascii(), "{key}");
        }
        for known in Reason::ALL {
            assert!(reason(*known, Language::En).is_ascii(), "{known}");
            assert!(!reason(*known, Language::Ja).is_ascii(), "{known}");
        }
    }

    #[test]
    fn notifications_tell_nothing_of_a_login() {
        let [title, body, deny] = notification("関所大学", Language::Both);
        assert_eq!(title, "関所大学 ログイン確認 / Login check");
        assert_eq!(body, "アプリを開いて確認してください / Open to check");
        assert_eq!(deny, "自分ではない / Not me");
    }

    #[test]
    fn dates_are_as_people_write_them() {
        let at = Timestamp::from_millis(1_775_001_900_000);
        let (ja, en) = (date(at, Language::Ja), date(at, Language::En));
        assert!(ja.starts_with("2026年") && ja.contains("日("), "{ja}");
        assert!(en.contains(" 2026 "), "{en}");
    }
}
