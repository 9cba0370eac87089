//! Firefox without a screen, driven through Marionette. It alone takes a push service of a test's own, so that with it a
//! message goes the whole way: subscription, encryption, service, worker.

use std::fmt::Write as _;
use std::fs;
use std::net::TcpStream;
use std::sync::Mutex;
use std::time::Duration;

use serde_json::{Value, json};

use super::keep_picture;
use super::marionette::Marionette;
use super::process::{Deadline, Process, installed};
use super::push_service::PushService;

/// How long a browser lives: more than a test may take.
const LIFE: Duration = Duration::from_secs(60);
/// Where WebDriver has the key of an element in JSON.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// Nothing of its own on the network, and nothing that asks.
const QUIET: [(&str, &str); 16] = [
    ("marionette.port", "0"),
    ("app.update.disabledForTesting", "true"),
    ("app.normandy.enabled", "false"),
    ("browser.aboutwelcome.enabled", "false"),
    ("browser.newtabpage.enabled", "false"),
    ("browser.safebrowsing.update.enabled", "false"),
    ("browser.shell.checkDefaultBrowser", "false"),
    ("browser.startup.page", "0"),
    ("datareporting.policy.dataSubmissionEnabled", "false"),
    ("extensions.update.enabled", "false"),
    ("network.captive-portal-service.enabled", "false"),
    ("network.connectivity-service.enabled", "false"),
    ("services.settings.server", "\"data:,#none/v1\""),
    ("signon.rememberSignons", "false"),
    ("toolkit.telemetry.server", "\"data:,\""),
    ("termsofuse.bypassNotification", "true"),
];
/// A push service in the clear, which is tried again at once; and everybody may show notifications, which Firefox draws itself,
/// as there is no desktop that could.
const PUSH: [(&str, &str); 5] = [
    ("alerts.useSystemBackend", "false"),
    ("dom.push.connection.enabled", "true"),
    ("dom.push.testing.allowInsecureServerURL", "true"),
    ("dom.push.retryBaseInterval", "200"),
    ("permissions.default.desktop-notification", "1"),
];

/// A running Firefox.
pub(super) struct Firefox {
    marionette: Mutex<Marionette>,
    deadline: Deadline,
    _process: Process,
}

/// An element of the page as it is now.
pub(super) struct Element<'a> {
    firefox: &'a Firefox,
    id: String,
}

impl Firefox {
    /// Starts one whose user reads this language (`ja`, `en`), with a push service or without any.
    pub(super) fn start(language: &str, push: Option<&PushService>) -> Self {
        let deadline = Deadline::after(LIFE);
        let folder = tempfile::tempdir().unwrap();
        let profile = folder.path().join("profile");
        fs::create_dir(&profile).unwrap();
        let preferences = preferences(language, push);
        fs::write(profile.join("user.js"), preferences).unwrap();
        let words = [
            "--headless",
            "--no-remote",
            "--marionette",
            "--remote-allow-system-access",
            "--profile",
            profile.to_str().unwrap(),
        ];
        let words = words.map(String::from);
        let mut process = Process::start(&installed("firefox-esr"), &words, folder, false);
        let active = process.path("profile/MarionetteActivePort");
        let stream = deadline.wait(
            || "Firefox does not listen".to_owned(),
            || {
                assert!(!process.has_ended(), "Firefox ended:\n{}", process.log());
                let port = fs::read_to_string(&active).ok()?.trim().parse().ok()?;
                TcpStream::connect(("127.0.0.1", port)).ok()
            },
        );
        let firefox = Self {
            marionette: Mutex::new(Marionette::new(stream, deadline)),
            deadline,
            _process: process,
        };
        let wanted = json!({ "capabilities": { "alwaysMatch": { "acceptInsecureCerts": true } } });
        let _session = firefox.call("WebDriver:NewSession", wanted);
        let patience = u64::try_from(LIFE.as_millis()).unwrap();
        let patience = json!({ "script": patience, "pageLoad": patience });
        let _nothing = firefox.call("WebDriver:SetTimeouts", patience);
        firefox
    }

    fn try_call(&self, name: &str, parameters: Value) -> Result<Value, String> {
        self.marionette.lock().unwrap().try_call(name, parameters)
    }

    fn call(&self, name: &str, parameters: Value) -> Value {
        self.try_call(name, parameters).unwrap()
    }

    /// Opens an address and waits until it is there.
    pub(super) fn goto(&self, url: &str) {
        let _nothing = self.call("WebDriver:Navigate", json!({ "url": url }));
    }

    /// Gives the window another size; its own bars are part of it, and it has a least width.
    pub(super) fn resize(&self, width: u32, height: u32) {
        let size = json!({ "width": width, "height": height });
        let _size = self.call("WebDriver:SetWindowRect", size);
    }

    /// The first element that matches, once it is shown.
    pub(super) fn find(&self, css: &str) -> Element<'_> {
        let id = self.deadline.wait(
            || format!("no {css} in {}", self.value("document.body.innerText")),
            || {
                let shown = format!("document.querySelector({})?.checkVisibility()", json!(css));
                self.value(&shown).as_bool().filter(|is_shown| *is_shown)?;
                let wanted = json!({ "using": "css selector", "value": css });
                let found = self.try_call("WebDriver:FindElement", wanted).ok()?;
                Some(found["value"][ELEMENT].as_str()?.to_owned())
            },
        );
        Element { firefox: self, id }
    }

    /// What an expression comes to now.
    pub(super) fn value(&self, expression: &str) -> Value {
        let script =
            json!({ "script": format!("return ({expression})"), "args": [], "sandbox": null });
        self.call("WebDriver:ExecuteScript", script)["value"].clone()
    }

    /// What a body of an asynchronous function returns.
    pub(super) fn run(&self, body: &str) -> Value {
        let script = format!(
            "const done = arguments[0]; (async () => {{ {body} }})().then((it) => done([it]), (why) => done(String(why)))"
        );
        let script = json!({ "script": script, "args": [], "sandbox": null });
        let ran = self.call("WebDriver:ExecuteAsyncScript", script);
        match &ran["value"] {
            Value::Array(value) => value[0].clone(),
            why => panic!("{body}: {why}"),
        }
    }

    /// Waits until such a body returns this.
    pub(super) fn settles(&self, body: &str, wanted: &Value) {
        self.deadline.wait(
            || format!("never {wanted} but {} of {body}", self.run(body)),
            || (self.run(body) == *wanted).then_some(()),
        );
    }

    /// Waits until an expression is true, and gives what it is.
    pub(super) fn wait(&self, expression: &str) -> Value {
        let is_true = |value: &Value| !matches!(value, Value::Null | Value::Bool(false));
        self.deadline.wait(
            || {
                format!(
                    "never {expression}: {}",
                    self.value("document.body.innerText")
                )
            },
            || Some(self.value(expression)).filter(is_true),
        )
    }

    /// Types into whatever has the focus.
    pub(super) fn keys(&self, text: &str) {
        let strokes = text.chars().flat_map(|c| {
            ["keyDown", "keyUp"].map(|kind| json!({ "type": kind, "value": c.to_string() }))
        });
        let strokes: Vec<Value> = strokes.collect();
        let actions = json!({ "actions": [{ "type": "key", "id": "keys", "actions": strokes }] });
        let _nothing = self.call("WebDriver:PerformActions", actions);
    }

    /// Keeps a picture of the whole page.
    pub(super) fn screenshot(&self, name: &str) {
        let picture = self.call("WebDriver:TakeScreenshot", json!({ "full": true }));
        keep_picture(name, picture["value"].as_str().unwrap());
    }
}

impl Element<'_> {
    fn call(&self, name: &str, mut parameters: Value) -> Value {
        parameters["id"] = self.id.as_str().into();
        self.firefox.call(name, parameters)
    }

    /// Clicks it.
    pub(super) fn click(&self) {
        let _nothing = self.call("WebDriver:ElementClick", json!({}));
    }

    /// Types into it.
    pub(super) fn type_text(&self, text: &str) {
        let _nothing = self.call("WebDriver:ElementSendKeys", json!({ "text": text }));
    }

    /// What it says.
    pub(super) fn text(&self) -> String {
        let text = self.call("WebDriver:GetElementText", json!({}));
        text["value"].as_str().unwrap().to_owned()
    }
}

fn preferences(language: &str, push: Option<&PushService>) -> String {
    let mut text = String::new();
    let mut add = |name: &str, value: &str| {
        let _infallible = writeln!(text, "user_pref(\"{name}\", {value});");
    };
    for (name, value) in QUIET {
        add(name, value);
    }
    add("intl.accept_languages", &format!("\"{language}\""));
    add("intl.locale.requested", &format!("\"{language}\""));
    let Some(push) = push else {
        add("dom.push.connection.enabled", "false");
        return text;
    };
    for (name, value) in PUSH {
        add(name, value);
    }
    add("dom.push.serverURL", &format!("\"{}\"", push.address()));
    text
}
