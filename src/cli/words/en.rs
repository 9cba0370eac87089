//! English.

use super::super::check::counted;
use super::super::upkeep::counted_large;
use super::{Explained, Label, StoreFacts, Words};
use crate::control::{Cause, Deed, FactorKind, Outcome, Reason};

pub(super) struct En;

impl Words for En {
    fn label(&self, label: Label) -> &'static str {
        match label {
            Label::Account => "account",
            Label::Barred => "barred",
            Label::Phones => "phones",
            Label::Groups => "groups",
            Label::Codes => "codes",
            Label::Report => "report",
            Label::Factors => "factors",
            Label::Sessions => "sessions",
            Label::Remembered => "remembered",
            Label::ListensAt => "listens at",
            Label::Clients => "clients",
            Label::Directories => "directories",
            Label::Store => "store",
            Label::Certificates => "certificates",
        }
    }

    fn none(&self) -> &'static str {
        "none"
    }

    fn groups(&self, count: usize) -> String {
        counted(count, "group", "groups")
    }

    fn locked_until(&self, when: &str) -> String {
        format!("locked until {when}")
    }

    fn form(&self, kind: FactorKind, digits: u8) -> String {
        let name = self.factor(kind);
        match kind {
            FactorKind::Push => name.to_owned(),
            FactorKind::Recovery => format!("{name}, {digits} left"),
            FactorKind::Totp | FactorKind::Sms | FactorKind::Voice => {
                format!("{name}, {digits} digits")
            }
        }
    }

    fn unproven(&self) -> &'static str {
        ", unproven"
    }

    fn enrolled(&self, when: &str) -> String {
        format!("enrolled {when}")
    }

    fn used(&self, when: Option<&str>) -> String {
        when.map_or_else(|| "never used".to_owned(), |when| format!("used {when}"))
    }

    fn silent(&self, when: &str) -> String {
        format!("unreachable since {when}")
    }

    fn remembered(&self, client: &str, since: &str, until: &str) -> String {
        format!("at {client}, since {since}, until {until}")
    }

    fn reported(&self, when: &str) -> String {
        format!("not theirs, reported {when}: no login from outside until the password changes")
    }

    fn ready(&self, version: &str, ready: &str) -> String {
        format!("Sekisho {version} {ready}.")
    }

    fn readiness(&self) -> (&'static str, &'static str) {
        ("is ready", "cannot decide logins")
    }

    fn server(&self) -> (&'static str, &'static str) {
        ("up", "down")
    }

    fn before(&self, error: &str) -> String {
        format!("before: {error}")
    }

    fn writable(&self) -> &'static str {
        "writable"
    }

    fn not_writable(&self, error: Option<&str>) -> String {
        error.map_or_else(
            || "not writable".to_owned(),
            |error| format!("not writable: {error}"),
        )
    }

    fn certificate_ends(&self, days: i64, when: &str) -> String {
        match days {
            ..0 => format!("has ended, {when}"),
            0 => format!("ends within a day, {when}"),
            1 => format!("1 day left, until {when}"),
            _ => format!("{days} days left, until {when}"),
        }
    }

    fn store(&self, facts: &StoreFacts) -> String {
        format!(
            "{} with a factor, {}, {}, schema {}",
            counted_large(facts.accounts, "account", "accounts"),
            counted_large(facts.audit_rows, "audit row", "audit rows"),
            facts.size,
            facts.schema
        )
    }

    fn nobody_listens(&self, socket: &str, why: &str) -> String {
        format!(
            "No daemon listens at {socket}: {why}. Start it with `sekisho serve` or as the service that runs it, or say where it listens with --socket."
        )
    }

    fn not_allowed(&self, socket: &str, group: &str) -> String {
        format!("You may not use {socket}: that is for root and the group {group}.")
    }

    fn cause(&self, _cause: &Cause, why: &str) -> String {
        why.to_owned()
    }

    fn deed(&self, _deed: Deed) -> Option<&'static str> {
        None
    }

    fn tried(&self, act: &str, why: &str) -> String {
        format!("tried in vain: {act}: {why}")
    }

    fn note(&self, note: &str) -> String {
        note.to_owned()
    }

    fn counted_in(&self, attempt: &str, when: &str, known: bool) -> String {
        let kept = "Refusals before the password was proven are kept by minute, not one by one";
        match known {
            true => format!("Attempt {attempt} began at {when}. {kept}: it is among these."),
            false => format!(
                "Attempt {attempt} began at {when}. {kept}, and of that minute nothing is known (any more)."
            ),
        }
    }

    fn scan(&self) -> &'static str {
        "Scan this with an authenticator app, or type this address into it:"
    }

    fn code(&self) -> &'static str {
        "Code that the app shows: "
    }

    fn code_wrong(&self, left: u8) -> String {
        match left {
            1 => "That code is not right. Wait for the next one; one try is left.".to_owned(),
            left => {
                format!("That code is not right. Wait for the next one; {left} tries are left.")
            }
        }
    }

    fn recovery(&self) -> &'static str {
        "Each of these codes works once, in place of a code. Print them now: they are not shown again, and older ones no longer work."
    }

    fn factor(&self, kind: FactorKind) -> &'static str {
        match kind {
            FactorKind::Push => "approval on a device",
            FactorKind::Totp => "authenticator app",
            FactorKind::Sms => "SMS",
            FactorKind::Voice => "voice call",
            FactorKind::Recovery => "recovery codes",
        }
    }

    fn noted(&self) -> &'static str {
        "noted"
    }

    fn outcome(&self, outcome: Outcome) -> &'static str {
        match outcome {
            Outcome::Accept => "accepted",
            Outcome::Reject => "rejected",
            Outcome::Challenge => "asked",
            Outcome::Waiting => "waits",
            Outcome::Undecided => "not answered",
        }
    }

    #[expect(clippy::too_many_lines, reason = "one entry a reason, nothing else")]
    fn reason(&self, reason: Reason) -> Explained {
        match reason {
            Reason::Proven => Explained::new("Password and second factor were right.", ""),
            Reason::PasswordEnough => Explained::new(
                "The password was right, and the rules ask for no more here.",
                "",
            ),
            Reason::StationRemembered => Explained::new(
                "The password was right, and a second factor was proven at this station before.",
                "",
            ),
            Reason::Certificate => Explained::new(
                "A client certificate was right: it is the second factor, and no password was asked for.",
                "",
            ),
            Reason::Resumed => Explained::new(
                "The session of an earlier login was resumed: account, rules and password were as before.",
                "",
            ),
            Reason::Repeated => Explained::new(
                "The verdict of a moment ago was given again to a repeated request.",
                "",
            ),
            Reason::CodeAsked => {
                Explained::new("The password was right, and a code was asked for.", "")
            }
            Reason::CodeSent => Explained::new("The password was right, and a code was sent.", ""),
            Reason::CodeAskedAgain => Explained::new(
                "The code was wrong or had been used before, and another try was given.",
                "",
            ),
            Reason::PushAsked => Explained::new(
                "The password was right, and the devices were asked to approve.",
                "",
            ),
            Reason::PushStillOpen => Explained::new(
                "Nobody had approved yet when the gear needed an answer, so it was asked to come again.",
                "",
            ),
            Reason::PushApproved => Explained::new("A device approved.", ""),
            Reason::PushRefused => Explained::new(
                "What a device sent was not taken.",
                "Read the note; if the device is a copy, remove it and pair it anew.",
            ),
            Reason::PushNumberWrong => Explained::new(
                "The number typed on the device was not that of the login.",
                "Type the number that this login shows, or that was added to its password.",
            ),
            Reason::ProvenLate => Explained::new(
                "The approval came when the gear had given up, and this repeated login used it.",
                "",
            ),
            Reason::PushDenied => Explained::new(
                "The login was denied on a device.",
                "If it was a mistake, log in again.",
            ),
            Reason::PushReported => Explained::new(
                "The owner said that it was not them.",
                "Change the password in the directory; look where the login came from.",
            ),
            Reason::MethodAdded => Explained::new(
                "The owner added a method at the portal.",
                "If it was not the owner, remove it and have the password changed.",
            ),
            Reason::MethodRemoved => Explained::new(
                "The owner removed a method at the portal.",
                "If it was not the owner, have the password changed.",
            ),
            Reason::StationForgotten => Explained::new(
                "The owner had a remembered station forgotten at the portal.",
                "",
            ),
            Reason::RecoveryCodesMade => Explained::new(
                "The owner made new recovery codes at the portal.",
                "If it was not the owner, make others and have the password changed.",
            ),
            Reason::PushUnanswered => Explained::new(
                "Nobody approved in the time that the gear gives.",
                "Open the page on the phone and log in again; look whether the gear waits long enough.",
            ),
            Reason::PromptLimit => Explained::new(
                "There were too many prompts without a login, so none was opened.",
                "Log in with a code, or wait; if the prompts were not yours, report them.",
            ),
            Reason::NumberMissing => Explained::new(
                "The number for the device was not added to the password.",
                "Add the delimiter and two digits to the password, and type them on the device.",
            ),
            Reason::Exposed => Explained::new(
                "The owner reported a login that was not theirs, and the password has not changed since.",
                "Change the password in the directory, or end it with sekisho user clear-report USER.",
            ),
            Reason::BadName => Explained::new(
                "What was typed as user name is nobody's name.",
                "Check the user name for odd characters.",
            ),
            Reason::UnknownRealm => Explained::new(
                "The part of the name after @ or before the backslash is not configured.",
                "Type the user name alone, or add the realm to the directory's configuration.",
            ),
            Reason::BadRequest => Explained::new(
                "The request lacks something or holds something twice.",
                "Look at the configuration of the gear that sent it.",
            ),
            Reason::EmptyPassword => Explained::new("No password was typed.", "Type the password."),
            Reason::UnreadablePassword => Explained::new(
                "The password could not be read.",
                "The shared secret of the gear and that of its client here probably differ: compare them.",
            ),
            Reason::UnsupportedMethod => Explained::new(
                "The gear used a login method that is not supported here (CHAP, MS-CHAP or EAP).",
                "Set the gear to PAP.",
            ),
            Reason::EapFailed => Explained::new(
                "The EAP conversation with the station failed by itself, in TLS or in what the station sent.",
                "See the note; a station that does not trust the certificate needs the right profile installed.",
            ),
            Reason::NoNtHash => Explained::new(
                "MSCHAPv2 was used, and the directory shows no NT hash of this account to judge it by.",
                "Use EAP-TTLS with PAP or PEAP with GTC; or set nt-hash of the directory, let the service account read that attribute, and change the password once.",
            ),
            Reason::SessionEnded => Explained::new(
                "An earlier login's session was to be resumed, and something has changed since.",
                "Nothing: the equipment logs in anew. The note says what has changed.",
            ),
            Reason::HealthCheck => Explained::new(
                "The gear looked whether anybody is there; it was nobody's login.",
                "Nothing: a Reject is the answer that it waits for.",
            ),
            Reason::UnknownUser => Explained::new(
                "The directory knows nobody of this name.",
                "Check the spelling, and whether the account exists.",
            ),
            Reason::AmbiguousUser => Explained::new(
                "The directory has several people of this name.",
                "Make user-filter in the configuration match one entry.",
            ),
            Reason::WrongPassword => Explained::new(
                "The password was wrong.",
                "Try the password at another service; if it fails there too, reset it.",
            ),
            Reason::Throttled => Explained::new(
                "There were too many wrong passwords, so the directory was not asked.",
                "Wait some minutes and remove saved old passwords from devices, then try again.",
            ),
            Reason::Locked => Explained::new(
                "The directory has locked the account.",
                "Unlock it in the directory, or wait until the lock ends.",
            ),
            Reason::Disabled => Explained::new(
                "The account is disabled in the directory.",
                "Find out why before enabling it.",
            ),
            Reason::AccountExpired => Explained::new(
                "The account has expired.",
                "Extend it in the directory, if the person still belongs here.",
            ),
            Reason::PasswordExpired => Explained::new(
                "The password has expired.",
                "Change the password, then log in again.",
            ),
            Reason::MustChange => Explained::new(
                "The password must be changed before it can be used.",
                "Change the password, then log in again.",
            ),
            Reason::NotNow => Explained::new(
                "The directory allows no login at this time or from here.",
                "Look at the logon hours and workstations of the account.",
            ),
            Reason::Denied => Explained::new(
                "A rule denies this login.",
                "`sekisho explain` shows the rule.",
            ),
            Reason::WrongCode => Explained::new(
                "The code was wrong.",
                "Check that the phone's clock sets itself, and that the code is of the right entry in the app.",
            ),
            Reason::CodeUsed => Explained::new(
                "The code was right, but had been used before.",
                "Wait for the next code: each works once.",
            ),
            Reason::CodesLocked => Explained::new(
                "Codes are locked after too many wrong ones.",
                "Wait until the lock ends, or use `sekisho user unlock` after checking who asks.",
            ),
            Reason::CodeMissing => Explained::new(
                "The password was right, but no code came with it, and this gear cannot ask for one.",
                "Type the code directly after the password.",
            ),
            Reason::CannotAsk => Explained::new(
                "The password was right, but with MSCHAPv2 no code can be typed, and no device could be asked.",
                "Pair a device and allow push = [\"approve\"] for the client; or use EAP-TTLS with PAP or PEAP with GTC.",
            ),
            Reason::NoFactor => Explained::new(
                "The password was right, but nothing is enrolled and there is no number to send a code to.",
                "Enrol an app with `sekisho user enrol-totp`, or put a mobile number into the directory.",
            ),
            Reason::NumberTooNew => Explained::new(
                "The telephone number was changed too recently to be trusted.",
                "Wait until it is old enough, or enrol an app or recovery codes after checking who asks.",
            ),
            Reason::NumberRefused => Explained::new(
                "The telephone number in the directory is no number that may be reached.",
                "Correct the number in the directory, or allow its country.",
            ),
            Reason::MessageLimit => Explained::new(
                "Too many messages were sent.",
                "Wait, or use an app or a recovery code.",
            ),
            Reason::GatewayFailed => Explained::new(
                "No gateway took the message.",
                "`sekisho check --probe` shows the gateways; an app or a recovery code works meanwhile.",
            ),
            Reason::UnknownChallenge => Explained::new(
                "The answer came to a question that is no longer open.",
                "Log in again from the beginning.",
            ),
            Reason::DirectoryUnavailable => Explained::new(
                "No directory server could be asked.",
                "`sekisho status` shows the servers.",
            ),
            Reason::StoreUnavailable => Explained::new(
                "The store could not be read or written.",
                "`sekisho status` shows what is wrong; look at the space on the disk, too.",
            ),
            Reason::DeadlinePassed => Explained::new(
                "It took longer than the gear waits.",
                "`sekisho status` shows whether a server is slow or down.",
            ),
        }
    }

    fn way(&self, client: &str, nas: &str, station: &str, zone: Option<&str>) -> String {
        let zone = zone.map_or_else(|| "outside".to_owned(), |zone| format!("zone {zone}"));
        format!("Through {client} ({nas}), from {station}, {zone}.")
    }

    fn unknown_station(&self) -> &'static str {
        "an unknown station"
    }

    fn rule(&self, rule: &str) -> String {
        // Rules are named in lower case, as part of a sentence: here they are one.
        let mut letters = rule.chars();
        let first = letters.next().map(|first| first.to_ascii_uppercase());
        format!(
            "{}{}.",
            first.map(String::from).unwrap_or_default(),
            letters.as_str()
        )
    }

    fn took(&self, total: &str, directory: Option<&str>) -> String {
        directory.map_or_else(
            || format!("It took {total}."),
            |directory| format!("It took {total}, {directory} of them at the directory."),
        )
    }

    fn failures(&self, count: u64) -> String {
        match count {
            1 => "once".to_owned(),
            count => format!("{count} times within the minute"),
        }
    }

    fn typed(&self, names: &str) -> String {
        format!("Names: {names}.")
    }

    fn stations(&self, stations: &str) -> String {
        format!("From: {stations}.")
    }

    fn operator(&self, who: &str, what: &str) -> String {
        format!("Operator {who} {what}.")
    }

    fn no_story(&self, about: Option<&str>) -> String {
        about.map_or_else(
            || "Nobody has logged in yet.".to_owned(),
            |about| format!("Nothing is kept about {about}. If there was a login, look at the gear and at the name it sent; of a flood of unknown names only some are kept."),
        )
    }
}
