//! The words of prompts: what is asked, how it stands, what came of it.

use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::account::{AccountId, AccountKey, AttemptId, ClientName, Reason};
use crate::clock::Timestamp;
use crate::store::{Challenge, ChallengeFacts};

/// How the number of a prompt crosses over to the device (D8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Crossing {
    /// It is shown where the login is made.
    Shown,
    /// It was typed after the password.
    Typed,
    /// There is none: the client is trusted with approvals alone.
    None,
}

/// What a prompt is about: all that the device shows, and all that an Accept needs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Prompt {
    /// Whose login it is.
    pub account: AccountId,
    /// The account key of the typed name.
    pub name: AccountKey,
    /// Where to.
    pub client: ClientName,
    /// The gear that asked.
    pub nas: IpAddr,
    /// The facts of the attempt, whose number is the prompt's.
    pub facts: ChallengeFacts,
    /// How the number crosses over.
    pub crossing: Crossing,
    /// Digits of the number.
    pub digits: u8,
    /// Whether other packets of the attempt may join it, and use its approval later.
    pub joins: bool,
    /// Set for a test: the one device that may answer. Nobody is let in by it.
    pub test: Option<i64>,
    /// When it was opened.
    pub opened: Timestamp,
    /// When it ends.
    pub expires: Timestamp,
}

impl Prompt {
    /// Its number, which is its attempt's.
    #[must_use]
    pub const fn id(&self) -> &AttemptId {
        &self.facts.attempt
    }
}

/// What became of a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PromptState {
    /// It can be decided.
    Open,
    /// It was approved and nobody was let in by it yet.
    Approved,
    /// It was denied.
    Denied,
    /// It was approved and somebody was let in.
    Used,
    /// A newer one took its place, or the login was given up.
    Withdrawn,
    /// Its time ran out.
    Over,
}

/// A prompt as it stands.
#[derive(Clone, Debug)]
pub struct PromptStanding {
    /// What it is about.
    pub prompt: Prompt,
    /// What became of it.
    pub state: PromptState,
    /// When it was decided.
    pub decided: Option<Timestamp>,
    pub(super) salt: Vec<u8>,
    pub(super) digest: Vec<u8>,
    pub(super) number: Option<Vec<u8>>,
    pub(super) tries: u32,
}

/// A prompt to be opened, unless one of the same attempt is open.
#[derive(Clone, Debug)]
pub struct NewPrompt {
    /// What it is about.
    pub prompt: Prompt,
    /// The digest of the attempt: equal for all its packets.
    pub attempt: [u8; 32],
    /// The number to be typed on the device.
    pub number: Option<Box<str>>,
    /// How long after its approval another packet of the attempt may use it.
    pub late: Duration,
    /// What asks where the login is made, under its State.
    pub challenge: Option<([u8; 16], Challenge)>,
}

/// What came of opening a prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum PromptOpened {
    /// It is open: ring. These others were withdrawn for it.
    Opened {
        /// Their numbers.
        withdrawn: Vec<AttemptId>,
    },
    /// One of the same attempt is open.
    Joined(AttemptId),
    /// None: the owner has said that others know the password, perhaps while this login was on its way.
    Reported,
    /// Too many since the last login.
    Limited {
        /// When the next may be opened.
        until: Timestamp,
    },
}

/// Who decides a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecidedBy {
    /// A device, with the counter of its signature.
    Device(i64, i64),
    /// The site's own push service.
    Service,
}

/// What came of a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum PromptDecided {
    /// Approved. A test proves its device.
    Approved,
    /// Denied.
    Denied,
    /// Denied, and its owner says that it was not them.
    Reported,
    /// The number was wrong; it may be tried once more.
    WrongNumber,
    /// The number was wrong again: denied.
    WrongNumberAgain,
    /// It was decided before, or is over.
    TooLate(PromptState),
    /// There is no such prompt for this device.
    Unknown,
    /// The device's counter went back: a copy of it, or of what it sent.
    Replayed,
}

/// What came of using an approval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum ApprovalUsed {
    /// Used, and the Accept is recorded.
    Accepted,
    /// There is none to use.
    None(PromptState),
}

impl PromptStanding {
    /// Somebody might still be let in by it.
    pub(super) fn is_alive(&self) -> bool {
        matches!(self.state, PromptState::Open | PromptState::Approved)
    }

    /// Whether it was approved so short a time ago.
    #[must_use]
    pub fn is_fresh(&self, late: Duration, now: Timestamp) -> bool {
        self.decided
            .is_some_and(|decided| decided.after(late) > now)
    }

    pub(super) fn may_be_decided(&self, by: DecidedBy) -> bool {
        match (self.prompt.test, by) {
            (None, _) => true,
            (Some(only), DecidedBy::Device(device, _)) => only == device,
            (Some(_), DecidedBy::Service) => false,
        }
    }
}

impl PromptDecided {
    /// How the trail tells it.
    #[must_use]
    pub fn recorded(self) -> (Reason, Option<std::sync::Arc<str>>) {
        let (reason, note) = match self {
            Self::Approved => (Reason::PushApproved, None),
            Self::Denied => (Reason::PushDenied, None),
            Self::Reported => (Reason::PushReported, None),
            Self::WrongNumber => (Reason::PushNumberWrong, None),
            Self::WrongNumberAgain => (Reason::PushNumberWrong, Some("twice: denied")),
            Self::TooLate(PromptState::Over) => (Reason::PushRefused, Some("too late")),
            Self::TooLate(PromptState::Withdrawn) => {
                (Reason::PushRefused, Some("the prompt was withdrawn"))
            }
            Self::TooLate(_) => (Reason::PushRefused, Some("decided before")),
            Self::Unknown => (Reason::PushRefused, Some("no such prompt")),
            Self::Replayed => (
                Reason::PushRefused,
                Some("the device's counter went back: a copy of the device, or of what it sent"),
            ),
        };
        (reason, note.map(Into::into))
    }
}
