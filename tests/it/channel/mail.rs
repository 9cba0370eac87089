//! Alerts by mail, to a small server of SMTP (RFC 5321, 3207, 4954) on loopback.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use data_encoding::BASE64;
use sekisho::channel::{Alerts, Channels, Mail, MailTls, Settings};
use sekisho::secret::Secret;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

use super::deadline;
use super::tls::authority;
use super::webhook::alert;

/// How the server speaks.
#[derive(Clone)]
enum Speech {
    Clear,
    StartTls(TlsAcceptor),
    Tls(TlsAcceptor),
    Refusing,
    Silent,
}

struct Server {
    port: u16,
    said: Arc<Mutex<Vec<String>>>,
    // Aborts the server when it goes.
    _tasks: JoinSet<()>,
}

impl Server {
    async fn start(speech: Speech) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let said: Arc<Mutex<Vec<String>>> = Arc::default();
        let kept = Arc::clone(&said);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                // A client that breaks off is the test's business.
                let _ended = answer(stream, speech.clone(), &kept).await;
            }
        });
        Self {
            port,
            said,
            _tasks: tasks,
        }
    }

    /// The lines that came since the last look.
    fn said(&self) -> Vec<String> {
        std::mem::take(&mut *self.said.lock().unwrap())
    }
}

async fn answer(
    stream: TcpStream,
    speech: Speech,
    said: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    match speech {
        Speech::Silent => std::future::pending().await,
        Speech::Tls(acceptor) => {
            let stream = acceptor.accept(stream).await?;
            talk(BufStream::new(stream), said, Offer::Mail).await?;
        }
        Speech::Clear => {
            talk(BufStream::new(stream), said, Offer::Mail).await?;
        }
        Speech::Refusing => {
            talk(BufStream::new(stream), said, Offer::Nothing).await?;
        }
        Speech::StartTls(acceptor) => {
            let stream = talk(BufStream::new(stream), said, Offer::StartTls).await?;
            let stream = acceptor.accept(stream.into_inner()).await?;
            let mut stream = BufStream::new(stream);
            dialogue(&mut stream, said, Offer::Mail).await?;
        }
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Offer {
    StartTls,
    Mail,
    Nothing,
}

async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: BufStream<S>,
    said: &Mutex<Vec<String>>,
    offer: Offer,
) -> std::io::Result<BufStream<S>> {
    stream.write_all(b"220 mail.example ESMTP\r\n").await?;
    stream.flush().await?;
    dialogue(&mut stream, said, offer).await?;
    Ok(stream)
}

async fn dialogue<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut BufStream<S>,
    said: &Mutex<Vec<String>>,
    offer: Offer,
) -> std::io::Result<()> {
    let mut is_text = false;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let line = line.trim_end_matches("\r\n").to_owned();
        said.lock().unwrap().push(line.clone());
        let verb = line.split([' ', ':']).next().unwrap_or_default();
        let reply = match (is_text, verb, offer) {
            (true, _, _) if line == "." => {
                is_text = false;
                "250 taken\r\n"
            }
            (true, _, _) => continue,
            (_, "EHLO", Offer::StartTls) => "250-mail.example\r\n250 STARTTLS\r\n",
            (_, "EHLO", _) => "250-mail.example\r\n250 AUTH PLAIN LOGIN\r\n",
            (_, "STARTTLS", Offer::StartTls) => {
                stream.write_all(b"220 go ahead\r\n").await?;
                return stream.flush().await;
            }
            (_, "AUTH", _) => "235 welcome\r\n",
            (_, "MAIL", Offer::Nothing) => "550 5.7.1 taro@example.ac.jp may not\r\n",
            (_, "MAIL" | "RCPT" | "NOOP" | "RSET", _) => "250 well\r\n",
            (_, "DATA", _) => {
                is_text = true;
                "354 go ahead\r\n"
            }
            (_, "QUIT", _) => "221 bye\r\n",
            _ => "500 what?\r\n",
        };
        stream.write_all(reply.as_bytes()).await?;
        stream.flush().await?;
    }
}

fn mail(server: &Server, tls: MailTls) -> Mail {
    Mail {
        server: "localhost".to_owned(),
        port: server.port,
        tls,
        ca_file: None,
        credentials: None,
        from: "関所 <mfa@example.ac.jp>".parse().unwrap(),
        to: vec![
            "csirt@example.ac.jp".parse().unwrap(),
            "窓口 <desk@example.ac.jp>".parse().unwrap(),
        ],
        timeout: Duration::from_secs(20),
    }
}

fn channels(mail: Mail) -> Channels {
    let settings = Settings {
        alerts: Alerts {
            webhook: None,
            mail: Some(mail),
        },
        ..Settings::default()
    };
    Channels::new(settings).unwrap()
}

async fn sent(mail: Mail) -> Result<(), String> {
    let mut alerted = channels(mail).alert(&alert(), deadline()).await;
    let (name, result) = alerted.pop().unwrap();
    assert_eq!((name, alerted.len()), ("alert.mail", 0));
    result
}

/// The text of RFC 2047's encoded words in a header, which may be folded.
fn decoded(text: &str) -> String {
    let mut words = String::new();
    for (number, part) in text.split("=?utf-8?b?").enumerate() {
        if number == 0 {
            words.push_str(part);
            continue;
        }
        let (word, rest) = part.split_once("?=").unwrap();
        let octets = BASE64.decode(word.as_bytes()).unwrap();
        words.push_str(std::str::from_utf8(&octets).unwrap());
        words.push_str(rest.trim());
    }
    words
}

fn header(lines: &[String], name: &str) -> String {
    let mut found = String::new();
    let start = format!("{name}: ");
    for line in lines.iter().take_while(|line| !line.is_empty()) {
        if let Some(value) = line.strip_prefix(&start) {
            value.clone_into(&mut found);
        } else if line.starts_with(' ') && !found.is_empty() {
            found.push_str(line);
        } else if !found.is_empty() {
            break;
        }
    }
    found
}

#[tokio::test]
async fn a_mail_arrives_in_both_languages() {
    let server = Server::start(Speech::Clear).await;
    sent(mail(&server, MailTls::None)).await.unwrap();
    let said = server.said();
    for line in [
        "MAIL FROM:<mfa@example.ac.jp>",
        "RCPT TO:<csirt@example.ac.jp>",
        "RCPT TO:<desk@example.ac.jp>",
    ] {
        assert!(said.iter().any(|said| said.starts_with(line)), "{said:#?}");
    }
    let data = said.iter().position(|line| line == "DATA").unwrap();
    let text = &said[data + 1..];
    assert!(text.iter().all(|line| line.is_ascii() && line.len() < 998));
    let subject = header(text, "Subject");
    assert_eq!(
        decoded(&subject).replace(' ', ""),
        "本人ではないログインの報告/Aloginwasreported",
        "{subject}"
    );
    assert!(decoded(&header(text, "From")).contains("関所"), "{text:#?}");
    assert_eq!(header(text, "Auto-Submitted"), "auto-generated");
    assert_eq!(header(text, "Content-Type"), "text/plain; charset=utf-8");
    assert!(header(text, "Message-ID").ends_with("@example.ac.jp>"));
    assert!(!header(text, "Date").is_empty());
    assert_eq!(header(text, "Content-Transfer-Encoding"), "base64");
    let begin = text.iter().position(String::is_empty).unwrap();
    let body: String = text[begin..].concat().trim_end_matches('.').to_owned();
    let end = body.find("QUIT").unwrap_or(body.len());
    let body = BASE64
        .decode(body[..end].trim_end_matches('.').as_bytes())
        .unwrap();
    assert_eq!(
        String::from_utf8(body).unwrap().replace("\r\n", "\n"),
        "taro さんが「自分ではない」と報告しました。\n\ntaro says that it was not them.\n"
    );
}

/// A CA, and a file with its certificate.
fn trusted(folder: &TempDir) -> (TlsAcceptor, PathBuf) {
    let (pem, acceptor) = authority();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, pem).unwrap();
    (acceptor, file)
}

#[tokio::test]
async fn a_password_goes_by_tls_alone() {
    let folder = TempDir::new().unwrap();
    let (acceptor, file) = trusted(&folder);
    for (speech, tls) in [
        (Speech::StartTls(acceptor.clone()), MailTls::StartTls),
        (Speech::Tls(acceptor.clone()), MailTls::Tls),
    ] {
        let server = Server::start(speech).await;
        let mut mail = mail(&server, tls);
        mail.ca_file = Some(file.clone());
        mail.credentials = Some(("sekisho".to_owned(), Secret::from("hunter2")));
        sent(mail.clone()).await.unwrap();
        let said = server.said();
        let plain = format!("AUTH PLAIN {}", BASE64.encode(b"\0sekisho\0hunter2"));
        assert!(said.contains(&plain), "{said:#?}");
        assert_eq!(
            said.contains(&"STARTTLS".to_owned()),
            tls == MailTls::StartTls
        );
        assert_eq!(
            channels(mail).probe().await,
            [("alert.mail".into(), Ok(()))]
        );
        assert!(!server.said().contains(&"DATA".to_owned()));
    }
}

#[tokio::test]
async fn nothing_is_said_where_tls_fails() {
    let folder = TempDir::new().unwrap();
    let (_, other) = trusted(&folder);
    let (_, acceptor) = authority();
    let tls_alone = |server: &Server, tls| {
        let mut mail = mail(server, tls);
        mail.ca_file = Some(other.clone());
        mail.credentials = Some(("sekisho".to_owned(), Secret::from("hunter2")));
        mail
    };
    for (speech, tls) in [
        // Under another CA.
        (Speech::StartTls(acceptor.clone()), MailTls::StartTls),
        (Speech::Tls(acceptor), MailTls::Tls),
        // Without STARTTLS, as somebody in between would have it.
        (Speech::Clear, MailTls::StartTls),
    ] {
        let server = Server::start(speech).await;
        let error = sent(tls_alone(&server, tls)).await.unwrap_err();
        let said = server.said();
        let secret = |line: &String| line.starts_with("AUTH") || line.starts_with("MAIL");
        assert!(!said.iter().any(secret), "{said:#?}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[tokio::test]
async fn a_refusal_names_its_code_alone() {
    let server = Server::start(Speech::Refusing).await;
    let error = sent(mail(&server, MailTls::None)).await.unwrap_err();
    assert_eq!(error, "answered 550");
}

#[tokio::test]
async fn a_silent_server_costs_no_more_than_its_time() {
    let server = Server::start(Speech::Silent).await;
    let mut mail = mail(&server, MailTls::None);
    mail.timeout = Duration::from_millis(300);
    let begun = Instant::now();
    let error = sent(mail).await.unwrap_err();
    assert_eq!(error, "did not answer in time");
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_by_both() {
    let server = Server::start(Speech::Clear).await;
    let mail = mail(&server, MailTls::None);
    drop(server);
    let channels = channels(mail);
    let alerted = channels.alert(&alert(), deadline()).await;
    let probed = channels.probe().await;
    assert_eq!(
        alerted[0].1,
        Err("cannot be reached (no connection)".to_owned())
    );
    assert_eq!(probed[0].1, alerted[0].1);
}
