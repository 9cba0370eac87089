//! Alerts by mail: one message in both languages.

use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use data_encoding::HEXLOWER;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::transport::smtp::{AsyncSmtpTransport, Error};
use lettre::{AsyncTransport as _, Tokio1Executor};
use tokio::time::{Instant, timeout_at};

use super::{Alert, Notice};
use crate::channel::{Mail, MailTls, tls};
use crate::clock::Clock;
use crate::secret::random_array;

/// How long a probe may take.
const PROBE: Duration = Duration::from_secs(5);
/// Characters of a subject, at most.
const SUBJECT: usize = 200;
/// Characters of a text, at most.
const TEXT: usize = 20_000;

/// The mail server, ready to be asked.
pub(super) struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    to: Vec<Mailbox>,
    timeout: Duration,
}

impl Mailer {
    pub(super) fn new(settings: &Mail) -> io::Result<Self> {
        let parameters = || protection(&settings.server, settings.ca_file.as_deref());
        let tls = match settings.tls {
            MailTls::StartTls => Tls::Required(parameters()?),
            MailTls::Tls => Tls::Wrapper(parameters()?),
            MailTls::None => Tls::None,
        };
        let builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&settings.server)
            .port(settings.port)
            .tls(tls)
            .timeout(Some(settings.timeout));
        let builder = match &settings.credentials {
            None => builder,
            Some((user, password)) => {
                let password = password.expose_str().ok_or_else(|| {
                    io::Error::new(io::ErrorKind::InvalidData, "the password is not UTF-8")
                })?;
                builder.credentials(Credentials::new(user.clone(), password.to_owned()))
            }
        };
        Ok(Self {
            transport: builder.build(),
            from: settings.from.clone(),
            to: settings.to.clone(),
            timeout: settings.timeout,
        })
    }

    /// Sends one mail to everybody.
    pub(super) async fn send(
        &self,
        alert: &Alert,
        clock: &Clock,
        deadline: Instant,
    ) -> Result<(), String> {
        let message = self
            .message(alert, clock)
            .map_err(|error| format!("could not be written: {error}"))?;
        let end = deadline.min(Instant::now() + self.timeout);
        match timeout_at(end, self.transport.send(message)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(why(&error)),
            Err(_) => Err("did not answer in time".to_owned()),
        }
    }

    /// Connects, and logs in if a user is configured, without sending.
    pub(super) async fn probe(&self) -> Result<(), String> {
        let asked = self.transport.test_connection();
        match tokio::time::timeout(PROBE, asked).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err("broke off the connection".to_owned()),
            Ok(Err(error)) => Err(why(&error)),
            Err(_) => Err("did not answer in time".to_owned()),
        }
    }

    fn message(&self, alert: &Alert, clock: &Clock) -> Result<Message, lettre::error::Error> {
        let at = Duration::from_secs(clock.now().secs());
        let id = HEXLOWER.encode(&random_array::<16>());
        let domain = self.from.email.domain();
        let automatic = HeaderName::new_from_ascii_str("Auto-Submitted");
        let mut builder = Message::builder()
            .from(self.from.clone())
            .subject(subject(&alert.ja, &alert.en))
            .date(SystemTime::UNIX_EPOCH + at)
            .message_id(Some(format!("<{id}@{domain}>")))
            .header(ContentType::TEXT_PLAIN)
            // Nobody's absence is to be told to a machine (RFC 3834).
            .raw_header(HeaderValue::new(automatic, "auto-generated".to_owned()));
        for to in &self.to {
            builder = builder.to(to.clone());
        }
        builder.body(body(&alert.ja, &alert.en))
    }
}

/// Both subjects in one line, without what could begin another header.
fn subject(ja: &Notice, en: &Notice) -> String {
    let line = |notice: &Notice| -> String {
        let words = notice.subject.replace(char::is_control, " ");
        words.trim().chars().take(SUBJECT).collect()
    };
    joined([line(ja), line(en)], " / ")
}

fn body(ja: &Notice, en: &Notice) -> String {
    let text = |notice: &Notice| -> String { notice.text.trim().chars().take(TEXT).collect() };
    let mut text = joined([text(ja), text(en)], "\n\n");
    text.push('\n');
    text
}

fn joined(parts: [String; 2], between: &str) -> String {
    let [ja, en] = parts;
    match (ja.is_empty(), en.is_empty()) {
        (true, _) => en,
        (_, true) => ja,
        _ if ja == en => ja,
        _ => [ja, en].join(between),
    }
}

/// What went wrong, without what the server said, which may repeat addresses.
fn why(error: &Error) -> String {
    if let Some(code) = error.status() {
        return format!("answered {code}");
    }
    let why = if error.is_timeout() {
        "did not answer in time"
    } else if error.is_tls() {
        "cannot be reached (TLS refused)"
    } else if error.is_response() {
        "answered what is no SMTP"
    } else if error.is_client() {
        "has not what is needed (TLS, or a way to log in)"
    } else {
        "cannot be reached (no connection)"
    };
    why.to_owned()
}

fn protection(server: &str, ca_file: Option<&Path>) -> io::Result<TlsParameters> {
    let mut builder = TlsParameters::builder(server.to_owned());
    if let Some(file) = ca_file {
        builder = builder.certificate_store(CertificateStore::None);
        for certificate in tls::certificates(file)? {
            let certificate = Certificate::from_der(certificate.to_vec());
            builder = builder.add_root_certificate(certificate.map_err(io::Error::other)?);
        }
    }
    builder.build().map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(subject: &str, text: &str) -> Notice {
        Notice {
            subject: subject.to_owned(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn both_languages_stand_in_one_mail() {
        let (ja, en) = (
            notice("報告", "本人ではない\n"),
            notice("Reported", "Not me"),
        );
        assert_eq!(subject(&ja, &en), "報告 / Reported");
        assert_eq!(body(&ja, &en), "本人ではない\n\nNot me\n");
        let none = Notice::default();
        assert_eq!(subject(&none, &en), "Reported");
        assert_eq!(subject(&ja, &none), "報告");
    }

    #[test]
    fn a_subject_is_one_line() {
        let sly = notice("a\r\nBcc: everybody@example.com", "");
        assert_eq!(
            subject(&sly, &Notice::default()),
            "a  Bcc: everybody@example.com"
        );
        let long = notice(&"長".repeat(1000), "");
        assert_eq!(subject(&long, &long).chars().count(), SUBJECT);
    }
}
