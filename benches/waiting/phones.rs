//! The phones: each asks what waits for it, and approves, as the page does.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use data_encoding::BASE64URL_NOPAD;
use sekisho::account::{AccountId, AttemptId, ClientName, Station};
use sekisho::clock::Timestamp;
use sekisho::factor::{Response, Subject, decision_text, poll_text};
use serde_json::{Value, json};

use crate::world::{World, station};

/// Connections to the portal: what a reverse proxy keeps open to it.
const CONNECTIONS: usize = 32;
/// Between two approvals of a connection: the portal takes 2,000 messages of devices a second, and an approval is two.
const EVERY: Duration = Duration::from_micros(33_600);

/// Approves everything.
pub(crate) fn approve(world: &World) {
    std::thread::scope(|scope| {
        for part in 0..CONNECTIONS {
            scope.spawn(move || {
                let mut portal = Portal::connect(world);
                let mut next = Instant::now();
                for number in (part..world.people).step_by(CONNECTIONS) {
                    std::thread::sleep(next.saturating_duration_since(Instant::now()));
                    next += EVERY;
                    portal.station = station(number);
                    approve_one(world, number, &mut portal);
                }
            });
        }
    });
}

fn approve_one(world: &World, number: usize, portal: &mut Portal) {
    let device = world.devices[number];
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let at = Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap());
    let sign = |text: &str| BASE64URL_NOPAD.encode(&world.signer.sign(text));
    let signature = sign(&poll_text(device, at));
    let polled = portal.post(
        "/device/poll",
        &json!({ "device": device, "at": at.millis(), "signature": signature }),
    );
    let request = polled["requests"][0]["text"]
        .as_str()
        .expect("a prompt waits");
    let request: Value = serde_json::from_str(request).unwrap();
    let text = |key: &str| request[key].as_str().unwrap();
    let subject = Subject {
        prompt: &AttemptId::read(text("prompt")).unwrap(),
        account: &AccountId::from_stored(text("account")),
        client: &ClientName::new(text("client")),
        station: &Station::read(text("station")),
        opened: Timestamp::from_millis(request["opened"].as_i64().unwrap()),
    };
    let response = Response::Approve {
        number: String::new(),
    };
    let signature = sign(&decision_text(&subject, &response, (device, 2)));
    let decided = portal.post(
        "/device/decide",
        &json!({
            "prompt": text("prompt"), "device": device, "counter": 2, "response": "approve",
            "signature": signature,
        }),
    );
    assert_eq!(decided["outcome"], "approved");
}

/// A connection that is kept.
struct Portal {
    stream: BufReader<TcpStream>,
    host: String,
    /// Where the phone is.
    station: String,
}

impl Portal {
    fn connect(world: &World) -> Self {
        let stream = TcpStream::connect(world.portal).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream: BufReader::new(stream),
            host: format!("localhost:{}", world.portal.port()),
            station: String::new(),
        }
    }

    fn post(&mut self, path: &str, body: &Value) -> Value {
        let body = body.to_string();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nX-Forwarded-For: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.host,
            self.station,
            body.len()
        );
        self.stream.get_mut().write_all(head.as_bytes()).unwrap();
        let mut length = 0;
        let mut line = String::new();
        loop {
            line.clear();
            self.stream.read_line(&mut line).unwrap();
            if line.trim().is_empty() {
                break;
            }
            let lower = line.to_ascii_lowercase();
            if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut octets = vec![0; length];
        self.stream.read_exact(&mut octets).unwrap();
        serde_json::from_slice(&octets).expect("the portal answers in JSON")
    }
}
