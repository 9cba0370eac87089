//! An Accounting-Request: kept on the disk, told to the journal, and only then acknowledged (RFC 2866 §2).

use serde_json::{Map, Value};
use tokio::time::Instant;

use super::login::{Outgoing, Work};
use super::socket::canonical;
use super::{class, disconnect, station};
use crate::access::{Joining, SessionRecord};
use crate::account::shown;
use crate::telemetry::Discard;
use crate::wire::{Code, Reply, Request, attribute};

/// Numbers kept of a session: 32 bits each.
const NUMBERS: [(&str, u8); 3] = [
    ("seconds", attribute::ACCT_SESSION_TIME),
    ("terminate-cause", attribute::ACCT_TERMINATE_CAUSE),
    ("delay", attribute::ACCT_DELAY_TIME),
];
/// Counters kept of a session, with the attribute of their upper 32 bits (RFC 2869 §5.1, §5.2).
const COUNTERS: [(&str, u8, u8); 2] = [
    (
        "octets-in",
        attribute::ACCT_INPUT_OCTETS,
        attribute::ACCT_INPUT_GIGAWORDS,
    ),
    (
        "octets-out",
        attribute::ACCT_OUTPUT_OCTETS,
        attribute::ACCT_OUTPUT_GIGAWORDS,
    ),
];

/// Does the work of one Accounting-Request.
pub(super) async fn run(work: Work) {
    let rooms = &work.house.rooms;
    let client = &work.known.client;
    let discard = |discard, why: &str| {
        rooms
            .telemetry
            .discard(discard, work.path.peer, Some(&client.name), why);
    };
    let Some(record) = read(&work) else {
        let why = "Acct-Status-Type or Acct-Session-Id is missing (RFC 2866 §5.13)";
        return discard(Discard::Malformed, why);
    };
    let fields = fields(&record);
    let joining = joining(&work);
    match rooms.access.record_session(record, joining).await {
        Ok(true) => rooms.telemetry.accounting(&fields),
        Ok(false) => {}
        Err(error) => return discard(Discard::NotStored, &error.to_string()),
    }
    let reply = Reply::to(&work.request, Code::AccountingResponse).sign(&client.secret);
    let keep = work.house.settings.load().reply_keep;
    Outgoing {
        reply: reply.into(),
        path: work.path,
        ticket: work.ticket,
    }
    .leave(keep);
}

fn read(work: &Work) -> Option<SessionRecord> {
    let request = &work.request;
    let client = &work.known.client;
    let text = |kind| request.attribute(kind).map(shown);
    Some(SessionRecord {
        at: work.house.rooms.clock.now(),
        client: client.name.clone(),
        nas: canonical(work.path.peer),
        session: text(attribute::ACCT_SESSION_ID)?,
        status: number(request, attribute::ACCT_STATUS_TYPE)?,
        name: text(attribute::USER_NAME).unwrap_or_default(),
        station: station::read(request, &client.station).0,
        details: details(request),
    })
}

fn joining(work: &Work) -> Joining {
    let house = &work.house;
    let (request, now) = (&work.request, Instant::now());
    let whose = (&work.known.client, request);
    Joining {
        attempt: class::attempt(&house.rooms.access, &house.expected, whose, now),
        nas: disconnect::nas_names(request),
        named: disconnect::names(request),
        local: work.path.local(),
    }
}

fn details(request: &Request) -> Value {
    let mut details = Map::new();
    for (name, kind) in NUMBERS {
        if let Some(value) = number(request, kind) {
            details.insert(name.to_owned(), value.into());
        }
    }
    for (name, low, high) in COUNTERS {
        if let Some(low) = number(request, low) {
            let value = counter(low, number(request, high).unwrap_or_default());
            details.insert(name.to_owned(), value.into());
        }
    }
    if let Some(address) = number(request, attribute::FRAMED_IP_ADDRESS) {
        let address = std::net::Ipv4Addr::from(address).to_string();
        details.insert("framed-address".to_owned(), address.into());
    }
    if let Some(class) = request.attribute(attribute::CLASS) {
        let class = data_encoding::HEXLOWER.encode(class);
        details.insert("class".to_owned(), class.into());
    }
    if let Some(called) = request.attribute(attribute::CALLED_STATION_ID) {
        details.insert("called-station".to_owned(), shown(called).into());
    }
    Value::Object(details)
}

fn counter(low: u32, high: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

fn number(request: &Request, kind: u8) -> Option<u32> {
    number_of(request.attribute(kind)?)
}

/// An integer attribute of another length is as good as absent (RFC 6929 §2.8).
fn number_of(value: &[u8]) -> Option<u32> {
    value.try_into().ok().map(u32::from_be_bytes)
}

fn fields(record: &SessionRecord) -> Vec<(&'static str, String)> {
    let detail = |name: &str| record.details.get(name).map(text_of);
    let mut fields = vec![
        ("STATUS", word(record.status)),
        ("SESSION", record.session.clone()),
        ("NAME", record.name.clone()),
        ("CLIENT", record.client.to_string()),
        ("NAS", record.nas.to_string()),
        ("STATION", record.station.to_string()),
    ];
    let named = [
        ("SECONDS", "seconds"),
        ("OCTETS_IN", "octets-in"),
        ("OCTETS_OUT", "octets-out"),
        ("TERMINATE_CAUSE", "terminate-cause"),
        ("FRAMED_ADDRESS", "framed-address"),
    ];
    fields.extend(
        named
            .into_iter()
            .filter_map(|(field, name)| Some((field, detail(name)?))),
    );
    fields
}

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            value.to_string()
        }
    }
}

/// The words of Acct-Status-Type (RFC 2866 §5.1).
fn word(status: u32) -> String {
    match status {
        1 => "start".to_owned(),
        2 => "stop".to_owned(),
        3 => "interim".to_owned(),
        7 => "on".to_owned(),
        8 => "off".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::{ClientName, Station};
    use crate::clock::Timestamp;

    #[test]
    fn gigawords_are_the_upper_half() {
        assert_eq!(counter(5, 0), 5);
        assert_eq!(counter(u32::MAX, 1), (1 << 33) - 1);
    }

    #[test]
    fn a_number_has_four_octets() {
        assert_eq!(number_of(&[0, 0, 1, 0]), Some(256));
        assert_eq!(number_of(&[1, 0]), None);
        assert_eq!(number_of(&[0; 5]), None);
    }

    #[test]
    fn a_stop_is_told_with_what_it_holds() {
        let record = SessionRecord {
            at: Timestamp::from_secs(0),
            client: ClientName::new("vpn"),
            nas: "192.0.2.1".parse().unwrap(),
            session: "S1".to_owned(),
            status: 2,
            name: "taro".to_owned(),
            station: Station::read("203.0.113.5"),
            details: serde_json::json!({"seconds": 60, "framed-address": "10.0.0.1"}),
        };
        let fields = fields(&record);
        for pair in [
            ("STATUS", "stop"),
            ("STATION", "203.0.113.5"),
            ("SECONDS", "60"),
            ("FRAMED_ADDRESS", "10.0.0.1"),
        ] {
            assert!(fields.contains(&(pair.0, pair.1.to_owned())), "{pair:?}");
        }
        assert!(!fields.iter().any(|(name, _)| *name == "OCTETS_IN"));
    }
}
