//! What the rooms are given.

use std::time::Duration;

use sekisho::access::{CodeEntry, Texts, Then};
use sekisho::account::{FactorKind, Language, TypedName};
use sekisho::channel::{Auth, Body, GatewayKind, NumberForm};
use sekisho::config::{Settings, parse_text};
use sekisho::directory::{Groups, Protection};
use sekisho::server::StationForm;
use sekisho::wire::Signing;

use super::SOUND;

fn settings(added: &str) -> Settings {
    parse_text(&format!("{SOUND}{added}")).unwrap_or_else(|faults| panic!("{faults:#?}"))
}

#[test]
fn the_least_file_is_safe() {
    let settings = settings("");
    let client = &settings.server.clients[0];
    assert_eq!(client.signing, Signing::Required);
    assert_eq!(client.policy.code, [CodeEntry::Appended]);
    assert_eq!(
        client.policy.ways,
        [
            FactorKind::Totp,
            FactorKind::Sms,
            FactorKind::Voice,
            FactorKind::Recovery
        ]
    );
    assert_eq!(
        (client.policy.texts, client.policy.language),
        (Texts::Full, Language::Both)
    );
    assert_eq!(client.policy.label.ja, "vpn");
    assert_eq!(
        settings.directories[0].servers[0].protection,
        Protection::Tls
    );
    assert_eq!(settings.server.listen, ["[::]:1812".parse().unwrap()]);
    assert_eq!(settings.server.accounting, ["[::]:1813".parse().unwrap()]);
    assert_eq!(settings.server.reject_floor, Duration::from_secs(1));
    assert_eq!(
        settings.store.key_file.to_str(),
        Some("/var/lib/sekisho/master.key")
    );
    assert_eq!(settings.telemetry.metrics, None);
    assert!(settings.channel.sms.is_empty() && settings.access.rules.is_empty());
    assert_eq!(settings.channel.countries, ["+81"]);
}

#[test]
fn a_client_has_no_more_room_than_the_house() {
    let server = settings("[radius]\nin-work = 100\n").server;
    assert_eq!((server.in_work, server.in_work_per_client), (100, 100));
}

#[test]
fn signing_follows_two_words() {
    let signing = |added: &str| {
        parse_text(&SOUND.replace("station =", &format!("{added}\nstation =")))
            .unwrap()
            .server
            .clients[0]
            .signing
    };
    assert_eq!(
        signing("require-message-authenticator = false"),
        Signing::OptionalWithoutProxyState
    );
    assert_eq!(
        signing("require-message-authenticator = false\nlimit-proxy-state = false"),
        Signing::Optional
    );
}

#[test]
fn directories_keep_the_order_of_the_file_and_answer_for_their_realms() {
    let settings = settings(
        "[directory.alumni]\nservers = ['ldap://[::1]:1389', 'ldap://b.example']\nbase = 'dc=a'\nrealms = ['Alumni.example']\ndomains = 'ALUMNI'\ngroups = 'member-search'\n",
    );
    let names: Vec<_> = settings
        .directories
        .iter()
        .map(|directory| &*directory.name)
        .collect();
    assert_eq!(names, ["campus", "alumni"]);
    let alumni = &settings.directories[1];
    assert_eq!(alumni.servers[0].protection, Protection::Clear);
    assert_eq!(
        (alumni.servers[0].host.as_str(), alumni.servers[0].port),
        ("::1", 1389)
    );
    assert_eq!(alumni.servers[1].protection, Protection::StartTls);
    assert_eq!(
        alumni.groups,
        Groups::MemberSearch {
            base: "dc=a".into(),
            depth: 5
        }
    );
    let who = |name: &str| {
        TypedName::parse(name.as_bytes())
            .unwrap()
            .resolve(&settings.access.realms)
            .unwrap()
            .directory
    };
    assert_eq!(&*who("taro"), "campus");
    assert_eq!(&*who("taro@alumni.EXAMPLE"), "alumni");
    assert_eq!(&*who("alumni\\taro"), "alumni");
}

#[test]
fn stations_have_the_numbers_of_their_attributes() {
    let text = SOUND.replace(
        "station = \"Calling-Station-Id\"",
        "station = ['Calling-Station-Id', 'Tunnel-Client-Endpoint', 'Framed-IP-Address', 'PaloAlto-Client-Source-IP', 'Cisco-AVPair:ip:source-ip']",
    );
    let station = parse_text(&text).unwrap().server.clients[0].station.clone();
    let numbers: Vec<_> = station
        .iter()
        .map(|source| (source.vendor, source.kind, source.form))
        .collect();
    assert_eq!(
        numbers,
        [
            (None, 31, StationForm::Text),
            (None, 66, StationForm::TaggedText),
            (None, 8, StationForm::Address),
            (Some(25_461), 7, StationForm::Text),
            (Some(9), 1, StationForm::Text),
        ]
    );
    assert_eq!(station[4].prefix.as_deref(), Some("ip:source-ip="));
}

#[test]
fn rules_say_what_is_written() {
    let settings = settings(
        "[zone.campus]\nnetworks = '203.0.113.0/24'\n[[rule]]\nzone = 'campus'\nthen = 'ask'\nfrom = 2024-02-03T00:00:00+09:00\nbefore = 'password-only'\n[[rule]]\nzone = 'outside'\nthen = 'deny'\n[[rule]]\nthen = 'ask'\n",
    );
    assert_eq!(settings.warnings, []);
    let first = &settings.access.rules[0];
    assert_eq!(
        (first.then, first.before),
        (Then::Ask, Some(Then::PasswordOnly))
    );
    assert_eq!(first.from.unwrap().secs(), 1_706_886_000);
    assert_eq!(settings.access.rules[1].then, Then::Deny);
}

#[test]
fn replies_are_octets_for_the_wire() {
    let settings = settings(
        "[[reply]]\nclass = 'staff'\n[[reply]]\nclient = 'vpn'\nvlan = 120\nsession-timeout = '12h'\nvendor = [{ vendor = 9, type = 1, text = 'shell:priv-lvl=15' }, { vendor = 14988, type = 8, number = 5 }, { vendor = 10, type = 2, address = '192.0.2.1' }, { vendor = 10, type = 3, hex = '0aFF' }]\n",
    );
    let sets: Vec<_> = settings
        .access
        .replies
        .iter()
        .map(|reply| &*reply.set)
        .collect();
    assert_eq!(sets, ["reply-1", "reply-2"]);
    let set: Vec<_> = settings.server.replies["reply-2"]
        .iter()
        .map(|attribute| (attribute.vendor, attribute.kind, attribute.value.as_slice()))
        .collect();
    assert_eq!(
        set,
        [
            (None, 64, [0, 0, 0, 13].as_slice()),
            (None, 65, &[0, 0, 0, 6]),
            (None, 81, b"120"),
            (None, 27, &[0, 0, 0xa8, 0xc0]),
            (Some(9), 1, b"shell:priv-lvl=15"),
            (Some(14_988), 8, &[0, 0, 0, 5]),
            (Some(10), 2, &[192, 0, 2, 1]),
            (Some(10), 3, &[0x0a, 0xff]),
        ]
    );
}

#[test]
fn a_preset_needs_only_an_account() {
    let settings = settings(
        "[sms]\npreset = 'twilio'\naccount = 'AC1'\npassword = 'p4ssw0rd-long'\nfrom = '+15005550006'\ntimeout = '4s'\n",
    );
    let [gateway] = settings.channel.sms.as_slice() else {
        panic!("{:?}", settings.channel.sms);
    };
    let GatewayKind::Http(template) = &gateway.kind else {
        panic!("{gateway:?}");
    };
    assert_eq!(
        template.url,
        "https://api.twilio.com/2010-04-01/Accounts/AC1/Messages.json"
    );
    assert!(matches!(&template.auth, Auth::Basic { user, .. } if user == "AC1"));
    assert!(matches!(&template.body, Body::Form(form) if form.len() == 3));
    assert_eq!(template.timeout, Duration::from_secs(4));
}

#[test]
fn gateways_keep_their_order_and_their_own_templates() {
    let settings = settings(
        "[sms]\ncountries = ['+81', '+1']\n[[sms.gateway]]\nurl = 'https://sms.example/send'\nauth = 'hmac'\nkey = 'a key for digests'\nhmac-header = 'X-Signature'\njson = { to = '{{to}}', text = ['{{text}}'] }\nnumber-form = 'national'\nsuccess-status = [202]\nsuccess-pointer = '/ok'\n[[sms.gateway]]\nname = 'trial'\nspool = '/var/spool/sekisho'\n[voice]\nspool = '/var/spool/sekisho'\n",
    );
    let names: Vec<_> = settings
        .channel
        .sms
        .iter()
        .map(|gateway| &*gateway.name)
        .collect();
    assert_eq!(names, ["sms-1", "trial"]);
    let GatewayKind::Http(template) = &settings.channel.sms[0].kind else {
        panic!("no HTTP");
    };
    assert_eq!(template.number_form, NumberForm::National);
    assert_eq!(template.success_status, [202]);
    assert!(matches!(&template.body, Body::Json(json) if json["text"][0] == "{{text}}"));
    assert!(
        matches!(&settings.channel.voice[0].kind, GatewayKind::Spool(folder) if folder.ends_with("sekisho"))
    );
    assert_eq!(settings.channel.countries, ["+81", "+1"]);
}
