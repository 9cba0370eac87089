//! The story of a login, from the audit trail.

use std::time::Duration;

use super::acts::{Acts, Refused};
use super::protocol::{Answer, STORY_ROWS};
use super::record::Recorded;
use crate::account::AttemptId;
use crate::clock::Timestamp;
use crate::store::{Told, Wanted};

/// The longest from an attempt's beginning to its decision.
const DECIDED_WITHIN: Duration = Duration::from_secs(30);
/// Clocks may be set back by this much between a number and its reading.
const CLOCK_SLACK: i64 = 60_000;
/// How far back a number is believed to be one: what is older is no longer kept, and many a name of ten letters
/// would be a number of long ago.
const BELIEVED: Duration = Duration::from_secs(366 * 24 * 3600);
/// Tells about an attempt, a user or everybody; oldest first, the newest rows if there are too many.
pub(super) async fn tell(
    acts: &Acts,
    about: Option<String>,
    limit: u32,
) -> Result<Answer, Refused> {
    let limit = limit.clamp(1, STORY_ROWS);
    let (mut rows, began) = match about {
        None => (acts.rooms.store.story(Wanted::Newest, limit).await?, None),
        Some(about) => match AttemptId::read(&about) {
            None => (of_person(acts, &about, limit).await?, None),
            Some(attempt) => of_attempt(acts, &about, attempt, limit).await?,
        },
    };
    rows.reverse();
    forget_intents(&mut rows);
    Ok(Answer::Story { rows, began })
}

/// What is kept of one attempt. One that was refused before its password was proven has no row of its own: then its beginning, and
/// the rows in which it may be counted. What looks like a number may be a name, too.
async fn of_attempt(
    acts: &Acts,
    about: &str,
    attempt: AttemptId,
    limit: u32,
) -> Result<(Vec<Told>, Option<Timestamp>), Refused> {
    let store = &acts.rooms.store;
    let began = began(&attempt, acts.rooms.clock.now());
    let rows = store.story(Wanted::Attempt(attempt), limit).await?;
    if !rows.is_empty() {
        return Ok((rows, None));
    }
    let Some(began) = began else {
        return Ok((of_person(acts, about, limit).await?, None));
    };
    // Without the directory: it may be what the attempt failed at.
    if let Ok(who) = acts.who(about) {
        let rows = store.story(Wanted::Name(who.key), limit).await?;
        if !rows.is_empty() {
            return Ok((rows, None));
        }
    }
    let (from, until) = (began, began.after(DECIDED_WITHIN));
    let rows = store.story(Wanted::Failures { from, until }, limit).await?;
    Ok((rows, Some(began)))
}

/// The moment in an attempt's number; `None` if nobody can be asking about an attempt of then.
fn began(attempt: &AttemptId, now: Timestamp) -> Option<Timestamp> {
    let latest = Timestamp::from_millis(now.millis() + CLOCK_SLACK);
    let began = attempt.began(latest);
    (latest.since(began) <= BELIEVED).then_some(began)
}

/// An act that failed is told once, as that.
fn forget_intents(rows: &mut Vec<Told>) {
    let mut failed: Vec<(u32, String)> = Vec::new();
    let mut told: Vec<Told> = Vec::with_capacity(rows.len());
    for row in rows.drain(..).rev() {
        if let Told::Operator { uid, what, .. } = &row {
            match Recorded::read(what) {
                Some(record) if record.failed.is_some() => failed.push((*uid, record.act.begun())),
                _ => {
                    let known = failed
                        .iter()
                        .position(|one| one.0 == *uid && one.1 == *what);
                    if let Some(known) = known {
                        failed.remove(known);
                        continue;
                    }
                }
            }
        }
        told.push(row);
    }
    told.reverse();
    *rows = told;
}

/// What is kept under the account, and what is kept under the name alone: decisions made while the directory could not say whose name it is.
async fn of_person(acts: &Acts, user: &str, limit: u32) -> Result<Vec<Told>, Refused> {
    let who = acts.who(user)?;
    let store = &acts.rooms.store;
    let mut rows = store.story(Wanted::Name(who.key), limit).await?;
    // Nobody of this name, or no directory to ask: the name's own rows are the story.
    if let Ok(person) = acts.person(user).await {
        let named = rows;
        rows = store
            .story(Wanted::Account(person.id().clone()), limit)
            .await?;
        let known: std::collections::HashSet<String> = rows.iter().map(identity).collect();
        rows.extend(
            named
                .into_iter()
                .filter(|row| !known.contains(&identity(row))),
        );
        rows.sort_by_key(|row| std::cmp::Reverse(at(row)));
        rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    }
    Ok(rows)
}

fn at(row: &Told) -> Timestamp {
    match row {
        Told::Decision(decision) => decision.at,
        Told::Failures { last, .. } => *last,
        Told::Operator { at, .. } => *at,
        Told::Session(session) => session.ended.map_or(session.begun, |(at, _)| at),
    }
}

/// Rows that are equal in everything are one row.
fn identity(row: &Told) -> String {
    serde_json::to_string(row).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_long_ago_are_names() {
        let attempt = AttemptId::read("0000000000").unwrap();
        // The moments began anew at these.
        let anew = Timestamp::from_millis(2 << 40);
        assert_eq!(began(&attempt, anew), Some(anew));
        assert_eq!(began(&attempt, anew.after(BELIEVED / 2)), Some(anew));
        assert_eq!(began(&attempt, anew.after(BELIEVED)), None);
    }
}
