//! The commands against a running daemon with a real directory, and its control socket as a stranger or a broken script
//! meets it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use sekisho::control::{Answer, Ask, Caller};

use super::{json, write};
use crate::support::daemon::{Daemon, client, code, mode};
use crate::support::slapd::{BASE, SERVICE_DN, SERVICE_PASSWORD, Slapd, person, person_with};

/// Base32 of a seed.
pub(super) const SEED: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

/// A directory with taro and 花子, and a daemon with one client.
pub(super) fn house() -> (Slapd, Daemon) {
    house_with(
        "code = [\"appended\", \"challenge\"]\nstation = [\"Calling-Station-Id\"]\n\
         label = { ja = \"VPN(学外接続)\", en = \"The VPN\" }",
    )
}

/// The same, with these keys of the client.
pub(super) fn house_with(vpn: &str) -> (Slapd, Daemon) {
    let people = person_with("taro", "taro-password", &["mobile: 090-1234-5678"])
        + &person("花子", "花子の合言葉");
    let slapd = Slapd::start(&people);
    let directory = format!(
        "[directory.campus]\nservers = [\"{}\"]\nbase = \"{BASE}\"\nbind-dn = \"{SERVICE_DN}\"\n\
         password = \"{SERVICE_PASSWORD}\"\nuser-filter = \"(uid={{user}})\"\nphone = \"mobile\"\n",
        slapd.url()
    );
    let daemon = Daemon::start(&directory, &client("vpn", vpn));
    (slapd, daemon)
}

fn call(daemon: &Daemon) -> UnixStream {
    let stream = UnixStream::connect(daemon.path("control.sock")).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    stream
}

/// Sends octets and reads what is answered until the daemon closes, or a line is there.
fn exchange(daemon: &Daemon, octets: &[u8]) -> String {
    let mut stream = call(daemon);
    // The daemon may close before it has read all.
    let _closed = stream.write_all(octets);
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    line
}

#[test]
fn a_totp_counts_only_when_a_code_has_proven_it() {
    let (_slapd, daemon) = house();
    let seed = write(daemon.path("state").parent().unwrap(), "seed", SEED);
    let seed = seed.to_str().unwrap();
    let wrong = daemon.cli(&[
        "user",
        "enrol-totp",
        "taro",
        "--secret-file",
        seed,
        "--code",
        "000000",
    ]);
    assert_eq!(wrong.status.code(), Some(1));
    let none = json(&daemon.cli_ok(&["--json", "user", "show", "taro"]));
    assert_eq!(none["factors"], serde_json::json!([]));

    let input = format!("000000\n{}\n", code(SEED, 0));
    let typed = daemon.cli_with_input(
        &["user", "enrol-totp", "taro", "--secret-file", seed],
        &input,
    );
    let said = String::from_utf8(typed.stdout).unwrap();
    assert!(typed.status.success() && said.contains("4 tries"), "{said}");
    assert!(
        !said.contains("otpauth"),
        "a token's secret is not shown again: {said}"
    );

    let shown = json(&daemon.cli_ok(&["--json", "user", "show", "TARO "]));
    assert_eq!(shown["factors"][0]["kind"], "totp");
    assert_eq!(shown["factors"][0]["proven"], true);
    assert_eq!(shown["phones"][0], "090-1234-5678", "root sees it whole");
    let log = daemon.log();
    assert!(!log.contains("5678"), "the log has no number: {log}");
    let used = daemon
        .nas()
        .login("taro", &format!("taro-password{}", code(SEED, 0)));
    assert!(!used.accepted(), "the code that proved it is used");
}

#[test]
fn a_code_is_drawn_and_its_address_names_issuer_and_user() {
    let (_slapd, daemon) = house();
    let shown = daemon.cli_ok(&[
        "user",
        "enrol-totp",
        "花子",
        "--label",
        "電話",
        "--unproven",
    ]);
    assert!(shown.contains("█") && shown.contains("▄"), "{shown}");
    assert!(
        shown.contains("otpauth://totp/") && shown.contains("%E8%8A%B1%E5%AD%90"),
        "{shown}"
    );
    assert!(shown.contains("No code has proven it."), "{shown}");
    let list = json(&daemon.cli_ok(&["--json", "user", "list"]));
    assert_eq!(list["accounts"][0]["name"], "campus/花子");
    assert_eq!(list["accounts"][0]["factors"][0]["label"], "電話");
}

#[test]
fn people_are_shown_unlocked_reset_and_every_act_is_told() {
    let (_slapd, daemon) = house();
    daemon.enrol("taro", SEED);
    let codes = json(&daemon.cli_ok(&["--json", "user", "recovery-codes", "taro"]));
    assert_eq!(codes["codes"].as_array().unwrap().len(), 10);
    let first = codes["codes"][0].as_str().unwrap();
    let challenge = daemon.nas().login("taro", "taro-password");
    assert!(challenge.challenged(), "{}", daemon.log());
    assert!(daemon.nas().respond("taro", &challenge, first).accepted());

    let shown = json(&daemon.cli_ok(&["--json", "user", "show", "taro"]));
    let totp = shown["factors"][0]["id"].to_string();
    daemon.cli_ok(&["user", "remove", "taro", &totp]);
    assert_eq!(
        daemon.cli(&["user", "remove", "taro", &totp]).status.code(),
        Some(1)
    );
    daemon.cli_ok(&["user", "unlock", "taro"]);
    let reset = json(&daemon.cli_ok(&["--json", "user", "reset", "taro"]));
    assert_eq!(reset["done"], "reset");
    assert!(reset["factors"].as_u64().unwrap() >= 1);

    let story = daemon.cli_ok(&["why", "taro"]);
    for what in [
        "enrols a TOTP",
        "makes new recovery codes",
        "removes factor",
        "unlocks",
        "every factor",
    ] {
        assert!(story.contains(what), "{what}: {story}");
    }
    assert!(
        story.contains("Password and second factor were right."),
        "{story}"
    );
    assert!(!story.contains(first) && !story.contains(SEED), "{story}");
    let japanese = daemon.cli_ok(&["why", "taro", "--lang", "ja"]);
    assert!(japanese.contains("どちらも正しいものでした"), "{japanese}");
    assert_eq!(
        daemon.cli(&["user", "show", "nobody"]).status.code(),
        Some(1)
    );
}

#[test]
fn a_login_is_tried_with_a_borrowed_client_and_told_by_its_number() {
    let (_slapd, daemon) = house();
    daemon.enrol("taro", SEED);
    let arguments = [
        "try",
        "taro",
        "--station",
        "203.0.113.5",
        "--password",
        "taro-password",
    ];
    let code = code(SEED, 0);
    let with_code = [&arguments[..], &["--code", &code]].concat();
    let tried = daemon.cli_ok(&with_code);
    assert!(
        tried.contains("Access-Accept") && tried.contains("203.0.113.5"),
        "{tried}"
    );
    assert!(
        !tried.contains("taro-password") && !tried.contains(&code),
        "{tried}"
    );

    let asked = daemon.cli_with_input(
        &arguments,
        "000000\n000000\n000000\n000000\n000000\n000000\n",
    );
    let said = String::from_utf8(asked.stdout).unwrap();
    assert_eq!(asked.status.code(), Some(1), "{said}");
    assert!(
        said.contains("Access-Challenge") && said.contains("Reply-Message"),
        "{said}"
    );
    assert!(said.contains("Rejected."), "{said}");

    let wrong = daemon.cli(&[
        "--json",
        "try",
        "taro",
        "--password",
        "wrong",
        "--client",
        "vpn",
    ]);
    let wrong = json(&String::from_utf8(wrong.stdout).unwrap());
    assert_eq!(wrong["accepted"], false);
    assert_eq!(wrong["exchanges"][0]["reply"]["code"], "Access-Reject");
    assert_eq!(
        daemon
            .cli(&["try", "taro", "--password", "x", "--client", "none"])
            .status
            .code(),
        Some(1)
    );

    let rows = json(&daemon.cli_ok(&["--json", "why", "taro"]));
    let decided = rows["rows"]
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["outcome"] == "accept");
    let number = decided.unwrap()["attempt"].as_str().unwrap();
    let told = daemon.cli_ok(&["why", &number.to_lowercase()]);
    assert!(told.contains(number) && told.contains("accepted"), "{told}");
}

#[test]
fn the_daemon_tells_of_itself_and_of_its_clients() {
    let (_slapd, daemon) = house();
    let status = json(&daemon.cli_ok(&["--json", "status"]));
    assert_eq!(status["ready"], true);
    assert_eq!(status["addresses"][0], daemon.radius.to_string());
    assert_eq!(status["store"]["writable"], true);
    assert!(daemon.nas().login("taro", "wrong").rejected());
    let clients = json(&daemon.cli_ok(&["--json", "client", "list"]));
    assert_eq!(clients["clients"][0]["client"]["name"], "vpn");
    for (language, label) in [("en", "The VPN"), ("ja", "VPN(学外接続)")] {
        let listed = daemon.cli_ok(&["--lang", language, "client", "list"]);
        assert!(listed.contains(label), "{listed}");
    }
    assert_eq!(clients["clients"][0]["seen"][0]["nas"], "127.0.0.1");
    assert_eq!(clients["clients"][0]["seen"][0]["signed"], 1);
    let would = [
        "--json",
        "explain",
        "--user",
        "taro",
        "--client",
        "vpn",
        "--station",
        "203.0.113.5",
    ];
    let explained = json(&daemon.cli_ok(&would));
    assert!(
        explained["rule"]
            .as_str()
            .unwrap()
            .contains("no rule matched")
    );
    daemon.cli_ok(&["reload"]);
}

#[test]
fn a_backup_comes_back_with_the_key_it_was_made_under() {
    let (_slapd, mut daemon) = house();
    daemon.enrol("taro", SEED);
    let copy = daemon.path("copy");
    let copy = copy.to_str().unwrap();
    daemon.cli_ok(&["backup", copy]);
    assert_eq!(mode(std::path::Path::new(copy)), 0o600);
    assert_eq!(
        daemon.cli(&["backup", copy]).status.code(),
        Some(1),
        "an existing file is kept"
    );
    assert_eq!(
        daemon.cli(&["restore", copy]).status.code(),
        Some(1),
        "the daemon runs"
    );
    daemon.cli_ok(&["user", "reset", "taro"]);
    let old = daemon.path("old.key");
    std::fs::copy(daemon.path("master.key"), &old).unwrap();
    daemon.cli_ok(&["key", "rotate"]);
    daemon.stop();
    let no_key = write(
        daemon.path("state").parent().unwrap(),
        "no.key",
        "no key at all",
    );
    for key_file in [&no_key, &daemon.path("missing.key")] {
        let key_file = key_file.to_str().unwrap();
        let refused = daemon.cli(&["restore", copy, "--key-file", key_file]);
        assert_eq!(refused.status.code(), Some(1), "{key_file}");
    }
    let newer = daemon.cli(&["restore", copy]);
    assert_eq!(newer.status.code(), Some(1), "made under the old key");

    let said = daemon.cli_ok(&["restore", copy, "--key-file", old.to_str().unwrap()]);
    assert!(said.contains("master.key"), "{said}");
    std::fs::rename(&old, daemon.path("master.key")).unwrap();
    daemon.run();
    let shown = json(&daemon.cli_ok(&["--json", "user", "show", "taro"]));
    assert_eq!(shown["factors"][0]["kind"], "totp");
}

#[test]
fn what_is_no_ask_is_refused_and_the_next_is_served() {
    let (_slapd, daemon) = house();
    let long = [&vec![b'x'; 70 * 1024][..], b"\n"].concat();
    for octets in [
        &b"garbage\n"[..],
        b"{\"ask\":\"shutdown\"}\n",
        b"[]\n",
        b"\xff\xfe\n",
        b"\n",
        &long,
    ] {
        let answer = json(&exchange(&daemon, octets));
        assert_eq!(
            answer["answer"],
            "refused",
            "{:?}",
            &octets[..octets.len().min(20)]
        );
    }
    let mut half = call(&daemon);
    half.write_all(b"{\"ask\":\"sta").unwrap();
    half.shutdown(Shutdown::Write).unwrap();
    let mut nothing = String::new();
    half.read_to_string(&mut nothing).unwrap();
    assert_eq!(nothing, "", "half a line is no ask");
    let answer = json(&exchange(
        &daemon,
        b"{\"ask\":\"prove\",\"code\":\"000000\"}\n",
    ));
    assert_eq!(
        answer["answer"], "refused",
        "nothing was begun on this connection"
    );
    assert_eq!(
        json(&exchange(&daemon, b"{\"ask\":\"status\"}\n"))["answer"],
        "status"
    );
}

#[test]
fn strangers_are_refused_even_where_they_can_open_the_socket() {
    let (_slapd, daemon) = house();
    let socket = daemon.path("control.sock");
    assert_eq!(mode(&socket), 0o660);
    let folder = socket.parent().unwrap();
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o711)).unwrap();
    let as_nobody = || {
        Command::new("setpriv")
            .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
            .arg(env!("CARGO_BIN_EXE_sekisho"))
            .args(["--json", "--socket", socket.to_str().unwrap(), "status"])
            .stdin(Stdio::null())
            .output()
            .unwrap()
    };
    let closed = as_nobody();
    assert_eq!(closed.status.code(), Some(1));
    std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o666)).unwrap();
    let refused = as_nobody();
    let said = String::from_utf8(refused.stdout).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(
        json(&said)["error"].as_str().unwrap().contains("Only root"),
        "{said}"
    );
    let story = daemon.cli_ok(&["why"]);
    assert!(
        story.contains("65534") && story.contains("was refused"),
        "{story}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn several_trials_within_a_minute_do_not_meet() {
    let (_slapd, daemon) = house();
    let mut addresses = std::collections::HashSet::new();
    for _ in 0..14 {
        let mut caller = Caller::connect(&daemon.path("control.sock")).await.unwrap();
        match caller
            .ask(&Ask::Lend {
                client: None,
                seconds: 0,
            })
            .await
            .unwrap()
        {
            Answer::Lent(lent) => assert!(addresses.insert(lent.from), "{} twice", lent.from),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_probe_tells_what_answers_and_what_does_not() {
    let (mut slapd, daemon) = house();
    let seen = json(&daemon.cli_ok(&["--json", "check", "--probe"]));
    let parts = seen["probed"].as_array().unwrap();
    assert_eq!(parts.len(), 2, "store and directory: {seen}");
    assert!(parts.iter().all(|part| part["fault"].is_null()), "{seen}");
    assert!(daemon.cli_ok(&["check", "--probe"]).contains("answers"));
    slapd.kill();
    let failed = daemon.cli(&["check", "--probe"]);
    let said = String::from_utf8(failed.stdout).unwrap();
    assert_eq!(failed.status.code(), Some(1), "{said}");
    let directory = said.lines().find(|line| line.contains("directory campus"));
    let fails = |line: &str| line.contains("fails:") && line.contains("refused");
    assert!(directory.is_some_and(fails), "{said}");
}
