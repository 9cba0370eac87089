//! `try`: a login as a NAS would do it, packet by packet.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde_json::json;

use super::args::Try;
use super::terminal::ask;
use super::terminal::{Page, padded, plain};
use super::{DaemonAt, Ended, Exit, Failure, astray};
use crate::control::{Answer, Ask, Lent};
use crate::demo::nas::{self, Decided, Exchange, Nas, Packet};
use crate::secret::Secret;

/// Challenges answered before this NAS gives up: more than any server asks.
const ROUNDS: usize = 10;
/// Columns of an attribute's name.
const NAME_COLUMNS: usize = 24;

/// The way to the server.
struct Way {
    client: Option<String>,
    from: Option<IpAddr>,
    to: SocketAddr,
    secret: Secret,
}

pub(super) async fn attempt(login: Try, daemon: &DaemonAt, page: &mut Page<'_>) -> Ended {
    let password = password(&login, page)?;
    let way = way(&login, daemon).await?;
    if !page.is_json() {
        headline(&login, &way, page)?;
    }
    let patience = Duration::from_secs(login.patience);
    let mut nas = Nas::open(way.from, way.to, way.secret, patience)
        .await
        .map_err(|error| silent(&error))?;
    let mut answers: VecDeque<&str> = login.answers.iter().map(String::as_str).collect();
    let mut exchanges = Vec::new();
    let (mut typed, mut state) = (password, None);
    let accepted = loop {
        let exchange = nas
            .ask(&nas::Login {
                user: &login.user,
                password: &typed,
                station: login.station.as_deref(),
                state: state.as_deref(),
            })
            .await
            .map_err(|error| silent(&error))?;
        if !page.is_json() {
            show(&exchange, page)?;
        }
        let decided = exchange.decided.clone();
        exchanges.push(exchange);
        match decided {
            Decided::Accept => break true,
            Decided::Challenge(next) if exchanges.len() <= ROUNDS => {
                state = Some(next);
                typed = match answers.pop_front() {
                    Some(answer) => Secret::from(answer),
                    None => ask::answer(page, "Answer: ")?,
                };
            }
            Decided::Reject | Decided::Challenge(_) => break false,
        }
    };
    if page.is_json() {
        page.object(&json!({
            "user": login.user, "client": way.client, "accepted": accepted, "exchanges": exchanges,
        }))?;
    } else if accepted {
        page.line(page.good("Accepted."))?;
    } else {
        page.line(page.bad("Rejected."))?;
        page.line(page.faint(&format!(
            "`sekisho why {}` tells the reason.",
            plain(&login.user)
        )))?;
    }
    Ok(if accepted { Exit::Done } else { Exit::Failed })
}

/// The password, with the code appended as users do it.
fn password(login: &Try, page: &mut Page<'_>) -> Result<Secret, Failure> {
    let password = match (&login.password, &login.password_file) {
        (Some(password), _) => Secret::from(password.as_str()),
        (None, Some(file)) => ask::first_line(file)?,
        (None, None) => ask::password(page, &format!("Password of {}: ", plain(&login.user)))?,
    };
    let mut octets = password.expose().to_vec();
    octets.extend(login.code.iter().flat_map(|code| code.bytes()));
    Ok(Secret::new(octets))
}

async fn way(login: &Try, daemon: &DaemonAt) -> Result<Way, Failure> {
    if let (Some(to), Some(file)) = (login.radius, &login.secret_file) {
        return Ok(Way {
            client: None,
            from: None,
            to,
            secret: ask::first_line(file)?,
        });
    }
    let client = login.client.clone();
    let Answer::Lent(Lent {
        client,
        from,
        to,
        secret,
        ..
    }) = daemon.ask(Ask::Lend { client }).await?
    else {
        return Err(astray());
    };
    Ok(Way {
        client: Some(client),
        from: Some(from),
        to,
        secret,
    })
}

fn silent(error: &nas::Error) -> Failure {
    let mend = match error {
        nas::Error::Socket { .. } => "Does the daemon listen there?",
        nas::Error::Silence { .. } => {
            "Either the server does not know this client or its secret, or it could not decide and left the answer to the next server."
        }
        nas::Error::Unbelieved { .. } => "Compare the secret with that of the client.",
    };
    Failure::new(format!("{error}. {mend}"))
}

fn headline(login: &Try, way: &Way, page: &mut Page<'_>) -> io::Result<()> {
    let client = way
        .client
        .as_ref()
        .map_or_else(String::new, |client| format!(" as client {client}"));
    let station = login
        .station
        .as_ref()
        .map_or_else(String::new, |station| format!(", from {}", plain(station)));
    let user = page.strong(&plain(&login.user));
    page.line(format!("{user} at {}{client}{station}", way.to))?;
    page.gap()
}

fn show(exchange: &Exchange, page: &mut Page<'_>) -> io::Result<()> {
    packet("→", &exchange.sent, "", page)?;
    let again = match exchange.retransmissions {
        0 => String::new(),
        1 => ", sent again once".to_owned(),
        times => format!(", sent again {times} times"),
    };
    let took = format!("after {}{again}", duration(exchange.micros));
    packet("←", &exchange.reply, &took, page)?;
    page.gap()
}

fn packet(arrow: &str, packet: &Packet, note: &str, page: &mut Page<'_>) -> io::Result<()> {
    let code = page.strong(packet.code);
    let note = page.faint(&format!("id {}  {note}", packet.identifier));
    page.line(format!("{arrow} {code}  {note}"))?;
    for attribute in &packet.attributes {
        let name = page.faint(&padded(&attribute.name, NAME_COLUMNS));
        page.line(format!("    {name}{}", attribute.value))?;
    }
    Ok(())
}

/// A duration in the unit that people would say.
pub(super) fn duration(micros: u64) -> String {
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..1_000_000 => format!("{}.{} ms", micros / 1_000, micros % 1_000 / 100),
        _ => format!("{}.{} s", micros / 1_000_000, micros % 1_000_000 / 100_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_said_in_their_unit() {
        assert_eq!(duration(312), "312 µs");
        assert_eq!(duration(12_340), "12.3 ms");
        assert_eq!(duration(3_012_340), "3.0 s");
    }
}
