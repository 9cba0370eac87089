//! What the configuration says about deciding.

use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::account::{ClientName, FactorKind, Language, Realms};
use crate::clock::Timestamp;

/// Everything that deciding depends on.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Which directory answers for whom.
    pub realms: Realms,
    /// Zones, first match wins.
    pub zones: Vec<Zone>,
    /// Groups (in `directory::same_dn_form`) that are asked before any exemption.
    pub always_ask: Vec<Arc<str>>,
    /// Rules, first match wins; no match asks.
    pub rules: Vec<Rule>,
    /// Which reply sets an Accept carries: every match, in order.
    pub replies: Vec<ReplyRule>,
    /// Bounds on wrong passwords.
    pub passwords: PasswordLimits,
    /// Clients by name, for `explain`.
    pub clients: Vec<Arc<ClientPolicy>>,
    /// What the university is called in messages.
    pub issuer: Label,
    /// Digits of sent codes, 6 to 8.
    pub code_digits: u8,
    /// How long a sent code holds, for its message; `store` is what ends it.
    pub code_life: Duration,
    /// How long a challenge stays open.
    pub challenge_life: Duration,
    /// Rounds of one challenge conversation.
    pub challenge_rounds: u8,
    /// How long a prompt stays open.
    pub prompt_life: Duration,
    /// Digits of a number that is shown, 2 to 4.
    pub prompt_digits: u8,
    /// The portal's address; empty where there is none.
    pub portal: Arc<str>,
}

/// A named set of networks.
#[derive(Clone, Debug)]
pub struct Zone {
    /// Its name.
    pub name: Arc<str>,
    /// Its networks.
    pub networks: Vec<IpNet>,
}

/// A rule. Conditions that are `None` hold always.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Holds for members of the group (in `directory::same_dn_form`).
    pub group: Option<Arc<str>>,
    /// Holds for stations in the zone; `outside` is the zone of those in none.
    pub zone: Option<Arc<str>>,
    /// Holds for the client.
    pub client: Option<ClientName>,
    /// What follows.
    pub then: Then,
    /// From when on.
    pub from: Option<Timestamp>,
    /// What follows until then; without it the rule is passed over until then.
    pub before: Option<Then>,
}

/// What a rule says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// A second factor.
    Ask,
    /// The password is enough.
    PasswordOnly,
    /// No login.
    Deny,
}

/// Which reply set goes with whom.
#[derive(Clone, Debug)]
pub struct ReplyRule {
    /// Holds for members of the group (in `directory::same_dn_form`).
    pub group: Option<Arc<str>>,
    /// Holds for the client.
    pub client: Option<ClientName>,
    /// The set's name.
    pub set: Arc<str>,
}

/// Bounds on wrong passwords. What strangers and the own stations may do together must be below what makes the directory
/// lock the account.
#[derive(Clone, Debug)]
pub struct PasswordLimits {
    /// Wrong passwords within the window (`store::Limits::password_window`) from all stations that never logged in as the
    /// account, together; then they are answered without asking the directory.
    pub strangers: u32,
    /// Wrong passwords within the window from all stations that logged in before, together.
    pub own_stations: u32,
    /// The delay after the second wrong password in a row; doubled after each further one.
    pub first_delay: Duration,
    /// The longest delay.
    pub longest_delay: Duration,
}

impl Default for PasswordLimits {
    fn default() -> Self {
        Self {
            strangers: 4,
            own_stations: 5,
            first_delay: Duration::from_secs(2),
            longest_delay: Duration::from_secs(300),
        }
    }
}

/// How a code comes in (D7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeEntry {
    /// The last digits of the password field.
    Appended,
    /// After the last delimiter of the password field.
    Delimited,
    /// By Access-Challenge.
    Challenge,
}

impl CodeEntry {
    /// The word of the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Appended => "appended",
            Self::Delimited => "delimited",
            Self::Challenge => "challenge",
        }
    }
}

/// How the number of a push crosses over between gear and phone (D8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushMode {
    /// The text of an Access-Challenge shows it, and it is typed on the phone.
    Shown,
    /// The user adds 2 to 4 digits behind the delimiter of the password field, and types them on the phone.
    Typed,
    /// It does not: the phone asks for yes or no alone. Only where a client is configured so by name.
    Approve,
}

impl PushMode {
    /// The word of the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Shown => "shown",
            Self::Typed => "typed",
            Self::Approve => "approve",
        }
    }

    /// Whether the reply is held until the phone has answered.
    #[must_use]
    pub const fn holds_reply(self) -> bool {
        matches!(self, Self::Typed | Self::Approve)
    }
}

/// What text a client can show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Texts {
    /// In the person's language, both where it is not known.
    #[default]
    Full,
    /// English in ASCII.
    Ascii,
    /// None: Reply-Message is not sent.
    None,
    /// In the client's language, whatever the person's, for a page that says by itself what to do: a number alone is no more than
    /// its digits.
    Page,
}

/// Whom a client asks for a second factor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Asks {
    /// Whoever the rules say.
    #[default]
    ByRules,
    /// Everybody, whatever the rules exempt from it: nobody manages factors by a password alone. But who has no factor, and no number
    /// that a code could be sent to, is let in by the password in these zones.
    Always {
        /// The zones.
        but_in: Vec<Arc<str>>,
    },
}

/// A text in both languages.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Label {
    /// Japanese.
    pub ja: String,
    /// English.
    pub en: String,
}

/// What a client may do and is asked for.
#[derive(Clone, Debug)]
pub struct ClientPolicy {
    /// The name in `[client.NAME]`.
    pub name: ClientName,
    /// What people call it.
    pub label: Label,
    /// Whom it asks.
    pub asks: Asks,
    /// How codes come in.
    pub code: Vec<CodeEntry>,
    /// The delimiter of [`CodeEntry::Delimited`].
    pub delimiter: char,
    /// The ways that may be used here, strongest first.
    pub ways: Vec<FactorKind>,
    /// What text it can show.
    pub texts: Texts,
    /// The language of texts for people whose language is not known.
    pub language: Language,
    /// Addresses that this client hands out: never in any zone.
    pub pool: Vec<IpNet>,
    /// Several people share one station address here (a terminal server, a NAT).
    pub shared_stations: bool,
    /// The ways in which the number of a push crosses over here, in order of preference; without any there is no push.
    pub push: Vec<PushMode>,
    /// How long the gear waits for an answer, all retransmissions together.
    pub patience: Duration,
    /// How long a verdict is given again to the same attempt from the same place.
    pub pair: Duration,
    /// For how long a station is remembered at which a factor was proven; zero is never.
    pub remember: Duration,
    /// Whether it is remembered even for members of groups that are always asked.
    pub remember_always: bool,
    /// How long after its approval a push that came too late lets the next attempt in; zero is never.
    pub late_approval: Duration,
}

impl Label {
    /// The text in a language.
    #[must_use]
    pub fn text(&self, language: Language) -> &str {
        match language {
            Language::Ja => &self.ja,
            Language::En | Language::Both => &self.en,
        }
    }
}

impl ClientPolicy {
    /// The same for a login at which nothing can be asked: what is shown is all that comes.
    #[must_use]
    pub fn unasked(&self) -> Self {
        let mut policy = self.clone();
        policy.code.retain(|entry| *entry != CodeEntry::Challenge);
        policy.push.retain(|mode| *mode != PushMode::Shown);
        policy
    }

    /// The same for a login at which nothing is typed that we see: a device may still approve.
    #[must_use]
    pub fn untyped(&self) -> Self {
        let mut policy = self.clone();
        policy.code.clear();
        policy.push.retain(|mode| *mode == PushMode::Approve);
        policy
    }

    /// Whether anything may be asked here that [`Self::unasked`] leaves out.
    pub(super) fn asks_back(&self) -> bool {
        self.can_challenge() || self.push.contains(&PushMode::Shown)
    }

    /// Whether the client can be sent an Access-Challenge.
    #[must_use]
    pub fn can_challenge(&self) -> bool {
        self.code.contains(&CodeEntry::Challenge)
    }
}
