//! `[login]`, `[zone.NAME]`, `[[rule]]` and `[[reply]]`.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use data_encoding::HEXLOWER_PERMISSIVE;

use super::fault::Place;
use super::reader::{Bounds, Table, Words, units};
use super::{clients, directories, lint};
use crate::access::{Label, ReplyRule, Rule, Settings, Then, Zone};
use crate::account::ClientName;
use crate::directory::same_dn_form;
use crate::portal::CLIENT;
use crate::server::{Client, ReplyAttribute};

const ISSUER: (&str, &str) = ("関所", "Sekisho");
const CODE_DIGITS: Bounds<u8> = Bounds::new(6, 8, 6);
const CHALLENGE_LIFE: Bounds<Duration> = Bounds::new(
    Duration::from_secs(30),
    Duration::from_secs(600),
    Duration::from_secs(180),
);
const CHALLENGE_ROUNDS: Bounds<u8> = Bounds::new(1, 10, 3);
const PROMPT_LIFE: Bounds<Duration> = Bounds::new(
    Duration::from_secs(30),
    Duration::from_secs(600),
    Duration::from_secs(120),
);
const PROMPT_DIGITS: Bounds<u8> = Bounds::new(2, 4, 2);
/// The zone of stations in no zone.
const OUTSIDE: &str = "outside";
const THEN: &Words<Then> = &[
    ("ask", Then::Ask),
    ("password-only", Then::PasswordOnly),
    ("deny", Then::Deny),
];

/// Longest value of an attribute (RFC 2865 §5), and of a vendor's (§5.26).
const VALUE_OCTETS: usize = 253;
const VENDOR_OCTETS: usize = 247;
/// Longest reply set: three sets and the rest of an Accept fit a packet of 4096 octets.
const SET_OCTETS: usize = 1024;
/// Vendor numbers have 24 bits (RFC 2865 §5.26).
const VENDOR_MOST: u32 = 0x00ff_ffff;
const SESSION_TIMEOUT: (Duration, Duration) =
    (Duration::from_secs(60), Duration::from_secs(30 * 24 * 3600));
/// RFC 2865 §5: Filter-Id, Class, Session-Timeout; RFC 2868 §3: Tunnel-Type, -Medium-Type, -Private-Group-ID.
const FILTER_ID: u8 = 11;
const CLASS: u8 = 25;
const SESSION_TIMEOUT_KIND: u8 = 27;
const TUNNEL_TYPE: u8 = 64;
const TUNNEL_MEDIUM_TYPE: u8 = 65;
const TUNNEL_PRIVATE_GROUP_ID: u8 = 81;
/// VLAN and IEEE-802 (RFC 3580 §3.31), each after the octet of tag 0.
const VLAN: [u8; 4] = [0, 0, 0, 13];
const IEEE_802: [u8; 4] = [0, 0, 0, 6];
const VLAN_MOST: i64 = 4094;
/// A first octet up to this one would be read as a tag (RFC 2868 §3.6).
const LAST_TAG: u8 = 0x1f;

/// Every `[zone.NAME]`, in the order of the file.
pub(super) fn zones(root: &Table<'_>) -> Vec<Zone> {
    let mut zones = Vec::new();
    for table in root.named("zone") {
        if table.name == OUTSIDE {
            table.report.fault(
                table.place,
                "The zone \"outside\" is that of everybody in no other zone.",
                "Give this zone another name.",
            );
        }
        let networks = clients::networks(&table, "networks");
        match &networks {
            None => table.missing("networks", "[\"203.0.113.0/24\"]"),
            Some(_) if table.is_empty_list("networks") => table.report.fault(
                table.at("networks"),
                "`networks` is an empty list.",
                "Write the zone's networks.",
            ),
            Some(_) => {}
        }
        zones.push(Zone {
            name: table.name.into(),
            networks: networks.unwrap_or_default(),
        });
        table.finish();
    }
    zones
}

/// `[login]` and `[[rule]]`.
pub(super) fn access(root: &Table<'_>, clients: &[Client], zones: Vec<Zone>) -> Settings {
    let login = root.table("login");
    let settings = Settings {
        always_ask: always_ask(&login),
        rules: rules(root, clients, &zones),
        zones,
        clients: clients.iter().map(|client| client.policy.clone()).collect(),
        issuer: label(&login, "issuer", ISSUER),
        code_digits: login.number("code-digits", CODE_DIGITS),
        challenge_life: login.duration("challenge-life", CHALLENGE_LIFE),
        challenge_rounds: login.number("challenge-rounds", CHALLENGE_ROUNDS),
        prompt_life: login.duration("prompt-life", PROMPT_LIFE),
        prompt_digits: login.number("prompt-digits", PROMPT_DIGITS),
        ..Settings::default()
    };
    login.finish();
    settings
}

/// A text in both languages; one that is missing is as the other.
pub(super) fn label(table: &Table<'_>, key: &'static str, default: (&str, &str)) -> Label {
    let table = table.table(key);
    let (ja, en) = (table.text("ja"), table.text("en"));
    table.finish();
    Label {
        ja: ja.or(en).unwrap_or(default.0).to_owned(),
        en: en.or(ja).unwrap_or(default.1).to_owned(),
    }
}

fn always_ask(login: &Table<'_>) -> Vec<Arc<str>> {
    let texts = login.texts("always-ask").unwrap_or_default();
    let group = |(text, place)| group_form(login, text, Some(place));
    texts.into_iter().map(group).collect()
}

fn group(table: &Table<'_>) -> Option<Arc<str>> {
    let text = table.text("group")?;
    Some(group_form(table, text, table.at("group")))
}

fn group_form(table: &Table<'_>, text: &str, place: Option<Place>) -> Arc<str> {
    directories::is_dn(table, place, text);
    same_dn_form(text)
}

fn client(table: &Table<'_>, clients: &[Client]) -> Option<ClientName> {
    let text = table.text("client")?;
    let own = clients.iter().map(|client| client.name.as_str());
    let names = || own.clone().chain([CLIENT]);
    if !names().any(|name| name == text) {
        unknown_name(table, "client", text, names());
    }
    Some(ClientName::new(text))
}

fn unknown_name<'n>(
    table: &Table<'_>,
    what: &str,
    text: &str,
    names: impl Iterator<Item = &'n str>,
) {
    table.report.fault(
        table.at(what),
        format!("There is no {what} {text:?}."),
        units::nearest(text, names).map_or_else(
            || format!("Add a [{what}.{text}]."),
            |near| format!("Did you mean {near:?}?"),
        ),
    );
}

/// Every `[[rule]]`, in the order of the file.
fn rules(root: &Table<'_>, clients: &[Client], zones: &[Zone]) -> Vec<Rule> {
    let tables = root.list("rule");
    let mut rules: Vec<Rule> = Vec::with_capacity(tables.len());
    let last = tables.len().saturating_sub(1);
    for (number, table) in tables.into_iter().enumerate() {
        if rules.last().is_some_and(holds_always) {
            table.report.warn(
                table.place,
                "This rule is never reached: the one before it holds for everybody.",
                "Move it up, or remove it.",
            );
        }
        let rule = rule(&table, clients, zones);
        judge(&table, &rule, number == last);
        rules.push(rule);
        table.finish();
    }
    let unread = |client: &&Client| client.station.is_empty();
    if rules.iter().any(|rule| rule.zone.is_some())
        && let Some(client) = clients.iter().find(unread)
    {
        root.report.warn(
            None,
            format!("There are rules with a zone, but client {:?} has no `station`: its people count as outside.", client.name.as_str()),
            "Add station with the attribute in which the gear sends the person's address.",
        );
    }
    rules
}

fn is_unconditional(rule: &Rule) -> bool {
    rule.group.is_none() && rule.zone.is_none() && rule.client.is_none()
}

fn holds_always(rule: &Rule) -> bool {
    is_unconditional(rule) && (rule.from.is_none() || rule.before.is_some())
}

fn rule(table: &Table<'_>, clients: &[Client], zones: &[Zone]) -> Rule {
    let zone = table.text("zone");
    let names = || zones.iter().map(|zone| &*zone.name).chain([OUTSIDE]);
    if let Some(zone) = zone
        && !names().any(|name| name == zone)
    {
        unknown_name(table, "zone", zone, names());
    }
    let before = table.has("before");
    let rule = Rule {
        group: group(table),
        zone: zone.map(Arc::from),
        client: client(table, clients),
        then: then(table, "then").unwrap_or(Then::Ask),
        from: table.moment("from"),
        before: then(table, "before"),
    };
    if let Some(group) = table.text("group") {
        lint::judge_group(table, "group", group, clients);
    }
    if !table.has("then") {
        table.missing("then", "\"ask\"");
    }
    if before && !table.has("from") {
        table.report.fault(
            table.at("before"),
            "`before` without `from` says nothing.",
            "Add from = 2024-02-03T00:00:00+09:00, or remove before.",
        );
    }
    rule
}

fn then(table: &Table<'_>, key: &'static str) -> Option<Then> {
    if table.has(key) {
        return table.choice(key, THEN, "ask");
    }
    table.node(key).and(None)
}

fn judge(table: &Table<'_>, rule: &Rule, is_last: bool) {
    if is_last && !is_unconditional(rule) {
        table.report.warn(
            table.place,
            "The last rule has a condition: everybody whom no rule matches is asked.",
            "Add a last [[rule]] with `then` alone, so that it is written.",
        );
    }
    if holds_always(rule) && rule.from.is_none() && rule.then == Then::PasswordOnly {
        table.report.warn(
            table.place,
            "This rule lets everybody in with the password alone.",
            "Give it a group, zone or client, unless a trial is meant.",
        );
    }
}

/// Reply sets: when they go along, and what they hold.
pub(super) struct Replies {
    pub(super) rules: Vec<ReplyRule>,
    pub(super) sets: BTreeMap<Arc<str>, Vec<ReplyAttribute>>,
}

/// Every `[[reply]]`: the first is the set `reply-1`, and so on.
pub(super) fn replies(root: &Table<'_>, clients: &[Client]) -> Replies {
    let mut replies = Replies {
        rules: Vec::new(),
        sets: BTreeMap::new(),
    };
    for (number, table) in root.list("reply").into_iter().enumerate() {
        let set: Arc<str> = format!("reply-{}", number + 1).into();
        replies.rules.push(ReplyRule {
            group: group(&table),
            client: client(&table, clients),
            set: set.clone(),
        });
        let attributes = attributes(&table);
        let octets: usize = attributes
            .iter()
            .map(|attribute| attribute.value.len() + 8)
            .sum();
        if octets > SET_OCTETS {
            table.report.fault(
                table.place,
                format!("This reply is longer than {SET_OCTETS} octets."),
                "Send less: an Accept is one packet.",
            );
        }
        if attributes.is_empty() {
            table.report.warn(
                table.place,
                "This reply holds no attribute: nothing goes along.",
                "Give it class, filter-id, vlan, session-timeout or vendor, or leave it out.",
            );
        }
        replies.sets.insert(set, attributes);
        table.finish();
    }
    replies
}

fn attributes(table: &Table<'_>) -> Vec<ReplyAttribute> {
    let mut attributes = Vec::new();
    let standard = |kind, value: &[u8]| ReplyAttribute {
        vendor: None,
        kind,
        value: value.to_vec(),
    };
    for (key, kind) in [("class", CLASS), ("filter-id", FILTER_ID)] {
        for (text, place) in table.texts(key).unwrap_or_default() {
            judge_length(table, key, text.len(), (VALUE_OCTETS, place));
            attributes.push(standard(kind, text.as_bytes()));
        }
    }
    if let Some(vlan) = vlan(table) {
        attributes.push(standard(TUNNEL_TYPE, &VLAN));
        attributes.push(standard(TUNNEL_MEDIUM_TYPE, &IEEE_802));
        attributes.push(standard(TUNNEL_PRIVATE_GROUP_ID, vlan.as_bytes()));
    }
    let (least, most) = SESSION_TIMEOUT;
    if let Some(timeout) = table.duration_within("session-timeout", least, most) {
        let seconds = u32::try_from(timeout.as_secs()).unwrap_or(u32::MAX);
        attributes.push(standard(SESSION_TIMEOUT_KIND, &seconds.to_be_bytes()));
    }
    for vendor in table.list("vendor") {
        attributes.extend(vendor_attribute(&vendor));
        vendor.finish();
    }
    attributes
}

fn judge_length(table: &Table<'_>, key: &str, length: usize, (most, place): (usize, Place)) {
    if length > most {
        table.report.fault(
            Some(place),
            format!("`{key}` has {length} octets, an attribute holds {most}."),
            "Make it shorter.",
        );
    }
}

/// A VLAN's number or name. It is sent without tag, so its first octet must not look like one.
fn vlan(table: &Table<'_>) -> Option<String> {
    if let Some(number) = table.integer("vlan") {
        if !(1..=VLAN_MOST).contains(&number) {
            table.report.fault(
                table.at("vlan"),
                "`vlan` is out of bounds.",
                format!("It may be 1 to {VLAN_MOST}."),
            );
        }
        return Some(number.to_string());
    }
    let text = table.text("vlan")?;
    let place = table.at("vlan")?;
    judge_length(table, "vlan", text.len(), (VALUE_OCTETS, place));
    if text.bytes().next().is_some_and(|first| first <= LAST_TAG) {
        table.report.fault(
            Some(place),
            "`vlan` begins with a control character.",
            "Write the VLAN's number or name.",
        );
    }
    Some(text.to_owned())
}

fn vendor_attribute(table: &Table<'_>) -> Option<ReplyAttribute> {
    let vendor = table.number_within("vendor", 1, VENDOR_MOST);
    let kind = table.number_within("type", 1, u8::MAX);
    for key in ["vendor", "type"] {
        if !table.has(key) {
            table.missing(key, "9");
        }
    }
    let text = table.text("text").map(|text| text.as_bytes().to_vec());
    let number = table.number_within("number", 0, u32::MAX);
    let number = number.map(|number| number.to_be_bytes().to_vec());
    let address = octets(table, "address", "an IPv4 or IPv6 address", |text| {
        text.parse().ok().map(|address| match address {
            IpAddr::V4(v4) => v4.octets().to_vec(),
            IpAddr::V6(v6) => v6.octets().to_vec(),
        })
    });
    let hex = octets(
        table,
        "hex",
        "an even number of hexadecimal digits",
        |text| HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok(),
    );
    let given = ["text", "number", "address", "hex"];
    if given.iter().filter(|key| table.has(key)).count() != 1 {
        table.report.fault(
            table.place,
            "A vendor's attribute has exactly one of `text`, `number`, `address` and `hex`.",
            "Write one of them.",
        );
    }
    let value = text.or(number).or(address).or(hex)?;
    judge_length(table, "vendor", value.len(), (VENDOR_OCTETS, table.place?));
    Some(ReplyAttribute {
        vendor: Some(vendor?),
        kind: kind?,
        value,
    })
}

fn octets(
    table: &Table<'_>,
    key: &'static str,
    wanted: &str,
    read: impl Fn(&str) -> Option<Vec<u8>>,
) -> Option<Vec<u8>> {
    let text = table.text(key)?;
    let octets = read(text);
    if octets.is_none() {
        table.report.fault(
            table.at(key),
            format!("`{key}`: {text:?} is not {wanted}."),
            format!("Write {wanted}."),
        );
    }
    octets
}
