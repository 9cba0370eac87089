//! `[push]` and `[alert]`: doorbells, a site's own push service, and who hears of what must not wait.

use std::time::Duration;

use lettre::message::Mailbox;

use super::directories::{self, is_loopback};
use super::fault::Place;
use super::reader::{Bounds, Table, Words};
use super::secrets::{self, PASSWORD, SECRET, TOKEN};
use crate::channel::{
    Alerts, BadEndpoint, Endpoint, Mail, MailTls, Ntfy, Push, Reach, Service, Subject, WebPush,
    Webhook,
};
use crate::secret::Secret;

/// Push services beside those of the browsers.
const SERVICES_MOST: usize = 16;
/// A phone that sleeps deeply wakes within three quarters of a minute.
const TTL: Bounds<Duration> = Bounds::new(
    Duration::from_secs(10),
    Duration::from_secs(600),
    Duration::from_secs(60),
);
/// A login waits for it.
const TIMEOUT: Bounds<Duration> = Bounds::new(
    Duration::from_secs(1),
    Duration::from_secs(30),
    Duration::from_secs(5),
);
/// Nobody waits for it, and mail servers are slow.
const MAIL_TIMEOUT: Bounds<Duration> = Bounds::new(
    Duration::from_secs(1),
    Duration::from_secs(60),
    Duration::from_secs(20),
);
/// How often an answer may be asked for.
const POLL: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// A shorter key can be guessed from one request, and both sides are free to choose.
const KEY_OCTETS: usize = 16;
/// Octets of a host's name (RFC 1035).
const HOST_OCTETS: usize = 253;
/// Those who get an alert.
const RECIPIENTS_MOST: usize = 16;
/// What holds for mail without `port`: submission, submission by TLS (RFC 8314), and what a server on loopback has.
const PORTS: (u16, u16, u16) = (587, 465, 25);

const MAIL_TLS: &Words<MailTls> = &[
    ("starttls", MailTls::StartTls),
    ("tls", MailTls::Tls),
    ("none", MailTls::None),
];

/// `[push]`.
pub(super) fn push(root: &Table<'_>) -> Option<Push> {
    let table = root.table("push");
    let is_there = table.place.is_some();
    let ntfy = ntfy(table.table("ntfy"));
    let hook = webhook(table.table("webhook"), Answers::Wanted);
    let web = web(&table);
    table.finish();
    is_there.then_some(Push {
        web,
        ntfy,
        webhook: hook,
    })
}

/// `[alert]`.
pub(super) fn alerts(root: &Table<'_>) -> Alerts {
    let table = root.table("alert");
    let webhook = webhook(table.table("webhook"), Answers::None);
    let mail = mail(table.table("mail"));
    table.finish();
    Alerts { webhook, mail }
}

fn web(table: &Table<'_>) -> Option<WebPush> {
    let subject = table.text("subject");
    let ttl = table.duration("ttl", TTL);
    let listed = table.list("service");
    let place = table.at("service");
    if listed.len() > SERVICES_MOST {
        table.report.fault(
            place,
            format!("[push] has {} services.", listed.len()),
            format!("It may have {SERVICES_MOST}."),
        );
    }
    let services = listed.into_iter().filter_map(service).collect();
    let is_wanted = table.has_beside(&["ntfy", "webhook"])
        || !table.has("ntfy") && !table.has("webhook") && table.place.is_some();
    if is_wanted && !table.has("subject") {
        table.missing("subject", "\"https://mfa.example.ac.jp\"");
    }
    let subject = match Subject::read(subject?) {
        Ok(subject) => subject,
        Err(bad) => {
            table.report.fault(
                table.at("subject"),
                format!("`subject` {bad}."),
                "Write the portal's https:// address or a mailto: address that push services can reach you by.",
            );
            return None;
        }
    };
    Some(WebPush {
        subject,
        services,
        ttl,
    })
}

fn service(table: Table<'_>) -> Option<Service> {
    let origin = endpoint(&table, "url", "https://push.example.ac.jp");
    let service = origin.map(Service::new);
    if let Some(Err(bad)) = &service {
        table.report.fault(
            table.at("url"),
            format!("`url` {bad}."),
            "Write such as \"https://push.example.ac.jp\": all below it is allowed.",
        );
    }
    table.finish();
    service?.ok()
}

fn ntfy(table: Table<'_>) -> Option<Ntfy> {
    let server = endpoint(&table, "server", "https://ntfy.example.ac.jp");
    let token = secrets::read(&table, TOKEN);
    let timeout = table.duration("timeout", TIMEOUT);
    table.finish();
    Some(Ntfy {
        server: server?,
        token,
        timeout,
    })
}

/// Whether a webhook answers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answers {
    Wanted,
    None,
}

fn webhook(table: Table<'_>, answers: Answers) -> Option<Webhook> {
    let endpoint = endpoint(&table, "url", "https://push.example.ac.jp/prompts");
    let key = key(&table);
    let timeout = table.duration("timeout", TIMEOUT);
    let poll = match answers {
        Answers::Wanted => table.duration_within("poll", POLL.0, POLL.1),
        Answers::None => None,
    };
    table.finish();
    Some(Webhook {
        endpoint: endpoint?,
        key,
        timeout,
        poll,
    })
}

/// The key that both sides sign with.
fn key(table: &Table<'_>) -> Secret {
    let key = secrets::read(table, SECRET);
    if table.place.is_some() && SECRET.given(table).is_none() {
        let file = format!("\"/etc/sekisho/{}.secret\"", table.kind.replace('.', "-"));
        table.missing(SECRET.file, &file);
    }
    let key = key.unwrap_or_default();
    // Files are not looked at where the text alone is judged.
    if !key.is_empty() && key.len() < KEY_OCTETS {
        table.report.fault(
            SECRET.given(table).and_then(|given| table.at(given)),
            format!("This secret has fewer than {KEY_OCTETS} octets: it can be guessed from one request."),
            "Make one with sekisho secret new.",
        );
    }
    key
}

/// A server that is asked by HTTP, with the keys `allow-private` and `ca-file` beside its own.
fn endpoint(table: &Table<'_>, key: &'static str, example: &str) -> Option<Endpoint> {
    let text = table.text(key);
    let reach = match table.flag("allow-private", false) {
        true => Reach::Anywhere,
        false => Reach::Public,
    };
    let ca_file = directories::ca_file(table);
    if table.place.is_some() && !table.has(key) {
        table.missing(key, &format!("\"{example}\""));
    }
    match Endpoint::read(text?, reach, ca_file) {
        Ok(endpoint) => {
            if endpoint.is_clear() && !endpoint.is_loopback() {
                table.report.warn(
                    table.at(key),
                    "What is said there goes in the clear.",
                    "Use https://.",
                );
            }
            Some(endpoint)
        }
        Err(bad) => {
            let mend = match bad {
                BadEndpoint::Form | BadEndpoint::Surplus => format!("Write such as \"{example}\"."),
                BadEndpoint::Clear => {
                    "Use https://; allow-private = true if it really is an own server without TLS."
                        .to_owned()
                }
                BadEndpoint::Private => {
                    "Set allow-private = true if it is an own server inside.".to_owned()
                }
            };
            table
                .report
                .fault(table.at(key), format!("`{key}` {bad}."), mend);
            None
        }
    }
}

fn mail(table: Table<'_>) -> Option<Mail> {
    let is_there = table.place.is_some();
    let server = table.text("server");
    let tls = table
        .choice("tls", MAIL_TLS, "starttls")
        .unwrap_or_default();
    let port = table.number_within("port", 1, u16::MAX);
    let credentials = credentials(&table);
    let ca_file = directories::ca_file(&table);
    let from = table.text("from").map(|text| (text, table.at("from")));
    let from = from.and_then(|(text, place)| mailbox(&table, "from", (text, place)));
    let to = recipients(&table);
    let timeout = table.duration("timeout", MAIL_TIMEOUT);
    if is_there {
        for (key, example) in [
            ("server", "\"smtp.example.ac.jp\""),
            ("from", "\"Sekisho <mfa@example.ac.jp>\""),
            ("to", "[\"csirt@example.ac.jp\"]"),
        ] {
            if !table.has(key) {
                table.missing(key, example);
            }
        }
    }
    if let Some(server) = server {
        judge_server(&table, server, tls);
    }
    table.finish();
    let usual = match tls {
        MailTls::StartTls => PORTS.0,
        MailTls::Tls => PORTS.1,
        MailTls::None => PORTS.2,
    };
    Some(Mail {
        server: server?.to_owned(),
        port: port.unwrap_or(usual),
        tls,
        ca_file,
        credentials,
        from: from?,
        to,
        timeout,
    })
}

fn judge_server(table: &Table<'_>, server: &str, tls: MailTls) {
    let sound = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | ':' | '_');
    if server.len() > HOST_OCTETS || !server.chars().all(sound) {
        table.report.fault(
            table.at("server"),
            "`server` is no name of a host.",
            "Write such as \"smtp.example.ac.jp\", and its port into `port`.",
        );
    } else if tls == MailTls::None && !is_loopback(server) {
        table.report.fault(
            table.at("tls"),
            "Mail would go to this server in the clear.",
            "Set tls to \"starttls\" or \"tls\"; \"none\" is for a server on this host.",
        );
    }
}

fn credentials(table: &Table<'_>) -> Option<(String, Secret)> {
    let user = table.text("user");
    let password = secrets::read(table, PASSWORD);
    match (user, PASSWORD.given(table)) {
        (Some(_), None) => table.missing(PASSWORD.file, "\"/etc/sekisho/mail.password\""),
        (None, Some(given)) => table.report.fault(
            table.at(given),
            format!("`{given}` has no effect without `user`."),
            "Add user, or remove the key.",
        ),
        (Some(_), Some(_)) | (None, None) => {}
    }
    Some((user?.to_owned(), password?))
}

fn recipients(table: &Table<'_>) -> Vec<Mailbox> {
    let texts = table.texts("to").unwrap_or_default();
    if table.is_empty_list("to") {
        table.report.fault(
            table.at("to"),
            "`to` is an empty list: nobody would hear of an alert.",
            "Write [\"csirt@example.ac.jp\"].",
        );
    }
    if texts.len() > RECIPIENTS_MOST {
        table.report.fault(
            table.at("to"),
            format!("`to` has {} addresses.", texts.len()),
            format!("It may have {RECIPIENTS_MOST}: use a list of your mail server's."),
        );
    }
    let read = |(text, place)| mailbox(table, "to", (text, Some(place)));
    texts.into_iter().filter_map(read).collect()
}

fn mailbox(table: &Table<'_>, key: &str, (text, place): (&str, Option<Place>)) -> Option<Mailbox> {
    let mailbox = text.parse().ok();
    if mailbox.is_none() {
        table.report.fault(
            place,
            format!("`{key}`: {text:?} is no mail address."),
            "Write such as \"mfa@example.ac.jp\" or \"Sekisho <mfa@example.ac.jp>\".",
        );
    }
    mailbox
}
