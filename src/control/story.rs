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
/// How far back a number is believed to be one, in milliseconds: what is older is no longer kept, and many a name of ten letters
/// would be a number of long ago.
const BELIEVED: i64 = 366 * 24 * 3_600_000;
/// The digits of an attempt's number, five bits each: see [`AttemptId`].
const DIGITS: &str = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Bits of its serial.
const SERIAL: u32 = 10;
/// Milliseconds after which its moments begin anew.
const CYCLE: i64 = 1 << 40;

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
    let mut number: i64 = 0;
    for digit in attempt.as_str().chars() {
        number = number << 5 | i64::try_from(DIGITS.find(digit)?).ok()?;
    }
    let latest = now.millis() + CLOCK_SLACK;
    let age = (latest - (number >> SERIAL)).rem_euclid(CYCLE);
    (age <= BELIEVED).then(|| Timestamp::from_millis(latest - age))
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
    fn a_number_tells_when_its_attempt_began() {
        for now in [1_795_577_291_123, (2 << 40) - 5, (2 << 40) + 5] {
            let now = Timestamp::from_millis(now);
            for ago in [0, 1, 3600, 90 * 24 * 3600] {
                let begun = now.before(Duration::from_secs(ago));
                // The serial is the process's, and moments of other tests may have moved it.
                let number = begun.millis().rem_euclid(CYCLE) << SERIAL;
                assert_eq!(began(&written(number), now), Some(begun), "{ago} s ago");
            }
            let old = (now.millis() - BELIEVED - CLOCK_SLACK).rem_euclid(CYCLE) << SERIAL;
            assert_eq!(began(&written(old), now), None);
        }
        let now = Timestamp::from_millis(2_100_000_000_000);
        assert_eq!(began(&AttemptId::new(now), now), Some(now));
    }

    fn written(number: i64) -> AttemptId {
        let digit = |place| DIGITS.as_bytes()[usize::try_from(number >> (5 * place) & 31).unwrap()];
        let digits = (0..AttemptId::CHARACTERS).rev().map(digit).map(char::from);
        AttemptId::read(&digits.collect::<String>()).unwrap()
    }
}
