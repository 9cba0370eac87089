//! `[radius]` and `[client.NAME]`.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ipnet::{IpNet, Ipv4Net};

use super::fault::Place;
use super::reader::{Bounds, Either, Table, Words};
use super::{gear, lint, radsec, secrets};
use crate::account::ClientName;
use crate::secret::Secret;
use crate::server::{self, Client, Disconnect, PeerName, Transport, WhenUndecided};

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
/// At least as long as it is no nuisance, at most what a NAS counts without trouble.
const SESSION_TIMEOUT: (Duration, Duration) =
    (Duration::from_secs(300), Duration::from_secs(7 * 86_400));

/// Networks shorter than these cover so many hosts that they are probably a slip.
const WIDE_V4: u8 = 16;
const WIDE_V6: u8 = 65;
/// Bits of `::ffff:0:0/96`, under which IPv6 writes IPv4.
const MAPPED_BITS: u8 = 96;
const UNDECIDED: &Words<WhenUndecided> = &[
    ("discard", WhenUndecided::Discard),
    ("reject", WhenUndecided::Reject),
];

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
    let reject_floor = table.duration("reject-floor", REJECT_FLOOR);
    lint::judge_floor(&table, reject_floor, &clients);
    let settings = server::Settings {
        listen,
        accounting: sockets(&table, "accounting", ACCOUNTING, &mut known),
        tls: radsec::read(&table, &clients),
        clients,
        replies: BTreeMap::new(),
        reject_floor,
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

/// Addresses to listen on, none of them twice among `known`.
pub(super) fn sockets(
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
    let mut known = Known::default();
    tables
        .into_iter()
        .map(|table| {
            let client = client(root, &table, &mut known);
            table.finish();
            client
        })
        .collect()
}

/// What clients are known by, so that no two have the same.
#[derive(Default)]
struct Known {
    networks: Vec<(IpNet, Place)>,
    names: Vec<PeerName>,
}

fn client(root: &Table<'_>, table: &Table<'_>, known: &mut Known) -> Client {
    let gear = gear::read(root, table);
    let has_secret = secrets::SECRET.given(table).is_some();
    let transport = radsec::transport((root, table), has_secret, &mut known.names);
    Client {
        name: ClientName::new(table.name),
        addresses: addresses(table, &transport, &mut known.networks),
        secret: secret(table, &transport),
        transport,
        profile: gear.profile,
        signing: gear.signing,
        probes: gear.probes,
        station: gear.station,
        when_undecided: table
            .choice("when-undecided", UNDECIDED, "discard")
            .unwrap_or_default(),
        patience: gear.policy.patience,
        class: gear.class,
        disconnect: disconnect(table, has_secret),
        session_timeout: session_timeout(table),
        policy: Arc::new(gear.policy),
    }
}

/// `disconnect` is yes or no, or where to ask. That is asked by datagrams, which a client by TLS alone has no secret for.
fn disconnect(table: &Table<'_>, has_secret: bool) -> Option<Disconnect> {
    let wanted = table.flag_or_text("disconnect", false);
    let secret = secrets::read(table, secrets::DISCONNECT);
    if let Some(secret) = &secret {
        secrets::weigh(table, secrets::DISCONNECT, secret);
    }
    let to = match wanted {
        Either::Flag(false) => {
            if let Some(key) = secrets::DISCONNECT.given(table) {
                table.report.warn(
                    table.at(key),
                    format!("`{key}` has no effect: sessions of this client are not ended."),
                    "Add disconnect = true.",
                );
            }
            return None;
        }
        Either::Flag(true) => None,
        Either::Text(text) => {
            let to = socket(table, "disconnect", text)?;
            if to.port() == 0 || to.ip().is_unspecified() {
                table.report.fault(
                    table.at("disconnect"),
                    format!("`disconnect`: nobody can be asked at {to}."),
                    "Write the address and port where the gear takes Disconnect-Requests, such as \"192.0.2.10:3799\", or true.",
                );
            }
            Some(SocketAddr::new(to.ip().to_canonical(), to.port()))
        }
    };
    let needs_one = secrets::DISCONNECT.given(table).is_none() && !has_secret;
    if needs_one && table.has("tls-name") {
        table.report.fault(
            table.at("disconnect"),
            "`disconnect`: gear is asked by UDP, for which a client by TLS has no secret.",
            "Add disconnect-secret-file with the secret that the gear takes such requests by.",
        );
    }
    Some(Disconnect { to, secret })
}

fn session_timeout(table: &Table<'_>) -> Option<u32> {
    let (least, most) = SESSION_TIMEOUT;
    let timeout = table.duration_within("session-timeout", least, most)?;
    u32::try_from(timeout.as_secs()).ok()
}

fn secret(table: &Table<'_>, transport: &Transport) -> Secret {
    if transport.has_datagrams() {
        let secret = secrets::needed(table, secrets::SECRET);
        secrets::weigh(table, secrets::SECRET, &secret);
        secret
    } else {
        secrets::read(table, secrets::SECRET).unwrap_or_default()
    }
}

fn addresses(
    table: &Table<'_>,
    transport: &Transport,
    known: &mut Vec<(IpNet, Place)>,
) -> Vec<IpNet> {
    let wide = table.flag("wide", false);
    let Some(texts) = table.texts("address") else {
        if transport.has_datagrams() {
            table.missing("address", "\"192.0.2.10\"");
        }
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
        // By TLS the name says who asks: networks may be wide, and those of others.
        if transport.has_datagrams() {
            judge_network(table, (net, place), wide, known);
            known.push((net, place));
        }
        addresses.push(net);
    }
    addresses
}

fn judge_network(
    table: &Table<'_>,
    (net, place): (IpNet, Place),
    wide: bool,
    known: &[(IpNet, Place)],
) {
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
