//! What a peer shows, judged by `access`, and the verdict in the words of `eap`.

use std::sync::Arc;

use tokio::time::timeout_at;

use super::super::login::{self, Refusal, Work};
use super::super::station;
use super::{Accepted, Kept, State, names};
use crate::access::{self, Concluded, Credential, NtResponse, Resumable, Verdict, Wait};
use crate::account::{Decision, Reason, shown};
use crate::clock::Timestamp;
use crate::eap::{Credentials, Judgement, MayResume};
use crate::secret::Secret;

/// What becomes of credentials.
pub(super) enum Judged {
    /// The conversation is told.
    Told(Judgement<Arc<Resumable>>),
    /// The reply is held.
    Wait(Wait),
    /// It could not be decided.
    Undecided,
}

/// What was asked of `access`, as much of it as the answer may need.
#[derive(Default)]
pub(super) struct Question {
    /// The State of a challenge that was put to the person.
    state: Option<State>,
    /// Whether the person can be shown one.
    asks: Asks,
    /// What proves to an MSCHAPv2 peer that its password is known here.
    proof: Option<[u8; 20]>,
    /// Who it is, where the outer name says somebody else.
    name: Option<Box<[u8]>>,
}

/// Whether a question can follow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Asks {
    Yes,
    #[default]
    No,
}

impl Question {
    /// Whether a challenge was put and its answer has not come.
    pub(super) const fn is_put(&self) -> bool {
        self.state.is_some()
    }
}

/// Credentials in the words of `access`.
struct Shown {
    name: Box<[u8]>,
    credential: Credential,
    asks: Asks,
}

impl Shown {
    fn of(credentials: Credentials<Arc<Resumable>>, outer: &[u8]) -> Self {
        let (name, credential) = match credentials {
            Credentials::Password {
                name,
                password,
                can_ask,
            } => return Self::typed((name, password), can_ask),
            Credentials::NtResponse {
                name,
                challenge,
                peer_challenge,
                response,
            } => {
                let response = NtResponse {
                    name: name.clone(),
                    challenge,
                    peer_challenge,
                    response,
                };
                (name, Credential::NtResponse(response))
            }
            Credentials::Certificate { name, told, ends } => {
                log::debug!("certificate {}", shown(told.as_bytes()));
                let ends = Timestamp::from_secs(ends);
                (name, Credential::Certificate { ends })
            }
            Credentials::Resumed(record) => (outer.into(), Credential::Resumed(record)),
        };
        let asks = Asks::No;
        Self {
            name,
            credential,
            asks,
        }
    }

    fn typed((name, password): (Box<[u8]>, Secret), can_ask: bool) -> Self {
        Self {
            name,
            credential: Credential::Password(password),
            asks: if can_ask { Asks::Yes } else { Asks::No },
        }
    }

    /// Whether the outer name must be the inner one or nobody's: both were written into the same profile. A certificate's holder
    /// writes a machine's name or what they like.
    fn is_bound_to_outer(&self) -> bool {
        match self.credential {
            Credential::Password(_) | Credential::NtResponse(_) => true,
            Credential::Certificate { .. } | Credential::Resumed(_) => false,
        }
    }
}

/// Under whose name somebody is let in.
enum TrueName {
    /// The outer one: it is theirs, or nobody's.
    Outer,
    /// This one; the outer one is somebody else's.
    Known(Box<[u8]>),
    /// The one that the record of the decision has, if the outer one is somebody else's.
    OfRecord,
}

/// Looks whether a session may be resumed, within what a request may take.
pub(super) async fn may_resume(work: &Work, record: &Arc<Resumable>) -> MayResume {
    let client = &work.known.client;
    let (station, _) = station::read(&work.request, &client.station);
    let access = &work.house.rooms.access;
    let looking = access.may_resume(record, &client.policy, &station);
    match timeout_at(login::deadline(work), looking).await {
        Ok(access::MayResume::Yes) => MayResume::Yes,
        Ok(access::MayResume::Never) => MayResume::Never,
        Ok(access::MayResume::NotHere) | Err(_) => MayResume::NotHere,
    }
}

/// Has credentials judged.
pub(super) async fn ask(
    work: &Work,
    kept: &mut Kept,
    credentials: Credentials<Arc<Resumable>>,
) -> Judged {
    let outer = kept.conversation.identity();
    let shown_by = Shown::of(credentials, outer);
    let rooms = &work.house.rooms;
    let nobody = names::is_anonymous(outer);
    let named = |name: &[u8]| nobody || rooms.access.is_same_name(outer, name);
    if shown_by.is_bound_to_outer() && !named(&shown_by.name) {
        let (outer, inner) = (shown(outer), shown(&shown_by.name));
        let note = format!("the outer name {outer} is somebody else's than the inner name {inner}");
        login::record(&work.scene(), Refusal::new(Reason::BadName, &note));
        return Judged::Told(Judgement::Reject);
    }
    let mut attempt = login::attempt(work, shown_by.name, shown_by.credential);
    attempt.can_ask = shown_by.asks == Asks::Yes;
    let state = kept.question.state.take();
    attempt.state = state.map(|state| state.as_slice().into());
    let true_name = match &attempt.credential {
        Credential::Password(_) | Credential::NtResponse(_) => TrueName::Outer,
        Credential::Certificate { .. } if named(&attempt.name) => TrueName::Outer,
        Credential::Certificate { .. } => TrueName::Known(attempt.name.clone()),
        Credential::Resumed(_) => TrueName::OfRecord,
    };
    let answer = login::decide(work, attempt).await;
    let decision = &answer.decision;
    let of_record = |key: &str| nobody || rooms.access.is_name_of(outer, key);
    let name = match true_name {
        TrueName::Outer => None,
        TrueName::Known(name) => Some(name),
        TrueName::OfRecord if of_record(&decision.name) => None,
        TrueName::OfRecord => Some(names::user_of(&decision.name).into()),
    };
    kept.question = Question {
        state: None,
        asks: shown_by.asks,
        proof: answer.proof,
        name,
    };
    hear(kept, answer.verdict, (decision, answer.resumable))
}

/// The verdict on what was held.
pub(super) fn concluded(kept: &mut Kept, (verdict, concluded): (Verdict, &Concluded)) -> Judged {
    let record = concluded.resumable.clone();
    hear(kept, verdict, (&concluded.decision, record))
}

fn hear(
    kept: &mut Kept,
    verdict: Verdict,
    (decision, record): (&Decision, Option<Arc<Resumable>>),
) -> Judged {
    match verdict {
        Verdict::Accept { reply } => {
            kept.accepted = Some(Accepted {
                sets: reply,
                account: decision.account.clone(),
                attempt: decision.attempt.clone(),
                name: kept.question.name.take(),
            });
            let proof = kept.question.proof.take();
            Judged::Told(Judgement::Accept { record, proof })
        }
        Verdict::Challenge { state, text } if kept.question.asks == Asks::Yes => {
            kept.question.state = Some(state);
            Judged::Told(Judgement::Ask(text))
        }
        // A challenge that was put to this attempt where it could be shown, and is repeated here where it cannot.
        Verdict::Challenge { .. } | Verdict::Reject { .. } => Judged::Told(Judgement::Reject),
        Verdict::Wait(wait) => Judged::Wait(wait),
        Verdict::Undecided => Judged::Undecided,
    }
}
