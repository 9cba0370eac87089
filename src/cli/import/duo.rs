//! authproxy.cfg of Duo's authentication proxy.

use std::net::SocketAddr;
use std::path::Path;

use super::gear::{Gear, Keys, each_once, networks};
use super::ini::{self, Key, Section};
use super::notes::Notes;
use super::{Bind, Directory, House};
use crate::config;
use crate::secret::Secret;

/// Where it listens unless a section says otherwise.
const PORT: &str = "1812";
/// Keys of the service that is replaced, of its log and of its network: nothing is missed without them.
const NEEDLESS: [&str; 22] = [
    "ikey",
    "skey",
    "skey_protected",
    "api_host",
    "api_port",
    "api_timeout",
    "debug",
    "log_dir",
    "log_file",
    "log_max_files",
    "log_max_size",
    "log_auth_events",
    "log_sso_events",
    "log_stdout",
    "log_syslog",
    "syslog_facility",
    "http_proxy_host",
    "http_proxy_port",
    "http_ca_certs_file",
    "test_connectivity_on_startup",
    "fips_mode",
    "force_message_authenticator",
];
/// Seconds that one operation at a directory may take in our configuration.
const TIMEOUT: std::ops::RangeInclusive<u64> = 1..=30;

/// How a kind of section asks people.
struct Server {
    kind: &'static str,
    code: &'static [&'static str],
    push: &'static [&'static str],
    /// What is otherwise than it was, if anything.
    note: &'static str,
}

const SERVERS: [Server; 6] = [
    Server {
        kind: "radius_server_auto",
        code: &["delimited"],
        push: &["typed"],
        note: "A push was sent by itself, without a number: here people type two digits behind the password (password,37) and again on the phone. push = [\"approve\"] asks as before, which is weaker.",
    },
    Server {
        kind: "radius_server_challenge",
        code: &["appended", "challenge"],
        push: &["shown"],
        note: "",
    },
    Server {
        kind: "radius_server_concat",
        code: &["appended"],
        push: &[],
        note: "",
    },
    Server {
        kind: "radius_server_iframe",
        code: &["appended", "challenge"],
        push: &["shown"],
        note: "A frame in the gear's page has no equal: the gear must show challenges.",
    },
    Server {
        kind: "radius_server_eap",
        code: &["challenge"],
        push: &[],
        note: "It asks by EAP: that needs method = \"eap\" and a table [eap].",
    },
    Server {
        kind: "radius_server_duo_only",
        code: &[],
        push: &[],
        note: "Asking for the second factor alone has no equal: the password is always proven here. The section is left out.",
    },
];

/// Reads the file's text.
pub(super) fn read(file: &Path, text: &str) -> House {
    let mut house = House::default();
    let sections = ini::read(file, text, &mut house.notes);
    for section in &sections {
        let (kind, number) = split(&section.name);
        match kind {
            "main" => {
                for key in &section.keys {
                    if !is_needless(key) {
                        house.notes.add(&key.place, not_carried(key));
                    }
                }
            }
            "ad_client" => directory(section, number, &mut house),
            _ => match SERVERS.iter().find(|server| server.kind == kind) {
                Some(server) => gear(section, server, &mut house),
                None => other(section, kind, &mut house.notes),
            },
        }
    }
    if house.listen == [listen_at("", PORT)] {
        house.listen.clear();
    }
    if house.directories.len() > 1 {
        let place = sections.iter().find(|section| section.name == "ad_client2");
        if let Some(section) = place.or_else(|| sections.first()) {
            house.notes.add(&section.place, "There are several directories: here the name decides which is asked (user@realm, DOMAIN\\user), not the gear. Give each its realms and domains; the first answers for bare names.");
        }
    }
    house
}

/// A section's kind and number.
fn split(name: &str) -> (&str, &str) {
    let kind = name.trim_end_matches(|c: char| c.is_ascii_digit());
    (kind, name.get(kind.len()..).unwrap_or_default())
}

fn is_needless(key: &Key) -> bool {
    NEEDLESS.contains(&key.key.as_str())
}

fn not_carried(key: &Key) -> String {
    format!("`{}` is not carried over.", key.key)
}

fn other(section: &Section, kind: &str, notes: &mut Notes) {
    let what = match kind {
        "radius_client" => {
            "Passwords are proven by a directory, never by another RADIUS server: the section is left out. Its users must be in a directory."
        }
        "duo_only_client" => "Logins without a password have no equal: the section is left out.",
        "cloud" | "sso" => {
            "Directory synchronisation and single sign-on have no equal: the section is left out."
        }
        "ldap_server_auto" => {
            "Asking by LDAP has no equal: the section is left out. Gear asks by RADIUS."
        }
        _ => "The section is not known, and left out.",
    };
    notes.add(&section.place, format!("[{}]: {what}", section.name));
}

fn directory(section: &Section, number: &str, house: &mut House) {
    let notes = &mut house.notes;
    let mut keys = Keys::default();
    let secure = servers(section, &mut keys, notes);
    let text = |key: &str| section.get(key).map(|key| key.value.as_str());
    match text("search_dn") {
        Some(base) if !base.is_empty() => keys.text("base", base.to_owned()),
        _ => {
            notes.add(
                &section.place,
                format!(
                    "[{}] has no search_dn: the directory is left out.",
                    section.name
                ),
            );
            return;
        }
    }
    let bind = bind(section, &mut keys, notes);
    let name = text("username_attribute").unwrap_or("sAMAccountName");
    let people = text("ldap_filter").unwrap_or("(&(objectCategory=person)(objectClass=user))");
    let people = match people.starts_with('(') {
        true => people.to_owned(),
        false => format!("({people})"),
    };
    keys.text("user-filter", format!("(&{people}({name}={{user}}))"));
    keys.text("groups", "chain".to_owned());
    if let Some(group) = section.get("security_group_dn") {
        house.members.push(group.value.clone());
        notes.add(&group.place, "Members of this group alone may log in: written as a rule before a last one that denies. Rules hold for every client.");
    }
    further(section, secure, &mut keys, notes);
    house.directories.push(Directory {
        name: format!("ad{number}"),
        keys,
        bind,
    });
}

/// The servers, and whether they are spoken to by TLS from the start.
fn servers(section: &Section, keys: &mut Keys, notes: &mut Notes) -> bool {
    let transport = section.get("transport");
    let secure = transport.is_some_and(|key| key.value.eq_ignore_ascii_case("ldaps"));
    let (scheme, usual) = if secure {
        ("ldaps", "636")
    } else {
        ("ldap", "389")
    };
    if transport.is_none_or(|key| key.value.eq_ignore_ascii_case("clear")) {
        let place = transport.map_or(&section.place, |key| &key.place);
        notes.add(place, "Passwords went to the directory in the clear: here they go by StartTLS, so that the directory must have a certificate.");
    }
    let port = section.get("port").map_or(usual, |key| key.value.as_str());
    let hosts = section.numbered("host").into_iter().map(|(_, key)| {
        let host = match key.value.contains(':') {
            true => format!("[{}]", key.value),
            false => key.value.clone(),
        };
        match port == usual {
            true => format!("{scheme}://{host}"),
            false => format!("{scheme}://{host}:{port}"),
        }
    });
    keys.list("servers", each_once(hosts));
    secure
}

fn bind(section: &Section, keys: &mut Keys, notes: &mut Notes) -> Bind {
    let Some(account) = section
        .get("bind_dn")
        .or_else(|| section.get("service_account_username"))
        .filter(|key| !key.value.is_empty())
    else {
        notes.add(&section.place, "No service account: the directory is searched anonymously, which Active Directory refuses.");
        return Bind::Anonymous;
    };
    let domain = section.get("ntlm_domain").map(|key| key.value.as_str());
    let name = match (account.value.contains(['=', '@', '\\']), domain) {
        (true, _) => account.value.clone(),
        (false, Some(domain)) => format!("{domain}\\{}", account.value),
        (false, None) => {
            let base = section
                .get("search_dn")
                .map_or("", |key| key.value.as_str());
            format!("{}@{}", account.value, domain_of(base))
        }
    };
    if name != account.value {
        notes.add(&account.place, format!("A simple bind needs a whole name: {name:?} is written. See that it is the account's."));
    }
    keys.text("bind-dn", name);
    if let Some(password) = section.get("service_account_password") {
        return Bind::Password(Secret::from(password.value.as_str()));
    }
    let place = section
        .get("service_account_password_protected")
        .map_or(&section.place, |key| &key.place);
    notes.add(place, "The password can be read on that machine alone: write it into the file that password-file names.");
    Bind::Unknown
}

/// `dc=a,dc=b` as `a.b`.
fn domain_of(base: &str) -> String {
    let parts = base.split(',').filter_map(|part| {
        let (kind, value) = part.split_once('=')?;
        kind.trim().eq_ignore_ascii_case("dc").then(|| value.trim())
    });
    parts.collect::<Vec<_>>().join(".")
}

/// What is left of a directory's section.
fn further(section: &Section, secure: bool, keys: &mut Keys, notes: &mut Notes) {
    for key in &section.keys {
        let value = key.value.as_str();
        match key.key.as_str() {
            "timeout" => match value.parse::<u64>() {
                Ok(seconds) => {
                    let held = seconds.clamp(*TIMEOUT.start(), *TIMEOUT.end());
                    keys.text("operation-timeout", format!("{held}s"));
                    if held != seconds {
                        notes.add(&key.place, format!("The time-out is {held} s here."));
                    }
                }
                Err(_) => notes.add(&key.place, not_carried(key)),
            },
            "ssl_ca_certs_file" if value.starts_with('/') => {
                keys.text("ca-file", value.to_owned());
                notes.add(&key.place, "The CA's file is named where it was: copy it to this machine.");
            }
            "ssl_ca_certs_file" => notes.add(&key.place, "Copy the CA's file to this machine and name it by ca-file, unless the system knows that CA."),
            "ssl_verify_hostname" if value.eq_ignore_ascii_case("false") => notes.add(&key.place, "The server's name is always verified here: its certificate must have the name that stands in servers."),
            "auth_type" if !value.eq_ignore_ascii_case("plain") => {
                let how = if secure { "TLS" } else { "StartTLS" };
                notes.add(&key.place, format!("NTLM has no equal: passwords are proven by a simple bind within {how}."));
            }
            "auth_type" | "ssl_verify_hostname" | "transport" | "port" | "search_dn" | "bind_dn"
            | "service_account_username" | "service_account_password"
            | "service_account_password_protected" | "ldap_filter" | "username_attribute"
            | "security_group_dn" | "ntlm_domain" | "ntlm_workstation" => {}
            name if name == "host" || name.starts_with("host_") || is_needless(key) => {}
            _ => notes.add(&key.place, not_carried(key)),
        }
    }
}

fn gear(section: &Section, server: &Server, house: &mut House) {
    let notes = &mut house.notes;
    if !server.note.is_empty() {
        notes.add(
            &section.place,
            format!("[{}]: {}", section.name, server.note),
        );
    }
    if server.code.is_empty() {
        return;
    }
    if let Some(client) = section.get("client")
        && !client.value.to_ascii_lowercase().starts_with("ad_client")
    {
        notes.add(
            &client.place,
            format!(
                "[{}] proves passwords by {}, which has no equal: the section is left out.",
                section.name, client.value
            ),
        );
        return;
    }
    let listen = listen(section, notes);
    if !house.listen.contains(&listen) {
        house.listen.push(listen);
    }
    let keys = policy(section, server, notes);
    let boxes = boxes(section, &keys, notes);
    if boxes.is_empty() {
        let what = format!(
            "[{}] has no client that could be carried over.",
            section.name
        );
        notes.add(&section.place, what);
    }
    for gear in boxes {
        house.clients.admit(gear, notes);
    }
}

/// The clients of a section: boxes that share a secret are one to people.
fn boxes(section: &Section, keys: &Keys, notes: &mut Notes) -> Vec<Gear> {
    let mut all: Vec<Gear> = Vec::new();
    for (number, address) in section.numbered("radius_ip") {
        let nets = networks(&address.value);
        let key = |name: &str| match number {
            "" => section.get(name),
            number => section.get(&format!("{name}_{number}")),
        };
        let why = match key("radius_secret_protected") {
            _ if nets.is_empty() => "it is no address",
            Some(_) => "its secret can be read on that machine alone",
            None => "it has no secret",
        };
        let Some(secret) = key("radius_secret").filter(|_| !nets.is_empty()) else {
            notes.add(
                &address.place,
                format!("{} is left out: {why}.", address.value),
            );
            continue;
        };
        let secret = Secret::from(secret.value.as_str());
        match all.iter_mut().find(|gear| gear.secret == secret) {
            Some(gear) => gear.addresses.extend(nets),
            None => all.push(Gear {
                name: section.name.trim_start_matches("radius_server_").to_owned(),
                addresses: nets,
                secret,
                place: address.place.clone(),
                keys: keys.clone(),
            }),
        }
    }
    all
}

/// Where a section listens.
fn listen(section: &Section, notes: &mut Notes) -> String {
    let value = |key: &str| section.get(key).map(|key| key.value.as_str());
    let listen = listen_at(
        value("interface").unwrap_or_default(),
        value("port").unwrap_or(PORT),
    );
    if listen.parse::<SocketAddr>().is_ok() {
        return listen;
    }
    notes.add(
        &section.place,
        format!(
            "[{}] listens at {listen}, which is no address with a port: it is the usual one here.",
            section.name
        ),
    );
    listen_at("", PORT)
}

fn listen_at(interface: &str, port: &str) -> String {
    match (interface, interface.contains(':')) {
        ("", _) => format!("[::]:{port}"),
        (interface, true) => format!("[{interface}]:{port}"),
        (interface, false) => format!("{interface}:{port}"),
    }
}

/// How a section's clients ask.
fn policy(section: &Section, server: &Server, notes: &mut Notes) -> Keys {
    let owned = |words: &[&str]| {
        words
            .iter()
            .map(|word| (*word).to_owned())
            .collect::<Vec<_>>()
    };
    let (mut code, mut push) = (owned(server.code), owned(server.push));
    let mut keys = Keys::default();
    for key in &section.keys {
        let value = key.value.as_str();
        match key.key.as_str() {
            "allow_concat" if value.eq_ignore_ascii_case("true") => code.push("appended".to_owned()),
            "factors" => factors(key, &mut push, &mut keys, notes),
            "delimiter" => delimiter(key, &code, &mut keys, notes),
            "failmode" if value.eq_ignore_ascii_case("safe") => notes.add(&key.place, "Whoever had the right password was let in while the service was out of reach: here nobody is. Codes of an app and recovery codes need no service."),
            "client_ip_attr" => match station(value) {
                Some(attribute) => keys.list("station", vec![attribute.to_owned()]),
                None => notes.add(&key.place, format!("{value} is no attribute of the person's own address: write station.")),
            },
            "prompt" | "prompt_format" => notes.add(&key.place, "Texts are Sekisho's own; reply-message says in which language."),
            "delimited_password_length" => notes.add(&key.place, "A password's length says nothing here: what stands behind the last delimiter is the code."),
            "client" | "port" | "interface" | "allow_concat" | "failmode" => {}
            name if name.starts_with("exempt_username_") => notes.add(&key.place, format!("{value:?} was not asked for a second factor: put the account into a group and write a rule for it, then = \"password-only\".")),
            name if name.starts_with("radius_ip") || name.starts_with("radius_secret") || is_needless(key) => {}
            _ => notes.add(&key.place, not_carried(key)),
        }
    }
    code.dedup();
    keys.list("code", code);
    keys.list("push", push);
    keys
}

fn factors(key: &Key, push: &mut Vec<String>, keys: &mut Keys, notes: &mut Notes) {
    let mut ways = Vec::new();
    for word in key.value.split(',').map(str::trim) {
        let known: &[&str] = match word.to_ascii_lowercase().as_str() {
            "auto" => return,
            "push" => continue,
            "phone" => &["voice"],
            "passcode" => &["totp", "recovery"],
            "sms" => &["sms"],
            _ => {
                notes.add(&key.place, format!("{word:?} is no factor that is known."));
                continue;
            }
        };
        ways.extend(known.iter().map(|way| (*way).to_owned()));
    }
    if !key.value.to_ascii_lowercase().contains("push") {
        push.clear();
    }
    if ways.is_empty() {
        notes.add(&key.place, "A push alone is no way out for who has no phone at hand: codes of an app stay allowed.");
        ways.extend(["totp", "recovery"].map(str::to_owned));
    }
    keys.list("ways", ways);
}

fn delimiter(key: &Key, code: &[String], keys: &mut Keys, notes: &mut Notes) {
    let mut letters = key.value.chars();
    match (letters.next(), letters.next()) {
        (Some(sign), None) if sign.is_ascii_graphic() && !sign.is_ascii_alphanumeric() => {
            if code.iter().any(|entry| entry == "delimited") && sign != ',' {
                keys.text("delimiter", sign.to_string());
            }
        }
        _ => notes.add(
            &key.place,
            "A delimiter is one sign that is neither letter nor digit: it is \",\" here.",
        ),
    }
}

/// The attribute as `station` has it.
fn station(value: &str) -> Option<&str> {
    match value.to_ascii_lowercase().as_str() {
        "paloalto" => Some("PaloAlto-Client-Source-IP"),
        _ => config::station_source(value).map(|_| value),
    }
}
