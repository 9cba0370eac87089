//! What an account's row says of prompts: which are not over, how many there were since its last login, and whether its owner
//! reported one.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::account::AttemptId;
use crate::clock::Timestamp;
use crate::store::{Error, Prompt};

/// The prompt's number, and when it and a late approval of it are over.
#[derive(Clone, Copy, Serialize, Deserialize, PartialEq)]
struct Waiting(i64, i64);

/// The part of the row. Its text is empty for most accounts.
#[derive(Clone, Default, Serialize, Deserialize, PartialEq)]
pub(in crate::store) struct Pushes {
    #[serde(rename = "p", default, skip_serializing_if = "Vec::is_empty")]
    waiting: Vec<Waiting>,
    #[serde(rename = "n", default, skip_serializing_if = "is_none")]
    count: u32,
    #[serde(rename = "s", default, skip_serializing_if = "is_never")]
    since: i64,
    /// When a report came.
    #[serde(rename = "x", default, skip_serializing_if = "Option::is_none")]
    pub(in crate::store) exposed: Option<i64>,
}

const fn is_none(count: &u32) -> bool {
    *count == 0
}

const fn is_never(moment: &i64) -> bool {
    *moment == 0
}

impl Pushes {
    pub(super) fn read(text: &str) -> Result<Self, Error> {
        match text {
            "" => Ok(Self::default()),
            text => Ok(serde_json::from_str(text)?),
        }
    }

    pub(super) fn text(&self) -> Result<String, Error> {
        match *self == Self::default() {
            true => Ok(String::new()),
            false => Ok(serde_json::to_string(self)?),
        }
    }

    /// The numbers of prompts that are not over, oldest first.
    pub(in crate::store) fn numbers(&self, now: Timestamp) -> Vec<i64> {
        let waiting = self.waiting.iter();
        waiting
            .filter(|waiting| waiting.1 > now.millis())
            .map(|waiting| waiting.0)
            .collect()
    }

    /// How many more may be opened now.
    pub(super) fn left(&self, now: Timestamp, (most, window): (u32, Duration)) -> u32 {
        match self.is_old(now, window) {
            true => most,
            false => most.saturating_sub(self.count),
        }
    }

    fn is_old(&self, now: Timestamp, window: Duration) -> bool {
        Timestamp::from_millis(self.since).after(window) <= now
    }

    /// Counts one more, or says when one more may be opened.
    pub(in crate::store) fn count(
        &mut self,
        now: Timestamp,
        (most, window): (u32, Duration),
    ) -> Result<(), Timestamp> {
        if self.is_old(now, window) {
            self.count = 0;
        }
        if self.count >= most {
            return Err(Timestamp::from_millis(self.since).after(window));
        }
        if self.count == 0 {
            self.since = now.millis();
        }
        self.count += 1;
        Ok(())
    }

    /// Takes one back that reached nobody.
    pub(in crate::store) const fn uncount(&mut self) {
        self.count = self.count.saturating_sub(1);
    }

    /// Forgets the count: somebody was let in.
    pub(super) fn forget_count(&mut self) {
        (self.count, self.since) = (0, 0);
    }

    /// Notes a prompt, and lets go of those that are over.
    pub(in crate::store) fn add(&mut self, prompt: &Prompt, now: Timestamp, late: Duration) {
        self.waiting.retain(|waiting| waiting.1 > now.millis());
        let until = prompt.expires.after(late).millis();
        self.waiting.push(Waiting(prompt.id().number(), until));
    }

    /// Lets go of one.
    pub(in crate::store) fn remove(&mut self, prompt: &AttemptId) {
        let number = prompt.number();
        self.waiting.retain(|waiting| waiting.0 != number);
    }
}
