//! Profiles, what goes before them, and what is warned of.

use std::time::Duration;

use sekisho::access::{CodeEntry, PushMode, Texts};
use sekisho::config::{Fault, parse_text};
use sekisho::server::{Client, Method, PROFILES, Probe};
use sekisho::wire::Signing;

use super::SOUND;

/// Marks where a warning is expected.
const MARK: char = '¶';
/// Of the client that each case is about: the last lines of the sound file follow.
const CLIENT: &str = "[client.b]\naddress = '192.0.2.9'\nsecret = 'long enough to be one'\n";

fn client(added: &str) -> Client {
    let settings = parse_text(&format!("{SOUND}{CLIENT}{added}"));
    let clients = settings
        .unwrap_or_else(|faults| panic!("{faults:#?}"))
        .server
        .clients;
    clients
        .into_iter()
        .find(|client| client.name.as_str() == "b")
        .unwrap()
}

fn stations(client: &Client) -> Vec<&str> {
    client.station.iter().map(|source| &*source.name).collect()
}

#[test]
fn a_profile_fills_in_what_is_not_written() {
    let generic = client("");
    assert_eq!(generic.profile.name, "generic");
    assert_eq!(generic.policy.patience, Duration::from_secs(10));
    assert!(generic.policy.push.is_empty() && generic.probes.is_empty());

    let fortigate = client("profile = 'fortigate'");
    assert_eq!(fortigate.patience, Duration::from_secs(5));
    assert_eq!(fortigate.policy.patience, fortigate.patience);
    assert_eq!(
        fortigate.policy.code,
        [CodeEntry::Appended, CodeEntry::Challenge]
    );
    assert_eq!(fortigate.policy.push, [PushMode::Shown]);
    assert_eq!(
        stations(&fortigate),
        ["Calling-Station-Id", "Framed-IP-Address"]
    );
    assert_eq!(fortigate.probes, [Probe::ConnectInfo("test".into())]);
    assert_eq!(fortigate.signing, Signing::Required);

    let meraki = client("profile = 'meraki'");
    assert_eq!(meraki.policy.texts, Texts::None);
    assert_eq!(meraki.policy.push, [PushMode::Typed]);
    assert!(!meraki.policy.can_challenge());

    let wifi = client("profile = 'wifi'");
    assert_eq!(wifi.policy.remember, Duration::from_secs(14 * 24 * 3600));
    assert!(!wifi.policy.remember_always);
    assert_eq!(stations(&wifi), ["Calling-Station-Id"]);
    let off = client("profile = 'wifi'\nremember = '0s'\nremember-always-ask = false");
    assert!(off.policy.remember.is_zero());
    assert!(generic.policy.remember.is_zero());

    let pam = client("profile = 'pam'");
    assert_eq!(pam.signing, Signing::OptionalWithoutProxyState);
    let palo = client("profile = 'globalprotect'");
    assert_eq!(palo.policy.pair, Duration::from_secs(30));
    assert_eq!(stations(&palo), ["PaloAlto-Client-Source-IP"]);
}

#[test]
fn what_is_written_goes_before_the_profile() {
    let gate = client(
        "profile = 'fortigate'\npatience = '60s'\ncode = ['appended', 'delimited']\npush = ['typed', 'approve']\nstation = 'Calling-Station-Id'\nprobes = []\nreply-message = 'ascii'\npair = '1m'\nlate-approval = '0s'\nrequire-message-authenticator = false\n",
    );
    assert_eq!(gate.patience, Duration::from_secs(60));
    assert_eq!(
        gate.policy.code,
        [CodeEntry::Appended, CodeEntry::Delimited]
    );
    assert_eq!(gate.policy.push, [PushMode::Typed, PushMode::Approve]);
    assert_eq!(gate.policy.texts, Texts::Ascii);
    assert_eq!(stations(&gate), ["Calling-Station-Id"]);
    assert_eq!(gate.policy.pair, Duration::from_secs(60));
    assert!(gate.probes.is_empty() && gate.policy.late_approval.is_zero());
    assert_eq!(gate.signing, Signing::OptionalWithoutProxyState);
    assert!(
        client("profile = 'fortigate'\npush = []")
            .policy
            .push
            .is_empty()
    );
}

#[test]
fn no_profile_is_doubtful_by_itself_but_for_eap() {
    for profile in PROFILES {
        let text = format!("{SOUND}{CLIENT}profile = '{}'", profile.name);
        let found = parse_text(&text).unwrap().warnings;
        let method = |fault: &Fault| fault.what.starts_with("`method` is \"eap\"");
        assert!(
            found.is_empty() || (profile.method == Method::Eap && found.iter().all(method)),
            "{found:#?}"
        );
    }
}

#[test]
fn sessions_are_ended_where_the_file_says_so() {
    let disconnect = |added: &str| client(added).disconnect;
    assert!(disconnect("").is_none() && disconnect("disconnect = false").is_none());
    let port = disconnect("disconnect = true").unwrap();
    assert!(port.to.is_none() && port.secret.is_none());
    let there = disconnect("disconnect = '[::ffff:192.0.2.1]:1700'").unwrap();
    assert_eq!(there.to, Some("192.0.2.1:1700".parse().unwrap()));
    let own = "disconnect = true\ndisconnect-secret = 'long enough for gear to believe'";
    let own = disconnect(own).unwrap().secret.unwrap();
    assert_eq!(own.expose(), b"long enough for gear to believe");
}

#[test]
fn gear_that_reads_groups_from_class_gets_none_of_ours() {
    for profile in PROFILES {
        let class = client(&format!("profile = '{}'", profile.name)).class;
        let reads = ["cisco-asa", "ocserv", "strongswan"].contains(&profile.name);
        assert_eq!(class, !reads, "{}", profile.name);
    }
    assert!(!client("class = false").class);
}

/// What is written of a client, with a mark where the warning is, and a part of it.
const DOUBTFUL: &[(&str, &str)] = &[
    (
        "remember = ¶'14d'",
        "`remember` has no effect without `station`",
    ),
    (
        "station = 'Calling-Station-Id'\nshared-stations = true\nremember = ¶'14d'",
        "a station is not one person's",
    ),
    ("remember-always-ask = ¶true", "`remember` is off here"),
    (
        "profile = 'fortigate'\ncode = ['delimited']\npush = ['typed']\nlate-approval = ¶'0s'",
        "about 20s, but Fortinet FortiGate waits 5s and `late-approval` is off: who approves is not let in. (On the FortiGate, set remoteauthtimeout",
    ),
    (
        "push = ['approve']\nlate-approval = ¶'0s'",
        "gear of no known make waits 10s",
    ),
    (
        "push = ¶['shown']",
        "but `code` does not hold \"challenge\"",
    ),
    (
        "code = ['challenge']\npush = ¶['shown']\nreply-message = 'none'",
        "the number would not be shown",
    ),
    (
        "push = ¶['typed']",
        "but `code` does not hold \"delimited\"",
    ),
    (
        "method = ¶'mschap'\ncode = ['challenge']",
        "`method` is \"mschap\", but outside of EAP passwords are proven by PAP alone",
    ),
    (
        "method = ¶'eap'",
        "`method` is \"eap\", but there is no [eap]: every login here is refused. (Add [eap]",
    ),
    (
        "[eap]\ncertificate-file = '/c'\nkey-file = '/k'\ncrl-file = ¶'/r'",
        "`crl-file` has no effect: `methods` does not hold \"tls\"",
    ),
    (
        "[eap]\ncertificate-file = '/c'\nkey-file = '/k'\nclient-ca-file = ¶'/a'",
        "`client-ca-file` has no effect",
    ),
    (
        "[eap]\ncertificate-file = '/c'\nkey-file = '/k'\nclient-ca-file = '/a'\nmethods = 'tls'\ninner = ¶'gtc'",
        "by EAP-TLS there is nothing inside",
    ),
    (
        "[eap]\ncertificate-file = '/c'\nkey-file = '/k'\ninner = ¶['gtc', 'mschapv2']",
        "no directory has an attribute of NT hashes: every such login is refused. (Set nt-hash",
    ),
    (
        "method = 'mschap'\ncode = ¶['appended']",
        "by MS-CHAP no password arrives that one could stand behind",
    ),
    (
        "method = 'mschap'\ncode = ['delimited']\npush = ¶['typed']",
        "by MS-CHAP no digits behind the password arrive",
    ),
    (
        "profile = 'meraki'\nways = ¶['totp', 'sms']\n[sms]\nspool = '/s'",
        "(\"sms\"), but the gear can neither ask for it nor tell them so",
    ),
    (
        "profile = ¶'meraki'\n[voice]\nspool = '/s'",
        "(\"voice\"), but the gear can neither",
    ),
    (
        "profile = 'meraki'\n[[rule]]\ngroup = ¶'cn=meraki_8021x_test,ou=groups,dc=a'\nthen = 'password-only'\n[[rule]]\nthen = 'ask'",
        "is a health check at client \"b\": it is answered before any rule is read",
    ),
    (
        "profile = 'meraki'\ncode = ¶['challenge']",
        "Cisco Meraki client VPN cannot be challenged",
    ),
    (
        "profile = 'openvpn'\nreply-message = ¶'both'",
        "OpenVPN with a RADIUS plugin shows none",
    ),
    (
        "profile = 'ocserv'\nrequire-message-authenticator = ¶true",
        "sends no Message-Authenticator: every request would be discarded",
    ),
    (
        "profile = 'ocserv'\nclass = ¶true",
        "takes Class for groups or policies",
    ),
    (
        "disconnect-secret = ¶'long enough for gear to believe'",
        "`disconnect-secret` has no effect: sessions of this client are not ended.",
    ),
    (
        "disconnect = true\ndisconnect-secret = ¶'short'",
        "12 octets or fewer",
    ),
    (
        "patience = '1s'\n[radius]\nreject-floor = ¶'1s'",
        "but client \"b\" waits 1s",
    ),
];

#[test]
fn what_cannot_work_together_is_warned_of_at_its_place() {
    for (added, said) in DOUBTFUL {
        let marked = format!("{SOUND}{CLIENT}{added}");
        let before = &marked[..marked.find(MARK).unwrap()];
        let line = before.rsplit('\n').next().unwrap();
        let place = (before.matches('\n').count() + 1, line.chars().count() + 1);
        let found = parse_text(&marked.replace(MARK, "")).unwrap().warnings;
        let right =
            |fault: &Fault| (fault.line, fault.column) == place && fault.to_string().contains(said);
        assert!(
            found.iter().any(right),
            "{added}\n  wanted {place:?} {said}\n  got {found:#?}"
        );
    }
}
