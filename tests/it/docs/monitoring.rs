//! What is written about metrics is what the daemon shows, and alerts and dashboard know no other.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::Arc;

use sekisho::account::{
    AccountId, AttemptId, ClientName, Decision, Durations, FactorKind, Outcome, Reason, Station,
};
use sekisho::clock::{Clock, Timestamp};
use sekisho::telemetry::{Closed, Discard, LogTo, SessionOf, Settings, Telemetry};

use super::{read, root};

const RULES: &str = "config/monitoring/sekisho.rules.yml";
/// When the alerts fire.
const WHEN: &str = "tests/it/docs/alerts.yml";
const DASHBOARD: &str = "config/monitoring/grafana.json";

/// Every metric with something in it, as the page shows it.
fn page() -> String {
    let settings = Settings {
        metrics: None,
        log: LogTo::Stderr,
        level: sekisho::telemetry::Level::Error,
    };
    let telemetry = Telemetry::start(&settings, Clock::system());
    let client = ClientName::new("vpn");
    let decision = Decision {
        attempt: AttemptId::new(Timestamp::from_millis(1)),
        at: Timestamp::from_secs(1_700_000_000),
        account: None,
        name: "campus/taro".into(),
        client: client.clone(),
        nas: "192.0.2.1".parse().unwrap(),
        station: Station::read("203.0.113.5"),
        station_from: None,
        zone: None,
        rule: None,
        factor: Some(FactorKind::Totp),
        outcome: Outcome::Accept,
        reason: Reason::Proven,
        directory: None,
        durations: Durations::default(),
        note: None,
    };
    telemetry.decision(&Arc::new(decision));
    let from = "192.0.2.1:5000".parse().unwrap();
    telemetry.discard(Discard::Full, from, Some(&client), "full");
    telemetry.retransmission(&client, "192.0.2.1".parse().unwrap(), 1000);
    telemetry.health("store", "store", true);
    telemetry.certificates(&[("portal", Timestamp::from_secs(1_900_000_000))]);
    telemetry.closed_connection(Closed::Broken, from, Some(&client), "broken");
    let attempt = AttemptId::new(Timestamp::from_millis(1));
    let session = SessionOf {
        account: &AccountId::new("campus", "1"),
        attempt: &attempt,
        name: "taro",
        session: "1",
        client: &client,
        nas: "192.0.2.1".parse().unwrap(),
        station: &Station::Unknown,
    };
    telemetry.session_end(&session, "reported", "ended");
    telemetry.render()
}

/// The metrics that the page shows, by the name of a sample, each with the names of its labels.
fn shown() -> BTreeMap<String, BTreeSet<String>> {
    let mut shown: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in page().lines().filter(|line| !line.starts_with('#')) {
        let (series, _) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let name = ["_bucket", "_sum", "_count"]
            .into_iter()
            .find_map(|end| name.strip_suffix(end))
            .unwrap_or(name);
        let labels = labels
            .split("\",")
            .filter_map(|label| label.split_once("=\""));
        let labels = labels
            .map(|(label, _)| label.to_owned())
            .filter(|label| label != "le");
        shown.entry(name.to_owned()).or_default().extend(labels);
    }
    shown
}

/// The words of a text that begin as our metrics do.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let words = words.filter(|word| word.starts_with("sekisho_") && word.len() > "sekisho_".len());
    let bare = |word: &str| {
        let end = ["_bucket", "_sum", "_count"].into_iter();
        let mut bare = end.filter_map(|end| word.strip_suffix(end));
        bare.next().unwrap_or(word).to_owned()
    };
    words.map(bare).collect()
}

#[test]
fn the_manual_lists_every_metric_with_its_labels_and_no_other() {
    let mut told: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in read("docs/monitoring.md").lines() {
        let cells: Vec<&str> = line.split(" | ").collect();
        let Some(name) = cells[0].strip_prefix("| `sekisho_") else {
            continue;
        };
        let name = format!("sekisho_{}", name.trim_end_matches('`'));
        let labels = cells[2].split('`').skip(1).step_by(2).map(str::to_owned);
        assert!(told.insert(name, labels.collect()).is_none(), "{line}");
    }
    assert_eq!(told, shown());
}

#[test]
fn the_manual_names_every_reason_of_a_discard() {
    let text = read("docs/monitoring.md");
    let (_, row) = text
        .split_once("| `sekisho_discarded_packets_total` |")
        .unwrap();
    let row = row.lines().next().unwrap();
    for discard in [
        Discard::Malformed,
        Discard::UnknownClient,
        Discard::Unsigned,
        Discard::WrongSignature,
        Discard::InWork,
        Discard::Full,
        Discard::Undecided,
        Discard::NotStored,
        Discard::StatusFlood,
        Discard::Panicked,
    ] {
        assert!(row.contains(discard.as_str()), "{}", discard.as_str());
    }
}

#[test]
fn alerts_and_dashboard_ask_for_metrics_that_exist() {
    let shown: BTreeSet<String> = shown().into_keys().collect();
    for file in [RULES, DASHBOARD] {
        let named = named(&read(file));
        assert!(named.len() > 6, "{file}: {named:?}");
        let strange: Vec<_> = named.difference(&shown).collect();
        assert!(strange.is_empty(), "{file}: {strange:?}");
    }
    let dashboard = named(&read(DASHBOARD));
    let missing: Vec<_> = shown.difference(&dashboard).collect();
    assert!(missing.is_empty(), "not on the dashboard: {missing:?}");
}

#[test]
fn alerts_and_dashboard_ask_for_words_that_are_said() {
    let reasons = Reason::ALL.iter().map(|reason| reason.as_str());
    let discards = ["full", "wrong-signature", "unsigned"];
    let outcomes = ["accept", "reject", "undecided"];
    let known: BTreeSet<&str> = reasons
        .chain(discards)
        .chain(outcomes)
        .chain(["directory", "store", "sekisho"])
        .collect();
    for file in [RULES, DASHBOARD] {
        let text = read(file).replace("\\\"", "\"");
        for label in ["reason", "outcome", "part", "job"] {
            for operator in ["=\"", "=~\""] {
                for part in text.split(&format!("{label}{operator}")).skip(1) {
                    let words = part.split('"').next().unwrap();
                    for word in words.split('|') {
                        assert!(known.contains(word), "{file}: {label} {word}");
                    }
                }
            }
        }
    }
}

#[test]
fn the_dashboard_is_json_whose_panels_do_not_overlap() {
    let dashboard: serde_json::Value = serde_json::from_str(&read(DASHBOARD)).unwrap();
    let mut taken = BTreeSet::new();
    let mut ids = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        assert!(ids.insert(panel["id"].as_u64().unwrap()));
        assert!(!panel["targets"].as_array().unwrap().is_empty());
        let at = |key: &str| panel["gridPos"][key].as_u64().unwrap();
        assert!(at("x") + at("w") <= 24, "{panel}");
        for x in at("x")..at("x") + at("w") {
            for y in at("y")..at("y") + at("h") {
                assert!(taken.insert((x, y)), "{} lies over another", panel["title"]);
            }
        }
    }
}

#[test]
fn every_alert_has_a_runbook_and_a_row_in_the_manual() {
    let rules = read(RULES);
    let manual = read("docs/monitoring.md");
    let mut alerts = 0;
    for rule in rules.split("- alert: ").skip(1) {
        alerts += 1;
        let name = rule.lines().next().unwrap();
        let runbook = rule
            .split("runbook_url: ")
            .nth(1)
            .unwrap_or_else(|| panic!("{name}"));
        let runbook = runbook.lines().next().unwrap();
        assert!(root().join(runbook).is_file(), "{name}: {runbook}");
        let link = format!("({})", runbook.trim_start_matches("docs/"));
        let row = manual
            .lines()
            .find(|line| line.starts_with(&format!("| {name} |")));
        let row = row.unwrap_or_else(|| panic!("{name} is not in the manual"));
        assert!(row.contains(&link), "{name}: {row}");
        for key in ["severity: ", "summary: ", "description: "] {
            assert_eq!(rule.matches(key).count(), 1, "{name}: {key}");
        }
    }
    assert!(alerts >= 10, "{alerts}");
}

#[test]
#[ignore = "needs prometheus: tests/run --all"]
fn prometheus_takes_the_rules_and_alerts_when_it_should() {
    for words in [["check", "rules", RULES], ["test", "rules", WHEN]] {
        let output = Command::new("promtool")
            .args(words)
            .current_dir(root())
            .output()
            .expect("package prometheus is installed");
        assert!(
            output.status.success(),
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
}
