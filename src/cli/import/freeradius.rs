//! What clients.conf and the module `ldap` of FreeRADIUS mean.

use std::net::{IpAddr, ToSocketAddrs as _};
use std::path::Path;

use ipnet::IpNet;

use super::braces::{self, Item, Section};
use super::gear::{Gear, Keys, each_once, networks};
use super::notes::{Notes, Place};
use super::{Bind, Directory, House, base_of};
use crate::cli::Failure;
use crate::secret::Secret;

/// What is read of a folder: the clients, and the directory.
const CLIENTS: &str = "clients.conf";
const LDAP: [&str; 2] = ["mods-enabled/ldap", "modules/ldap"];
/// What holds rules that are no data: each that is there is named.
const POLICY: [&str; 6] = [
    "users",
    "mods-config/files/authorize",
    "sites-enabled",
    "proxy.conf",
    "huntgroups",
    "policy.d",
];
/// Most names of hosts that are looked up: each may take seconds.
const LOOK_UPS: usize = 50;
/// Every host of IPv4, as `*` has it.
const EVERYBODY: &str = "0.0.0.0/0";
/// Levels of sections in which clients and modules are looked for: `modules { ldap { … } }`, `server { client … }`.
const LEVELS: u8 = 3;

/// Reads a folder (`/etc/freeradius/3.0`) or a file with all that it includes.
///
/// # Errors
///
/// When nothing of it can be read.
pub(super) fn read(path: &Path) -> Result<House, Failure> {
    let mut house = House::default();
    if !path.is_dir() {
        // Said at once, and not as a note on a line.
        drop(super::text_of(path)?);
        let whole = braces::read(path, &base_of(path), &mut house.notes);
        carry(&whole, &mut house, LEVELS);
        return Ok(house);
    }
    let clients = path.join(CLIENTS);
    if !clients.is_file() {
        return Err(Failure::new(format!(
            "{} has no {CLIENTS}.",
            path.display()
        )));
    }
    let ldap = LDAP.map(|name| path.join(name));
    let ldap = ldap.into_iter().find(|file| file.is_file());
    for file in std::iter::once(clients).chain(ldap) {
        let whole = braces::read(&file, path, &mut house.notes);
        carry(&whole, &mut house, LEVELS);
    }
    for name in POLICY {
        let policy = path.join(name);
        if policy.exists() {
            let place = Place {
                file: policy.into(),
                line: 1,
            };
            house.notes.add(
                &place,
                "Policy is not carried over: see [[rule]], [[reply]] and [zone] in sekisho.toml(5).",
            );
        }
    }
    Ok(house)
}

/// Carries the sections of a section over, and names those that it cannot.
fn carry(within: &Section, house: &mut House, levels: u8) {
    for item in &within.items {
        let Item::Section(section) = item else {
            continue;
        };
        match section.word.as_str() {
            "client" => client(section, house),
            "ldap" => directory(section, house),
            "clients" | "modules" | "server" if levels > 0 => carry(section, house, levels - 1),
            "limit" | "security" | "log" | "thread" | "instantiate" => {}
            word => {
                let name = format!("{word} {}", section.name);
                house.notes.add(
                    &section.place,
                    format!("The section {} is not carried over.", name.trim_end()),
                );
            }
        }
    }
}

fn client(section: &Section, house: &mut House) {
    let notes = &mut house.notes;
    let addresses = addresses(section, &mut house.looked_up, notes);
    let Some(secret) = section.get("secret").filter(|secret| !secret.is_empty()) else {
        notes.add(
            &section.place,
            format!(
                "Client {:?} has no secret that is known: it is left out.",
                section.name
            ),
        );
        return;
    };
    let mut keys = Keys::default();
    for (key, value, place) in section.pairs() {
        judge(key, value, place, &mut keys, notes);
    }
    if keys.has("limit-proxy-state") && !keys.has("require-message-authenticator") {
        keys.unset("limit-proxy-state");
        notes.add(
            &section.place,
            "limit_proxy_state says nothing where Message-Authenticator is required: left out.",
        );
    }
    for limit in section.items.iter().filter_map(|item| match item {
        Item::Section(section) => Some(section),
        Item::Pair { .. } => None,
    }) {
        notes.add(
            &limit.place,
            format!("The section {} is not carried over.", limit.word),
        );
    }
    let name = section.get("shortname").unwrap_or(&section.name);
    let gear = Gear {
        name: name.to_owned(),
        addresses,
        secret: Secret::from(secret),
        place: section.place.clone(),
        keys,
    };
    house.clients.admit(gear, notes);
}

/// A key of a client.
fn judge(key: &str, value: Option<&str>, place: &Place, keys: &mut Keys, notes: &mut Notes) {
    let Some(value) = value else {
        notes.add(
            place,
            format!("`{key}` refers to something that is not known."),
        );
        return;
    };
    match (key, value.to_ascii_lowercase().as_str()) {
        ("require_message_authenticator", "no" | "false" | "0") => {
            keys.flag("require-message-authenticator", false);
            notes.add(place, "Requests need not be signed with Message-Authenticator, as before: have the gear sign, and leave this out.");
        }
        ("require_message_authenticator", "auto") => notes.add(place, "There is no \"auto\": Message-Authenticator is required. For gear that cannot sign, write require-message-authenticator = false."),
        ("limit_proxy_state", "no" | "false" | "0") => keys.flag("limit-proxy-state", false),
        ("limit_proxy_state", _) | ("require_message_authenticator", _) => {}
        ("proto", "udp" | "*") => {}
        ("proto", proto) => notes.add(place, format!("It asks by {proto}: this is written for UDP.")),
        ("nas_type" | "nastype", "other") => {}
        ("nas_type" | "nastype", kind) => notes.add(place, format!("The make is {kind:?}: a fitting profile tells what it can show and how long it waits.")),
        ("ipaddr" | "ipv4addr" | "ipv6addr" | "netmask" | "secret" | "shortname", _) => {}
        _ => notes.add(place, format!("`{key}` is not carried over.")),
    }
}

/// Where a client asks from: its keys, or its name as of old.
fn addresses(section: &Section, looked: &mut usize, notes: &mut Notes) -> Vec<IpNet> {
    let given = ["ipaddr", "ipv4addr", "ipv6addr"]
        .into_iter()
        .filter_map(|key| section.get(key));
    let mut given: Vec<&str> = given.collect();
    if given.is_empty() {
        given.push(&section.name);
    }
    let mask = section.get("netmask");
    let mut all = Vec::new();
    for address in given {
        let text = match (address, mask) {
            ("*", _) => EVERYBODY.to_owned(),
            (address, Some(mask)) if !address.contains('/') => format!("{address}/{mask}"),
            (address, _) => address.to_owned(),
        };
        let mut nets = networks(&text);
        if nets.is_empty() && *looked < LOOK_UPS {
            *looked += 1;
            nets = looked_up(address, &section.place, notes);
        }
        all.extend(nets);
    }
    all
}

/// The addresses that a host's name has today.
fn looked_up(host: &str, place: &Place, notes: &mut Notes) -> Vec<IpNet> {
    let found = (host, 0_u16).to_socket_addrs();
    let found: Vec<IpAddr> = found
        .into_iter()
        .flatten()
        .map(|address| address.ip().to_canonical())
        .collect();
    let shown: Vec<String> = found.iter().map(ToString::to_string).collect();
    notes.add(
        place,
        match found.is_empty() {
            true => format!("{host:?} is neither an address nor a host that has one today."),
            false => format!(
                "Names of hosts are not looked up here: {host} is written as it is today, {}.",
                shown.join(", ")
            ),
        },
    );
    found.into_iter().map(IpNet::from).collect()
}

fn directory(section: &Section, house: &mut House) {
    let notes = &mut house.notes;
    let base = section
        .sections("user")
        .find_map(|user| user.get("base_dn"));
    let Some(base) = base.or_else(|| section.get("base_dn")) else {
        notes.add(
            &section.place,
            "The module ldap has no base_dn that is known: the directory is left out.",
        );
        return;
    };
    let mut keys = Keys::default();
    let servers = servers(section);
    let in_clear = servers.iter().any(|server| server.starts_with("ldap://"));
    keys.list("servers", servers);
    keys.text("base", base.to_owned());
    let bind = bind(section, &mut keys, notes);
    for user in section.sections("user") {
        if let Some((_, Some(filter), place)) = user.pairs().find(|(key, ..)| *key == "filter") {
            filter_of(filter, place, &mut keys, notes);
        }
    }
    for tls in section.sections("tls") {
        protect(tls, in_clear, &mut keys, notes);
    }
    for left in [
        "group",
        "profile",
        "client",
        "accounting",
        "post-auth",
        "update",
    ] {
        for inner in section.sections(left) {
            let what = match left {
                "group" => {
                    "Groups are found by memberOf here: for groups that list their members write groups = \"member-search\" and group-base."
                }
                _ => "This part of the module is not carried over.",
            };
            notes.add(&inner.place, what);
        }
    }
    let number = house.directories.len() + 1;
    house.directories.push(Directory {
        name: match number {
            1 => "ldap".to_owned(),
            number => format!("ldap{number}"),
        },
        keys,
        bind,
    });
}

/// The account that searches.
fn bind(section: &Section, keys: &mut Keys, notes: &mut Notes) -> Bind {
    match (section.get("identity"), section.get("password")) {
        (Some(identity), Some(password)) => {
            keys.text("bind-dn", identity.to_owned());
            Bind::Password(Secret::from(password))
        }
        (Some(identity), None) => {
            keys.text("bind-dn", identity.to_owned());
            notes.add(&section.place, "The password of the account that searches is not known: write it into the file that password-file names.");
            Bind::Unknown
        }
        (None, _) => Bind::Anonymous,
    }
}

fn servers(section: &Section) -> Vec<String> {
    let port = section.get("port").filter(|port| *port != "389");
    let named = section.pairs().filter(|(key, ..)| *key == "server");
    let named = named.flat_map(|(_, value, _)| value.unwrap_or_default().split([' ', ',']));
    let servers = named.filter(|server| !server.is_empty()).map(|server| {
        match (server.contains("://"), port) {
            (true, _) => server.trim_end_matches('/').to_owned(),
            (false, Some("636")) => format!("ldaps://{server}"),
            (false, Some(port)) => format!("ldap://{server}:{port}"),
            (false, None) => format!("ldap://{server}"),
        }
    });
    let servers = each_once(servers);
    match servers.is_empty() {
        true => vec!["ldap://localhost".to_owned()],
        false => servers,
    }
}

/// The filter, in which what the policy language puts in is the name.
fn filter_of(filter: &str, place: &Place, keys: &mut Keys, notes: &mut Notes) {
    let mut ours = String::new();
    let mut rest = filter;
    while let Some((before, behind)) = rest.split_once("%{") {
        ours.push_str(before);
        ours.push_str("{user}");
        let mut depth = 1_usize;
        let end = behind.char_indices().find_map(|(at, c)| {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            (depth == 0).then_some(at)
        });
        rest = end
            .and_then(|end| behind.get(end + 1..))
            .unwrap_or_default();
    }
    ours.push_str(rest);
    match ours.contains("{user}") {
        true => keys.text("user-filter", ours),
        false => notes.add(
            place,
            format!("The filter {filter} names nobody: user-filter is as usual here."),
        ),
    }
}

/// What `tls { … }` says; `in_clear` if a server is not spoken to by TLS from the start.
fn protect(tls: &Section, in_clear: bool, keys: &mut Keys, notes: &mut Notes) {
    for (key, value, place) in tls.pairs() {
        let value = value.unwrap_or_default();
        match key {
            "ca_file" if value.starts_with('/') => {
                keys.text("ca-file", value.to_owned());
            }
            "start_tls" if in_clear && value.eq_ignore_ascii_case("no") => notes.add(place, "An ldap:// server is spoken to by StartTLS here, unless start-tls and allow-clear-text say otherwise."),
            "require_cert" if matches!(value, "never" | "allow") => notes.add(place, "The server's certificate is always verified here: name its CA by ca-file."),
            "start_tls" | "require_cert" => {}
            _ => notes.add(place, format!("`{key}` is not carried over.")),
        }
    }
}
