//! Chromium without a screen, driven through its DevTools protocol.
//!
//! Its push services are out of reach, so that `PushManager.subscribe` never settles; what a worker does with a message is
//! tried by [`Chromium::deliver`], which leaves out subscription and encryption. Firefox has those.

use std::time::Duration;

use serde_json::{Value, json};

use super::Screen;
use super::devtools::Devtools;
use super::page::Page;
use super::process::{Deadline, Process, installed};

/// How long a browser lives: more than a test may take.
const LIFE: Duration = Duration::from_secs(60);
/// Nothing of its own on the network, nothing that asks, and no name but that of this machine.
const WORDS: [&str; 15] = [
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--disable-breakpad",
    "--disable-crash-reporter",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--password-store=basic",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE localhost , EXCLUDE 127.0.0.1",
];
/// The pipes are expected as descriptors 3 and 4.
const PIPES: &str = r#"exec "$@" 3<&0 4>&1 </dev/null >/dev/null"#;

/// A running Chromium.
pub(super) struct Chromium {
    // Closed before the processes end.
    devtools: Devtools,
    /// A page that stays, by which workers are seen when there is no other.
    keeper: String,
    _process: Process,
}

impl Chromium {
    /// Starts one whose user reads this language (`ja`, `en`).
    pub(super) fn start(language: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut words: Vec<String> = ["-c", PIPES, "sh"].map(String::from).into();
        words.push(installed("chromium"));
        words.extend(WORDS.map(String::from));
        words.push(format!("--accept-lang={language}"));
        words.push(format!("--lang={language}"));
        words.push(format!("--user-data-dir={}", folder.path().display()));
        if nix::unistd::Uid::effective().is_root() {
            words.push("--no-sandbox".to_owned());
        }
        words.push("about:blank".to_owned());
        let mut process = Process::start("sh", &words, folder, true);
        let pipes = (process.child().stdin.take(), process.child().stdout.take());
        let (Some(to), Some(from)) = pipes else {
            panic!("no pipes");
        };
        let devtools = Devtools::new(to, from, Deadline::after(LIFE));
        let version = devtools.try_call("", "Browser.getVersion", json!({}));
        assert!(version.is_ok(), "{version:?}\n{}", process.log());
        let (_, keeper) = attach(&devtools, json!({}));
        for (method, how) in [
            ("ServiceWorker.enable", json!({})),
            (
                "BackgroundService.startObserving",
                json!({ "service": "notifications" }),
            ),
            (
                "BackgroundService.setRecording",
                json!({ "service": "notifications", "shouldRecord": true }),
            ),
        ] {
            let _nothing = devtools.call(&keeper, method, how);
        }
        Self {
            devtools,
            keeper,
            _process: process,
        }
    }

    /// Opens an empty page.
    pub(super) fn page(&self, screen: Screen) -> Page<'_> {
        Page::new(&self.devtools, attach(&self.devtools, json!({})), screen)
    }

    /// The same with cookies and storage of its own, as on another machine.
    pub(super) fn page_apart(&self, screen: Screen) -> Page<'_> {
        let apart = self
            .devtools
            .call("", "Target.createBrowserContext", json!({}));
        Page::new(&self.devtools, attach(&self.devtools, apart), screen)
    }

    /// Lets an origin show notifications, without asking.
    pub(super) fn grant_notifications(&self, origin: &str) {
        let _nothing = self.devtools.call(
            "",
            "Browser.grantPermissions",
            json!({ "origin": origin, "permissions": ["notifications"] }),
        );
    }

    /// Wakes the worker of a scope with a message, as a push service would. Nothing tells whether it was taken: look for what
    /// the worker does.
    pub(super) fn deliver(&self, scope: &str, message: &str) {
        let registration = self.devtools.wait_event(scope, |event| {
            let known = event["params"]["registrations"].as_array()?;
            let known = known.iter().find(|known| known["scopeURL"] == scope)?;
            Some(known["registrationId"].clone())
        });
        let path = scope.match_indices('/').nth(2).unwrap().0;
        let _nothing = self.devtools.call(
            &self.keeper,
            "ServiceWorker.deliverPushMessage",
            json!({ "origin": scope[..path], "registrationId": registration, "data": message }),
        );
    }

    /// Waits until the worker with a script runs, is `activated`, `stopped` and so on.
    pub(super) fn wait_worker(&self, script: &str, state: &str) {
        let what = || format!("the worker is not {state}");
        self.devtools
            .deadline()
            .wait(what, || self.worker_is(script, state).then_some(()));
    }

    /// Waits until so many notifications were shown: title and text of each. Whoever asks a worker for them before that makes
    /// Chromium forget what it is about to show.
    pub(super) fn shown(&self, count: usize) -> Vec<[String; 2]> {
        self.devtools.deadline().wait(
            || format!("{count} notifications were never shown"),
            || {
                let shown = self.devtools.events(&self.keeper, displayed);
                (shown.len() >= count).then_some(shown)
            },
        )
    }

    /// What an expression comes to in a worker that runs.
    pub(super) fn in_worker(&self, script: &str, expression: &str) -> Value {
        let all = self.devtools.call("", "Target.getTargets", json!({}));
        let mut targets = all["targetInfos"].as_array().unwrap().iter();
        let worker = targets.find(|it| it["type"] == "service_worker" && it["url"] == script);
        let target = &worker.expect("a worker that runs")["targetId"];
        let session = join(&self.devtools, target);
        let mut said = self.devtools.call(
            &session,
            "Runtime.evaluate",
            json!({ "expression": expression, "awaitPromise": true, "returnByValue": true }),
        );
        assert_eq!(said["exceptionDetails"], Value::Null, "{expression}");
        let _nothing = self.devtools.call(
            "",
            "Target.detachFromTarget",
            json!({ "sessionId": session }),
        );
        said["result"]["value"].take()
    }

    fn worker_is(&self, script: &str, state: &str) -> bool {
        let of = |event: &Value| {
            let versions = event["params"]["versions"].as_array()?;
            let version = versions.iter().rev().find(|it| it["scriptURL"] == script)?;
            Some(version["runningStatus"] == state || version["status"] == state)
        };
        let told = self.devtools.events(&self.keeper, of);
        told.last().copied().unwrap_or_default()
    }

    /// Ends all workers, which a browser does by itself when they have nothing to do.
    pub(super) fn stop_workers(&self, script: &str) {
        let _nothing = self
            .devtools
            .call(&self.keeper, "ServiceWorker.stopAllWorkers", json!({}));
        self.wait_worker(script, "stopped");
    }
}

/// Title and text of a notification, if an event tells that it was shown.
fn displayed(event: &Value) -> Option<[String; 2]> {
    let event = &event["params"]["backgroundServiceEvent"];
    let is_one = event["eventName"].as_str()?.contains("displayed");
    let told = event["eventMetadata"].as_array()?;
    let part = |key: &str| {
        let part = told.iter().find(|part| part["key"] == key)?;
        part["value"].as_str().map(str::to_owned)
    };
    is_one.then_some([part("Title")?, part("Body").unwrap_or_default()])
}

/// Opens an empty page, in a context if it is told one: its target and session.
fn attach(devtools: &Devtools, mut place: Value) -> (String, String) {
    place["url"] = "about:blank".into();
    let made = devtools.call("", "Target.createTarget", place);
    let target = &made["targetId"];
    (target.as_str().unwrap().to_owned(), join(devtools, target))
}

/// Joins a target: the session.
fn join(devtools: &Devtools, target: &Value) -> String {
    let attached = devtools.call(
        "",
        "Target.attachToTarget",
        json!({ "targetId": target, "flatten": true }),
    );
    attached["sessionId"].as_str().unwrap().to_owned()
}
