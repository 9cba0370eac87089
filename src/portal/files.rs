//! Files of the pages: compiled in, served with their types; the worker and the manifest with the texts of the day.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::header::{self, HeaderName};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Extension, Router};
use serde_json::json;

use super::House;
use super::page::{Failure, code, typed};
use super::session::Head;
use super::texts;
use super::visit::Visit;
use crate::account::Language;

const SCRIPT: &str = "text/javascript; charset=utf-8";
/// Kept, but asked about each time: a page and its scripts must be of one version.
const ASKED_ABOUT: HeaderValue = HeaderValue::from_static("no-cache");

/// Name, type, octets.
const FILES: [(&str, &str, &[u8]); 10] = [
    (
        "style.css",
        "text/css; charset=utf-8",
        include_bytes!("static/style.css"),
    ),
    ("page.js", SCRIPT, include_bytes!("static/page.js")),
    ("app.js", SCRIPT, include_bytes!("static/app.js")),
    ("device.js", SCRIPT, include_bytes!("static/device.js")),
    (
        "icon.svg",
        "image/svg+xml",
        include_bytes!("static/icon.svg"),
    ),
    (
        "icon-180.png",
        "image/png",
        include_bytes!("static/icon-180.png"),
    ),
    (
        "icon-192.png",
        "image/png",
        include_bytes!("static/icon-192.png"),
    ),
    (
        "icon-512.png",
        "image/png",
        include_bytes!("static/icon-512.png"),
    ),
    (
        "icon-mask.png",
        "image/png",
        include_bytes!("static/icon-mask.png"),
    ),
    (
        "badge-96.png",
        "image/png",
        include_bytes!("static/badge-96.png"),
    ),
];

pub(super) fn routes() -> Router<Arc<House>> {
    Router::new()
        .route("/static/{name}", get(file))
        .route("/favicon.ico", get(icon))
        .route("/app.webmanifest", get(manifest))
        .route("/worker.js", get(worker))
}

async fn file(Path(name): Path<String>, Head(head): Head) -> Response {
    served(&name, &head)
}

async fn icon(Head(head): Head) -> Response {
    served("icon-192.png", &head)
}

fn served(name: &str, head: &HeaderMap) -> Response {
    let Some((_, kind, octets)) = FILES.iter().find(|(known, ..)| *known == name) else {
        return Failure::Nowhere.into_response();
    };
    let tag = format!("\"{:016x}\"", print(octets));
    let known = head.get(header::IF_NONE_MATCH);
    let mut file = match known.is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => typed(kind, *octets),
    };
    file.headers_mut()
        .insert(header::CACHE_CONTROL, ASKED_ABOUT);
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        file.headers_mut().insert(header::ETAG, tag);
    }
    file
}

/// Tells files apart (FNV-1a): they are ours, nobody looks for two with one print.
fn print(octets: &[u8]) -> u64 {
    let add = |print: u64, octet: &u8| (print ^ u64::from(*octet)).wrapping_mul(0x0100_0000_01b3);
    octets.iter().fold(0xcbf2_9ce4_8422_2325, add)
}

/// What the page is called once it is installed: by the name of the university, so that those of two are two.
async fn manifest(State(house): State<Arc<House>>, Extension(visit): Extension<Visit>) -> Response {
    let setup = house.setup.load();
    let issuer = setup.settings.issuer.text(visit.language);
    let title = texts::words(visit.language).app_title;
    let icon = |file: &str, size: &str, purpose: &str| json!({ "src": format!("/static/{file}"), "sizes": size, "type": "image/png", "purpose": purpose });
    let manifest = json!({
        "id": "/app",
        "name": format!("{issuer} {title}"),
        "short_name": issuer,
        "lang": code(visit.language),
        "dir": "ltr",
        "start_url": "/app",
        "scope": "/app",
        "display": "standalone",
        "background_color": "#ffffff",
        "theme_color": "#1a3a6b",
        "icons": [
            icon("icon-192.png", "192x192", "any"),
            icon("icon-512.png", "512x512", "any"),
            icon("icon-mask.png", "512x512", "maskable"),
        ],
    });
    typed("application/manifest+json", manifest.to_string())
}

/// The worker, behind the texts that it shows.
async fn worker(State(house): State<Arc<House>>) -> Response {
    let setup = house.setup.load();
    let text = |key: &str, language: Language| {
        let issuer = setup.settings.issuer.text(language);
        let [title, body, deny] = texts::notification(issuer, language);
        let lang = match language {
            Language::Both => "",
            language => code(language),
        };
        let text = json!({ "title": title, "body": body, "deny": deny, "lang": lang });
        (key.to_owned(), text)
    };
    let texts: serde_json::Map<String, serde_json::Value> = [
        text("ja", Language::Ja),
        text("en", Language::En),
        text("both", Language::Both),
    ]
    .into_iter()
    .collect();
    let texts = serde_json::Value::Object(texts);
    let script = format!(
        "const TEXTS = {texts};\n{}",
        include_str!("static/worker.js")
    );
    let mut worker = typed(SCRIPT, script);
    let scope = HeaderName::from_static("service-worker-allowed");
    let fields = [
        (scope, HeaderValue::from_static("/")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    worker.headers_mut().extend(fields);
    worker
}
