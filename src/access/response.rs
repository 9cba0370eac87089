//! What a device, or the site's own push service, says to a prompt; and tests of devices.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Room;
use crate::account::{
    AccountId, AccountKey, AttemptId, ClientName, Decision, Durations, FactorKind, Language,
    Outcome, Reason, Station,
};
use crate::factor::{Response, SIGNATURE, Subject, decision_text};
use crate::secret::{random_array, random_digits};
use crate::store::{
    ChallengeFacts, Crossing, DecidedBy, EndWhy, Error, Lasting, NewPrompt, Prompt, PromptDecided,
    PromptState,
};

/// The client that tests of devices are shown as.
const PORTAL: &str = "portal";

/// A signed decision, as it came.
#[derive(Clone, Debug)]
pub struct DeviceResponse {
    /// The prompt that it is about.
    pub prompt: AttemptId,
    /// The device that says it is.
    pub device: i64,
    /// The counter of its signature.
    pub counter: i64,
    /// What it says.
    pub response: Response,
    /// Its signature over [`decision_text`].
    pub signature: [u8; SIGNATURE],
    /// Where it came from.
    pub from: IpAddr,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Responded {
    /// What the device may be told.
    pub decided: PromptDecided,
    /// The prompt, if the signature was right.
    pub prompt: Option<Prompt>,
    /// What journal and metrics say.
    pub decision: Arc<Decision>,
}

/// Hears a device. What is not signed by a paired device of the prompt's owner is `Unknown`, whatever the fault.
pub(super) async fn hear(room: &Room, said: DeviceResponse) -> Result<Responded, Error> {
    let known = room.store.prompt(&said.prompt)?;
    let device = room.store.device(said.device)?;
    let (Some(known), Some(device)) = (known, device) else {
        return Ok(refuse(
            room,
            &said,
            None,
            "no such prompt, or no such device",
        ));
    };
    let prompt = known.prompt;
    if device.account != prompt.account {
        let why = "the device is somebody else's";
        return Ok(refuse(room, &said, Some(&prompt), why));
    }
    let subject = Subject {
        prompt: prompt.id(),
        account: &prompt.account,
        client: &prompt.client,
        station: &prompt.facts.station,
        opened: prompt.opened,
    };
    let text = decision_text(&subject, &said.response, (said.device, said.counter));
    if !device.key.verify(&text, &said.signature) {
        let why = "the signature is not that of the device";
        return Ok(refuse(room, &said, Some(&prompt), why));
    }
    let by = DecidedBy::Device(said.device, said.counter);
    let mut responded = settle(room, prompt, by, said.response).await?;
    if responded.decided == PromptDecided::Unknown {
        responded.prompt = None;
    }
    Ok(responded)
}

/// Hears the site's own push service, whose signature was checked.
pub(super) async fn hear_service(
    room: &Room,
    prompt: &AttemptId,
    response: Response,
) -> Result<Option<Responded>, Error> {
    match room.store.prompt(prompt)? {
        Some(known) => settle(room, known.prompt, DecidedBy::Service, response)
            .await
            .map(Some),
        None => Ok(None),
    }
}

async fn settle(
    room: &Room,
    prompt: Prompt,
    by: DecidedBy,
    response: Response,
) -> Result<Responded, Error> {
    let reported = response == Response::Report;
    let mut decision = record(room, &prompt);
    let decided = room
        .store
        .decide_prompt(&prompt.account, by, response, decision.clone())
        .await?;
    (decision.reason, decision.note) = decided.recorded();
    match decided {
        PromptDecided::Approved
        | PromptDecided::Denied
        | PromptDecided::Reported
        | PromptDecided::WrongNumberAgain => room.waiters.tell(prompt.id().clone()),
        PromptDecided::WrongNumber
        | PromptDecided::TooLate(_)
        | PromptDecided::Unknown
        | PromptDecided::Replayed => {}
    }
    if reported && decided == PromptDecided::Reported {
        room.endings.fetch_add(1, Ordering::AcqRel);
        for other in room.store.prompts(&prompt.account)? {
            if other.state == PromptState::Denied {
                room.waiters.tell(other.prompt.id().clone());
            }
        }
        room.bells.alert(room, &prompt);
        end_sessions(room, &prompt.account);
    }
    Ok(Responded {
        decided,
        prompt: Some(prompt),
        decision: Arc::new(decision),
    })
}

fn refuse(
    room: &Room,
    said: &DeviceResponse,
    prompt: Option<&Prompt>,
    why: &'static str,
) -> Responded {
    let mut decision = match prompt {
        Some(prompt) => record(room, prompt),
        None => of_nobody(room, said),
    };
    decision.reason = Reason::PushRefused;
    decision.note = Some(why.into());
    let decision = Arc::new(decision);
    // Anybody can send such things: told by the minute, not one by one.
    room.count_failure(&decision);
    Responded {
        decided: PromptDecided::Unknown,
        prompt: None,
        decision,
    }
}

fn record(room: &Room, prompt: &Prompt) -> Decision {
    let facts = &prompt.facts;
    Decision {
        account: Some(prompt.account.clone()),
        name: prompt.name.as_str().into(),
        client: prompt.client.clone(),
        nas: prompt.nas,
        station: facts.station.clone(),
        station_from: facts.station_from.clone(),
        zone: facts.zone.clone(),
        rule: facts.rule.clone(),
        ..blank(room, prompt.id().clone(), prompt.nas)
    }
}

fn of_nobody(room: &Room, said: &DeviceResponse) -> Decision {
    blank(room, said.prompt.clone(), said.from)
}

fn blank(room: &Room, attempt: AttemptId, nas: IpAddr) -> Decision {
    Decision {
        attempt,
        at: room.clock.now(),
        account: None,
        name: Arc::default(),
        client: ClientName::new(PORTAL),
        nas,
        station: Station::Unknown,
        station_from: None,
        zone: None,
        rule: None,
        factor: Some(FactorKind::Push),
        outcome: Outcome::Waiting,
        reason: Reason::PushAsked,
        directory: None,
        durations: Durations::default(),
        note: None,
    }
}

/// A test of one device: who is signed in sees the number, and types it on the device. Proves a new device.
#[derive(Clone, Debug)]
pub struct DeviceTest {
    /// Its prompt.
    pub prompt: AttemptId,
    /// The number to be shown.
    pub number: String,
}

/// Hears at the portal that a login was not theirs.
pub(super) async fn report(
    room: &Room,
    whose: (&AccountId, &AccountKey),
    here: (IpAddr, Language),
) -> Result<Arc<Decision>, Error> {
    let about = of_portal(room, whose, here, None);
    let mut decision = record(room, &about);
    decision.reason = Reason::PushReported;
    decision.note = Some("said at the portal".into());
    let denied = room.store.report_logins(whose.0, decision.clone()).await?;
    room.endings.fetch_add(1, Ordering::AcqRel);
    denied.into_iter().for_each(|id| room.waiters.tell(id));
    room.bells.alert(room, &about);
    end_sessions(room, whose.0);
    Ok(Arc::new(decision))
}

/// All of them: which are the owner's, nobody can tell but the owner, who logs in again.
fn end_sessions(room: &Room, account: &AccountId) {
    room.sessions.end_beside(account, None, EndWhy::Reported);
}

/// Opens a test.
pub(super) async fn test(
    room: &Room,
    (account, name): (&AccountId, &AccountKey),
    device: i64,
    (from, language): (IpAddr, Language),
) -> Result<DeviceTest, Error> {
    let prompt = of_portal(room, (account, name), (from, language), Some(device));
    let attempt = prompt.id().clone();
    let number = random_digits(usize::from(prompt.digits));
    let decision = record(room, &prompt);
    let new = NewPrompt {
        prompt,
        attempt: random_array(),
        number: Some(number.as_str().into()),
        late: std::time::Duration::ZERO,
        challenge: None,
    };
    let shown = new.prompt.clone();
    let _opened = room.store.join_or_open_prompt(new, decision).await?;
    let devices = room.store.device(device)?;
    room.bells.ring(room, &shown, devices.into_iter().collect());
    Ok(DeviceTest {
        prompt: attempt,
        number,
    })
}

/// What somebody who is signed in at the portal does there, as a prompt: a test of a device, or what a report is about.
fn of_portal(
    room: &Room,
    (account, name): (&AccountId, &AccountKey),
    (from, language): (IpAddr, Language),
    test: Option<i64>,
) -> Prompt {
    let settings = room.setup.load();
    let now = room.clock.now();
    Prompt {
        account: account.clone(),
        name: name.clone(),
        client: ClientName::new(PORTAL),
        nas: from,
        facts: ChallengeFacts {
            attempt: AttemptId::new(now),
            station: Station::Address(from),
            station_from: None,
            zone: None,
            rule: None,
            reply: Vec::new(),
            language,
            number_end: None,
            lasting: Lasting::default(),
        },
        crossing: Crossing::Shown,
        digits: settings.settings.prompt_digits,
        joins: false,
        test,
        opened: now,
        expires: now.after(settings.settings.prompt_life),
    }
}
