//! `[radius]` and `[client.NAME]`.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ipnet::{IpNet, Ipv4Net};

use super::fault::Place;
use super::reader::{Bounds, Table, Words, units};
use super::{rules, secrets};
use crate::access::{ClientPolicy, CodeEntry, Texts};
use crate::account::{ClientName, FactorKind, Language};
use crate::server::{self, Client, StationForm, StationSource, WhenUndecided};
use crate::wire::Signing;

const LISTEN: &str = "[::]:1812";
const ACCOUNTING: &str = "[::]:1813";
/// Addresses listened on, each a socket with its buffer.
const LISTEN_MOST: usize = 16;
const REJECT_FLOOR: Bounds<Duration> = Bounds::new(
    Duration::ZERO,
    Duration::from_secs(5),
    Duration::from_secs(1),
);
const REPLY_KEEP: Bounds<Duration> = Bounds::new(
    Duration::from_secs(5),
    Duration::from_secs(300),
    Duration::from_secs(30),
);
const IN_WORK: Bounds<usize> = Bounds::new(1, 65_536, 4096);
const IN_WORK_PER_CLIENT: Bounds<usize> = Bounds::new(1, 65_536, 2048);
const RECEIVE_BUFFER: Bounds<usize> = Bounds::new(64 << 10, 256 << 20, 4 << 20);
const STATUS_PER_SECOND: Bounds<u32> = Bounds::new(1, 10_000, 10);

const PATIENCE: Bounds<Duration> = Bounds::new(
    Duration::from_secs(1),
    Duration::from_secs(300),
    Duration::from_secs(10),
);
/// Networks shorter than these cover so many hosts that they are probably a slip.
const WIDE_V4: u8 = 16;
const WIDE_V6: u8 = 65;
/// Bits of `::ffff:0:0/96`, under which IPv6 writes IPv4.
const MAPPED_BITS: u8 = 96;
const DELIMITER: &str = ",";

const CODES: &Words<CodeEntry> = &[
    ("appended", CodeEntry::Appended),
    ("delimited", CodeEntry::Delimited),
    ("challenge", CodeEntry::Challenge),
];
const WAYS: &Words<FactorKind> = &[
    ("totp", FactorKind::Totp),
    ("sms", FactorKind::Sms),
    ("voice", FactorKind::Voice),
    ("recovery", FactorKind::Recovery),
];
const REPLY_MESSAGES: &Words<(Texts, Language)> = &[
    ("both", (Texts::Full, Language::Both)),
    ("ja", (Texts::Full, Language::Ja)),
    ("en", (Texts::Full, Language::En)),
    ("ascii", (Texts::Ascii, Language::En)),
    ("none", (Texts::None, Language::Both)),
];
const UNDECIDED: &Words<WhenUndecided> = &[
    ("discard", WhenUndecided::Discard),
    ("reject", WhenUndecided::Reject),
];
/// Name, vendor, type, form. Numbers: RFC 2865, 2868, 6911; PaloAlto's and Cisco's dictionaries.
const STATIONS: [(&str, Option<u32>, u8, StationForm); 5] = [
    ("Calling-Station-Id", None, 31, StationForm::Text),
    ("Tunnel-Client-Endpoint", None, 66, StationForm::TaggedText),
    ("Framed-IP-Address", None, 8, StationForm::Address),
    ("Framed-IPv6-Address", None, 168, StationForm::Address),
    (
        "PaloAlto-Client-Source-IP",
        Some(25_461),
        7,
        StationForm::Text,
    ),
];
const CISCO: u32 = 9;
const CISCO_PAIR: (&str, u8) = ("Cisco-AVPair:", 1);

/// `[radius]`, around the clients.
pub(super) fn server(root: &Table<'_>, clients: Vec<Client>) -> server::Settings {
    let table = root.table("radius");
    let mut known = Vec::new();
    let listen = sockets(&table, "listen", LISTEN, &mut known);
    if table.is_empty_list("listen") {
        table.report.fault(
            table.at("listen"),
            "`listen` is an empty list: no login could arrive.",
            format!("Write [\"{LISTEN}\"]."),
        );
    }
    let in_work = table.number("in-work", IN_WORK);
    let in_work_per_client = table.number("in-work-per-client", IN_WORK_PER_CLIENT);
    if table.has("in-work-per-client") && in_work_per_client > in_work {
        table.report.fault(
            table.at("in-work-per-client"),
            "`in-work-per-client` is more than `in-work`.",
            "Make it at most as much.",
        );
    }
    let settings = server::Settings {
        listen,
        accounting: sockets(&table, "accounting", ACCOUNTING, &mut known),
        clients,
        replies: BTreeMap::new(),
        reject_floor: table.duration("reject-floor", REJECT_FLOOR),
        reply_keep: table.duration("reply-keep", REPLY_KEEP),
        in_work,
        in_work_per_client: in_work_per_client.min(in_work),
        receive_buffer: table.size("receive-buffer", RECEIVE_BUFFER),
        status_per_second: table.number("status-per-second", STATUS_PER_SECOND),
        status_silent_when_down: table.flag("status-silent-when-down", false),
    };
    table.finish();
    settings
}

fn sockets(
    table: &Table<'_>,
    key: &'static str,
    default: &'static str,
    known: &mut Vec<SocketAddr>,
) -> Vec<SocketAddr> {
    table
        .report
        .asked(&table.kind, key, Some(format!("[\"{default}\"]")));
    let Some(texts) = table.texts(key) else {
        return default.parse().into_iter().collect();
    };
    let mut sockets = Vec::new();
    if texts.len() > LISTEN_MOST {
        table.report.fault(
            table.at(key),
            format!("`{key}` has more than {LISTEN_MOST} addresses."),
            "Listen on \"[::]:1812\", which is every address of the machine.",
        );
    }
    for (text, place) in texts {
        let Some(address) = socket_at(table, key, text, place) else {
            continue;
        };
        if address.port() != 0 && known.contains(&address) {
            table.report.fault(
                Some(place),
                format!("{address} is already listened on."),
                "Remove one of the two.",
            );
        }
        known.push(address);
        sockets.push(address);
    }
    sockets
}

/// Reads an address with a port.
pub(super) fn socket(table: &Table<'_>, key: &str, text: &str) -> Option<SocketAddr> {
    socket_at(table, key, text, table.at(key)?)
}

fn socket_at(table: &Table<'_>, key: &str, text: &str, place: Place) -> Option<SocketAddr> {
    let address = text.parse().ok();
    if address.is_none() {
        table.report.fault(
            Some(place),
            format!("`{key}`: {text:?} is no address with a port."),
            "Write such as \"192.0.2.1:1812\" or \"[2001:db8::1]:1812\".",
        );
    }
    address
}

/// Every `[client.NAME]`.
pub(super) fn read(root: &Table<'_>) -> Vec<Client> {
    let tables = root.named("client");
    if tables.is_empty() {
        root.report.fault(
            None,
            "There is no client: nobody may ask.",
            "Add a [client.NAME] with address and secret-file for your gear.",
        );
    }
    let mut known: Vec<(IpNet, Place)> = Vec::new();
    tables
        .into_iter()
        .map(|table| {
            let client = client(&table, &mut known);
            table.finish();
            client
        })
        .collect()
}

fn client(table: &Table<'_>, known: &mut Vec<(IpNet, Place)>) -> Client {
    profile(table);
    let secret = secrets::needed(table, secrets::SECRET);
    secrets::weigh(table, secrets::SECRET, &secret);
    Client {
        name: ClientName::new(table.name),
        addresses: addresses(table, known),
        secret,
        signing: signing(table),
        station: stations(table),
        when_undecided: table
            .choice("when-undecided", UNDECIDED, "discard")
            .unwrap_or_default(),
        patience: table.duration("patience", PATIENCE),
        policy: Arc::new(policy(table)),
    }
}

fn profile(table: &Table<'_>) {
    let name = table.text_or("profile", "generic");
    if name != "generic" {
        table.report.fault(
            table.at("profile"),
            format!("There is no profile {name:?}: this version knows \"generic\" alone."),
            "Write profile = \"generic\", and station, code and patience as your gear needs them.",
        );
    }
}

fn signing(table: &Table<'_>) -> Signing {
    let required = table.flag("require-message-authenticator", true);
    let limited = table.flag("limit-proxy-state", true);
    match (required, limited) {
        (true, true) => Signing::Required,
        (true, false) => {
            table.report.warn(
                table.at("limit-proxy-state"),
                "`limit-proxy-state` has no effect while Message-Authenticator is required.",
                "Remove it.",
            );
            Signing::Required
        }
        (false, true) => Signing::OptionalWithoutProxyState,
        (false, false) => Signing::Optional,
    }
}

fn addresses(table: &Table<'_>, known: &mut Vec<(IpNet, Place)>) -> Vec<IpNet> {
    let wide = table.flag("wide", false);
    let Some(texts) = table.texts("address") else {
        table.missing("address", "\"192.0.2.10\"");
        return Vec::new();
    };
    if table.is_empty_list("address") {
        table.report.fault(
            table.at("address"),
            "`address` is an empty list.",
            "Write where the gear asks from.",
        );
    }
    let mut addresses = Vec::with_capacity(texts.len());
    for (text, place) in texts {
        let Some(net) = network(table, "address", text, place) else {
            continue;
        };
        let shortest = if net.addr().is_ipv4() {
            WIDE_V4
        } else {
            WIDE_V6
        };
        if !wide && net.prefix_len() < shortest {
            table.report.fault(
                Some(place),
                format!("{net} is very wide: every host in it could ask."),
                "Write the addresses of the gear, or add wide = true if this is meant.",
            );
        }
        if let Some((_, first)) = known.iter().find(|(other, _)| *other == net) {
            table.report.fault(
                Some(place),
                format!(
                    "{net} is already the address of a client, in {}.",
                    table.report.name_place(*first, place)
                ),
                "Give each address to one client.",
            );
        }
        known.push((net, place));
        addresses.push(net);
    }
    addresses
}

/// Reads an address or a network; an IPv4 address written as IPv6 becomes IPv4.
pub(super) fn network(table: &Table<'_>, key: &str, text: &str, place: Place) -> Option<IpNet> {
    let net = match text.parse::<IpAddr>() {
        Ok(address) => Some(IpNet::from(address.to_canonical())),
        Err(_) => text.parse::<IpNet>().ok().map(unmapped),
    };
    match net {
        None => table.report.fault(
            Some(place),
            format!("`{key}`: {text:?} is neither an address nor a network."),
            "Write such as \"192.0.2.10\" or \"2001:db8:10::/48\"; names of hosts are not looked up.",
        ),
        Some(net) if net.trunc() != net => table.report.fault(
            Some(place),
            format!("`{key}`: {text:?} is an address inside a network."),
            format!("Write \"{}\" for the network or \"{}\" for the host.", net.trunc(), net.addr()),
        ),
        Some(net) => return Some(net),
    }
    None
}

fn unmapped(net: IpNet) -> IpNet {
    let IpNet::V6(v6) = net else {
        return net;
    };
    let mapped = v6.addr().to_ipv4_mapped();
    mapped
        .zip(v6.prefix_len().checked_sub(MAPPED_BITS))
        .and_then(|(address, bits)| Ipv4Net::new(address, bits).ok())
        .map_or(net, IpNet::V4)
}

/// Networks of a list.
pub(super) fn networks(table: &Table<'_>, key: &'static str) -> Option<Vec<IpNet>> {
    let texts = table.texts(key)?;
    let read = |(text, place)| network(table, key, text, place);
    Some(texts.into_iter().filter_map(read).collect())
}

fn stations(table: &Table<'_>) -> Vec<StationSource> {
    let texts = table.texts("station").unwrap_or_default();
    let mut sources: Vec<StationSource> = Vec::with_capacity(texts.len());
    for (text, place) in texts {
        match station(text) {
            Ok(source) if sources.contains(&source) => table.report.fault(
                Some(place),
                format!("`station` names {text} twice."),
                "Remove one of the two.",
            ),
            Ok(source) => sources.push(source),
            Err((what, mend)) => table.report.fault(Some(place), what, mend),
        }
    }
    sources
}

fn station(text: &str) -> Result<StationSource, (String, String)> {
    let source = |vendor, kind, prefix, form| StationSource {
        name: text.into(),
        vendor,
        kind,
        prefix,
        form,
    };
    if text.to_ascii_uppercase().starts_with("NAS-") {
        return Err((
            format!("{text} names the NAS, not the person's own station: with it everybody would be on campus."),
            "Write the attribute in which your gear sends the person's address, such as \"Calling-Station-Id\".".to_owned(),
        ));
    }
    if let Some(pair) = text.strip_prefix(CISCO_PAIR.0)
        && !pair.is_empty()
    {
        let prefix = Some(format!("{pair}="));
        return Ok(source(Some(CISCO), CISCO_PAIR.1, prefix, StationForm::Text));
    }
    let known = STATIONS.iter().find(|(name, ..)| *name == text);
    let (_, vendor, kind, form) = known.ok_or_else(|| {
        let names = || {
            STATIONS
                .iter()
                .map(|(name, ..)| *name)
                .chain(["Cisco-AVPair:ip:source-ip"])
        };
        (
            format!("`station` cannot be {text:?}."),
            units::nearest(text, names()).map_or_else(
                || format!("Write {}.", units::one_of(names())),
                |near| format!("Did you mean {near:?}?"),
            ),
        )
    })?;
    Ok(source(*vendor, *kind, None, *form))
}

fn policy(table: &Table<'_>) -> ClientPolicy {
    table
        .report
        .asked(&table.kind, "code", Some("[\"appended\"]".to_owned()));
    let code = table
        .choices("code", CODES)
        .unwrap_or_else(|| vec![CodeEntry::Appended]);
    let all = || WAYS.iter().map(|(_, way)| *way).collect();
    let words: Vec<_> = WAYS.iter().map(|(word, _)| format!("{word:?}")).collect();
    table
        .report
        .asked(&table.kind, "ways", Some(format!("[{}]", words.join(", "))));
    let ways = table.choices("ways", WAYS).unwrap_or_else(all);
    let (texts, language) = table
        .choice("reply-message", REPLY_MESSAGES, "both")
        .unwrap_or_default();
    ClientPolicy {
        name: ClientName::new(table.name),
        label: rules::label(table, "label", (table.name, table.name)),
        delimiter: delimiter(table, &code),
        code,
        ways,
        texts,
        language,
        pool: networks(table, "pool").unwrap_or_default(),
        shared_stations: table.flag("shared-stations", false),
        push: Vec::new(),
        patience: Duration::ZERO,
        pair: Duration::ZERO,
        late_approval: Duration::from_secs(60),
    }
}

fn delimiter(table: &Table<'_>, code: &[CodeEntry]) -> char {
    let text = table.text_or("delimiter", DELIMITER);
    let mut letters = text.chars();
    let sign = letters.next().unwrap_or(',');
    if letters.next().is_some() || !sign.is_ascii_graphic() || sign.is_ascii_alphanumeric() {
        table.report.fault(
            table.at("delimiter"),
            "`delimiter` is one sign that is neither letter nor digit.",
            "Write \",\".",
        );
    }
    if table.has("delimiter") && !code.contains(&CodeEntry::Delimited) {
        table.report.warn(
            table.at("delimiter"),
            "`delimiter` has no effect: `code` does not hold \"delimited\".",
            "Add \"delimited\" to code, or remove the delimiter.",
        );
    }
    sign
}
