//! What the help desk is told: of attempts without a row of their own, under any spelling of a name, in both languages, and of
//! acts that failed.

use std::time::Duration;

use sekisho::account::AttemptId;
use sekisho::clock::{Clock, Timestamp};

use super::control::{SEED, house};
use super::json;
use crate::support::daemon::{Daemon, client, wait};
use crate::support::slapd::{BASE, SERVICE_DN, SERVICE_PASSWORD, Slapd, person};

/// The first number of a moment, in Crockford's base32. Those that this process makes are past those of other tests.
fn first_number_of(moment: Timestamp) -> String {
    const DIGITS: &[u8] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let number = u64::try_from(moment.millis()).unwrap() << 10;
    let digit = |place: u32| usize::try_from(number >> (5 * place) & 31_u64).unwrap();
    (0..10)
        .rev()
        .map(|place| char::from(DIGITS[digit(place)]))
        .collect()
}

/// The number of the newest attempt that the log tells with a reason.
fn attempt(daemon: &Daemon, reason: &str) -> String {
    daemon.wait_log(&format!("({reason})"));
    let log = daemon.log();
    let line = log.lines().rfind(|line| line.contains(reason)).unwrap();
    let (_, number) = line.to_lowercase().split_once("attempt=").map_or_else(
        || panic!("no number: {line}"),
        |(before, number)| (before.to_owned(), number.to_owned()),
    );
    let number = number.split_whitespace().next().unwrap();
    number.to_uppercase()
}

/// What `why` says of a number, once the rows of its minute are written.
fn told(daemon: &Daemon, number: &str, reason: &str) -> String {
    let tag = format!("[{reason}]");
    wait(
        || daemon.cli_ok(&["why", number]).contains(&tag),
        || daemon.cli_ok(&["why", number]),
    );
    daemon.cli_ok(&["why", number])
}

#[test]
fn a_refusal_that_was_counted_is_told_by_its_number() {
    let (mut slapd, daemon) = house();
    assert!(daemon.nas().login("taro", "wrong").rejected());
    assert!(daemon.nas().login("nobody", "wrong").rejected());
    for (reason, name) in [("wrong-password", "taro"), ("unknown-user", "nobody")] {
        let number = attempt(&daemon, reason);
        let said = told(&daemon, &number, reason);
        assert!(said.contains(&format!("campus/{name}")), "{said}");
        let first = said.lines().next().unwrap();
        assert!(
            first.contains(&number) && first.contains("among these"),
            "{said}"
        );
        assert!(first.contains("by minute"), "{said}");
        let japanese = daemon.cli_ok(&["--lang", "ja", "why", &number]);
        assert!(
            japanese.contains("1分ごと") && japanese.contains("含まれています"),
            "{japanese}"
        );
        let rows = json(&daemon.cli_ok(&["--json", "why", &number]));
        assert!(rows["began"].as_i64().is_some(), "{rows}");
    }
    slapd.kill();
    let nas = daemon.nas();
    nas.send(nas.sign(nas.query(b"hanako", b"typed")).octets());
    let number = attempt(&daemon, "directory-unavailable");
    let said = told(&daemon, &number, "directory-unavailable");
    assert!(
        said.contains("among these") && said.contains("not answered"),
        "{said}"
    );
}

#[test]
fn of_a_minute_that_is_no_longer_kept_no_more_is_claimed() {
    let (_slapd, daemon) = house();
    let long_ago = Clock::system()
        .now()
        .before(Duration::from_secs(100 * 24 * 3600));
    let number = first_number_of(long_ago);
    let read = AttemptId::read(&number).unwrap();
    assert_eq!(read.began(Clock::system().now()), long_ago);
    let said = daemon.cli_ok(&["why", &number]);
    assert!(
        said.contains("nothing is known") && said.contains("by minute"),
        "{said}"
    );
    let japanese = daemon.cli_ok(&["--lang", "ja", "why", &number]);
    assert!(japanese.contains("ありません"), "{japanese}");
    for text in [said, daemon.cli_ok(&["why", "somebody"])] {
        assert!(!text.contains("no login reached"), "{text}");
    }
}

/// Two directories with a taro each; only the first answers for names without realm.
fn two_houses() -> (Slapd, Slapd, Daemon) {
    let slapds = ["campus", "guests"].map(|_| Slapd::start(&person("taro", "taro-password")));
    let directory = |name: &str, slapd: &Slapd, more: &str| {
        format!(
            "[directory.{name}]\nservers = [\"{}\"]\nbase = \"{BASE}\"\nbind-dn = \"{SERVICE_DN}\"\n\
             password = \"{SERVICE_PASSWORD}\"\nuser-filter = \"(uid={{user}})\"\n{more}\n",
            slapd.url()
        )
    };
    let [campus, guests] = slapds;
    let both = directory("campus", &campus, "")
        + &directory(
            "guests",
            &guests,
            "realms = [\"guest.example\"]\ndomains = [\"GUEST\"]",
        );
    let reply = "[[reply]]\nclass = [\"members\"]\nvlan = 110\n[[rule]]\nthen = \"ask\"\n";
    let daemon = Daemon::start(&both, &(client("vpn", "code = [\"appended\"]") + reply));
    (campus, guests, daemon)
}

#[test]
fn names_are_typed_as_they_are_printed() {
    let (_campus, _guests, daemon) = two_houses();
    daemon.enrol("taro", SEED);
    daemon.enrol("guests/taro", SEED);
    let listed = daemon.cli_ok(&["user", "list"]);
    for name in ["campus/taro", "guests/taro"] {
        assert!(listed.contains(name), "{listed}");
    }
    let account = |name: &str| {
        let shown = json(&daemon.cli_ok(&["--json", "user", "show", name]));
        shown["account"].as_str().unwrap().to_owned()
    };
    let (campus, guests) = (account("campus/taro"), account("guests/taro"));
    assert_ne!(campus, guests);
    assert_eq!(account("taro"), campus);
    assert_eq!(account("taro@guest.example"), guests);
    assert_eq!(account("GUEST\\taro"), guests);
    let told = daemon.cli_ok(&["why", "guests/taro"]);
    assert!(told.contains("guests/taro"), "{told}");
    assert!(!told.contains("campus/taro"), "{told}");
    for command in [
        &["user", "recovery-codes", "campus/taro"][..],
        &["user", "unlock", "guests/taro"],
        &["user", "reset", "campus/taro"],
        &["user", "list", "--after", "campus/taro"],
        &[
            "explain",
            "--user",
            "campus/taro",
            "--client",
            "vpn",
            "--station",
            "unknown",
        ],
    ] {
        daemon.cli_ok(command);
    }
    assert!(daemon.nas().login("nosuch", "x").rejected());
    wait(
        || {
            daemon
                .cli_ok(&["why", "campus/nosuch"])
                .contains("[unknown-user]")
        },
        || daemon.cli_ok(&["why", "campus/nosuch"]),
    );
    let told = daemon.cli_ok(&["why", "nosuch"]);
    assert!(told.contains("Names: campus/nosuch."), "{told}");
    assert!(!told.contains("typed:"), "{told}");
    let unknown = daemon.cli(&["user", "show", "OTHER\\taro"]);
    let said = String::from_utf8(unknown.stderr).unwrap();
    assert!(
        said.contains("no directory has the domain OTHER") && said.contains("`domains`"),
        "{said}"
    );
}

#[test]
fn an_act_that_failed_is_told_as_one_that_failed() {
    let (_slapd, daemon) = house();
    let refused = daemon.cli(&["backup", "/nonexistent/copy"]);
    assert_eq!(refused.status.code(), Some(1));
    let story = daemon.cli_ok(&["why"]);
    assert!(
        story.contains("tried to copy the store to /nonexistent/copy, failed: "),
        "{story}"
    );
    assert!(!story.contains("copies the store"), "{story}");
    daemon.wait_log("tried to copy the store to /nonexistent/copy, failed: ");
    let japanese = daemon.cli_ok(&["--lang", "ja", "why"]);
    assert!(japanese.contains("コピーしようとして失敗"), "{japanese}");

    let done = daemon.path("copy");
    daemon.cli_ok(&["backup", done.to_str().unwrap()]);
    let story = daemon.cli_ok(&["why"]);
    assert!(story.contains("copies the store to"), "{story}");
}

#[test]
fn an_act_says_about_whom() {
    let (_slapd, daemon) = house();
    daemon.enrol("taro", SEED);
    daemon.cli_ok(&["user", "unlock", "taro"]);
    let everybody = daemon.cli_ok(&["why"]);
    assert!(
        everybody.contains("enrols a TOTP without proof (app) for campus/taro"),
        "{everybody}"
    );
    assert!(
        everybody.contains("unlocks the codes of campus/taro"),
        "{everybody}"
    );
    let japanese = daemon.cli_ok(&["--lang", "ja", "why"]);
    assert!(
        japanese.contains("campus/taro のコードの停止を解除"),
        "{japanese}"
    );
}

#[test]
fn the_desk_reads_japanese() {
    let (mut slapd, daemon) = house();
    daemon.enrol("taro", SEED);
    let english = |text: &str| {
        let words = text.split(|c: char| !c.is_ascii_alphabetic());
        let ours = [
            "groups", "factors", "enrolled", "used", "never", "ready", "writable", "up", "with",
            "called",
        ];
        words
            .filter(|word| ours.contains(word))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    for command in [&["user", "show", "taro"][..], &["status"]] {
        let shown = daemon.cli_ok(&[&["--lang", "ja"], command].concat());
        assert_eq!(english(&shown), [""; 0], "{shown}");
    }
    let failed = |words: &[&str]| {
        let output = daemon.cli(&[&["--lang", "ja"], words].concat());
        assert_eq!(output.status.code(), Some(1), "{words:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let said = failed(&["user", "show", "nobody"]);
    assert!(
        said.contains("nobody という利用者はディレクトリにいません。"),
        "{said}"
    );
    slapd.kill();
    let said = failed(&["user", "show", "hanako"]);
    assert!(said.contains("問い合わせできませんでした"), "{said}");
    let said = failed(&["--socket", "/nonexistent/sock", "status"]);
    assert!(
        said.contains("/nonexistent/sock") && said.contains("ありません"),
        "{said}"
    );
}

#[test]
fn explain_shows_what_an_accept_would_carry() {
    let (_campus, _guests, daemon) = two_houses();
    let asked = [
        "explain",
        "--user",
        "taro",
        "--client",
        "vpn",
        "--station",
        "unknown",
    ];
    let said = daemon.cli_ok(&asked);
    assert!(
        said.contains("Class members") && said.contains("VLAN 110"),
        "{said}"
    );
    assert!(!said.contains("reply-1"), "{said}");
    let elsewhere = [
        "explain",
        "--user",
        "OTHER\\taro",
        "--client",
        "vpn",
        "--station",
        "unknown",
    ];
    let said = String::from_utf8(daemon.cli(&elsewhere).stderr).unwrap();
    assert!(
        said.contains("no directory has the domain OTHER") && said.contains("`domains`"),
        "{said}"
    );
}
