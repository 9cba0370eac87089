//! `[directory.NAME]`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::fault::{Place, Reach};
use super::reader::{Bounds, Table, Words};
use super::{general, secrets};
use crate::account::{Realms, fold};
use crate::directory::{Groups, Protection, Server, Settings, is_user_filter};

const USER_FILTER: &str = "(&(objectClass=person)(uid={user}))";
/// Where the escaped name goes.
const USER: &str = "{user}";
const PHONE: &str = "mobile";
const LANGUAGE: &str = "preferredLanguage";
const LDAP_PORT: u16 = 389;
const LDAPS_PORT: u16 = 636;
const SERVERS_MOST: usize = 16;
const GROUP_DEPTH: Bounds<u8> = Bounds::new(1, 10, 5);
const TIMEOUT: Bounds<Duration> = Bounds::new(
    Duration::from_millis(100),
    Duration::from_secs(30),
    Duration::from_secs(3),
);
/// Opened as they are needed; fewer make logins wait for each other when a lecture ends.
const BIND_CONNECTIONS: Bounds<usize> = Bounds::new(1, 256, 64);
const SEARCH_CONNECTIONS: Bounds<usize> = Bounds::new(1, 64, 4);
/// An entry is remembered for a minute at most, so that a change in the directory holds soon.
const REMEMBER: Bounds<Duration> = Bounds::new(
    Duration::ZERO,
    Duration::from_secs(60),
    Duration::from_secs(60),
);

#[derive(Clone, Copy)]
enum GroupWay {
    MemberOf,
    MemberSearch,
    Chain,
    None,
}

const GROUPS: &Words<GroupWay> = &[
    ("member-of", GroupWay::MemberOf),
    ("member-search", GroupWay::MemberSearch),
    ("chain", GroupWay::Chain),
    ("none", GroupWay::None),
];

/// The directories, and who answers for whom.
pub(super) struct Directories {
    pub(super) settings: Vec<Settings>,
    pub(super) realms: Realms,
}

/// Every `[directory.NAME]`.
pub(super) fn read(root: &Table<'_>) -> Directories {
    let tables = root.named("directory");
    if tables.is_empty() {
        root.report.fault(
            None,
            "There is no directory: nobody could be found.",
            "Add a [directory.NAME] with servers, base and bind-dn.",
        );
    }
    let mut directories = Directories {
        settings: Vec::with_capacity(tables.len()),
        realms: Realms::default(),
    };
    let mut known = BTreeMap::new();
    for table in tables {
        let realms = names(&table, "realms", &mut known);
        let domains = names(&table, "domains", &mut known);
        directories.realms.add(table.name, &realms, &domains);
        directories.settings.push(directory(&table));
        table.finish();
    }
    directories
}

fn directory(table: &Table<'_>) -> Settings {
    let base = table
        .needed("base", "\"ou=people,dc=example,dc=ac,dc=jp\"")
        .to_owned();
    is_dn(table, table.at("base"), &base);
    Settings {
        name: table.name.into(),
        servers: servers(table),
        groups: groups(table, &base),
        base,
        bind: service_account(table),
        user_filter: user_filter(table),
        ca_file: ca_file(table),
        id_attribute: attribute(table, "id"),
        phone: phones(table),
        language: language(table),
        nt_hash: attribute(table, "nt-hash"),
        operation_timeout: table.duration("operation-timeout", TIMEOUT),
        connect_timeout: table.duration("connect-timeout", TIMEOUT),
        bind_connections: table.number("bind-connections", BIND_CONNECTIONS),
        search_connections: table.number("search-connections", SEARCH_CONNECTIONS),
        remember: table.duration("remember", REMEMBER),
    }
}

/// Realms or Windows domains; one that another directory answers for already is a fault.
fn names(
    table: &Table<'_>,
    key: &'static str,
    known: &mut BTreeMap<(&'static str, String), Place>,
) -> Vec<String> {
    let texts = table.texts(key).unwrap_or_default();
    for (text, place) in &texts {
        if text.contains(['@', '\\', ' ']) {
            table.report.fault(
                Some(*place),
                format!("{text:?} in `{key}` is no name of a realm or domain."),
                "Write it without @, \\ and space.",
            );
        }
        if let Some(first) = known.insert((key, fold(text)), *place) {
            table.report.fault(
                Some(*place),
                format!(
                    "{text:?} is already in `{key}`, in {}.",
                    table.report.name_place(first, *place)
                ),
                "Let one directory answer for it.",
            );
        }
    }
    texts.into_iter().map(|(text, _)| text.to_owned()).collect()
}

fn servers(table: &Table<'_>) -> Vec<Server> {
    let start_tls = table.word("start-tls");
    table
        .report
        .asked(&table.kind, "start-tls", Some("true".to_owned()));
    let clear_allowed = table.flag("allow-clear-text", false);
    let Some(texts) = table.texts("servers") else {
        table.missing("servers", "[\"ldaps://ldap1.example.ac.jp\"]");
        return Vec::new();
    };
    if table.is_empty_list("servers") || texts.len() > SERVERS_MOST {
        table.report.fault(
            table.at("servers"),
            format!("`servers` has {} servers.", texts.len()),
            format!("It may have 1 to {SERVERS_MOST}."),
        );
    }
    let mut servers = Vec::with_capacity(texts.len());
    for (text, place) in texts {
        let Some((scheme, host, port)) = url(text) else {
            table.report.fault(
                Some(place),
                format!("{text:?} is no address of a directory server."),
                "Write such as \"ldaps://ldap1.example.ac.jp\" or \"ldap://192.0.2.5:389\".",
            );
            continue;
        };
        let protection = match (scheme, start_tls.unwrap_or_else(|| !is_loopback(&host))) {
            (Scheme::Ldaps, _) => Protection::Tls,
            (Scheme::Ldap, true) => Protection::StartTls,
            (Scheme::Ldap, false) => Protection::Clear,
        };
        let server = Server {
            host,
            port,
            protection,
        };
        judge_clear(table, &server, clear_allowed, place);
        if servers.contains(&server) {
            table.report.fault(
                Some(place),
                format!("{text} is named twice."),
                "Remove one of the two.",
            );
        }
        servers.push(server);
    }
    servers
}

fn judge_clear(table: &Table<'_>, server: &Server, allowed: bool, place: Place) {
    if server.protection != Protection::Clear || is_loopback(&server.host) {
        return;
    }
    if allowed {
        table.report.warn(
            Some(place),
            format!(
                "Passwords go to {} in the clear: whoever sees the network reads them.",
                server.host
            ),
            "Use ldaps://.",
        );
    } else {
        table.report.fault(
            Some(place),
            format!("Passwords would go to {} in the clear.", server.host),
            "Use ldaps://, or start-tls = true; allow-clear-text = true if this really is meant.",
        );
    }
}

#[derive(Clone, Copy)]
enum Scheme {
    Ldap,
    Ldaps,
}

fn url(text: &str) -> Option<(Scheme, String, u16)> {
    let (scheme, rest) = text.split_once("://")?;
    let (scheme, port) = match scheme.to_ascii_lowercase().as_str() {
        "ldap" => (Scheme::Ldap, LDAP_PORT),
        "ldaps" => (Scheme::Ldaps, LDAPS_PORT),
        _ => return None,
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (host, port) = match rest.strip_prefix('[') {
        Some(v6) => {
            let (host, after) = v6.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            let port = match after.strip_prefix(':') {
                Some(digits) => digits.parse().ok()?,
                None if after.is_empty() => port,
                None => return None,
            };
            (host, port)
        }
        None => match rest.split_once(':') {
            Some((host, digits)) => (host, digits.parse().ok()?),
            None => (rest, port),
        },
    };
    let sound = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    (!host.is_empty() && host.chars().all(sound) && port > 0)
        .then(|| (scheme, host.to_owned(), port))
}

/// Whether a host is this machine itself.
pub(super) fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.to_canonical().is_loopback())
}

fn service_account(table: &Table<'_>) -> Option<(String, crate::secret::Secret)> {
    let dn = table.text("bind-dn");
    let given = secrets::PASSWORD.given(table);
    let password = secrets::read(table, secrets::PASSWORD);
    match (dn, given) {
        (Some(_), None) => table.missing("password-file", "\"/etc/sekisho/ldap.password\""),
        (None, Some(key)) if !table.has("bind-dn") => table.report.fault(
            table.at(key),
            "A password without `bind-dn` is of no use.",
            "Add bind-dn, or remove the password to search anonymously.",
        ),
        _ => {}
    }
    dn.map(str::to_owned).zip(password)
}

fn user_filter(table: &Table<'_>) -> String {
    let filter = table.text_or("user-filter", USER_FILTER);
    if !filter.contains(USER) {
        table.report.fault(
            table.at("user-filter"),
            "`user-filter` has no {user}: every name would find the same people.",
            "Write {user} where the name goes, as in \"(uid={user})\".",
        );
    }
    if filter.contains(USER) && !is_user_filter(filter) {
        table.report.fault(
            table.at("user-filter"),
            "`user-filter` is no filter (RFC 4515).",
            format!("Write such as \"{USER_FILTER}\"."),
        );
    }
    filter.to_owned()
}

fn groups(table: &Table<'_>, base: &str) -> Groups {
    let way = table.choice("groups", GROUPS, "member-of");
    let depth = table.number("group-depth", GROUP_DEPTH);
    let group_base = table.text("group-base");
    if let Some(group_base) = group_base {
        is_dn(table, table.at("group-base"), group_base);
    }
    let unused = |key: &str| {
        if table.has(key) {
            table.report.warn(
                table.at(key),
                format!("`{key}` has no effect with these `groups`."),
                "Remove it.",
            );
        }
    };
    let group_base_or = || group_base.unwrap_or(base).to_owned();
    match way {
        None | Some(GroupWay::MemberOf) => {
            unused("group-base");
            Groups::MemberOf { depth }
        }
        Some(GroupWay::MemberSearch) => Groups::MemberSearch {
            base: group_base_or(),
            depth,
        },
        Some(GroupWay::Chain) => {
            unused("group-depth");
            Groups::Chain {
                base: group_base_or(),
            }
        }
        Some(GroupWay::None) => {
            unused("group-base");
            unused("group-depth");
            Groups::None
        }
    }
}

/// Says that a text is no DN, looking no deeper than `type=value,…`.
pub(super) fn is_dn(table: &Table<'_>, place: Option<Place>, text: &str) {
    let mut escaped = false;
    let parts = text.split(|c| {
        let separates = matches!(c, ',' | '+') && !escaped;
        escaped = c == '\\' && !escaped;
        separates
    });
    let sound = |part: &str| {
        part.split_once('=').is_some_and(|(kind, value)| {
            let kind = kind.trim();
            !kind.is_empty()
                && !value.trim().is_empty()
                && kind
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.'))
        })
    };
    let parts: Vec<&str> = parts.collect();
    if !text.is_empty() && !parts.into_iter().all(sound) {
        table.report.fault(
            place,
            format!("{text:?} is no DN."),
            "Write such as \"cn=staff,ou=groups,dc=example,dc=ac,dc=jp\".",
        );
    }
}

/// A file of certificates.
pub(super) fn ca_file(table: &Table<'_>) -> Option<PathBuf> {
    let path = table.text("ca-file").map(PathBuf::from)?;
    general::whole_path(table, "ca-file", Some(&path));
    if table.report.reach == Reach::Disk
        && let Err(error) = std::fs::File::open(&path)
    {
        table.report.fault(
            table.at("ca-file"),
            format!("{} cannot be read: {error}.", path.display()),
            "Put the certificate of your CA there as PEM.",
        );
    }
    Some(path)
}

fn attribute(table: &Table<'_>, key: &'static str) -> Option<String> {
    let name = table.text(key)?;
    judge_attribute(table, key, name, table.at(key));
    Some(name.to_owned())
}

fn language(table: &Table<'_>) -> Option<String> {
    table
        .report
        .asked(&table.kind, "language", Some(format!("\"{LANGUAGE}\"")));
    attribute(table, "language").or_else(|| Some(LANGUAGE.to_owned()))
}

fn phones(table: &Table<'_>) -> Vec<String> {
    table
        .report
        .asked(&table.kind, "phone", Some(format!("\"{PHONE}\"")));
    let Some(texts) = table.texts("phone") else {
        return vec![PHONE.to_owned()];
    };
    for (text, place) in &texts {
        judge_attribute(table, "phone", text, Some(*place));
    }
    texts.into_iter().map(|(text, _)| text.to_owned()).collect()
}

fn judge_attribute(table: &Table<'_>, key: &str, name: &str, place: Option<Place>) {
    let sound = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | ';');
    if !name.chars().all(sound) {
        table.report.fault(
            place,
            format!("`{key}`: {name:?} is no name of an attribute."),
            "Write the attribute's name, such as \"mobile\".",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_read_with_their_ports() {
        let read = |text| url(text).map(|(_, host, port)| (host, port));
        assert_eq!(read("ldaps://a.example"), Some(("a.example".into(), 636)));
        assert_eq!(
            read("LDAP://[2001:db8::1]:3389/"),
            Some(("2001:db8::1".into(), 3389))
        );
        assert_eq!(
            read("ldap://127.0.0.1:10389"),
            Some(("127.0.0.1".into(), 10_389))
        );
        for wrong in [
            "a.example",
            "http://a",
            "ldap://",
            "ldap://a/dc=x",
            "ldap://a:0",
            "ldap://[::1",
            "ldap://u@a",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
