//! `[sms]` and `[voice]`: one gateway, or `[[sms.gateway]]` in fail-over order.

use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use serde_json::Value as Json;

use super::directories;
use super::general::whole_path;
use super::reader::{Bounds, Table, Words, units};
use super::secrets::{self, KEY, Names, PASSWORD, TOKEN};
use super::tree::{self, Entry, Node, Value};
use crate::account::FactorKind;
use crate::channel::{Auth, Body, Gateway, GatewayKind, NumberForm, Settings, Template, presets};
use crate::secret::Secret;
use crate::server::Client;

/// The country of the first customer: its numbers may be reached, its national forms are understood.
const HOME: &str = "+81";
/// Gateways for one way: each costs a login its time-out.
const GATEWAYS_MOST: usize = 8;
const TIMEOUT: Bounds<Duration> = Bounds::new(
    Duration::from_secs(1),
    Duration::from_secs(30),
    Duration::from_secs(10),
);
/// What the account at the gateway fills in.
const ACCOUNT: &str = "{{account}}";
/// What must be said somewhere: to whom, and what.
const TO: &str = "{{to";
const TEXT: &str = "{{text";
const FROM: &str = "{{from}}";

#[derive(Clone, Copy)]
enum AuthWay {
    None,
    Basic,
    Bearer,
    Hmac,
}

const AUTHS: &Words<AuthWay> = &[
    ("none", AuthWay::None),
    ("basic", AuthWay::Basic),
    ("bearer", AuthWay::Bearer),
    ("hmac", AuthWay::Hmac),
];
const METHODS: &Words<&str> = &[("POST", "POST"), ("GET", "GET"), ("PUT", "PUT")];
const NUMBER_FORMS: &Words<NumberForm> = &[
    ("e164", NumberForm::E164),
    ("digits", NumberForm::Digits),
    ("national", NumberForm::National),
];

/// `[sms]` and `[voice]`.
pub(super) fn read(root: &Table<'_>, clients: &[Client]) -> Settings {
    let sms = root.table("sms");
    let (countries, home) = countries(&sms);
    let settings = Settings {
        sms: gateways(sms, "sms"),
        voice: gateways(root.table("voice"), "voice"),
        countries,
        home,
        ..Settings::default()
    };
    for (way, key, gateways) in [
        (FactorKind::Sms, "sms", &settings.sms),
        (FactorKind::Voice, "voice", &settings.voice),
    ] {
        let wants = |client: &&Client| client.policy.ways.contains(&way);
        // A client that does not say its ways takes those that there are.
        let named = root.named("client");
        let client = clients.iter().filter(wants).find(|client| {
            named
                .iter()
                .any(|table| table.name == client.name.as_str() && table.has("ways"))
        });
        if let Some(client) = client
            && gateways.is_empty()
        {
            root.report.warn(
                None,
                format!(
                    "Client {:?} has the way \"{key}\", but there is no gateway for it.",
                    client.name.as_str()
                ),
                format!("Add [{key}], or remove \"{key}\" from the client's ways."),
            );
        }
    }
    settings
}

fn countries(sms: &Table<'_>) -> (Vec<String>, String) {
    sms.report
        .asked(&sms.kind, "countries", Some(format!("[\"{HOME}\"]")));
    let is_prefix = |text: &str| {
        text.strip_prefix('+').is_some_and(|digits| {
            (1..=7).contains(&digits.len())
                && !digits.starts_with('0')
                && digits.bytes().all(|octet| octet.is_ascii_digit())
        })
    };
    let judge = |key: &str, text: &str, place| {
        if !is_prefix(text) {
            sms.report.fault(
                place,
                format!("`{key}`: {text:?} is no prefix of a country."),
                format!("Write such as \"{HOME}\"."),
            );
        }
    };
    let countries = match sms.texts("countries") {
        None => vec![HOME.to_owned()],
        Some(texts) => {
            if texts.is_empty() {
                sms.report.fault(
                    sms.at("countries"),
                    "`countries` is an empty list: no number could be reached.",
                    format!("Write [\"{HOME}\"]."),
                );
            }
            for (text, place) in &texts {
                judge("countries", text, Some(*place));
            }
            texts.into_iter().map(|(text, _)| text.to_owned()).collect()
        }
    };
    let home = sms.text_or("home", HOME);
    judge("home", home, sms.at("home"));
    (countries, home.to_owned())
}

fn gateways(table: Table<'_>, way: &'static str) -> Vec<Gateway> {
    let listed = table.list("gateway");
    let direct = ["preset", "url", "spool"]
        .into_iter()
        .find(|key| table.has(key));
    if let Some(key) = direct
        && !listed.is_empty()
    {
        table.report.fault(
            table.at(key),
            format!("[{way}] has a gateway of its own beside [[{way}.gateway]]."),
            format!("Write each gateway as [[{way}.gateway]]."),
        );
    }
    if listed.len() > GATEWAYS_MOST {
        table.report.fault(
            table.place,
            format!("[{way}] has {} gateways.", listed.len()),
            format!("It may have {GATEWAYS_MOST}."),
        );
    }
    let mut gateways = Vec::new();
    for (number, listed) in listed.into_iter().enumerate() {
        let name = format!("{way}-{}", number + 1);
        gateways.extend(gateway(listed, way, &name, Need::Must));
    }
    let need = if table.has_beside(&["gateway", "countries", "home"]) {
        Need::Must
    } else {
        Need::May
    };
    gateways.extend(gateway(table, way, way, need));
    gateways
}

/// Whether a table has to describe a gateway.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    Must,
    May,
}

fn gateway(mut table: Table<'_>, way: &'static str, name: &str, need: Need) -> Option<Gateway> {
    preset(&mut table, way);
    let name = table.text("name").unwrap_or(name).into();
    let spool = table.text("spool").map(PathBuf::from);
    whole_path(&table, "spool", spool.as_ref());
    let template = template(&table);
    let kind = match (spool, template) {
        (Some(_), Some(_)) => {
            table.report.fault(
                table.at("spool"),
                "A gateway has either `spool` or `url`.",
                "Remove one of the two.",
            );
            None
        }
        (Some(folder), None) => Some(GatewayKind::Spool(folder)),
        (None, Some(template)) => Some(GatewayKind::Http(Box::new(template))),
        (None, None) => {
            if need == Need::Must && !table.has("preset") && !table.has("url") {
                table.missing("preset", "\"twilio\", or url, or spool");
            }
            None
        }
    };
    table.finish();
    Some(Gateway { name, kind: kind? })
}

/// The presets as trees: what a table with `preset` falls back to.
static PRESETS: LazyLock<Vec<(&'static str, Vec<Entry>)>> = LazyLock::new(|| {
    presets::names()
        .filter_map(|name| Some((name, tree::of_text(presets::text(name)?)?)))
        .collect()
});

fn preset(table: &mut Table<'_>, way: &str) {
    let Some(name) = table.text("preset") else {
        return;
    };
    let preset = PRESETS.iter().find(|(known, _)| *known == name);
    let ways = preset.and_then(|(_, ways)| ways.iter().find(|entry| entry.key == way));
    match ways.map(|entry| &entry.node.value) {
        Some(Value::Table(entries)) => table.fall_back(entries),
        _ => table.report.fault(
            table.at("preset"),
            format!("There is no preset {name:?} for [{way}]."),
            format!(
                "Write {}, or url and the rest of a template.",
                units::one_of(presets::names())
            ),
        ),
    }
}

fn template(table: &Table<'_>) -> Option<Template> {
    let account = account(table);
    let fill = |text: &str| text.replace(ACCOUNT, account.unwrap_or(ACCOUNT));
    let url = table.text("url").map(fill);
    let clear_allowed = table.flag("allow-clear-text", false);
    let auth = auth(table, account, url.is_some());
    let pointer = table.text("success-pointer").map(str::to_owned);
    let value = table.text("success-value").map(str::to_owned);
    if value.is_some() && pointer.is_none() {
        table.report.fault(
            table.at("success-value"),
            "`success-value` without `success-pointer` says nothing.",
            "Add success-pointer with a JSON pointer such as \"/status\".",
        );
    }
    let template = Template {
        method: table
            .choice("method", METHODS, "POST")
            .unwrap_or("POST")
            .to_owned(),
        url: url.clone().unwrap_or_default(),
        headers: pairs(table, "headers", fill),
        auth,
        body: body(table, fill),
        from: table.text("from").unwrap_or_default().to_owned(),
        number_form: table
            .choice("number-form", NUMBER_FORMS, "e164")
            .unwrap_or_default(),
        success_status: statuses(table),
        success_pointer: pointer.map(|pointer| (pointer, value)),
        id_pointer: table.text("id-pointer").map(str::to_owned),
        idempotency_header: table.text("idempotency-header").map(str::to_owned),
        ca_file: directories::ca_file(table),
        timeout: table.duration("timeout", TIMEOUT),
    };
    url?;
    judge_url(table, &template.url, clear_allowed);
    judge_placeholders(table, &template);
    Some(template)
}

/// The account at the gateway, which becomes part of URLs and so may hold nothing that means something there.
fn account<'a>(table: &Table<'a>) -> Option<&'a str> {
    let account = table.text("account")?;
    let sound = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !account.chars().all(sound) {
        table.report.fault(
            table.at("account"),
            "`account` holds a sign that no account has.",
            "Write the account's id as the gateway shows it.",
        );
    }
    Some(account)
}

fn auth(table: &Table<'_>, account: Option<&str>, is_http: bool) -> Auth {
    let way = table.choice("auth", AUTHS, "none").unwrap_or(AuthWay::None);
    let user = table.text("user").or(account);
    let header = table.text("hmac-header");
    let [password, token, key] = [PASSWORD, TOKEN, KEY].map(|names| Given::read(table, names));
    if !is_http {
        return Auth::None;
    }
    let (auth, wanted) = match way {
        AuthWay::None => (Auth::None, None),
        AuthWay::Basic => {
            if user.is_none() {
                table.missing("user", "\"the user at the gateway\"");
            }
            let user = user.unwrap_or_default().to_owned();
            let password = password.take(table);
            (Auth::Basic { user, password }, Some(PASSWORD))
        }
        AuthWay::Bearer => (Auth::Bearer(token.take(table)), Some(TOKEN)),
        AuthWay::Hmac => {
            if header.is_none() {
                table.missing("hmac-header", "\"X-Signature\"");
            }
            let header = header.unwrap_or_default().to_owned();
            let key = key.take(table);
            (Auth::Hmac { header, key }, Some(KEY))
        }
    };
    for names in [PASSWORD, TOKEN, KEY] {
        if wanted.is_none_or(|wanted| wanted.file != names.file) {
            unused(table, names);
        }
    }
    auth
}

/// A secret as far as it is given.
struct Given {
    names: Names,
    secret: Option<Secret>,
}

impl Given {
    fn read(table: &Table<'_>, names: Names) -> Self {
        let secret = secrets::read(table, names);
        Self { names, secret }
    }

    /// The secret; a fault if nothing is written that gives it.
    fn take(self, table: &Table<'_>) -> Secret {
        if self.names.given(table).is_none() {
            let file = format!("\"/etc/sekisho/{}\"", table.kind.replace('.', "-"));
            table.missing(self.names.file, &file);
        }
        self.secret.unwrap_or_default()
    }
}

fn unused(table: &Table<'_>, names: Names) {
    if let Some(key) = names.given(table) {
        table.report.fault(
            table.at(key),
            format!("`{key}` has no effect with this `auth`."),
            "Set auth to \"basic\", \"bearer\" or \"hmac\", or remove the key.",
        );
    }
}

fn body(table: &Table<'_>, fill: impl Fn(&str) -> String) -> Body {
    let form = pairs(table, "form", &fill);
    let json = table.node("json");
    // What the site writes itself goes before what a preset has.
    let own_form = table.has("form") || !table.has("json");
    if table.has("form") && table.has("json") {
        table.report.fault(
            table.at("json"),
            "A request has either `form` or `json`.",
            "Remove one of the two.",
        );
    }
    match json {
        _ if !form.is_empty() && own_form => Body::Form(form),
        Some(node) => Body::Json(json_of(node, &fill)),
        None => Body::Empty,
    }
}

fn pairs(
    table: &Table<'_>,
    key: &'static str,
    fill: impl Fn(&str) -> String,
) -> Vec<(String, String)> {
    let Some(node) = table.node(key) else {
        return Vec::new();
    };
    let mut pairs = Vec::new();
    let Value::Table(entries) = &node.value else {
        table.expected(node, key, "a table of texts, as in { To = \"{{to}}\" }");
        return pairs;
    };
    for entry in entries {
        match &entry.node.value {
            Value::Text(text) => pairs.push((entry.key.clone(), fill(text))),
            _ => table.expected(&entry.node, &entry.key, "text in quotes"),
        }
    }
    pairs
}

fn json_of(node: &Node, fill: &impl Fn(&str) -> String) -> Json {
    match &node.value {
        Value::Text(text) => fill(text).into(),
        Value::Number(number) => (*number).into(),
        Value::Fraction(fraction) => (*fraction).into(),
        Value::Flag(flag) => (*flag).into(),
        Value::Moment(moment) => moment.to_string().into(),
        Value::List(list) => list.iter().map(|item| json_of(item, fill)).collect(),
        Value::Table(entries) => entries
            .iter()
            .map(|entry| (entry.key.clone(), json_of(&entry.node, fill)))
            .collect(),
    }
}

fn statuses(table: &Table<'_>) -> Vec<u16> {
    const WANTED: &str = "a list of HTTP status codes, as in [200, 202]";
    let Some(node) = table.node("success-status") else {
        return Vec::new();
    };
    let Value::List(list) = &node.value else {
        table.expected(node, "success-status", WANTED);
        return Vec::new();
    };
    let mut statuses = Vec::with_capacity(list.len());
    for item in list {
        match item.value {
            Value::Number(number @ 100..=599) => statuses.extend(u16::try_from(number)),
            _ => table.expected(item, "success-status", WANTED),
        }
    }
    statuses
}

fn judge_url(table: &Table<'_>, text: &str, clear_allowed: bool) {
    // Placeholders are letters as far as the form of the URL goes.
    let plain = text.replace(['{', '}'], "");
    let url = reqwest::Url::parse(&plain).ok();
    let host = url
        .as_ref()
        .and_then(|url| url.host_str())
        .unwrap_or_default();
    let host = host.trim_matches(['[', ']']);
    match url.as_ref().map(reqwest::Url::scheme) {
        Some("https") if !host.is_empty() => {}
        Some("http") if directories::is_loopback(host) => {}
        Some("http") if clear_allowed => table.report.warn(
            table.at("url"),
            "Codes go to this gateway in the clear.",
            "Use https://.",
        ),
        Some("http") => table.report.fault(
            table.at("url"),
            "Codes would go to this gateway in the clear.",
            "Use https://; allow-clear-text = true if this really is meant.",
        ),
        _ => table.report.fault(
            table.at("url"),
            "`url` is no URL of a gateway.",
            "Write such as \"https://sms.example.com/send\".",
        ),
    }
}

fn judge_placeholders(table: &Table<'_>, template: &Template) {
    let mut whole = template.url.clone();
    for (_, value) in &template.headers {
        whole.push_str(value);
    }
    match &template.body {
        Body::Empty => {}
        Body::Form(fields) => fields.iter().for_each(|(_, value)| whole.push_str(value)),
        Body::Json(json) => whole.push_str(&json.to_string()),
    }
    for (placeholder, what) in [(TO, "to whom"), (TEXT, "what")] {
        if !whole.contains(placeholder) {
            table.report.fault(
                table.place,
                format!("The request does not say {what}: {placeholder}}}}} occurs nowhere."),
                "Write it into url, form or json.",
            );
        }
    }
    if whole.contains(ACCOUNT) {
        table.missing("account", "\"the account's id at the gateway\"");
    }
    if whole.contains(FROM) && template.from.is_empty() {
        table.missing("from", "\"+815012345678\"");
    }
}
