//! Messages through real HTTP gateways on loopback, and the spool.

mod gateway;
mod hosts;
mod mail;
mod push;
mod spool;
mod tls;
mod webhook;

use std::sync::Arc;
use std::time::Duration;

use sekisho::account::Language;
use sekisho::channel::{
    Auth, Body, Channels, Error, Gateway, GatewayKind, Message, Number, NumberForm, Sent, Settings,
    Template,
};
use sekisho::secret::Secret;
use tokio::time::Instant;

use gateway::{Answer, Gateway as Opponent};

const TEXT: &str =
    "【桜大学】確認コード 482913(5分間)。\n\"電話\"で聞かれても&教えないで=ください+%20";

fn settings(gateways: Vec<Gateway>) -> Settings {
    Settings {
        sms: gateways,
        voice: Vec::new(),
        countries: vec!["+81".to_owned()],
        home: "+81".to_owned(),
        ..Settings::default()
    }
}

fn template(url: String) -> Template {
    Template {
        method: "POST".to_owned(),
        url,
        headers: Vec::new(),
        auth: Auth::None,
        body: Body::Form(vec![
            ("To".to_owned(), "{{to}}".to_owned()),
            ("From".to_owned(), "{{from}}".to_owned()),
            ("Body".to_owned(), "{{text}}".to_owned()),
        ]),
        from: "桜大学".to_owned(),
        number_form: NumberForm::E164,
        success_status: Vec::new(),
        success_pointer: None,
        id_pointer: None,
        idempotency_header: None,
        ca_file: None,
        timeout: Duration::from_secs(20),
    }
}

fn http(name: &str, template: Template) -> Gateway {
    Gateway {
        name: name.into(),
        kind: GatewayKind::Http(Box::new(template)),
    }
}

fn message(text: &str) -> Message {
    Message {
        to: Number::read("090-1234-5678", true, &settings(Vec::new())).unwrap(),
        text: Secret::from(text),
        language: Language::Ja,
        idempotency: "c0ffee-1".to_owned(),
    }
}

fn deadline() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

async fn send(gateways: Vec<Gateway>, text: &str) -> Result<Sent, Error> {
    let channels = Channels::new(settings(gateways)).unwrap();
    channels.sms(&message(text), deadline()).await
}

/// Sends through one gateway that agrees to everything; what it was asked.
async fn asked(change: impl FnOnce(&mut Template), text: &str) -> gateway::Asked {
    let opponent = Opponent::start(&[Answer::Says(200, "{}")]).await;
    let mut template = template(opponent.url("/send"));
    change(&mut template);
    send(vec![http("a", template)], text).await.unwrap();
    opponent.asked_once()
}

fn form(body: &[u8]) -> Vec<(String, String)> {
    let query = std::str::from_utf8(body).unwrap();
    let url = reqwest::Url::parse(&format!("http://x/?{query}")).unwrap();
    url.query_pairs().into_owned().collect()
}

fn no_secret(error: &Error) {
    let shown = format!("{error} {error:?}");
    for hidden in ["482913", "12345678", "hunter2", "localhost"] {
        assert!(!shown.contains(hidden), "{shown}");
    }
}

#[tokio::test]
async fn a_form_arrives_exactly() {
    let asked = asked(|_| {}, TEXT).await;
    assert_eq!(asked.method, "POST");
    assert_eq!(
        asked.header("content-type"),
        "application/x-www-form-urlencoded"
    );
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(
        form(&asked.body),
        [
            pair("To", "+819012345678"),
            pair("From", "桜大学"),
            pair("Body", TEXT)
        ]
    );
}

#[tokio::test]
async fn json_arrives_exactly() {
    let asked = asked(
        |template| {
            template.number_form = NumberForm::Digits;
            template.body = Body::Json(serde_json::json!({
                "to": [{"number": "{{to}}"}], "text": "{{text}}", "unicode": true, "lang": "{{locale}}"
            }));
        },
        TEXT,
    )
    .await;
    assert_eq!(asked.header("content-type"), "application/json");
    assert_eq!(
        serde_json::from_slice::<serde_json::Value>(&asked.body).unwrap(),
        serde_json::json!({"to": [{"number": "819012345678"}], "text": TEXT, "unicode": true, "lang": "ja-JP"})
    );
}

#[tokio::test]
async fn a_url_arrives_exactly() {
    let asked = asked(
        |template| {
            template.method = "GET".to_owned();
            template.url.push_str("/{{to}}?text={{text}}&end=1");
            template.number_form = NumberForm::National;
            template.body = Body::Empty;
        },
        TEXT,
    )
    .await;
    assert_eq!(asked.method, "GET");
    assert_eq!(asked.uri.path(), "/send/09012345678");
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(
        form(asked.uri.query().unwrap().as_bytes()),
        [pair("text", TEXT), pair("end", "1")]
    );
    assert!(asked.body.is_empty());
}

#[tokio::test]
async fn every_proof_of_who_asks_arrives() {
    let basic = asked(
        |template| {
            template.auth = Auth::Basic {
                user: "AC1".to_owned(),
                password: Secret::from("hunter2:桜"),
            };
        },
        TEXT,
    )
    .await;
    assert_eq!(basic.header("authorization"), "Basic QUMxOmh1bnRlcjI65qGc");
    let bearer = asked(
        |template| template.auth = Auth::Bearer(Secret::from("a.b.c")),
        TEXT,
    )
    .await;
    assert_eq!(bearer.header("authorization"), "Bearer a.b.c");
    let key = Secret::from("hunter2");
    let hmac = asked(
        |template| {
            template.auth = Auth::Hmac {
                header: "X-Signature".to_owned(),
                key: key.clone(),
            };
        },
        TEXT,
    )
    .await;
    let expected = sekisho::secret::hmac_sha256(&key, &hmac.body);
    assert_eq!(
        hmac.header("x-signature"),
        data_encoding::HEXLOWER.encode(&expected)
    );
}

#[tokio::test]
async fn a_header_cannot_be_broken_out_of() {
    let opponent = Opponent::start(&[Answer::Says(200, "")]).await;
    let mut broken = template(opponent.url("/"));
    broken.headers = vec![("X-Text".to_owned(), "{{text}}".to_owned())];
    let sent = send(vec![http("a", broken.clone())], "482913\r\nX-Admin: 1").await;
    let error = sent.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("a control character would stand in header x-text"),
        "{error}"
    );
    no_secret(&error);
    assert!(opponent.asked().is_empty());

    send(vec![http("a", broken)], "コード").await.unwrap();
    assert_eq!(opponent.asked_once().header("x-text"), "コード");
}

#[tokio::test]
async fn the_next_gateway_is_asked_when_the_answer_says_no() {
    let refusing = Opponent::start(&[Answer::Says(200, r#"{"messages":[{"status":"4"}]}"#)]).await;
    let failing = Opponent::start(&[Answer::Says(500, "482913 +819012345678")]).await;
    let taking = Opponent::start(&[Answer::Says(201, r#"{"sid":"SM1"}"#)]).await;
    let mut first = template(refusing.url("/"));
    first.success_pointer = Some(("/messages/0/status".to_owned(), Some("0".to_owned())));
    let second = template(failing.url("/"));
    let mut third = template(taking.url("/"));
    third.success_status = vec![201];
    third.id_pointer = Some("/sid".to_owned());
    let all = vec![
        http("first", first),
        http("second", second),
        http("third", third),
    ];

    let sent = send(all.clone(), TEXT).await.unwrap();
    assert_eq!(
        sent,
        Sent {
            gateway: Arc::from("third"),
            id: Some("SM1".to_owned())
        }
    );
    assert_eq!(
        (
            refusing.asked().len(),
            failing.asked().len(),
            taking.asked().len()
        ),
        (1, 1, 1)
    );

    let error = send(all[..2].to_vec(), TEXT).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "no gateway took the message: first answered 200, but /messages/0/status is 4; second answered 500"
    );
    no_secret(&error);
}

#[tokio::test]
async fn an_unreachable_gateway_is_passed_by() {
    // Bound and dropped: nobody listens there.
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let taking = Opponent::start(&[Answer::Says(200, "")]).await;
    let sent = send(
        vec![
            http("first", template(format!("http://{closed}/"))),
            http("second", template(taking.url("/"))),
        ],
        TEXT,
    )
    .await
    .unwrap();
    assert_eq!(&*sent.gateway, "second");
    let error = send(
        vec![http("first", template(format!("http://{closed}/")))],
        TEXT,
    )
    .await
    .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("first cannot be reached (no connection)"),
        "{error}"
    );
}

#[tokio::test]
async fn a_silent_gateway_is_asked_again_only_under_a_key() {
    let silent = Opponent::start(&[Answer::Never]).await;
    let taking = Opponent::start(&[Answer::Says(200, "")]).await;
    let mut first = template(silent.url("/"));
    first.timeout = Duration::from_millis(300);
    let second = http("second", template(taking.url("/")));

    let sent = send(vec![http("first", first.clone()), second.clone()], TEXT)
        .await
        .unwrap();
    assert_eq!(&*sent.gateway, "second");
    assert_eq!((silent.asked().len(), taking.asked().len()), (1, 1));

    first.idempotency_header = Some("Idempotency-Key".to_owned());
    let sent = send(vec![http("first", first.clone()), second], TEXT)
        .await
        .unwrap();
    assert_eq!(&*sent.gateway, "second");
    let tries = silent.asked();
    assert_eq!(tries.len(), 2);
    for asked in &tries {
        assert_eq!(asked.header("idempotency-key"), "c0ffee-1");
        assert_eq!(asked.body, tries[0].body);
    }

    let late = Opponent::start(&[Answer::Never, Answer::Says(200, "")]).await;
    first.url = late.url("/");
    let sent = send(vec![http("first", first)], TEXT).await.unwrap();
    assert_eq!((&*sent.gateway, late.asked().len()), ("first", 2));
}

#[tokio::test]
async fn the_deadline_ends_every_try() {
    let silent = Opponent::start(&[Answer::Never]).await;
    let untried = Opponent::start(&[Answer::Says(200, "")]).await;
    let gateways = vec![
        http("first", template(silent.url("/"))),
        http("second", template(untried.url("/"))),
    ];
    let channels = Channels::new(settings(gateways)).unwrap();
    let begun = Instant::now();
    let error = channels
        .sms(&message(TEXT), begun + Duration::from_millis(300))
        .await
        .unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert!(
        error
            .to_string()
            .ends_with("second was not asked: no time was left"),
        "{error}"
    );
    assert!(untried.asked().is_empty());
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Opponent::start(&[Answer::Says(200, "")]).await;
    let opponent = Opponent::start(&[Answer::Redirects(elsewhere.url("/"))]).await;
    let error = send(vec![http("a", template(opponent.url("/")))], TEXT)
        .await
        .unwrap_err();
    assert!(error.to_string().ends_with("a answered 307"), "{error}");
    assert!(elsewhere.asked().is_empty());
}

#[tokio::test]
async fn a_giant_answer_is_not_read() {
    let opponent = Opponent::start(&[Answer::Giant]).await;
    let mut template = template(opponent.url("/"));
    template.id_pointer = Some("/id".to_owned());
    let error = send(vec![http("a", template)], TEXT).await.unwrap_err();
    assert!(
        error.to_string().contains("more than 65536 octets"),
        "{error}"
    );
}

#[tokio::test]
async fn without_gateways_nothing_is_sent() {
    let channels = Channels::new(settings(Vec::new())).unwrap();
    assert!(!channels.has_sms() && !channels.has_voice());
    let error = channels.sms(&message(TEXT), deadline()).await.unwrap_err();
    assert!(matches!(error, Error::None));
}

#[tokio::test]
async fn a_probe_tells_who_answers_without_sending() {
    let there = Opponent::start(&[Answer::Says(404, "")]).await;
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let channels = Channels::new(settings(vec![
        http("there", template(there.url("/send?to={{to}}"))),
        http("closed", template(format!("http://{closed}/"))),
    ]))
    .unwrap();
    let seen = channels.probe().await;
    assert_eq!(seen[0], (Arc::from("there"), Ok(())));
    assert!(
        seen[1]
            .1
            .as_ref()
            .unwrap_err()
            .contains("cannot be reached")
    );
    let asked = there.asked_once();
    assert_eq!((asked.method.as_str(), asked.uri.path()), ("HEAD", "/"));
}

#[test]
fn templates_that_cannot_work_are_refused_at_the_start() {
    type Change = fn(&mut Template);
    let fault = |change: Change| {
        let mut template = template("https://sms.example/send".to_owned());
        // A file of our own would have to be read first: plain HTTP needs none.
        template.url = "http://127.0.0.1:9/send".to_owned();
        change(&mut template);
        let gateways = settings(vec![http("broken", template)]);
        Channels::new(gateways).err().expect("a fault").to_string()
    };
    let cases: [(Change, &str); 9] = [
        (
            |t| t.url = "ftp://sms.example/".to_owned(),
            "must be https:// or http://",
        ),
        (
            |t| t.url = "https://{{to}}.example/".to_owned(),
            "may not stand in the URL's host",
        ),
        (
            |t| t.url.push_str("?x={{nobody}}"),
            "no placeholder {{nobody}}",
        ),
        (|t| t.method = "DELETE".to_owned(), "method DELETE"),
        (
            |t| t.headers.push(("a b".to_owned(), String::new())),
            "\"a b\" is no header",
        ),
        (
            |t| t.auth = Auth::Bearer(Secret::from("a\nb")),
            "control character",
        ),
        (|t| t.success_status = vec![99], "99 is no HTTP status"),
        (
            |t| t.id_pointer = Some("sid".to_owned()),
            "sid is no JSON pointer",
        ),
        (|t| t.body = Body::Json("{{text".into()), "never closed"),
    ];
    for (change, expected) in cases {
        let shown = fault(change);
        assert!(
            shown.starts_with("gateway broken: ") && shown.contains(expected),
            "{shown}"
        );
    }
}
