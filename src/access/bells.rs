//! Rings the doorbells of a person's devices, asks the site's own push service, raises alerts: all of it beside the login, which
//! waits for none of it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep};
use tokio_util::task::TaskTracker;

use super::texts;
use super::waiters::Waiters;
use super::{Room, Setup, response};
use crate::account::{AttemptId, Language};
use crate::channel::{
    Alert, Answer, Asked, Channels, Choice, Doorbell, Matching, Polled, Question, Ring, Rung,
};
use crate::clock::Timestamp;
use crate::factor::Response;
use crate::secret::Secret;
use crate::store::{Crossing, Device, Prompt, Store};

/// Rings, questions and alerts on their way at once. Beyond that a prompt waits for whoever opens the page.
const AT_ONCE: usize = 1024;
/// How long a push service or a site's own may take: people look at their phones before that.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long an alert may take.
const ALERT: Duration = Duration::from_secs(30);

/// What rings.
pub(super) struct Bells {
    tasks: TaskTracker,
    permits: Arc<Semaphore>,
}

/// What came of asking the site's own push service.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Service {
    /// It asks the person.
    Asks,
    /// The person has no phone there, or it cannot be asked.
    Cannot,
}

impl Bells {
    pub(super) fn new(tasks: TaskTracker) -> Self {
        Self {
            tasks,
            permits: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    fn permit(&self) -> Option<OwnedSemaphorePermit> {
        let permit = self.permits.clone().try_acquire_owned().ok();
        if permit.is_none() {
            log::warn!(
                "too many doorbells are being rung: a prompt waits for its page to be opened"
            );
        }
        permit
    }

    /// Rings at every device; when none could be rung, those who wait hear of it.
    pub(super) fn ring(&self, room: &Room, prompt: &Prompt, devices: Vec<Device>) {
        let setup = room.setup.load_full();
        if devices.is_empty() || !setup.channels.has_push() {
            return;
        }
        let Some(permit) = self.permit() else { return };
        let now = room.clock.now();
        let round = Round {
            store: room.store.clone(),
            waiters: room.waiters.clone(),
            id: prompt.id().clone(),
            ttl: prompt.expires.since(now),
            setup,
        };
        self.tasks.spawn(async move {
            let _permit = permit;
            round.ring(devices).await;
        });
    }

    /// Hands the question to the site's own push service, and has it polled for the answer if it is to be.
    pub(super) async fn ask(&self, room: &Arc<Room>, prompt: &Prompt) -> Service {
        let setup = room.setup.load_full();
        let deadline = Instant::now() + PATIENCE;
        let question = question(&setup, prompt);
        match setup.channels.ask(&question, deadline).await {
            Asked::Taken => {}
            Asked::NoDevice => return Service::Cannot,
            Asked::Failed(why) => {
                log::warn!("the site's push service {why}");
                return Service::Cannot;
            }
        }
        if let Some(interval) = setup.channels.poll_interval()
            && let Some(permit) = self.permit()
        {
            let (room, id, expires) = (room.clone(), prompt.id().clone(), prompt.expires);
            self.tasks.spawn(async move {
                let _permit = permit;
                poll(&room, (&setup.channels, interval), &id, expires).await;
            });
        }
        Service::Asks
    }

    /// Tells those who must know that somebody reported a login.
    pub(super) fn alert(&self, room: &Room, prompt: &Prompt) {
        log::warn!(
            "{} says that the login {} was not theirs: client {}, station {}",
            prompt.name.as_str(),
            prompt.id(),
            prompt.client,
            prompt.facts.station
        );
        let setup = room.setup.load_full();
        if !setup.channels.has_alerts() {
            return;
        }
        let (ja, en) = texts::reported(prompt);
        let alert = Alert {
            event: "reported",
            at: room.clock.now(),
            account: Some(prompt.account.clone()),
            name: prompt.name.as_str().to_owned(),
            reference: prompt.id().as_str().to_owned(),
            ja,
            en,
        };
        self.tasks.spawn(async move {
            let deadline = Instant::now() + ALERT;
            for (way, alerted) in setup.channels.alert(&alert, deadline).await {
                if let Err(why) = alerted {
                    log::error!("alert of {} by {way}: {why}", alert.reference);
                }
            }
        });
    }
}

/// One ring at all devices of a person.
struct Round {
    store: Store,
    waiters: Arc<Waiters>,
    setup: Arc<Setup>,
    id: AttemptId,
    ttl: Duration,
}

impl Round {
    async fn ring(self, devices: Vec<Device>) {
        let mut reached = false;
        let deadline = Instant::now() + PATIENCE;
        // One after the other: who has several devices has few, and each service answers within moments.
        for device in devices {
            reached |= self.ring_one(&device, deadline).await;
        }
        if !reached {
            self.waiters.unreachable(self.id);
        }
    }

    /// Whether the device was rung, or looks by itself.
    async fn ring_one(&self, device: &Device, deadline: Instant) -> bool {
        let Some(bell) = &device.bell else {
            return device.failed.is_none();
        };
        let Ok(bell) = serde_json::from_slice::<Doorbell>(bell.expose()) else {
            self.store
                .note_bell(device.id, Some("its doorbell cannot be read"));
            return false;
        };
        let settings = &self.setup.settings;
        let ring = Ring {
            prompt: self.id.as_str().to_owned(),
            ttl: self.ttl,
            language: device.language,
            sender: match device.language {
                Language::En => settings.issuer.en.clone(),
                Language::Ja | Language::Both => settings.issuer.ja.clone(),
            },
            portal: settings.portal.to_string(),
        };
        match self.setup.channels.ring(&bell, &ring, deadline).await {
            Rung::Taken => {
                if device.failed.is_some() {
                    self.store.note_bell(device.id, None);
                }
                true
            }
            Rung::Gone => {
                self.store
                    .forget_bell(device.id, "its subscription has ended");
                false
            }
            // It rings within moments, or the page asks by itself.
            Rung::Busy(_) => true,
            Rung::Refused(why) | Rung::Failed(why) => {
                log::warn!("device {} of {}: {why}", device.id, device.account);
                self.store.note_bell(device.id, Some(&why));
                false
            }
        }
    }
}

fn question(setup: &Setup, prompt: &Prompt) -> Question {
    let settings = &setup.settings;
    let client = settings.clients.iter().find(|c| c.name == prompt.client);
    let label = client
        .map(|client| client.label.clone())
        .unwrap_or_default();
    let facts = &prompt.facts;
    Question {
        prompt: prompt.id().as_str().to_owned(),
        account: prompt.account.clone(),
        name: prompt.name.as_str().to_owned(),
        client: prompt.client.clone(),
        label: (label.ja, label.en),
        station: facts.station.clone(),
        zone: facts.zone.as_deref().unwrap_or("outside").to_owned(),
        at: prompt.opened,
        expires: prompt.expires,
        number: match prompt.crossing {
            Crossing::None => Matching::Unneeded,
            Crossing::Shown | Crossing::Typed => Matching::Needed,
        },
        answer_url: format!("{}/push/answer", settings.portal.trim_end_matches('/')),
    }
}

/// Asks for the answer until there is one, or the prompt is over.
async fn poll(
    room: &Room,
    (channels, interval): (&Channels, Duration),
    prompt: &AttemptId,
    expires: Timestamp,
) {
    while room.clock.now() < expires {
        sleep(interval).await;
        let deadline = Instant::now() + PATIENCE;
        match channels.poll(prompt.as_str(), deadline).await {
            Polled::Answered(answer) => {
                heard(room, answer).await;
                return;
            }
            Polled::Waiting => {}
            Polled::Gone => return,
            Polled::Failed(why) => log::warn!("the site's push service {why}"),
        }
    }
}

/// Takes an answer of the site's own push service whose signature was right.
pub(super) async fn heard(room: &Room, answer: Answer) -> Option<response::Responded> {
    let prompt = AttemptId::read(&answer.prompt)?;
    let number = answer.number.as_ref().and_then(Secret::expose_str);
    let word = match answer.choice {
        Choice::Approve => "approve",
        Choice::Deny => "deny",
        Choice::Report => "report",
    };
    let response = Response::read(word, number.unwrap_or_default())?;
    match response::hear_service(room, &prompt, response).await {
        Ok(responded) => responded,
        Err(why) => {
            log::error!("an answer of the site's push service is lost: {why}");
            None
        }
    }
}
