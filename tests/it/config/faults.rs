//! Faulty files, and the place and words of what is said about them.

use proptest::prelude::*;
use sekisho::config::{Fault, parse_text};

use super::SOUND;

/// Marks where a fault is expected.
const MARK: char = '¶';

/// What is added to a sound file, with a mark where the fault is, and a part of what is said there. Without a mark the
/// fault has no place.
const FAULTY: &[(&str, &str)] = &[
    // Keys and kinds.
    (
        "[radius]\n¶listne = 1",
        "`listne` is not known in [radius]. (Did you mean `listen`?)",
    ),
    ("[radius]\n¶in_work = 10", "(Did you mean `in-work`?)"),
    (
        "[¶radios]",
        "`radios` is not known. (Did you mean `radius`?)",
    ),
    (
        "[client.b]\naddress = '192.0.2.9'\nsecret = 'long enough to be one'\n¶zzz = 1",
        "not known in [client.NAME]. (See sekisho.toml(5)",
    ),
    (
        "[client.b]\naddress = '192.0.2.9'\nsecret = 'long enough to be one'\ndisconnect = ¶'gear'",
        "`disconnect`: \"gear\" is no address with a port.",
    ),
    (
        "[client.b]\naddress = '192.0.2.9'\nsecret = 'long enough to be one'\ndisconnect = ¶3799",
        "`disconnect` is given as a number. (Write true, false or text in quotes.)",
    ),
    (
        "[client.b]\naddress = '192.0.2.9'\nsecret = 'long enough to be one'\ndisconnect = ¶'0.0.0.0:3799'",
        "nobody can be asked at 0.0.0.0:3799",
    ),
    (
        "[client.b]\naddress = '192.0.2.9'\nsecret = 'long enough to be one'\ndisconnect = ¶'192.0.2.9:0'",
        "nobody can be asked at 192.0.2.9:0",
    ),
    (
        "[client.b]\ntls-name = ['ap1.example.ac.jp']\ndisconnect = ¶true",
        "`disconnect`: gear is asked by UDP, for which a client by TLS has no secret. (Add disconnect-secret-file",
    ),
    (
        "[radius]\nin-work = ¶\"many\"",
        "`in-work` cannot be \"many\". (Write a number",
    ),
    (
        "[radius]\nin-work = ¶0",
        "`in-work` is out of bounds. (It may be 1 to 65536.)",
    ),
    (
        "[radius]\nin-work = ¶99999999999999999999999",
        "out of bounds",
    ),
    (
        "[radius]\nin-work = 10\nin-work-per-client = ¶11",
        "more than `in-work`",
    ),
    (
        "[radius]\nreceive-buffer = ¶4096",
        "given as a number. (Write a size such as",
    ),
    (
        "[radius]\nreject-floor = ¶\"1h\"",
        "`reject-floor` is out of bounds. (It may be 0s to 5s.)",
    ),
    (
        "[radius]\nreject-floor = ¶1",
        "given as a number. (Write a duration",
    ),
    (
        "[radius]\nstatus-silent-when-down = ¶\"yes\"",
        "(Write true or false.)",
    ),
    // EAP.
    (
        "[¶eap]\nkey-file = '/k'",
        "`certificate-file` is missing. (Add certificate-file = ",
    ),
    (
        "[¶eap]\ncertificate-file = '/c'",
        "`key-file` is missing. (Add key-file = ",
    ),
    (
        "[eap]\ncertificate-file = ¶'c'\nkey-file = '/k'",
        "`certificate-file` does not begin with \"/\"",
    ),
    (
        "[eap]\ncertificate-file = '/c'\nkey-file = '/k'\nmethods = [¶'md5']",
        "`methods` cannot be \"md5\"",
    ),
    (
        "[eap]\ncertificate-file = '/c'\nkey-file = '/k'\nmethods = ¶['ttls', 'tls']",
        "without `client-ca-file` nobody's certificate could be believed",
    ),
    (
        "[eap]\ncertificate-file = '/c'\nkey-file = '/k'\nmethods = ¶['peap']\ninner = ['pap']",
        "In PEAP there is no PAP, and `inner` has nothing else. (Add \"gtc\"",
    ),
    (
        "[eap]\ncertificate-file = '/c'\nkey-file = '/k'\ninner = ¶['pap']",
        "In PEAP there is no PAP",
    ),
    (
        "[eap]\ncertificate-file = '/c'\nkey-file = '/k'\ntls = [¶'1.1']",
        "`tls` cannot be \"1.1\"",
    ),
    (
        "[eap]\ncertificate-file = '/c'\nkey-file = '/k'\nfragment = ¶99",
        "`fragment` is out of bounds. (It may be 100 to 3000.)",
    ),
    (
        "[eap]\ncertificate-file = '/c'\nkey-file = '/k'\nresume-for = ¶'8d'",
        "`resume-for` is out of bounds. (It may be 0s to 7d.)",
    ),
    (
        "[client.b]\naddress = '192.0.2.9'\nsecret = 'long enough to be one'\nsession-timeout = ¶'1m'",
        "`session-timeout` is out of bounds. (It may be 5m to 7d.)",
    ),
    ("[radius]\nlisten = ¶[]", "`listen` is an empty list"),
    ("[radius]\nlisten = [¶\"1812\"]", "no address with a port"),
    (
        "[radius]\nlisten = ['[::]:1812', ¶'[::]:1812']",
        "already listened on",
    ),
    (
        "[metrics]\nlisten = ¶'0.0.0.0:9812'",
        "only a loopback address",
    ),
    (
        "[log]\nlevel = ¶'inf'",
        "`level` cannot be \"inf\". (Did you mean \"info\"?)",
    ),
    ("[store]\nfolder = ¶'var/lib'", "does not begin with \"/\""),
    (
        "[limits]\npassword-delay = ¶'30s'\nlongest-password-delay = '10s'",
        "longer than `longest-password-delay`",
    ),
    // Directories.
    (
        "[directory.b]\nbase = 'dc=b'\nservers = [¶'ldap.example']",
        "no address of a directory server",
    ),
    (
        "[directory.b]\nbase = 'dc=b'\nservers = [¶'ldap://ldap.example']\nstart-tls = false",
        "in the clear",
    ),
    ("[directory.¶b]\nservers = 'ldaps://b'", "`base` is missing"),
    ("[directory.¶b]\nbase = 'dc=b'", "`servers` is missing"),
    (
        "[directory.b]\nservers = 'ldaps://b'\nbase = ¶'people'",
        "\"people\" is no DN",
    ),
    (
        "[directory.b]\nservers = 'ldaps://b'\nbase = 'dc=b'\nuser-filter = ¶'(uid=taro)'",
        "no {user}",
    ),
    (
        "[directory.b]\nservers = 'ldaps://b'\nbase = 'dc=b'\nuser-filter = ¶'(uid={user}'",
        "no filter",
    ),
    (
        "[directory.¶b]\nservers = 'ldaps://b'\nbase = 'dc=b'\nbind-dn = 'cn=s'",
        "`password-file` is missing",
    ),
    (
        "[directory.b]\nservers = 'ldaps://b'\nbase = 'dc=b'\nremember = ¶'2m'",
        "(It may be 0s to 1m.)",
    ),
    (
        "[directory.b]\nservers = 'ldaps://b'\nbase = 'dc=b'\ngroups = ¶'memberof'",
        "(Did you mean \"member-of\"?)",
    ),
    (
        "[directory.b]\nservers = 'ldaps://b'\nbase = 'dc=b'\nrealms = ['B', ¶'b']",
        "already in `realms`",
    ),
    // Clients.
    (
        "[client.b]\nsecret = 'long enough to be one'\naddress = ¶'192.0.2.10'",
        "already the address of a client, in line 6",
    ),
    (
        "[client.b]\nsecret = 'long enough to be one'\naddress = ¶'::ffff:192.0.2.10'",
        "192.0.2.10/32 is already the address",
    ),
    (
        "[client.b]\nsecret = 'long enough to be one'\naddress = ¶'0.0.0.0/0'",
        "very wide",
    ),
    (
        "[client.b]\nsecret = 'long enough to be one'\naddress = ¶'2001:db8::/64'",
        "very wide",
    ),
    (
        "[client.b]\nsecret = 'long enough to be one'\naddress = ¶'192.0.2.10/24'",
        "inside a network. (Write \"192.0.2.0/24\"",
    ),
    (
        "[client.b]\nsecret = 'long enough to be one'\naddress = ¶'vpn.example'",
        "neither an address nor a network",
    ),
    (
        "[client.¶b]\naddress = '192.0.2.9'",
        "`secret-file` is missing",
    ),
    (
        "[client.b]\naddress = '192.0.2.9'\nsecret = ¶''",
        "`secret` is empty",
    ),
    (
        "[client.b]\naddress = '192.0.2.9'\nsecret = 'abc'\nsecret-file = ¶'/x'",
        "Only one of `secret` and `secret-file`",
    ),
    (
        "[client.b]\naddress = '192.0.2.9'\nsecret-file = ¶'x'",
        "no whole path",
    ),
    (
        "[client.b]\naddress = '192.0.2.9'\nsecret = 'long enough to be one'\nprofile = ¶'fortigat'",
        "`profile` cannot be \"fortigat\". (Did you mean \"fortigate\"?)",
    ),
    (
        "[client.b]\naddress = '192.0.2.9'\nsecret = 'long enough to be one'\npush = [¶'show']",
        "`push` cannot be \"show\". (Did you mean \"shown\"?)",
    ),
    (
        "[client.b]\naddress = '192.0.2.9'\nsecret = 'long enough to be one'\nprobes = ['probe', ¶'*']",
        "`probes`: \"*\" tells no health check from people. (Write a name",
    ),
    (
        "[client.b]\naddress = '192.0.2.9'\nsecret = 'long enough to be one'\npair = ¶'5s'",
        "(It may be 10s to 5m.)",
    ),
    (
        "[client.b]\naddress = '192.0.2.9'\nsecret = 'long enough to be one'\nstation = [¶'NAS-IP-Address']",
        "names the NAS",
    ),
    (
        "[client.b]\naddress = '192.0.2.9'\nsecret = 'long enough to be one'\nstation = [¶'Calling-Station-ID']",
        "(Did you mean \"Calling-Station-Id\"?)",
    ),
    (
        "[client.b]\naddress = '192.0.2.9'\nsecret = 'long enough to be one'\ncode = ¶[]",
        "`code` is an empty list",
    ),
    (
        "[client.b]\naddress = '192.0.2.9'\nsecret = 'long enough to be one'\ndelimiter = ¶'7'",
        "neither letter nor digit",
    ),
    (
        "[client.b]\naddress = '192.0.2.9'\nsecret = 'long enough to be one'\npatience = ¶'0s'",
        "(It may be 1s to 5m.)",
    ),
    // Zones, rules, replies.
    (
        "[zone.¶outside]\nnetworks = '203.0.113.0/24'",
        "everybody in no other zone",
    ),
    ("[zone.campus]\nnetworks = ¶[]", "is an empty list"),
    (
        "[[rule]]\nzone = ¶'campsu'\nthen = 'ask'\n[zone.campus]\nnetworks = '203.0.113.0/24'",
        "There is no zone \"campsu\". (Did you mean \"campus\"?)",
    ),
    (
        "[[rule]]\nclient = ¶'vnp'\nthen = 'ask'",
        "There is no client \"vnp\". (Did you mean \"vpn\"?)",
    ),
    (
        "[[rule]]\ngroup = ¶'staff'\nthen = 'ask'",
        "\"staff\" is no DN",
    ),
    (
        "[[rule]]\nthen = ¶'password'",
        "`then` cannot be \"password\"",
    ),
    (
        "[[rule]]\nthen = 'ask'\nbefore = ¶'password-only'",
        "`before` without `from`",
    ),
    (
        "[[rule]]\nthen = 'ask'\nfrom = ¶2024-02-03T00:00:00",
        "(Write a date and time with its offset",
    ),
    ("[login]\nalways-ask = [¶'staff']", "\"staff\" is no DN"),
    ("[[reply]]\nvlan = ¶5000", "(It may be 1 to 4094.)"),
    (
        "[[reply]]\nvendor = [¶{ vendor = 9, type = 1 }]",
        "exactly one of",
    ),
    (
        "[[reply]]\nvendor = [{ vendor = 9, type = 1, hex = ¶'0g' }]",
        "hexadecimal",
    ),
    // Gateways.
    (
        "[sms]\npreset = ¶'twillio'",
        "There is no preset \"twillio\" for [sms]",
    ),
    (
        "[¶sms]\npreset = 'twilio'\nuser = 'u'\npassword = 'p4ssw0rd-long'\nfrom = '+1'",
        "`account` is missing",
    ),
    (
        "[sms]\nurl = ¶'http://sms.example/{{to}}/{{text}}'",
        "in the clear",
    ),
    (
        "[¶sms]\nurl = 'https://sms.example/{{to}}'",
        "{{text}} occurs nowhere",
    ),
    (
        "[sms]\nspool = '/s'\ncountries = [¶'81']",
        "no prefix of a country",
    ),
    (
        "[sms]\nurl = 'https://sms.example/{{to}}/{{text}}'\npassword = ¶'p4ssw0rd-long'",
        "no effect with this `auth`",
    ),
    (
        "[sms]\nspool = ¶'/s'\n[[sms.gateway]]\nspool = '/t'",
        "beside [[sms.gateway]]",
    ),
    // No TOML at all.
    ("[radius]\nlisten = ¶", "This is no TOML"),
];

fn faults(text: &str) -> Vec<Fault> {
    parse_text(text).err().unwrap_or_default()
}

#[test]
fn each_fault_is_said_at_its_place() {
    judge(FAULTY);
}

/// Each addition to a sound file has one fault, where the mark is and with the words beside it.
pub(super) fn judge(faulty: &[(&str, &str)]) {
    let mut wrong = Vec::new();
    for (added, said) in faulty {
        let marked = format!("{SOUND}{added}");
        let place = marked.find(MARK).map(|at| {
            let before = &marked[..at];
            let line = before.rsplit('\n').next().unwrap();
            (before.matches('\n').count() + 1, line.chars().count() + 1)
        });
        let found = faults(&marked.replace(MARK, ""));
        let place = place.unwrap_or((0, 0));
        let right = matches!(found.as_slice(), [fault]
            if (fault.line, fault.column) == place && fault.to_string().contains(said));
        if !right {
            wrong.push(format!(
                "{added}\n  wanted {place:?} {said}\n  got {found:#?}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn all_faults_are_said_at_once() {
    let found = faults(
        "[radius]\nlisten = 1\nin-work = 0\n[log]\nlevel = 'x'\n[client.a]\naddres = '192.0.2.1'\n[[rule]]\nzone = 'z'\n",
    );
    let lines: Vec<usize> = found.iter().map(|fault| fault.line).collect();
    assert_eq!(lines, [0, 2, 3, 5, 6, 6, 7, 8, 9], "{found:#?}");
    assert!(found[0].what.contains("no directory"));
}

#[test]
fn several_faults_of_the_notation_are_said_at_once() {
    let found = faults("[radius\nin-work = = 1\n[log]\nlevel = 'info'\nto = 'auto\n");
    assert!(found.len() >= 2, "{found:#?}");
    assert!(
        found
            .iter()
            .all(|fault| fault.what.starts_with("This is no TOML"))
    );
}

#[test]
fn a_file_of_nothing_lacks_directory_and_client() {
    let found = faults("");
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(found.iter().all(|fault| fault.line == 0));
}

#[test]
fn a_fault_reads_as_a_line_that_editors_understand() {
    let found = faults(&format!("{SOUND}[log]\nlevel = 'x'"));
    let mut fault = found[0].clone();
    fault.file = "/etc/sekisho/sekisho.toml".into();
    assert_eq!(
        fault.to_string(),
        "/etc/sekisho/sekisho.toml:10:9: `level` cannot be \"x\". (Write \"error\", \"warn\", \"info\" or \"debug\".)"
    );
    fault.line = 0;
    assert!(
        fault
            .to_string()
            .starts_with("/etc/sekisho/sekisho.toml: `level`")
    );
}

#[test]
fn no_fault_shows_a_secret() {
    let text = "[client.a]\naddress = '192.0.2.1'\nsecret-file = 'hunter2-hunter2'\n\
        [client.b]\naddress = '192.0.2.2'\nsecrt = 'hunter2-hunter2'\n\
        [client.c]\naddress = '192.0.2.3'\nsecret = ['hunter2-hunter2']\n\
        [client.d]\naddress = '192.0.2.4'\nsecret-credential = '../hunter2-hunter2'\n";
    let found = faults(text);
    assert!(found.len() >= 5, "{found:#?}");
    assert!(!format!("{found:?}").contains("hunter2"), "{found:#?}");
}

/// What is added to a sound file, and a part of the warning.
const DOUBTFUL: &[(&str, &str)] = &[
    (
        "[directory.b]\nservers = 'ldaps://b'\nbase = 'dc=b'\ngroups = 'none'\n[login]\nalways-ask = 'cn=staff,dc=b'",
        "nobody of it is a member",
    ),
    (
        "[[rule]]\nclient = 'vpn'\nthen = 'ask'",
        "The last rule has a condition",
    ),
    ("[[rule]]\nthen = 'password-only'", "lets everybody in"),
    (
        "[[rule]]\nthen = 'ask'\n[[rule]]\nthen = 'ask'",
        "never reached",
    ),
    (
        "[client.b]\naddress = '192.0.2.9'\nsecret = 'short'",
        "12 octets or fewer",
    ),
    (
        "[client.b]\naddress = '192.0.2.9'\nsecret = 'Testing123'",
        "stands in examples",
    ),
    (
        "[client.b]\naddress = '192.0.2.9'\nsecret = 'long enough to be one'\nways = ['sms']",
        "no gateway",
    ),
    (
        "[client.b]\naddress = '192.0.2.9'\nsecret = 'long enough to be one'\ndelimiter = ';'",
        "no effect",
    ),
    (
        "[client.b]\naddress = '192.0.2.9'\nsecret = 'long enough to be one'\n[[rule]]\nzone = 'outside'\nthen = 'ask'\n[[rule]]\nthen = 'ask'",
        "count as outside",
    ),
    (
        "[directory.b]\nservers = 'ldap://b'\nbase = 'dc=b'\nstart-tls = false\nallow-clear-text = true",
        "in the clear",
    ),
    ("[[reply]]\nclient = 'vpn'", "holds no attribute"),
];

#[test]
fn what_may_be_a_slip_is_warned_of() {
    assert_eq!(parse_text(SOUND).unwrap().warnings, []);
    for (added, said) in DOUBTFUL {
        let settings = parse_text(&format!("{SOUND}{added}")).unwrap();
        let found = &settings.warnings;
        assert!(
            found.iter().any(|fault| fault.what.contains(said)),
            "{added}\n{found:#?}"
        );
    }
}

proptest! {
    #[test]
    fn no_text_is_too_much(text in ".{0,300}") {
        let _ = parse_text(&text).is_ok();
    }

    #[test]
    fn no_mixture_of_words_is_too_much(words in prop::collection::vec(prop::sample::select(WORDS), 0..40)) {
        let _ = parse_text(&words.concat()).is_ok();
    }
}

/// What files are made of, so that random ones come beyond the notation.
const WORDS: &[&str] = &[
    "[radius]\n",
    "[client.a]\n",
    "[directory.a]\n",
    "[[rule]]\n",
    "[[reply]]\n",
    "[sms]\n",
    "[[sms.gateway]]\n",
    "[zone.a]\n",
    "[login]\n",
    "listen = ",
    "address = ",
    "secret = ",
    "vendor = ",
    "group = ",
    "then = ",
    "from = ",
    "preset = ",
    "url = ",
    "json = ",
    "vlan = ",
    "station = ",
    "servers = ",
    "base = ",
    "user-filter = ",
    "\"\"\n",
    "\"twilio\"\n",
    "\"{{to}}\"\n",
    "[1, \"a\", {}]\n",
    "[{ vendor = 9, type = 1, hex = 'ff' }]\n",
    "{ a.b = 1 }\n",
    "-9223372036854775808\n",
    "1e400\n",
    "2024-02-03T00:00:00Z\n",
    "\"::/0\"\n",
    "\"ldap://[::1]:389\"\n",
    "\"é\\u0000\"\n",
    "'(uid={user})'\n",
    "'cn=\\,'\n",
    "nan\n",
    "true\n",
];
