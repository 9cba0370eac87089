//! What people have enrolled, and what would be asked of them.

use std::io;

use serde_json::json;

use super::args::User;
use super::check::counted;
use super::terminal::{Page, padded, plain};
use super::upkeep::done;
use super::words::{self, Label, Words};
use super::{DaemonAt, Ended, Exit, astray, enrol, sessions};
use crate::clock::Timestamp;
use crate::control::{
    AccountShown, Answer, Ask, Enrolled, Explanation, KnownAccount, LIST_ROWS, RememberedStation,
};

/// Columns of a row's name.
const NAME_COLUMNS: usize = 12;
/// Columns of a factor's number and what follows it.
const FACTOR_COLUMNS: usize = 6;
/// Columns of a factor's label.
const LABEL_COLUMNS: usize = 18;
/// Columns of a user's name in a list.
const USER_COLUMNS: usize = 24;

pub(super) async fn user(command: User, daemon: &DaemonAt, page: &mut Page<'_>) -> Ended {
    match command {
        User::Show { user } => show(user, daemon, page).await,
        User::EnrolTotp(wanted) => enrol::totp(wanted, daemon, page).await,
        User::RecoveryCodes { user } => recovery_codes(user, daemon, page).await,
        User::Unlock { user } => {
            let text = format!("The codes of {} are unlocked.", plain(&user));
            match daemon.ask(Ask::Unlock { user }).await? {
                Answer::Unlocked => done(page, "unlocked", &text),
                _ => Err(astray()),
            }
        }
        User::ClearReport { user } => {
            let name = plain(&user);
            match daemon.ask(Ask::ClearReport { user }).await? {
                Answer::ReportCleared { was: true } => done(
                    page,
                    "cleared",
                    &format!("The report of {name} is cleared."),
                ),
                Answer::ReportCleared { was: false } => {
                    done(page, "cleared", &format!("{name} had reported nothing."))
                }
                _ => Err(astray()),
            }
        }
        User::Disconnect { user } => sessions::disconnect(user, daemon, page).await,
        User::Forget { user, station } => forget((user, station), daemon, page).await,
        User::Reset { user } => reset(user, daemon, page).await,
        User::Remove { user, factor } => {
            let text = format!("Factor {factor} of {} is removed.", plain(&user));
            match daemon.ask(Ask::Remove { user, factor }).await? {
                Answer::Removed => done(page, "removed", &text),
                _ => Err(astray()),
            }
        }
        User::List { after } => list(after, daemon, page).await,
    }
}

async fn show(user: String, daemon: &DaemonAt, page: &mut Page<'_>) -> Ended {
    let Answer::Account(shown) = daemon.ask(Ask::Show { user }).await? else {
        return Err(astray());
    };
    if page.is_json() {
        page.object(&shown)?;
    } else {
        account(&shown, page)?;
    }
    Ok(Exit::Done)
}

fn account(shown: &AccountShown, page: &mut Page<'_>) -> io::Result<()> {
    let words = words::of(page.language());
    let user = page.strong(&plain(&shown.user));
    page.line(format!("{user}  {}", page.faint(&plain(&shown.dn))))?;
    page.gap()?;
    row(page, words.label(Label::Account), &plain(&shown.account))?;
    if let Some(barred) = shown.barred {
        let what = page.bad(words.reason(barred).what);
        let tag = page.faint(&format!(" [{barred}]"));
        row(page, words.label(Label::Barred), &format!("{what}{tag}"))?;
    }
    let phones = match shown.phones.is_empty() {
        true => words.none().to_owned(),
        false => plain(&shown.phones.join(", ")),
    };
    row(page, words.label(Label::Phones), &phones)?;
    let groups = words.groups(shown.groups.len());
    row(page, words.label(Label::Groups), &groups)?;
    for group in &shown.groups {
        let group = page.faint(&plain(group));
        row(page, "", &group)?;
    }
    if let Some(until) = shown.locked_until {
        let text = page.bad(&words.locked_until(&page.moment(until.millis())));
        row(page, words.label(Label::Codes), &text)?;
    }
    if let Some(at) = shown.reported {
        let text = page.bad(&words.reported(&page.moment(at.millis())));
        row(page, words.label(Label::Report), &text)?;
    }
    if shown.factors.is_empty() {
        row(page, words.label(Label::Factors), words.none())?;
    }
    for (at, factor) in shown.factors.iter().enumerate() {
        let name = if at == 0 {
            words.label(Label::Factors)
        } else {
            ""
        };
        factor_rows(name, factor, words, page)?;
    }
    for (at, kept) in shown.remembered.iter().enumerate() {
        let name = match at {
            0 => words.label(Label::Remembered),
            _ => "",
        };
        remembered_rows(name, kept, words, page)?;
    }
    sessions::rows(&shown.sessions, page)
}

fn remembered_rows(
    name: &str,
    kept: &RememberedStation,
    words: &dyn Words,
    page: &mut Page<'_>,
) -> io::Result<()> {
    row(page, name, &kept.station.to_string())?;
    let since = page.moment(kept.at.millis());
    let until = page.moment(kept.until.millis());
    let when = words.remembered(&plain(kept.client.as_str()), &since, &until);
    let when = page.faint(&when);
    row(page, "", &when)
}

fn factor_rows(
    name: &str,
    factor: &Enrolled,
    words: &dyn Words,
    page: &mut Page<'_>,
) -> io::Result<()> {
    let form = words.form(factor.kind, factor.digits);
    let unproven = match factor.proven {
        true => String::new(),
        false => page.fair(words.unproven()),
    };
    let label = padded(&plain(&factor.label), LABEL_COLUMNS);
    let (id, indent) = (factor.id, " ".repeat(FACTOR_COLUMNS));
    row(page, name, &format!("{id:>4}  {label}  {form}{unproven}"))?;
    let enrolled = words.enrolled(&page.moment(factor.enrolled.millis()));
    if let Some(since) = factor.silent {
        let silent = page.fair(&words.silent(&page.moment(since.millis())));
        row(page, "", &format!("{indent}{silent}"))?;
    }
    let used = factor.used.map(|used| page.moment(used.millis()));
    for when in [enrolled, words.used(used.as_deref())] {
        let when = page.faint(&when);
        row(page, "", &format!("{indent}{when}"))?;
    }
    Ok(())
}

pub(super) fn row(page: &mut Page<'_>, name: &str, value: &str) -> io::Result<()> {
    let name = page.faint(&padded(name, NAME_COLUMNS));
    page.line(format!("  {name}{value}"))
}

async fn recovery_codes(user: String, daemon: &DaemonAt, page: &mut Page<'_>) -> Ended {
    let Answer::RecoveryCodes { codes } = daemon.ask(Ask::RecoveryCodes { user }).await? else {
        return Err(astray());
    };
    let codes: Vec<&str> = codes.iter().filter_map(|code| code.expose_str()).collect();
    if page.is_json() {
        page.object(&json!({ "codes": codes }))?;
        return Ok(Exit::Done);
    }
    page.line(words::of(page.language()).recovery())?;
    page.gap()?;
    for pair in codes.chunks(2) {
        page.line(format!("    {}", pair.join("    ")))?;
    }
    Ok(Exit::Done)
}

async fn forget(
    (user, station): (String, Option<String>),
    daemon: &DaemonAt,
    page: &mut Page<'_>,
) -> Ended {
    let name = plain(&user);
    let Answer::Forgotten { stations } = daemon.ask(Ask::Forget { user, station }).await? else {
        return Err(astray());
    };
    if page.is_json() {
        page.object(&json!({ "done": "forgotten", "stations": stations }))?;
    } else if stations == 0 {
        page.line(format!(
            "No such station of {name} was remembered. Sessions must log in anew."
        ))?;
    } else {
        let forgotten = counted(stations, "station is", "stations are");
        page.line(format!(
            "{forgotten} forgotten. {name} is asked there, and sessions must log in anew."
        ))?;
    }
    Ok(Exit::Done)
}

async fn reset(user: String, daemon: &DaemonAt, page: &mut Page<'_>) -> Ended {
    let name = plain(&user);
    let Answer::Reset { factors } = daemon.ask(Ask::Reset { user }).await? else {
        return Err(astray());
    };
    if page.is_json() {
        page.object(&json!({ "done": "reset", "factors": factors }))?;
    } else if factors == 0 {
        page.line(format!("{name} had no factor."))?;
    } else {
        let factors = usize::try_from(factors).unwrap_or(usize::MAX);
        let removed = counted(factors, "factor was", "factors were");
        page.line(format!("{removed} removed. {name} has none now."))?;
    }
    Ok(Exit::Done)
}

async fn list(after: Option<String>, daemon: &DaemonAt, page: &mut Page<'_>) -> Ended {
    let Answer::Accounts { accounts } = daemon.ask(Ask::List { after }).await? else {
        return Err(astray());
    };
    if page.is_json() {
        page.object(&json!({ "accounts": accounts }))?;
        return Ok(Exit::Done);
    }
    if accounts.is_empty() {
        page.line("Nobody has enrolled anything.")?;
    }
    for account in &accounts {
        listed(account, page)?;
    }
    if let Some(last) = accounts.last()
        && usize::try_from(LIST_ROWS).is_ok_and(|rows| accounts.len() >= rows)
    {
        page.line(page.faint(&format!(
            "There may be more: add --after '{}'.",
            plain(&last.name)
        )))?;
    }
    Ok(Exit::Done)
}

fn listed(account: &KnownAccount, page: &mut Page<'_>) -> io::Result<()> {
    let words = words::of(page.language());
    let factors: Vec<&str> = account
        .factors
        .iter()
        .map(|factor| words.factor(factor.kind))
        .collect();
    let locked = account.locked_until.map_or_else(String::new, |until| {
        page.bad(&format!(
            "  {}",
            words.locked_until(&page.moment(until.millis()))
        ))
    });
    let name = padded(&plain(&account.name), USER_COLUMNS);
    page.line(format!("{name}  {}{locked}", factors.join(", ")))
}

/// What `explain` asks.
pub(super) fn would(
    user: String,
    client: String,
    station: String,
    at: Option<jiff::Timestamp>,
) -> Ask {
    Ask::Explain {
        user,
        client,
        station,
        at: at.map(|at| Timestamp::from_millis(at.as_millisecond())),
    }
}

pub(super) async fn explain(ask: Ask, daemon: &DaemonAt, page: &mut Page<'_>) -> Ended {
    let Answer::Explained(explained) = daemon.ask(ask).await? else {
        return Err(astray());
    };
    if page.is_json() {
        page.object(&explained)?;
    } else {
        explained_in_rows(&explained, page)?;
    }
    Ok(Exit::Done)
}

fn explained_in_rows(explained: &Explanation, page: &mut Page<'_>) -> io::Result<()> {
    let asked = page.strong(&plain(&explained.asked));
    row(page, "asked", &asked)?;
    row(page, "rule", &plain(&explained.rule))?;
    row(page, "zone", explained.zone.as_deref().unwrap_or("outside"))?;
    row(
        page,
        "account",
        &plain(explained.account.as_deref().unwrap_or("none")),
    )?;
    let lists = [
        ("ways", &explained.ways),
        ("reply", &explained.reply),
        ("groups", &explained.groups),
    ];
    for (name, values) in lists {
        for (at, value) in values.iter().enumerate() {
            row(page, if at == 0 { name } else { "" }, &plain(value))?;
        }
    }
    for (at, obstacle) in explained.obstacles.iter().enumerate() {
        let obstacle = page.fair(&plain(obstacle));
        row(page, if at == 0 { "obstacles" } else { "" }, &obstacle)?;
    }
    Ok(())
}
