//! The second factor: what the rules ask of somebody whose password is proven.

use std::time::Duration;

use super::Then;
use super::exchange::{Exchange, Settled, Undecided};
use super::policy::{self, Facts, Reach, Step};
use super::proven::{self, Proven};
use super::push::{self, Phones};
use super::sending;
use super::split::Extra;
use super::texts::{self, Text};
use crate::account::Reason;
use crate::directory::Entry;
use crate::store::Standing;

/// What is asked, and what came for it.
pub(super) struct Asked<'a> {
    pub(super) then: Then,
    pub(super) extra: Extra<'a>,
    /// A factor was proven at this station, and that still holds.
    pub(super) remembered: bool,
}

impl Exchange<'_> {
    pub(super) async fn second_factor(
        &mut self,
        mut proven: Proven,
        entry: &Entry,
        standing: &Standing,
        Asked {
            then,
            extra,
            remembered,
        }: Asked<'_>,
    ) -> Result<Settled, Undecided> {
        let mut phones = match remembered {
            true => Phones::default(),
            false => Phones::of(self, standing, then)?,
        };
        if let Some(settled) = self
            .push(&proven, standing, (then, &extra), &phones)
            .await?
        {
            return Ok(settled);
        }
        if phones.devices.is_empty() {
            // The site's own push service was asked, and could not.
            phones = Phones::default();
        }
        let now = self.room.clock.now();
        let step = policy::step(&Facts {
            then,
            client: self.client(),
            standing,
            extra: &extra,
            remembered,
            phone: phones.phone(),
            reach: sending::reach(self.setup, entry, proven.own),
            now,
        });
        match step {
            Step::PasswordEnough => self.accept_password(&proven).await,
            Step::StationRemembered => self.accept_station(&proven).await,
            Step::JudgeCode { only } => {
                let code = match extra {
                    Extra::Code(code) => code,
                    Extra::Nothing | Extra::Number(_) | Extra::Way(_) => "",
                };
                proven::judge(self, &proven, code, &only).await
            }
            Step::AskCode(kind) => proven::ask(self, &proven, kind).await,
            Step::SendCode(kind) => {
                let open = standing.sent_code_open;
                // Boxed: what reaches gateways is large, and most logins do not.
                Box::pin(sending::send(self, &mut proven, entry, kind, open)).await
            }
            // Nobody could be asked, though it was tried.
            Step::Push(_) => self.refuse(&proven, standing, Reason::PushUnanswered).await,
            Step::Refuse(Reason::NoFactor | Reason::NumberRefused)
                if policy::may_enrol(self.client(), self.decision.zone.as_deref(), standing) =>
            {
                self.accept_password(&proven).await
            }
            // What it lacks is a way to type one.
            Step::Refuse(Reason::CodeMissing | Reason::NumberRefused)
                if self.attempt.credential.typed().is_none() =>
            {
                self.refuse(&proven, standing, Reason::CannotAsk).await
            }
            Step::Refuse(reason) => self.refuse(&proven, standing, reason).await,
        }
    }

    /// Opens a prompt, if that is the step; `None` if it is not, or if it reached nobody.
    async fn push(
        &mut self,
        proven: &Proven,
        standing: &Standing,
        (then, extra): (Then, &Extra<'_>),
        phones: &Phones,
    ) -> Result<Option<Settled>, Undecided> {
        let step = policy::step(&Facts {
            then,
            client: self.client(),
            standing,
            extra,
            remembered: false,
            phone: phones.phone(),
            reach: Reach::default(),
            now: self.room.clock.now(),
        });
        let Step::Push(mode) = step else {
            return Ok(None);
        };
        let typed = match extra {
            Extra::Number(digits) => Some(*digits),
            Extra::Nothing | Extra::Code(_) | Extra::Way(_) => None,
        };
        // Boxed: it is large, and most logins do not come here.
        Box::pin(push::open(self, proven, (mode, typed), phones)).await
    }

    async fn refuse(
        &mut self,
        proven: &Proven,
        standing: &Standing,
        reason: Reason,
    ) -> Result<Settled, Undecided> {
        let now = self.room.clock.now();
        let wait = standing.locked_until.unwrap_or(now).since(now);
        let delimiter = self.client().delimiter;
        let text = match reason {
            Reason::NumberMissing => Text::NumberMissing { delimiter },
            reason => refusal_text(reason, wait),
        };
        self.refuse_proven(proven, reason, &text).await
    }
}

/// The text of a refusal that `policy` decided.
pub(super) fn refusal_text(reason: Reason, wait: Duration) -> Text<'static> {
    match reason {
        Reason::Denied => Text::Denied,
        Reason::CodesLocked => Text::Paused {
            minutes: texts::minutes(wait),
        },
        Reason::CodeMissing => Text::CodeMissing,
        Reason::Exposed => Text::Exposed,
        Reason::PushUnanswered => Text::TimedOut,
        Reason::PromptLimit => Text::PromptLimit {
            minutes: texts::minutes(wait),
        },
        Reason::NumberRefused => Text::NumberRefused,
        Reason::NoFactor => Text::NoFactor,
        _ => Text::Failed,
    }
}
