//! The record of one decision: what audit, journal and metrics say about it.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use super::{AccountId, ClientName, FactorKind, Station};
use crate::clock::Timestamp;

/// The public number of an attempt, told to the user as reference and to `sekisho why`: the moment
/// at which it began and a serial, in base32 without the letters that are taken for digits. What is
/// newer sorts after what is older (until 2039, when the moments begin anew).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AttemptId(Arc<str>);

impl AttemptId {
    /// How many characters it has, of five bits each.
    pub const CHARACTERS: usize = 10;
    /// The digits, in the order in which texts sort.
    const DIGITS: &'static [u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    /// Bits of the serial: attempts within a millisecond.
    const SERIAL: u32 = 10;
    /// Milliseconds after which its moments begin anew.
    const CYCLE: i64 = 1 << 40;

    /// The number of an attempt that begins now. No other of this process has it, whatever the clock
    /// does.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let first = u64::try_from(now.millis()).unwrap_or_default() << Self::SERIAL;
        let mut number = first;
        let _before = NEXT.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |next| {
            number = first.max(next);
            Some(number + 1)
        });
        Self::from_number(i64::try_from(number).unwrap_or(i64::MAX))
    }

    /// The number behind the digits: grows with time, so that what is kept under it is appended.
    #[must_use]
    pub fn number(&self) -> i64 {
        let digit = |sign: u8| Self::DIGITS.iter().position(|digit| *digit == sign);
        self.0.bytes().fold(0_i64, |number, sign| {
            let digit = digit(sign).and_then(|digit| i64::try_from(digit).ok());
            number << 5 | digit.unwrap_or_default()
        })
    }

    /// The attempt of a number that [`AttemptId::number`] gave.
    #[must_use]
    pub fn from_number(number: i64) -> Self {
        let digits = (0..Self::CHARACTERS).rev().filter_map(|place| {
            let digit = usize::try_from(number >> (5 * place) & 31).ok()?;
            Self::DIGITS.get(digit).copied().map(char::from)
        });
        Self(digits.collect::<String>().into())
    }

    /// What sorts before every attempt that begins at this moment or later.
    #[must_use]
    pub fn first_at(moment: Timestamp) -> Self {
        Self::from_number(moment.millis().rem_euclid(Self::CYCLE) << Self::SERIAL)
    }

    /// When its attempt began, if that was not after `latest`.
    #[must_use]
    pub fn began(&self, latest: Timestamp) -> Timestamp {
        let age = (latest.millis() - (self.number() >> Self::SERIAL)).rem_euclid(Self::CYCLE);
        Timestamp::from_millis(latest.millis() - age)
    }

    /// Reads one as people type it: any case, and the letters that are taken for digits. `None` if it has
    /// not the form of one.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let text: String = text
            .trim()
            .chars()
            .map(|letter| match letter.to_ascii_uppercase() {
                'I' | 'L' => '1',
                'O' => '0',
                other => other,
            })
            .collect();
        let in_form = text.len() == Self::CHARACTERS
            && text.bytes().all(|octet| Self::DIGITS.contains(&octet));
        in_form.then(|| Self(text.into()))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Access-Accept.
    Accept,
    /// Access-Reject.
    Reject,
    /// Access-Challenge.
    Challenge,
    /// No answer yet: a prompt waits for the person, or was decided by them.
    Waiting,
    /// No answer, because it could not be decided.
    Undecided,
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $word:literal,)+) => {
        /// Why it was answered so. The word of [`Reason::as_str`] is what operators search for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum Reason {
            $($(#[$doc])* #[serde(rename = $word)] $name,)+
        }

        impl Reason {
            /// Every reason, for metrics and documentation.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The word in journal, audit and metrics.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)+ }
            }

            /// Whether it is a reason for which nothing could be decided.
            #[must_use]
            pub const fn is_undecided(self) -> bool {
                matches!(
                    self,
                    Self::DirectoryUnavailable | Self::StoreUnavailable | Self::DeadlinePassed
                )
            }
        }
    };
}

reasons! {
    /// Password and second factor were right.
    Proven = "proven",
    /// The rules asked for the password alone, and it was right.
    PasswordEnough = "password-enough",
    /// The password was right, and a factor was proven at this station before.
    StationRemembered = "station-remembered",
    /// A client certificate was right: possession is proven, and no password was shown.
    Certificate = "certificate",
    /// The session of a login that was let in before was resumed, and nothing has changed since.
    Resumed = "resumed",
    /// The verdict of a moment ago, given again to a retry.
    Repeated = "repeated",

    /// Asked for a code.
    CodeAsked = "code-asked",
    /// Sent a code and asked for it, or asked to log in again with it.
    CodeSent = "code-sent",
    /// The code was wrong or used before, and another try was given.
    CodeAskedAgain = "code-asked-again",

    /// A prompt was opened on the person's devices.
    PushAsked = "push-asked",
    /// The prompt is still open: asked to answer once more when it is approved.
    PushStillOpen = "push-still-open",
    /// A device approved the prompt.
    PushApproved = "push-approved",
    /// What a device sent about a prompt was not believed or came too late.
    PushRefused = "push-refused",
    /// The number typed on the device was not that of the prompt.
    PushNumberWrong = "push-number-wrong",
    /// The prompt was approved after the gear gave up, and this login of the same attempt used it.
    ProvenLate = "proven-late",

    /// The owner, signed in at the portal, added a method.
    MethodAdded = "method-added",
    /// The owner removed one.
    MethodRemoved = "method-removed",
    /// The owner had a remembered station forgotten.
    StationForgotten = "station-forgotten",
    /// The owner made new recovery codes.
    RecoveryCodesMade = "recovery-codes-made",

    /// User-Name is no name.
    BadName = "bad-name",
    /// Realm or domain is not configured.
    UnknownRealm = "unknown-realm",
    /// Attributes that may occur once occurred twice, or are missing.
    BadRequest = "bad-request",
    /// No password, or an empty one.
    EmptyPassword = "empty-password",
    /// The password is no UTF-8: probably the shared secrets differ.
    UnreadablePassword = "unreadable-password",
    /// CHAP, MS-CHAP or EAP, for which no method is configured.
    UnsupportedMethod = "unsupported-method",
    /// An EAP conversation failed by itself: the TLS handshake, or what the station sent; the note says how.
    EapFailed = "eap-failed",
    /// A health check of the gear, which nobody's login is.
    HealthCheck = "health-check",
    /// The directory has no such person.
    UnknownUser = "unknown-user",
    /// The directory has several such people.
    AmbiguousUser = "ambiguous-user",
    /// The directory refused the password.
    WrongPassword = "wrong-password",
    /// The directory has no hash by which such a response could be judged.
    NoNtHash = "no-nt-hash",
    /// The session may no longer be resumed: there must be a login.
    SessionEnded = "session-ended",
    /// Too many wrong passwords from this station: not asked at the directory.
    Throttled = "throttled",
    /// The directory has locked the account.
    Locked = "locked",
    /// The directory has disabled the account.
    Disabled = "disabled",
    /// The account's time is over.
    AccountExpired = "account-expired",
    /// The password has expired.
    PasswordExpired = "password-expired",
    /// The password must be changed before it can be used.
    MustChange = "must-change",
    /// The directory does not allow this login at this time or from here.
    NotNow = "not-now",

    /// A rule denies.
    Denied = "denied",
    /// The person denied it on a device.
    PushDenied = "push-denied",
    /// The person said that it was not them.
    PushReported = "push-reported",
    /// Nobody approved in the time that the gear has.
    PushUnanswered = "push-unanswered",
    /// Too many prompts without a login.
    PromptLimit = "prompt-limit",
    /// The number that a prompt needs was not added to the password.
    NumberMissing = "number-missing",
    /// The person reported a login that was not theirs, and the password has not changed since.
    Exposed = "exposed",
    /// The code was wrong.
    WrongCode = "wrong-code",
    /// The code was right and has been used before.
    CodeUsed = "code-used",
    /// Too many wrong codes.
    CodesLocked = "codes-locked",
    /// No code was given, and this client cannot be asked for one.
    CodeMissing = "code-missing",
    /// The login method has no room for a code, and no device of the person's could be asked.
    CannotAsk = "cannot-ask",
    /// Nothing is enrolled, and there is no number to send a code to.
    NoFactor = "no-factor",
    /// The number in the directory is too new to be trusted.
    NumberTooNew = "number-too-new",
    /// The number is in no allowed country, or is no number.
    NumberRefused = "number-refused",
    /// A limit on messages was reached.
    MessageLimit = "message-limit",
    /// No gateway took the message.
    GatewayFailed = "gateway-failed",
    /// The answer to a challenge that is not, or no longer, open.
    UnknownChallenge = "unknown-challenge",

    /// No directory server could be asked.
    DirectoryUnavailable = "directory-unavailable",
    /// The store could not be read or written.
    StoreUnavailable = "store-unavailable",
    /// The time for this request ran out.
    DeadlinePassed = "deadline-passed",
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How long the steps of an attempt took, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Durations {
    /// Finding the entry and binding.
    pub directory: u64,
    /// Waiting for the store.
    pub store: u64,
    /// Sending a message.
    pub channel: u64,
    /// From receiving the request to the decision.
    pub total: u64,
}

/// One decision. Holds nothing that was typed but the name.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Decision {
    /// The attempt's public number; the rounds of one exchange share it.
    pub attempt: AttemptId,
    /// When it was decided.
    pub at: Timestamp,
    /// The entry's stable id, once it was found.
    pub account: Option<AccountId>,
    /// The account key, or as much of the typed name as is safe to show.
    pub name: Arc<str>,
    /// The configured client.
    pub client: ClientName,
    /// The address that the request came from.
    pub nas: IpAddr,
    /// The end user's equipment.
    pub station: Station,
    /// The attribute that told the station.
    pub station_from: Option<Arc<str>>,
    /// The zone that the station is in; none is outside.
    pub zone: Option<Arc<str>>,
    /// The rule that matched, as `sekisho explain` names it; none before rules were asked.
    pub rule: Option<Arc<str>>,
    /// The factor that was used, asked for or refused.
    pub factor: Option<FactorKind>,
    /// The answer.
    pub outcome: Outcome,
    /// Why.
    pub reason: Reason,
    /// The server of the directory that answered.
    pub directory: Option<Arc<str>>,
    /// How long it took.
    pub durations: Durations,
    /// What else an operator needs to know: never anything typed, never a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Arc<str>>,
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::thread;

    use super::*;

    fn at(millis: i64) -> AttemptId {
        AttemptId::new(Timestamp::from_millis(millis))
    }

    #[test]
    fn a_number_tells_when_its_attempt_began() {
        let written = |number: i64| {
            let digit =
                |place| AttemptId::DIGITS[usize::try_from(number >> (5 * place) & 31).unwrap()];
            let digits = (0..AttemptId::CHARACTERS).rev().map(digit).map(char::from);
            AttemptId::read(&digits.collect::<String>()).unwrap()
        };
        for now in [1_795_577_291_123, (2 << 40) - 5, (2 << 40) + 5] {
            for ago in [0, 1, 3_600_000, 90 * 24 * 3_600_000] {
                let begun: i64 = now - ago;
                let number = begun.rem_euclid(AttemptId::CYCLE) << AttemptId::SERIAL;
                let began = written(number).began(Timestamp::from_millis(now));
                assert_eq!(began.millis(), begun, "{ago} ms ago");
            }
        }
    }

    /// One test, for the serial is one for the whole process: moments far from those of others.
    #[test]
    fn attempts_are_numbered_in_the_order_of_their_beginning() {
        let future = 1_900_000_000_000;
        let first = at(future);
        assert_eq!(first.as_str().len(), AttemptId::CHARACTERS);
        let mut last = first.clone();
        for millis in [0, 0, 1, 1, 1000, 3_600_000, 3_599_000, 0, 86_400_000] {
            let next = at(future + millis);
            assert!(next.as_str() > last.as_str(), "{next} after {last}");
            last = next;
        }
        let many: Vec<AttemptId> = thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| (0..5000).map(|_| at(future)).collect::<Vec<_>>()))
                .collect();
            let joined = threads.into_iter().map(|thread| thread.join().unwrap());
            joined.flatten().collect()
        });
        assert_eq!(many.iter().collect::<HashSet<_>>().len(), 20_000);
    }

    #[test]
    fn numbers_are_read_as_they_are_typed() {
        let read = |text| AttemptId::read(text).map(|id| id.to_string());
        assert_eq!(read(" k7qm2rxdo1 ").as_deref(), Some("K7QM2RXD01"));
        assert_eq!(read("K7QM2RXDLI").as_deref(), Some("K7QM2RXD11"));
        for text in [
            "",
            "taro",
            "K7QM2RXD0",
            "K7QM2RXD01A",
            "K7QM-2RXD0",
            "K7QM2RXU01",
            "花子花子",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
