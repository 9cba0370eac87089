//! `try`: a login as a NAS would do it, packet by packet.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde::Serialize;
use serde_json::json;

use super::args::Try;
use super::terminal::ask;
use super::terminal::{Page, padded, plain};
use super::{DaemonAt, Ended, Exit, Failure, astray};
use crate::config::{Dialogue, Profile};
use crate::control::{Answer, Ask, Lent};
use crate::demo::nas::{self, Decided, Exchange, Manner, Nas, Packet, Sending};
use crate::secret::Secret;

/// Challenges answered before this NAS gives up: more than any server asks.
const ROUNDS: usize = 10;
/// Columns of an attribute's name.
const NAME_COLUMNS: usize = 24;
/// Seconds beyond all that is waited for, for what is typed in answer to challenges.
const TYPING: u64 = 60;

/// The way to the server.
struct Way {
    client: Option<String>,
    from: Option<IpAddr>,
    to: SocketAddr,
    secret: Secret,
}

/// How a login ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum End {
    Accepted,
    Rejected,
    GaveUp,
    /// The gear cannot put a challenge to anybody.
    CannotBeChallenged,
}

/// What is tried.
struct Trial<'a> {
    login: &'a Try,
    gear: Option<&'static Profile>,
    password: Secret,
    answers: VecDeque<&'a str>,
    /// Each with the number of its login.
    exchanges: Vec<(u8, Exchange)>,
}

pub(super) async fn attempt(login: Try, daemon: &DaemonAt, page: &mut Page<'_>) -> Ended {
    let gear = login.gear.as_deref().and_then(Profile::find);
    let mut trial = Trial {
        login: &login,
        gear,
        password: password(&login, page)?,
        answers: login.answers.iter().map(String::as_str).collect(),
        exchanges: Vec::new(),
    };
    let way = way(&login, trial.seconds(), daemon).await?;
    if !page.is_json() {
        headline(&trial, &way, page)?;
    }
    let mut ends = Vec::new();
    for number in 1..=trial.logins() {
        let end = trial.log_in(number, &way, page).await?;
        ends.push(end);
        // Gear that logs in twice does not go on after a refusal; a person might.
        if end != End::Accepted && login.count.is_none() {
            break;
        }
    }
    if page.is_json() {
        page.object(&trial.object(&way, &ends))?;
    }
    Ok(match ends.last() {
        Some(End::Accepted) => Exit::Done,
        _ => Exit::Failed,
    })
}

impl Trial<'_> {
    fn logins(&self) -> u8 {
        let of_gear = self.gear.map_or(1, |gear| gear.logins);
        self.login.count.unwrap_or(of_gear)
    }

    fn patience(&self) -> Duration {
        self.gear.map_or_else(
            || Duration::from_secs(self.login.patience),
            Profile::patience,
        )
    }

    /// The longest that the logins take, without challenges but with a person who types.
    fn seconds(&self) -> u64 {
        let servers = 1 + u64::from(self.login.second.is_some());
        let waits = self.patience().as_secs() + 1;
        waits * servers * u64::from(self.logins()) + TYPING
    }

    fn manner(&self) -> Manner {
        self.gear
            .map_or_else(|| Manner::patient(self.patience()), Manner::of)
    }

    /// One login, with the challenges in it, from a port of its own.
    async fn log_in(&mut self, number: u8, way: &Way, page: &mut Page<'_>) -> Result<End, Failure> {
        let servers = (way.to, self.login.second);
        let mut nas = Nas::open(way.from, servers, way.secret.clone(), self.manner())
            .await
            .map_err(|error| broken(&error))?;
        let (mut typed, mut state) = (self.password.clone(), None);
        for round in 0.. {
            let exchange = nas
                .ask(&nas::Login {
                    user: &self.login.user,
                    password: &typed,
                    station: self.login.station.as_deref(),
                    state: state.as_deref(),
                })
                .await
                .map_err(|error| broken(&error))?;
            if !page.is_json() {
                show(&exchange, page)?;
            }
            let decided = exchange.decided.clone();
            self.exchanges.push((number, exchange));
            let end = match decided {
                Decided::Accept => End::Accepted,
                Decided::Silence => End::GaveUp,
                Decided::Challenge(_) if self.dialogue() == Dialogue::Nothing => {
                    End::CannotBeChallenged
                }
                Decided::Challenge(next) if round < ROUNDS => {
                    state = Some(next);
                    typed = match self.answers.pop_front() {
                        Some(answer) => Secret::from(answer),
                        None => ask::answer(page, "Answer: ")?,
                    };
                    continue;
                }
                Decided::Reject | Decided::Challenge(_) => End::Rejected,
            };
            self.told(end, way, page)?;
            return Ok(end);
        }
        Ok(End::Rejected)
    }

    fn dialogue(&self) -> Dialogue {
        self.gear.map_or(Dialogue::Unknown, |gear| gear.dialogue)
    }

    /// Says how a login ended. Without gear to imitate, silence is a failure of its own.
    fn told(&self, end: End, way: &Way, page: &mut Page<'_>) -> Result<(), Failure> {
        if end == End::GaveUp && self.gear.is_none() {
            return Err(silent(way.to, self.patience()));
        }
        if page.is_json() {
            return Ok(());
        }
        let gear = self.gear.map_or("", |gear| gear.gear);
        let reason = format!(
            "`sekisho why {}` tells the reason.",
            plain(&self.login.user)
        );
        let (line, hint) = match end {
            End::Accepted => (page.good("Accepted."), String::new()),
            End::Rejected => {
                let unseen = match self.dialogue() {
                    Dialogue::Nothing | Dialogue::Challenge => " The gear shows no text of it.",
                    Dialogue::Unknown | Dialogue::Everything => "",
                };
                (page.bad("Rejected."), format!("{reason}{unseen}"))
            }
            End::GaveUp => {
                let raise = self.gear.map_or("", |gear| gear.raise);
                let line = format!("Gave up: {gear} waits no longer.");
                (page.bad(&line), format!("{raise} {reason}"))
            }
            End::CannotBeChallenged => {
                let line = format!("Failed: {gear} cannot be challenged.");
                let hint = "Take \"challenge\" out of the client's code.";
                (page.bad(&line), hint.to_owned())
            }
        };
        page.line(line)?;
        if !hint.is_empty() {
            page.line(page.faint(&hint))?;
        }
        if self.logins() > 1 {
            page.gap()?;
        }
        Ok(())
    }

    fn object(&self, way: &Way, ends: &[End]) -> serde_json::Value {
        let exchanges: Vec<_> = self
            .exchanges
            .iter()
            .map(|(login, exchange)| Numbered {
                login: *login,
                exchange,
            })
            .collect();
        json!({
            "user": self.login.user,
            "client": way.client,
            "as": self.gear.map(|gear| gear.name),
            "accepted": ends.last() == Some(&End::Accepted),
            "ends": ends,
            "exchanges": exchanges,
        })
    }
}

/// An exchange with the number of its login.
#[derive(Serialize)]
struct Numbered<'a> {
    login: u8,
    #[serde(flatten)]
    exchange: &'a Exchange,
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

async fn way(login: &Try, seconds: u64, daemon: &DaemonAt) -> Result<Way, Failure> {
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
    }) = daemon.ask(Ask::Lend { client, seconds }).await?
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

fn broken(error: &nas::Error) -> Failure {
    let mend = match error {
        nas::Error::Socket { .. } => "Does the daemon listen there?",
        nas::Error::Unbelieved { .. } => "Compare the secret with that of the client.",
    };
    Failure::new(format!("{error}. {mend}"))
}

fn silent(to: SocketAddr, waited: Duration) -> Failure {
    Failure::new(format!(
        "{to} gave no answer within {} s. Either the server does not know this client or its secret, or it could not decide and left the answer to the next server.",
        waited.as_secs()
    ))
}

fn headline(trial: &Trial<'_>, way: &Way, page: &mut Page<'_>) -> io::Result<()> {
    let client = way
        .client
        .as_ref()
        .map_or_else(String::new, |client| format!(" as client {client}"));
    let station = trial
        .login
        .station
        .as_ref()
        .map_or_else(String::new, |station| format!(", from {}", plain(station)));
    let gear = trial.gear.map_or_else(String::new, |gear| {
        let micros = u64::try_from(gear.patience().as_micros()).unwrap_or(u64::MAX);
        format!(", in the manner of {} ({})", gear.gear, duration(micros))
    });
    let user = page.strong(&plain(&trial.login.user));
    page.line(format!("{user} at {}{client}{station}{gear}", way.to))?;
    page.gap()
}

fn show(exchange: &Exchange, page: &mut Page<'_>) -> io::Result<()> {
    packet("→", &exchange.sent, "", page)?;
    for (before, sending) in exchange
        .sendings
        .iter()
        .zip(exchange.sendings.iter().skip(1))
    {
        again(before, sending, page)?;
    }
    if let Some(reply) = &exchange.reply {
        let took = format!("after {}", duration(exchange.micros));
        packet("←", reply, &took, page)?;
    } else {
        let took = page.faint(&format!("after {}", duration(exchange.micros)));
        page.line(format!("✗ nothing  {took}"))?;
    }
    page.gap()
}

/// A request that was not the first.
fn again(before: &Sending, sending: &Sending, page: &mut Page<'_>) -> io::Result<()> {
    let mut what = vec![if sending.same_packet {
        "the same packet again".to_owned()
    } else {
        format!(
            "asked anew, id {} from port {}",
            sending.identifier, sending.from_port
        )
    }];
    if sending.to != before.to {
        what.push(format!("at {}", sending.to));
    }
    what.push(format!("after {}", duration(sending.at_micros)));
    let what = page.faint(&what.join(", "));
    page.line(format!("→ {what}"))
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
