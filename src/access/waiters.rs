//! Tells who holds replies that a prompt was decided.

use std::sync::Mutex;
use std::sync::PoisonError;

use tokio::sync::mpsc;

use super::push::Ending;
use crate::account::AttemptId;

/// News that may wait to be read: more than are decided while the reader does one step. What is lost when there is no room is
/// found at the end of the gear's patience.
const NEWS: usize = 16_384;

/// A prompt of which there is news.
pub type News = (AttemptId, Ending);

/// The way from whoever decides to whoever waits.
pub(super) struct Waiters {
    tell: mpsc::Sender<News>,
    hear: Mutex<Option<mpsc::Receiver<News>>>,
}

impl Default for Waiters {
    fn default() -> Self {
        let (tell, hear) = mpsc::channel(NEWS);
        Self {
            tell,
            hear: Mutex::new(Some(hear)),
        }
    }
}

impl Waiters {
    /// The prompt was decided or withdrawn.
    pub(super) fn tell(&self, prompt: AttemptId) {
        self.say(prompt, Ending::Decided);
    }

    /// No device of the prompt's owner could be reached.
    pub(super) fn unreachable(&self, prompt: AttemptId) {
        self.say(prompt, Ending::Unreachable);
    }

    fn say(&self, prompt: AttemptId, ending: Ending) {
        if self.tell.try_send((prompt, ending)).is_err() {
            log::debug!(
                "nobody was told of a decided prompt: it is found at the end of the gear's patience"
            );
        }
    }

    /// The other end, once.
    pub(super) fn listen(&self) -> Option<mpsc::Receiver<News>> {
        let mut hear = self.hear.lock().unwrap_or_else(PoisonError::into_inner);
        hear.take()
    }
}
