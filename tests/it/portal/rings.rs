//! What leaves the daemon for phones and for those who must know: topics of ntfy that people choose at the portal, and alerts.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::Value;

use super::{House, shows};

/// As long as any machine needs.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
const VPN: &str = "code = [\"challenge\"]\npush = [\"shown\"]\nstation = [\"Calling-Station-Id\"]";

/// A server that takes everything, and tells the bodies.
pub(super) fn server() -> (SocketAddr, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, bodies) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            if let Some(body) = answer(stream)
                && tell.send(body).is_err()
            {
                return;
            }
        }
    });
    (address, bodies)
}

fn answer(mut stream: TcpStream) -> Option<String> {
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let (mut octets, mut some) = (Vec::new(), [0; 4096]);
    loop {
        let count = stream.read(&mut some).ok().filter(|count| *count > 0)?;
        octets.extend_from_slice(some.get(..count)?);
        let text = String::from_utf8_lossy(&octets).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head.to_ascii_lowercase();
        let (_, length) = length.split_once("content-length: ")?;
        let length: usize = length.split("\r\n").next()?.parse().ok()?;
        if body.len() >= length {
            let said = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
            stream.write_all(said.as_bytes()).ok()?;
            return Some(body.to_owned());
        }
    }
}

#[test]
fn a_phone_is_rung_by_a_topic_of_ntfy() {
    let (address, rings) = server();
    let ntfy = format!("[push.ntfy]\nserver = \"http://{address}\"\nallow-private = true");
    let house = House::start(VPN, "", &ntfy);
    let mut visitor = house.signed_in("taro");
    let mut phone = house.pair(&mut visitor);
    let id = phone.id.to_string();
    let page = visitor.press("/methods", "/methods/ntfy", &[("id", &id)]);
    let topic = page
        .body
        .split(&format!("http://{address}/"))
        .nth(1)
        .unwrap();
    let topic = topic.split(['<', '"']).next().unwrap();
    assert!(topic.starts_with("sekisho-") && topic.len() > 30, "{topic}");
    shows(&page, "<svg");
    shows(&visitor.get("/methods"), "Notifications arrive");
    house
        .daemon
        .nas()
        .from_station("203.0.113.7")
        .login("taro", "taro-password");
    let ring: Value = serde_json::from_str(&rings.recv_timeout(PATIENCE).unwrap()).unwrap();
    assert_eq!(ring["topic"], topic);
    assert!(!ring.to_string().contains("taro") && !ring.to_string().contains("203.0.113.7"));
    let request = phone.request();
    assert_eq!(phone.say(&request, "deny", ""), "denied");
    // A device of somebody else is none.
    let mut bob = house.signed_in("bob");
    let csrf = bob.get("/methods").hidden("csrf");
    let other = bob.post("/methods/ntfy", &[("csrf", csrf.as_str()), ("id", &id)]);
    assert_eq!(other.status, 404);
    assert_eq!(bob.get(&format!("/methods/ntfy?id={id}")).status, 404);
}

#[test]
fn a_report_is_told_to_those_who_must_know() {
    let (address, alerts) = server();
    let alert = format!(
        "[alert.webhook]\nurl = \"http://{address}/alert\"\nallow-private = true\nsecret = \"0123456789abcdef0123456789abcdef\""
    );
    let house = House::start(VPN, "", &alert);
    let mut visitor = house.signed_in("taro");
    let mut phone = house.pair(&mut visitor);
    let nas = house.daemon.nas().from_station("203.0.113.7");
    nas.login("taro", "taro-password");
    let request = phone.request();
    assert_eq!(phone.say(&request, "report", ""), "reported");
    let alert: Value = serde_json::from_str(&alerts.recv_timeout(PATIENCE).unwrap()).unwrap();
    assert_eq!(alert["event"], "reported");
    let said = alert.to_string();
    assert!(
        said.contains("campus/taro") && said.contains("203.0.113.7"),
        "{said}"
    );
    let until = tokio::time::Instant::now() + PATIENCE;
    while !house.daemon.log().contains("was not theirs") {
        assert!(
            tokio::time::Instant::now() < until,
            "{}",
            house.daemon.log()
        );
        std::thread::yield_now();
    }
    assert!(nas.login("taro", "taro-password").rejected());
    let cleared = house.daemon.cli_ok(&["user", "clear-report", "taro"]);
    assert!(cleared.contains("cleared"), "{cleared}");
    assert!(nas.login("taro", "taro-password").challenged());
}
