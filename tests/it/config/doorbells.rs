//! `[push]` and `[alert]`: what they become, and what is said of faulty ones.

use std::time::Duration;

use sekisho::channel::MailTls;
use sekisho::config::parse_text;

use super::SOUND;
use super::faults::judge;

/// What is added to a sound file, as in the faults of the other sections.
const FAULTY: &[(&str, &str)] = &[
    ("[¶push]", "`subject` is missing"),
    ("[¶push]\nttl = '2m'", "`subject` is missing"),
    (
        "[push]\nsubject = ¶'mfa@example.ac.jp'",
        "neither an https:// nor a mailto: address",
    ),
    (
        "[push]\nsubject = ¶'https://mfa.local'",
        "nobody outside can reach: Apple refuses that. (Write the portal's",
    ),
    (
        "[push]\nsubject = 'mailto:mfa@example.ac.jp'\nttl = ¶'1s'",
        "(It may be 10s to 10m.)",
    ),
    (
        "[push]\nsubject = 'mailto:mfa@example.ac.jp'\n¶hosts = []",
        "`hosts` is not known in [push]",
    ),
    (
        "[push]\nsubject = 'mailto:mfa@example.ac.jp'\n[[push.service]]\nurl = ¶'https://push.example/up'",
        "has more than scheme, host and port. (Write such as",
    ),
    (
        "[push]\nsubject = 'mailto:mfa@example.ac.jp'\n[[push.service]]\nurl = ¶'http://push.example'",
        "`url` is in the clear. (Use https://; allow-private = true",
    ),
    (
        "[push]\nsubject = 'mailto:mfa@example.ac.jp'\n[[push.service]]\nurl = ¶'https://10.0.0.1'",
        "`url` is an address that is not public. (Set allow-private = true",
    ),
    (
        "[push]\nsubject = 'mailto:mfa@example.ac.jp'\n¶[[push.service]]\nallow-private = true",
        "`url` is missing",
    ),
    (
        "[push]\nsubject = 'mailto:mfa@example.ac.jp'\n[[push.service]]\nurl = 'https://push.example'\n¶port = 1",
        "`port` is not known in [push.service]",
    ),
    ("[push.¶ntfy]", "`server` is missing"),
    (
        "[push.ntfy]\nserver = ¶'ntfy.example'",
        "`server` is no https:// address",
    ),
    (
        "[push.ntfy]\nserver = ¶'https://u:p@ntfy.example'",
        "has a user, a password or a #fragment in it",
    ),
    (
        "[push.¶webhook]\nurl = 'https://push.example/'",
        "`secret-file` is missing. (Add secret-file = \"/etc/sekisho/push-webhook.secret\".)",
    ),
    (
        "[push.¶webhook]\nsecret = 'sixteen octets at least'",
        "`url` is missing",
    ),
    (
        "[push.webhook]\nurl = 'https://push.example/'\nsecret = ¶'too short'",
        "fewer than 16 octets",
    ),
    (
        "[push.webhook]\nurl = 'https://push.example/'\nsecret = 'sixteen octets at least'\npoll = ¶true",
        "(Write a duration",
    ),
    (
        "[alert.webhook]\nurl = 'https://push.example/'\nsecret = 'sixteen octets at least'\n¶poll = '2s'",
        "`poll` is not known in [alert.webhook]",
    ),
    (
        "[alert.mail]\nserver = 'smtp.example'\nfrom = 'a@example.org'\nto = 'b@example.org'\ntls = ¶'none'",
        "in the clear",
    ),
    (
        "[alert.mail]\nserver = ¶'smtp.example/'\nfrom = 'a@example.org'\nto = 'b@example.org'",
        "no name of a host",
    ),
    (
        "[alert.mail]\nserver = 'smtp.example'\nfrom = ¶'a'\nto = 'b@example.org'",
        "\"a\" is no mail address",
    ),
    (
        "[alert.mail]\nserver = 'smtp.example'\nfrom = 'a@example.org'\nto = ['b@example.org', ¶'c']",
        "\"c\" is no mail address",
    ),
    (
        "[alert.mail]\nserver = 'smtp.example'\nfrom = 'a@example.org'\nto = ¶[]",
        "empty list",
    ),
    (
        "[alert.¶mail]\nserver = 'smtp.example'\nfrom = 'a@example.org'",
        "`to` is missing",
    ),
    (
        "[alert.¶mail]\nserver = 'smtp.example'\nfrom = 'a@example.org'\nto = 'b@example.org'\nuser = 'u'",
        "`password-file` is missing",
    ),
    (
        "[alert.mail]\nserver = 'smtp.example'\nfrom = 'a@example.org'\nto = 'b@example.org'\npassword = ¶'p4ssw0rd-long'",
        "no effect without `user`",
    ),
    (
        "[alert.mail]\nserver = 'smtp.example'\nfrom = 'a@example.org'\nto = 'b@example.org'\nport = ¶0",
        "(It may be 1 to 65535.)",
    ),
];

#[test]
fn faults_of_doorbells_are_said_at_their_place() {
    judge(FAULTY);
}

#[test]
fn nothing_is_rung_or_told_unless_it_is_written() {
    let channel = parse_text(SOUND).unwrap().channel;
    assert!(channel.push.is_none());
    assert!(channel.alerts.webhook.is_none() && channel.alerts.mail.is_none());
}

#[test]
fn all_of_it_becomes_settings() {
    let settings = parse_text(&format!(
        "{SOUND}
[push]
subject = 'https://mfa.example.ac.jp'
[[push.service]]
url = 'https://push.example.ac.jp:8443'
[[push.service]]
url = 'http://10.0.0.1'
allow-private = true
[push.ntfy]
server = 'https://ntfy.example.ac.jp'
token = 'tk_0123'
[push.webhook]
url = 'https://push.example.ac.jp/prompts'
secret = 'sixteen octets at least'
poll = '2s'
[alert.webhook]
url = 'http://127.0.0.1:9000/alerts'
allow-private = true
secret = 'sixteen octets at least'
[alert.mail]
server = 'smtp.example.ac.jp'
from = 'Sekisho <mfa@example.ac.jp>'
to = ['窓口 <desk@example.ac.jp>', 'csirt@example.ac.jp']
user = 'sekisho'
password = 'a password of mail'
"
    ))
    .unwrap();
    let warnings: Vec<_> = settings.warnings.iter().map(|fault| fault.line).collect();
    assert_eq!(warnings.len(), 1, "{:?}", settings.warnings);
    let push = settings.channel.push.unwrap();
    let web = push.web.unwrap();
    assert_eq!(web.subject.as_str(), "https://mfa.example.ac.jp");
    assert_eq!((web.services.len(), web.ttl), (2, Duration::from_secs(60)));
    assert!(push.ntfy.unwrap().token.is_some());
    let webhook = push.webhook.unwrap();
    assert_eq!(webhook.poll, Some(Duration::from_secs(2)));
    let alert = settings.channel.alerts.webhook.unwrap();
    assert_eq!((alert.poll, alert.endpoint.is_clear()), (None, true));
    let mail = settings.channel.alerts.mail.unwrap();
    assert_eq!((mail.port, mail.tls), (587, MailTls::StartTls));
    assert_eq!(mail.to.len(), 2);
    let shown = format!("{mail:?}{alert:?}");
    assert!(
        !shown.contains("sixteen") && !shown.contains("a password"),
        "{shown}"
    );
}

#[test]
fn a_doorbell_of_one_kind_needs_no_other() {
    let read = |text: &str| {
        parse_text(&format!("{SOUND}{text}"))
            .unwrap()
            .channel
            .push
            .unwrap()
    };
    let push = read("[push.ntfy]\nserver = 'https://ntfy.example.ac.jp'");
    assert!(push.web.is_none() && push.ntfy.is_some() && push.webhook.is_none());
    let push = read("[push]\nsubject = 'mailto:mfa@example.ac.jp'");
    assert!(push.web.is_some() && push.ntfy.is_none() && push.webhook.is_none());
}
