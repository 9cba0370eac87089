//! Logins through the real listener, with a real directory, the real binary and real packets.

mod attack;
mod crash;
mod ds389;
mod first;
mod hostile;
mod limits;
mod once;
mod outage;
mod probe;
mod radclient;
mod rules;
mod samba;
mod stop;
mod trail;

use crate::support::daemon::{Daemon, client};
use crate::support::slapd::{SERVICE_DN, SERVICE_PASSWORD, Slapd};

/// Base32 seed of the person who has one.
pub const SEED: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

/// People: taro (code), hanako (SMS), jiro (nothing), 花子's entry with Japanese name and password, and two groups.
pub const PEOPLE: &str = "\
dn: uid=taro,ou=people,dc=example,dc=ac,dc=jp
objectClass: inetOrgPerson
uid: taro
cn: Taro
sn: Kyoto
userPassword: taro-password
mobile: 090-1111-2222

dn: uid=bob,ou=people,dc=example,dc=ac,dc=jp
objectClass: inetOrgPerson
uid: bob
cn: Bob
sn: Builder
userPassword: bob-password

dn: uid=hanako,ou=people,dc=example,dc=ac,dc=jp
objectClass: inetOrgPerson
uid: hanako
cn: Hanako
sn: Nara
userPassword: hanako-password
mobile: 090-1234-5678

dn: uid=jiro,ou=people,dc=example,dc=ac,dc=jp
objectClass: inetOrgPerson
uid: jiro
cn: Jiro
sn: Osaka
userPassword: jiro-password

dn: uid=山田,ou=people,dc=example,dc=ac,dc=jp
objectClass: inetOrgPerson
uid: 山田
cn: 山田 花子
sn: 山田
userPassword: ひみつの合言葉

dn: cn=always,ou=groups,dc=example,dc=ac,dc=jp
objectClass: groupOfNames
cn: always
member: uid=bob,ou=people,dc=example,dc=ac,dc=jp

dn: cn=staff,ou=groups,dc=example,dc=ac,dc=jp
objectClass: groupOfNames
cn: staff
member: uid=taro,ou=people,dc=example,dc=ac,dc=jp
";

/// The folders of the tree, which slapd of the tests has by itself.
pub const UNITS: &str = "\
dn: ou=people,dc=example,dc=ac,dc=jp
objectClass: organizationalUnit
ou: people

dn: ou=groups,dc=example,dc=ac,dc=jp
objectClass: organizationalUnit
ou: groups

";

/// The directory table for a slapd (or several).
pub fn directory(urls: &[&str]) -> String {
    let servers: Vec<String> = urls.iter().map(|url| format!("\"{url}\"")).collect();
    format!(
        "[directory.campus]\nservers = [{}]\nbase = \"ou=people,dc=example,dc=ac,dc=jp\"\n\
         user-filter = \"(&(objectClass=person)(uid={{user}}))\"\nphone = \"mobile\"\n\
         realms = [\"example.ac.jp\"]\ndomains = [\"EXAMPLE\"]\ngroups = \"member-search\"\n\
         bind-dn = \"{SERVICE_DN}\"\npassword = \"{SERVICE_PASSWORD}\"\n\
         group-base = \"ou=groups,dc=example,dc=ac,dc=jp\"\noperation-timeout = \"2s\"\n\
         connect-timeout = \"2s\"\n",
        servers.join(", ")
    )
}

/// The usual client: codes appended or by challenge, the station from Calling-Station-Id.
pub const VPN: &str = "code = [\"appended\", \"challenge\"]\nstation = [\"Calling-Station-Id\"]";

/// A spooling SMS and voice gateway; numbers are trusted at once, since entries of a test are new.
pub const SPOOL: &str = "[sms]\nspool = \"{folder}/sms\"\n[voice]\nspool = \"{folder}/voice\"\n\
                         [limits]\nnumber-age = \"0s\"\n";

/// A directory and a daemon with the usual client and gateways; taro, bob and 山田 have a code.
pub fn house() -> (Slapd, Daemon) {
    house_with(&format!("{}\n{SPOOL}", client("vpn", VPN)))
}

/// The same with a configuration of the test's own.
pub fn house_with(further: &str) -> (Slapd, Daemon) {
    let slapd = Slapd::start(PEOPLE);
    let daemon = Daemon::start(&directory(&[&slapd.url()]), further);
    for user in ["taro", "bob", "山田"] {
        daemon.enrol(user, SEED);
    }
    (slapd, daemon)
}

/// The messages in a spool folder, oldest first, as (to, text).
pub fn spooled(daemon: &Daemon, folder: &str) -> Vec<(String, String)> {
    let Ok(entries) = std::fs::read_dir(daemon.path(folder)) else {
        return Vec::new();
    };
    let mut messages: Vec<(std::time::SystemTime, String, String)> = entries
        .map(|entry| entry.unwrap())
        .filter(|entry| {
            entry
                .path()
                .extension()
                .is_some_and(|extension| extension == "json")
        })
        .map(|entry| {
            let text = std::fs::read_to_string(entry.path()).unwrap();
            let json: serde_json::Value = serde_json::from_str(&text).unwrap();
            let part = |name: &str| json[name].as_str().unwrap().to_owned();
            (
                entry.metadata().unwrap().modified().unwrap(),
                part("to"),
                part("text"),
            )
        })
        .collect();
    messages.sort();
    messages
        .into_iter()
        .map(|(_, to, text)| (to, text))
        .collect()
}

/// The first run of six digits in a text.
pub fn digits(text: &str) -> String {
    let mut run = String::new();
    for c in text.chars().chain([' ']) {
        if c.is_ascii_digit() {
            run.push(c);
        } else if run.len() == 6 {
            return run;
        } else {
            run.clear();
        }
    }
    panic!("no code in {text:?}")
}
