//! The story of a login, from the audit trail.

use super::acts::{Acts, Refused};
use super::protocol::{Answer, STORY_ROWS};
use crate::account::AttemptId;
use crate::clock::Timestamp;
use crate::store::{Told, Wanted};

/// Tells about an attempt, a user or everybody; oldest first, the newest rows if there are too many.
pub(super) async fn tell(
    acts: &Acts,
    about: Option<String>,
    limit: u32,
) -> Result<Answer, Refused> {
    let limit = limit.clamp(1, STORY_ROWS);
    let store = &acts.rooms.store;
    let mut rows = match about {
        None => store.story(Wanted::Newest, limit).await?,
        Some(about) => {
            let rows = match AttemptId::read(&about) {
                Some(attempt) => store.story(Wanted::Attempt(attempt), limit).await?,
                None => Vec::new(),
            };
            if rows.is_empty() {
                of_person(acts, &about, limit).await?
            } else {
                rows
            }
        }
    };
    rows.reverse();
    Ok(Answer::Story { rows })
}

/// What is kept under the account, and what is kept under the name alone: decisions made while the directory could not say whose name it is.
async fn of_person(acts: &Acts, user: &str, limit: u32) -> Result<Vec<Told>, Refused> {
    let who = acts.who(user)?;
    let store = &acts.rooms.store;
    let mut rows = store.story(Wanted::Name(who.key), limit).await?;
    // Nobody of this name, or no directory to ask: the name's own rows are the story.
    if let Ok(entry) = acts.rooms.access.account(user).await {
        let named = rows;
        rows = store
            .story(Wanted::Account(entry.id.clone()), limit)
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
