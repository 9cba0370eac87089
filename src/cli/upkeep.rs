//! Commands about the daemon itself: its state, clients, store and keys.

use std::io;
use std::path::Path;

use data_encoding::BASE64URL_NOPAD;
use serde_json::json;
use zeroize::Zeroizing;

use super::check::{counted, faulty};
use super::terminal::{Page, padded, plain};
use super::words::{self, Label, StoreFacts};
use super::{DaemonAt, Ended, Exit, Failure, astray};
use crate::control::{
    Answer, Ask, CertificateShown, ClientSeen, ClientShown, Seen, ServerShown, Status,
};
use crate::daemon::StoreError;
use crate::secret::{Secret, random_array};
use crate::{config, daemon};

/// Milliseconds by which a measured patience may differ from the configured one: a packet on its way, a clock's step.
const SLACK: u64 = 1000;
/// Columns of a row's name.
const NAME_COLUMNS: usize = 13;

pub(super) async fn status(daemon: &DaemonAt, page: &mut Page<'_>) -> Ended {
    let Answer::Status(status) = daemon.ask(Ask::Status).await? else {
        return Err(astray());
    };
    if page.is_json() {
        page.object(&status)?;
    } else {
        show_status(&status, page)?;
    }
    Ok(if status.ready {
        Exit::Done
    } else {
        Exit::Failed
    })
}

fn show_status(status: &Status, page: &mut Page<'_>) -> io::Result<()> {
    let words = words::of(page.language());
    let (ready, not_ready) = words.readiness();
    let word = if status.ready {
        page.good(ready)
    } else {
        page.bad(not_ready)
    };
    page.line(words.ready(&plain(&status.version), &word))?;
    page.gap()?;
    let addresses: Vec<String> = status.addresses.iter().map(ToString::to_string).collect();
    row(page, words.label(Label::ListensAt), &addresses.join(", "))?;
    row(
        page,
        words.label(Label::Clients),
        &status.clients.to_string(),
    )?;
    for (at, server) in status.directories.iter().enumerate() {
        let name = if at == 0 {
            words.label(Label::Directories)
        } else {
            ""
        };
        let shown = server_words(server, page);
        row(page, name, &shown)?;
    }
    let health = &status.store;
    let writable = match health.writable {
        true => page.good(words.writable()),
        false => page.bad(&words.not_writable(health.last_error.as_deref().map(plain).as_deref())),
    };
    row(page, words.label(Label::Store), &writable)?;
    let facts = words.store(&StoreFacts {
        accounts: health.accounts,
        audit_rows: health.audit_rows,
        size: size(health.octets),
        schema: health.schema,
    });
    row(page, "", &facts)?;
    for (at, certificate) in status.certificates.iter().enumerate() {
        let name = if at == 0 {
            words.label(Label::Certificates)
        } else {
            ""
        };
        let shown = certificate_words(certificate, page);
        row(page, name, &shown)?;
    }
    Ok(())
}

fn certificate_words(certificate: &CertificateShown, page: &Page<'_>) -> String {
    let days = certificate.days_left;
    let when = page.moment(certificate.not_after.millis());
    let ends = words::of(page.language()).certificate_ends(days, &when);
    let ends = match days {
        ..0 => page.bad(&ends),
        0..30 => page.fair(&ends),
        30.. => page.good(&ends),
    };
    let (used, subject) = (plain(&certificate.used), plain(&certificate.subject));
    format!("{used}  {ends}  {}", page.faint(&subject))
}

fn row(page: &mut Page<'_>, name: &str, value: &str) -> io::Result<()> {
    let name = page.faint(&padded(name, NAME_COLUMNS));
    page.line(format!("  {name}{value}"))
}

fn server_words(server: &ServerShown, page: &Page<'_>) -> String {
    let words = words::of(page.language());
    let (name, (up, down)) = (plain(&server.server), words.server());
    match (server.up, &server.last_error) {
        (true, None) => format!("{name}  {}", page.good(up)),
        (true, Some(error)) => format!(
            "{name}  {}  {}",
            page.good(up),
            page.faint(&words.before(&plain(error)))
        ),
        (false, None) => format!("{name}  {}", page.bad(down)),
        (false, Some(error)) => format!("{name}  {}: {}", page.bad(down), plain(error)),
    }
}

pub(super) async fn clients(daemon: &DaemonAt, page: &mut Page<'_>) -> Ended {
    let Answer::Clients { clients } = daemon.ask(Ask::Clients).await? else {
        return Err(astray());
    };
    if page.is_json() {
        page.object(&json!({ "clients": clients }))?;
        return Ok(Exit::Done);
    }
    if clients.is_empty() {
        page.line("No client is configured.")?;
    }
    for (at, client) in clients.iter().enumerate() {
        if at > 0 {
            page.gap()?;
        }
        show_client(client, page)?;
    }
    Ok(Exit::Done)
}

fn show_client(ClientSeen { client, seen }: &ClientSeen, page: &mut Page<'_>) -> io::Result<()> {
    let name = page.strong(&client.name);
    let addresses = if client.addresses.is_empty() {
        "from anywhere".to_owned()
    } else {
        client.addresses.join(", ")
    };
    page.line(format!("{name}  {addresses}"))?;
    let label = client.label.text(page.language());
    if label != client.name {
        row(page, "called", &plain(label))?;
    }
    if !client.tls_names.is_empty() {
        row(page, "TLS", &plain(&client.tls_names.join(", ")))?;
    }
    row(page, "signing", &client.message_authenticator)?;
    row(page, "codes", &client.code.join(", "))?;
    let station = if client.station.is_empty() {
        "unknown to us always: no attribute is trusted".to_owned()
    } else {
        client.station.join(", ")
    };
    row(page, "station", &station)?;
    if !client.push.is_empty() {
        row(page, "push", &client.push.join(", "))?;
    }
    let waits = format!("{} s ({})", client.patience, client.profile);
    row(page, "waits", &waits)?;
    if seen.is_empty() {
        row(page, "seen", "nothing yet")?;
    }
    for (at, seen) in seen.iter().enumerate() {
        let words = seen_words(seen, page);
        row(page, if at == 0 { "seen" } else { "" }, &words)?;
        for words in patience_words(client, seen, page) {
            row(page, "", &words)?;
        }
    }
    Ok(())
}

/// How a NAS asked until it gave up, and what to do if that is not as configured.
fn patience_words(client: &ClientShown, seen: &Seen, page: &Page<'_>) -> Vec<String> {
    let Some(waited) = seen.gave_up else {
        return Vec::new();
    };
    let configured = client.patience.saturating_mul(1000);
    let mut words = vec![format!(
        "    gave up after {} x {} = {}; configured {}",
        seconds(waited.interval),
        waited.tries,
        seconds(waited.in_all),
        seconds(configured)
    )];
    let Some(patience) = seen.patience else {
        return words;
    };
    let patience_told = seconds(patience);
    if patience + SLACK < configured {
        let raise = config::Profile::find(&client.profile).map_or("", |profile| profile.raise);
        words.push(page.fair(&format!(
            "    It waits {patience_told}, less than configured: {raise}"
        )));
    } else if patience > configured + SLACK {
        words.push(page.fair(&format!(
            "    It waits {patience_told}: write patience = \"{}s\" to use all of it.",
            patience / 1000
        )));
    }
    words
}

/// Milliseconds as seconds, with a tenth where there is one.
fn seconds(millis: u64) -> String {
    match millis % 1000 / 100 {
        0 => format!("{} s", millis / 1000),
        tenth => format!("{}.{tenth} s", millis / 1000),
    }
}

fn seen_words(seen: &Seen, page: &Page<'_>) -> String {
    let nas = seen
        .nas
        .map_or_else(|| "?".to_owned(), |nas| nas.to_string());
    let mut words = vec![counted_large(
        seen.signed + seen.unsigned + seen.by_tls,
        "request",
        "requests",
    )];
    let by_datagrams = seen.signed + seen.unsigned;
    match seen.by_tls {
        0 => {}
        _ if by_datagrams == 0 => words.push("all by TLS".to_owned()),
        some => words.push(format!("{some} by TLS")),
    }
    words.extend(
        (by_datagrams > 0).then(|| match (seen.signed, seen.unsigned) {
            (_, 0) => "all signed".to_owned(),
            (0, _) => page.fair("none signed"),
            (_, unsigned) => page.fair(&format!("{unsigned} unsigned")),
        }),
    );
    if let Some(after) = seen.retransmitted_after {
        words.push(format!(
            "retransmits after {}",
            super::login::duration(after.saturating_mul(1000))
        ));
    }
    if seen.challenges_answered > 0 {
        words.push(counted_large(
            seen.challenges_answered,
            "challenge answered",
            "challenges answered",
        ));
    }
    if let Some(last) = seen.last {
        words.push(format!("last {}", page.moment(last.millis())));
    }
    format!("{nas}  {}", words.join(", "))
}

pub(super) async fn reload(daemon: &DaemonAt, page: &mut Page<'_>) -> Ended {
    match daemon.ask(Ask::Reload).await? {
        Answer::Reloaded => done(page, "reloaded", "The new configuration holds."),
        _ => Err(astray()),
    }
}

pub(super) async fn backup(file: &Path, daemon: &DaemonAt, page: &mut Page<'_>) -> Ended {
    let to = std::path::absolute(file)?;
    match daemon.ask(Ask::Backup { to }).await? {
        Answer::BackedUp => done(
            page,
            "backed-up",
            &format!(
                "The store is copied to {}. The master key is not in it: keep that apart.",
                file.display()
            ),
        ),
        _ => Err(astray()),
    }
}

pub(super) async fn rotate_key(daemon: &DaemonAt, page: &mut Page<'_>) -> Ended {
    match daemon.ask(Ask::RotateKey).await? {
        Answer::KeyRotated => done(
            page,
            "rotated",
            "A new master key holds. Keep a copy of it; older backups still need the old one.",
        ),
        _ => Err(astray()),
    }
}

pub(super) fn restore(
    file: &Path,
    backup: &Path,
    key_file: Option<&Path>,
    page: &mut Page<'_>,
) -> Ended {
    let settings = match config::read(file) {
        Ok(settings) => settings,
        Err(faults) => return faulty(&faults, page),
    };
    if std::os::unix::net::UnixStream::connect(&settings.control.socket).is_ok() {
        return Err(Failure::new("The daemon is running. Stop it first."));
    }
    daemon::restore(&settings.store, backup, key_file)
        .map_err(|error| unrestored(backup, &error))?;
    let mut text = format!("{} is the store now.", backup.display());
    if key_file.is_some_and(|key_file| key_file != settings.store.key_file) {
        text.push_str(&format!(
            " Before the daemon starts, put its key at {}.",
            settings.store.key_file.display()
        ));
    }
    done(page, "restored", &text)
}

/// The store says of itself what is the matter with the backup in its place.
fn unrestored(backup: &Path, error: &StoreError) -> Failure {
    let backup = backup.display();
    let why = match error {
        StoreError::Corrupt(why) => format!("{backup} is no backup, or a damaged one: {why}"),
        StoreError::WrongKey => {
            format!("{backup} was made under another master key: name that with --key-file")
        }
        StoreError::Newer { .. } => format!("{backup}: the {error}"),
        StoreError::Unwritable(_) | StoreError::Busy | StoreError::File { .. } => error.to_string(),
    };
    Failure::new(format!("Nothing was restored: {why}."))
}

pub(super) fn new_secret(length: u16, page: &mut Page<'_>) -> Ended {
    let secret = random_secret(length)?;
    let shown = secret.expose_str().unwrap_or_default();
    if page.is_json() {
        page.object(&json!({ "secret": shown }))?;
    } else {
        page.line(shown)?;
    }
    Ok(Exit::Done)
}

/// A secret of so many random octets, in letters, digits, `-` and `_`, which every make of gear takes.
pub(super) fn random_secret(length: u16) -> Result<Secret, Failure> {
    let random: Zeroizing<[u8; 64]> = Zeroizing::new(random_array());
    let octets = random
        .get(..usize::from(length))
        .ok_or_else(|| Failure::usage("A secret has 16 to 64 octets."))?;
    let text = BASE64URL_NOPAD.encode(octets);
    Ok(Secret::new(text.into_bytes()))
}

/// Says that something was done.
pub(super) fn done(page: &mut Page<'_>, word: &str, text: &str) -> Ended {
    if page.is_json() {
        page.object(&json!({ "done": word }))?;
    } else {
        page.line(text)?;
    }
    Ok(Exit::Done)
}

/// A large number in groups of three, with its noun.
pub(super) fn counted_large(count: u64, one: &str, many: &str) -> String {
    let digits = count.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    match count {
        1 => counted(1, one, many),
        _ => format!("{grouped} {many}"),
    }
}

/// Octets in the unit that people would say.
pub(super) fn size(octets: u64) -> String {
    const KIB: u64 = 1024;
    const MIB: u64 = 1024 * KIB;
    match octets {
        0..KIB => format!("{octets} B"),
        KIB..MIB => format!("{} KiB", octets / KIB),
        _ => format!("{}.{} MiB", octets / MIB, octets % MIB * 10 / MIB),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::Waited;

    /// What `client list` says of gear that is configured to wait 60 s.
    fn patience_told(gave_up: Option<(u64, u32, u64)>, patience: Option<u64>) -> String {
        let client = ClientShown {
            name: "vpn".to_owned(),
            label: crate::control::Label::default(),
            addresses: Vec::new(),
            tls_names: Vec::new(),
            message_authenticator: "required".to_owned(),
            code: Vec::new(),
            station: Vec::new(),
            profile: "fortigate".to_owned(),
            push: Vec::new(),
            patience: 60,
        };
        let seen = Seen {
            gave_up: gave_up.map(|(interval, tries, in_all)| Waited {
                interval,
                tries,
                in_all,
            }),
            patience,
            ..Seen::default()
        };
        let mut out = Vec::new();
        let page = Page::new(&mut out, false, false, crate::control::Language::En);
        patience_words(&client, &seen, &page).join("\n")
    }

    #[test]
    fn patience_is_told_beside_what_is_configured_with_a_hint_where_they_differ() {
        assert_eq!(patience_told(None, None), "");
        let measured = Some((5012, 3, 15_036));
        let row = "    gave up after 5 s x 3 = 15 s; configured 60 s";
        assert_eq!(patience_told(measured, None), row);
        let told = patience_told(measured, Some(15_036));
        assert!(told.starts_with(row), "{told}");
        assert!(
            told.contains("waits 15 s, less than configured: On the FortiGate, set remoteauth"),
            "{told}"
        );
        assert_eq!(patience_told(measured, Some(60_400)), row);
        let told = patience_told(measured, Some(90_200));
        assert!(
            told.ends_with("patience = \"90s\" to use all of it."),
            "{told}"
        );
    }

    #[test]
    fn numbers_are_grouped_and_sizes_said_in_their_unit() {
        assert_eq!(counted_large(1, "row", "rows"), "1 row");
        assert_eq!(counted_large(0, "row", "rows"), "0 rows");
        assert_eq!(counted_large(1_234_567, "row", "rows"), "1,234,567 rows");
        assert_eq!(size(12), "12 B");
        assert_eq!(size(40_960), "40 KiB");
        assert_eq!(size(12 * 1024 * 1024 + 400_000), "12.3 MiB");
    }
}
