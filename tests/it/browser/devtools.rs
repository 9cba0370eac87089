//! The DevTools protocol over two pipes: JSON, each message ended by a zero octet.

use std::collections::{HashMap, VecDeque};
use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, ChildStdout};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use super::process::Deadline;

/// Events kept: more than any test makes; the oldest go first.
const EVENTS: usize = 20_000;
/// How long an answer or an event may take.
const ANSWER: Duration = Duration::from_secs(20);

/// What the browser has told so far.
#[derive(Default)]
struct Inbox {
    told: Mutex<Told>,
    grown: Condvar,
}

#[derive(Default)]
struct Told {
    answers: HashMap<u64, Value>,
    events: VecDeque<Value>,
    ended: bool,
}

/// A connection to a browser.
pub(super) struct Devtools {
    to: Mutex<ChildStdin>,
    inbox: Arc<Inbox>,
    last: AtomicU64,
    deadline: Deadline,
}

impl Devtools {
    pub(super) fn new(to: ChildStdin, from: ChildStdout, deadline: Deadline) -> Self {
        let inbox = Arc::new(Inbox::default());
        let reader = Arc::clone(&inbox);
        // It ends with the browser's end of the pipe.
        drop(std::thread::spawn(move || read(from, &reader)));
        Self {
            to: Mutex::new(to),
            inbox,
            last: AtomicU64::new(0),
            deadline,
        }
    }

    pub(super) fn deadline(&self) -> Deadline {
        self.deadline
    }

    /// Asks the browser, or one of its targets by the session of it.
    pub(super) fn try_call(
        &self,
        session: &str,
        method: &str,
        parameters: Value,
    ) -> Result<Value, String> {
        self.ask((session, method), parameters, ANSWER)
    }

    /// The same with another patience.
    pub(super) fn ask(
        &self,
        (session, method): (&str, &str),
        parameters: Value,
        patience: Duration,
    ) -> Result<Value, String> {
        let id = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        let mut message = json!({ "id": id, "method": method });
        message["params"] = parameters;
        if !session.is_empty() {
            message["sessionId"] = session.into();
        }
        let mut octets = message.to_string().into_bytes();
        octets.push(0);
        self.to
            .lock()
            .unwrap()
            .write_all(&octets)
            .map_err(|error| format!("{method}: {error}"))?;
        let answer = self.wait(patience, |told| {
            let ended = told.ended.then(|| json!({ "error": "the browser ended" }));
            told.answers.remove(&id).or(ended)
        });
        let mut answer = answer.ok_or_else(|| format!("{method}: not in time"))?;
        match answer["error"].take() {
            Value::Null => Ok(answer["result"].take()),
            error => Err(format!("{method}: {error}")),
        }
    }

    /// The same, which must succeed.
    pub(super) fn call(&self, session: &str, method: &str, parameters: Value) -> Value {
        self.try_call(session, method, parameters).unwrap()
    }

    /// Waits for the first event, of those told until now, too, that says something.
    pub(super) fn wait_event<T>(&self, what: &str, mut says: impl FnMut(&Value) -> Option<T>) -> T {
        let said = self.wait(ANSWER, |told| told.events.iter().find_map(&mut says));
        said.unwrap_or_else(|| panic!("{what}: never said"))
    }

    /// What the events of a session say, oldest first.
    pub(super) fn events<T>(&self, session: &str, says: impl FnMut(&Value) -> Option<T>) -> Vec<T> {
        let told = self.inbox.told.lock().unwrap();
        let events = told.events.iter();
        events
            .filter(|event| event["sessionId"] == session)
            .filter_map(says)
            .collect()
    }

    fn wait<T>(
        &self,
        patience: Duration,
        mut look: impl FnMut(&mut Told) -> Option<T>,
    ) -> Option<T> {
        let mut found = None;
        let told = self.inbox.told.lock().unwrap();
        let left = patience.min(self.deadline.left());
        let waited = self.inbox.grown.wait_timeout_while(told, left, |told| {
            found = look(told);
            found.is_none()
        });
        drop(waited);
        found
    }
}

fn read(from: ChildStdout, inbox: &Inbox) {
    let mut from = BufReader::new(from);
    let mut octets = Vec::new();
    while matches!(from.read_until(0, &mut octets), Ok(count) if count > 0) {
        let told = octets.strip_suffix(&[0]).map(serde_json::from_slice);
        if let Some(Ok(message)) = told {
            inbox.told.lock().unwrap().take(message);
            inbox.grown.notify_all();
        }
        octets.clear();
    }
    inbox.told.lock().unwrap().ended = true;
    inbox.grown.notify_all();
}

impl Told {
    fn take(&mut self, message: Value) {
        if let Some(id) = message["id"].as_u64() {
            let _none = self.answers.insert(id, message);
            return;
        }
        if self.events.len() == EVENTS {
            let _oldest = self.events.pop_front();
        }
        self.events.push_back(message);
    }
}
