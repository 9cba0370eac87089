//! `[store]`, `[limits]`, `[metrics]`, `[log]` and `[control]`.

use std::path::PathBuf;
use std::time::Duration;

use super::fault::Reach;
use super::reader::{Bounds, Table, Words};
use super::secrets;
use crate::access::PasswordLimits;
use crate::control;
use crate::store::{self, Limits};
use crate::telemetry::{self, Level, LogTo};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

const fn seconds(least: u64, most: u64, default: u64) -> Bounds<Duration> {
    Bounds::new(
        Duration::from_secs(least),
        Duration::from_secs(most),
        Duration::from_secs(default),
    )
}

const FOLDER: &str = "/var/lib/sekisho";
/// The master key's name as a credential, and in the store's folder.
const MASTER_KEY: &str = "master.key";
/// `why` explains any attempt of the last 90 days.
const AUDIT_KEEP: Bounds<Duration> = seconds(DAY, 3650 * DAY, 90 * DAY);
/// About 2 GiB of trail.
const AUDIT_ROWS: Bounds<u64> = Bounds::new(1000, 1_000_000_000, 5_000_000);

const WRONG_CODES: Bounds<u32> = Bounds::new(1, 100, 5);
const CODE_LOCK: Bounds<Duration> = seconds(MINUTE, DAY, 15 * MINUTE);
const MESSAGES_PER_NUMBER: Bounds<u32> = Bounds::new(1, 100, 5);
const MESSAGES_PER_ACCOUNT: Bounds<u32> = Bounds::new(1, 100, 5);
const MESSAGES_PER_ACCOUNT_DAY: Bounds<u32> = Bounds::new(1, 1000, 20);
const MESSAGES_PER_DAY: Bounds<u32> = Bounds::new(1, 10_000_000, 5000);
const CODE_LIFE: Bounds<Duration> = seconds(MINUTE, 30 * MINUTE, 5 * MINUTE);
const CODE_TRIES: Bounds<u32> = Bounds::new(1, 10, 3);
const NUMBER_AGE: Bounds<Duration> = seconds(0, 30 * DAY, 72 * HOUR);
/// As long as directories usually count wrong passwords themselves.
const PASSWORD_WINDOW: Bounds<Duration> = seconds(MINUTE, DAY, 30 * MINUTE);
const STATION_KNOWN: Bounds<Duration> = seconds(DAY, 365 * DAY, 90 * DAY);
/// Together below ten, at which directories are commonly told to lock.
const STRANGERS_WRONG: Bounds<u32> = Bounds::new(1, 1000, 4);
const OWN_WRONG: Bounds<u32> = Bounds::new(1, 1000, 5);
const PROMPTS: Bounds<u32> = Bounds::new(1, 100, 5);
const PROMPT_WINDOW: Bounds<Duration> = seconds(MINUTE, DAY, 15 * MINUTE);
const PASSWORD_DELAY: Bounds<Duration> = seconds(0, MINUTE, 2);
const LONGEST_PASSWORD_DELAY: Bounds<Duration> = seconds(0, HOUR, 5 * MINUTE);

const SOCKET: &str = "/run/sekisho/control.sock";
const GROUP: &str = "sekisho-admin";

const LOG_TO: &Words<LogTo> = &[
    ("auto", LogTo::Auto),
    ("journal", LogTo::Journal),
    ("stderr", LogTo::Stderr),
];
const LEVELS: &Words<Level> = &[
    ("error", Level::Error),
    ("warn", Level::Warn),
    ("info", Level::Info),
    ("debug", Level::Debug),
];

/// `[store]`.
pub(super) fn store(root: &Table<'_>, limits: Limits) -> store::Settings {
    let table = root.table("store");
    let folder = PathBuf::from(table.text_or("folder", FOLDER));
    let key_file = table.text("key-file").map(PathBuf::from);
    for (key, path) in [("folder", Some(&folder)), ("key-file", key_file.as_ref())] {
        whole_path(&table, key, path);
    }
    let settings = store::Settings {
        key_file: key_file.unwrap_or_else(|| key_file_of(&table, &folder)),
        folder,
        audit_keep: table.duration("audit-keep", AUDIT_KEEP),
        audit_rows: table.number("audit-rows", AUDIT_ROWS),
        limits,
    };
    table.finish();
    settings
}

fn key_file_of(table: &Table<'_>, folder: &std::path::Path) -> PathBuf {
    let credential = match table.report.reach {
        Reach::Disk => secrets::credentials().map(|credentials| credentials.join(MASTER_KEY)),
        Reach::TextAlone => None,
    };
    credential
        .filter(|path| path.exists())
        .unwrap_or_else(|| folder.join(MASTER_KEY))
}

/// Says that a path is not whole.
pub(super) fn whole_path(table: &Table<'_>, key: &str, path: Option<&PathBuf>) {
    if path.is_some_and(|path| !path.is_absolute()) {
        table.report.fault(
            table.at(key),
            format!("`{key}` does not begin with \"/\"."),
            "Write the whole path.",
        );
    }
}

/// `[limits]`.
pub(super) fn limits(root: &Table<'_>) -> (Limits, PasswordLimits) {
    let table = root.table("limits");
    let limits = Limits {
        wrong_codes: table.number("wrong-codes", WRONG_CODES),
        code_lock: table.duration("code-lock", CODE_LOCK),
        messages_per_number: table.number("messages-per-number", MESSAGES_PER_NUMBER),
        messages_per_account: table.number("messages-per-account", MESSAGES_PER_ACCOUNT),
        messages_per_account_day: table
            .number("messages-per-account-day", MESSAGES_PER_ACCOUNT_DAY),
        messages_total_day: table.number("messages-per-day", MESSAGES_PER_DAY),
        code_life: table.duration("code-life", CODE_LIFE),
        code_tries: table.number("code-tries", CODE_TRIES),
        number_age: table.duration("number-age", NUMBER_AGE),
        password_window: table.duration("password-window", PASSWORD_WINDOW),
        station_known: table.duration("station-known", STATION_KNOWN),
        prompts: table.number("prompts", PROMPTS),
        prompt_window: table.duration("prompt-window", PROMPT_WINDOW),
    };
    let passwords = PasswordLimits {
        strangers: table.number("wrong-passwords-strangers", STRANGERS_WRONG),
        own_stations: table.number("wrong-passwords-own-station", OWN_WRONG),
        first_delay: table.duration("password-delay", PASSWORD_DELAY),
        longest_delay: table.duration("longest-password-delay", LONGEST_PASSWORD_DELAY),
    };
    if passwords.first_delay > passwords.longest_delay {
        table.report.fault(
            table.at("password-delay"),
            "`password-delay` is longer than `longest-password-delay`.",
            "Make it shorter.",
        );
    }
    if limits.messages_per_account > limits.messages_per_account_day {
        table.report.warn(
            table.at("messages-per-account"),
            "`messages-per-account` is more than `messages-per-account-day` and never reached.",
            "Make it smaller.",
        );
    }
    table.finish();
    (limits, passwords)
}

/// `[metrics]` and `[log]`.
pub(super) fn telemetry(root: &Table<'_>) -> telemetry::Settings {
    let metrics = root.table("metrics");
    let listen = metrics.text("listen").and_then(|text| {
        let address = super::clients::socket(&metrics, "listen", text);
        if address.is_some_and(|address| !address.ip().to_canonical().is_loopback()) {
            metrics.report.fault(
                metrics.at("listen"),
                "Metrics are shown without a password, so only a loopback address may listen.",
                "Write \"127.0.0.1:9812\".",
            );
        }
        address
    });
    metrics.finish();
    let log = root.table("log");
    let settings = telemetry::Settings {
        metrics: listen,
        log: log.choice("to", LOG_TO, "auto").unwrap_or_default(),
        level: log.choice("level", LEVELS, "info").unwrap_or_default(),
    };
    log.finish();
    settings
}

/// `[control]`.
pub(super) fn control(root: &Table<'_>) -> control::Settings {
    let table = root.table("control");
    let settings = control::Settings {
        socket: PathBuf::from(table.text_or("socket", SOCKET)),
        group: table.text_or("group", GROUP).to_owned(),
    };
    whole_path(&table, "socket", Some(&settings.socket));
    table.finish();
    settings
}
