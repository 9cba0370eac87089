//! A site of two files, by which the browsers themselves are tried: a page that shows what its worker tells it, and a worker
//! that tells the site, too.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use axum::Router;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::routing::{get, post};

use super::served::Served;

/// How long something may take to be heard.
const PATIENCE: Duration = Duration::from_secs(30);

const PAGE: &str = r#"<!DOCTYPE html>
<html lang="ja"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>試し</title>
<h1>門番の試し</h1>
<form action="/"><label>名前 <input id="name" name="name"></label> <button>送る</button></form>
<details><summary>もっと</summary><p>以上</p></details>
<ul id="heard"></ul>
<script src="/page.js"></script></html>"#;

const SCRIPT: &str = r"
navigator.serviceWorker.addEventListener('message', ({ data }) => {
  document.getElementById('heard').append(Object.assign(document.createElement('li'), { textContent: data }));
});
async function ready() {
  await navigator.serviceWorker.register('/worker.js');
  return navigator.serviceWorker.ready;
}
async function subscribe(applicationServerKey) {
  const registration = await ready();
  return registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey });
}
";

const WORKER: &str = r"
self.addEventListener('install', () => self.skipWaiting());
self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));
const tell = async (text) => {
  await self.registration.showNotification(text);
  for (const page of await self.clients.matchAll({ includeUncontrolled: true })) page.postMessage(text);
  await fetch('/heard', { method: 'POST', body: text });
};
self.addEventListener('push', (event) => event.waitUntil(tell(event.data ? event.data.text() : '')));
self.addEventListener('pushsubscriptionchange', (event) => event.waitUntil(tell('changed')));
";

#[derive(Default)]
struct Heard {
    texts: Mutex<Vec<String>>,
    grown: Condvar,
}

/// The site.
pub(super) struct Site {
    served: Served,
    heard: Arc<Heard>,
}

impl Site {
    pub(super) fn start() -> Self {
        let heard = Arc::<Heard>::default();
        let kept = Arc::clone(&heard);
        let hear = move |text: String| {
            kept.texts.lock().unwrap().push(text);
            kept.grown.notify_all();
            std::future::ready(())
        };
        let file = |kind: &'static str, content: &'static str| {
            let policy = "default-src 'self'";
            let head = [(CONTENT_TYPE, kind), (CONTENT_SECURITY_POLICY, policy)];
            get(move || std::future::ready((head, content)))
        };
        let routes = Router::new()
            .route("/", file("text/html; charset=utf-8", PAGE))
            .route("/page.js", file("text/javascript", SCRIPT))
            .route("/worker.js", file("text/javascript", WORKER))
            .route("/favicon.ico", file("image/x-icon", ""))
            .route("/heard", post(hear));
        let served = Served::start(0, routes);
        Self { served, heard }
    }

    /// An address of it; browsers trust `localhost` without TLS.
    pub(super) fn url(&self, path: &str) -> String {
        format!("http://localhost:{}{path}", self.served.port())
    }

    /// Waits until the worker has told so many things, and gives them.
    pub(super) fn hears(&self, count: usize) -> Vec<String> {
        let texts = self.heard.texts.lock().unwrap();
        let few = |texts: &mut Vec<String>| texts.len() < count;
        let waited = self.heard.grown.wait_timeout_while(texts, PATIENCE, few);
        let (texts, over) = waited.unwrap();
        assert!(!over.timed_out(), "heard {texts:?} alone");
        texts.clone()
    }
}
