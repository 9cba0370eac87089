//! What pages have in common: the frame around them, and what is shown instead of one.

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::{self, HeaderName};
use axum::response::{Html, IntoResponse, Redirect, Response};

use super::House;
use super::session::SignedIn;
use super::texts::{self, Words};
use super::visit::Visit;
use crate::account::Language;
use crate::store;

/// Where somebody who had to sign in wanted to go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Next {
    #[default]
    Home,
    Methods,
    Add,
    Device,
    App,
    Logins,
    Lost,
    Wifi,
}

impl Next {
    const ALL: [Self; 8] = [
        Self::Home,
        Self::Methods,
        Self::Add,
        Self::Device,
        Self::App,
        Self::Logins,
        Self::Lost,
        Self::Wifi,
    ];

    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::Home => "/",
            Self::Methods => "/methods",
            Self::Add => "/methods/add",
            Self::Device => "/methods/add/device",
            Self::App => "/methods/add/totp",
            Self::Logins => "/logins",
            Self::Lost => "/lost",
            Self::Wifi => "/wifi",
        }
    }

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Home => "home",
            Self::Methods => "methods",
            Self::Add => "add",
            Self::Device => "device",
            Self::App => "app",
            Self::Logins => "logins",
            Self::Lost => "lost",
            Self::Wifi => "wifi",
        }
    }

    pub(super) fn read(word: &str) -> Self {
        let mut all = Self::ALL.into_iter();
        all.find(|next| next.word() == word).unwrap_or_default()
    }

    /// The page of a path, or of the longest part of it that is one.
    pub(super) fn of_path(path: &str) -> Self {
        let known = Self::ALL
            .into_iter()
            .filter(|next| path.starts_with(next.path()));
        known
            .max_by_key(|next| next.path().len())
            .unwrap_or_default()
    }
}

/// What is shown instead of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// Somebody has to sign in, or to prove themselves once more.
    SignIn(Next),
    /// A form that no page of ours sent, or one whose session is over.
    Elsewhere,
    /// A form without its fields.
    Malformed,
    /// There is no such page.
    Nowhere,
    /// Too much of it.
    TooMany,
    /// It took too long.
    Slow,
    /// Something behind us failed.
    Trouble,
}

impl From<store::Error> for Failure {
    fn from(error: store::Error) -> Self {
        log::error!("the portal could not use the store: {error}");
        Self::Trouble
    }
}

impl Failure {
    const fn status(self) -> StatusCode {
        match self {
            Self::SignIn(_) => StatusCode::SEE_OTHER,
            Self::Elsewhere => StatusCode::FORBIDDEN,
            Self::Malformed => StatusCode::BAD_REQUEST,
            Self::Nowhere => StatusCode::NOT_FOUND,
            Self::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Self::Slow | Self::Trouble => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    const fn said(self, t: &'static Words) -> &'static str {
        match self {
            Self::SignIn(_) => t.sign_in,
            Self::Elsewhere => t.form_is_old,
            Self::Malformed => t.form_is_bad,
            Self::Nowhere => t.no_such_page,
            Self::TooMany => t.too_many,
            Self::Slow | Self::Trouble => t.trouble,
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut answer = match self {
            Self::SignIn(next) => {
                Redirect::to(&format!("/signin?next={}", next.word())).into_response()
            }
            other => other.status().into_response(),
        };
        answer.extensions_mut().insert(self);
        answer
    }
}

/// Gives a failure its page, in the language of the visit.
pub(super) fn explain(house: &House, visit: &Visit, answer: Response) -> Response {
    let failure = answer.extensions().get::<Failure>().copied();
    let by_status = || match answer.status() {
        StatusCode::METHOD_NOT_ALLOWED => Some(Failure::Nowhere),
        StatusCode::PAYLOAD_TOO_LARGE => Some(Failure::Malformed),
        _ => None,
    };
    let failure = failure.or_else(by_status);
    let Some(failure) = failure.filter(|failure| !matches!(failure, Failure::SignIn(_))) else {
        return answer;
    };
    let status = failure.status();
    if visit.path.starts_with("/device/") {
        let now = house.rooms.clock.now().millis();
        let word = match failure {
            Failure::TooMany => "too-many",
            Failure::Slow | Failure::Trouble => "trouble",
            Failure::SignIn(_) | Failure::Elsewhere | Failure::Malformed | Failure::Nowhere => {
                "refused"
            }
        };
        let body = serde_json::json!({ "error": word, "now": now });
        return (status, Json(body)).into_response();
    }
    let t = texts::words(visit.language);
    let setup = house.setup.load();
    let frame = Frame::new(&setup.settings, visit, None);
    let said = failure.said(t);
    let mut page = show(&Refused { frame, t, said });
    *page.status_mut() = status;
    page
}

/// The frame around a page.
pub(super) struct Frame<'a> {
    pub(super) t: &'static Words,
    pub(super) lang: &'static str,
    pub(super) issuer: &'a str,
    pub(super) path: &'a str,
    /// Who is signed in, and the token of their forms.
    pub(super) signed: Option<(&'a str, &'a str)>,
}

impl<'a> Frame<'a> {
    pub(super) fn new(
        settings: &'a super::Settings,
        visit: &'a Visit,
        signed: Option<&'a SignedIn>,
    ) -> Self {
        Self {
            t: texts::words(visit.language),
            lang: code(visit.language),
            issuer: settings.issuer.text(visit.language),
            path: &visit.path,
            signed: signed.map(|signed| (signed.shown(), signed.csrf.as_str())),
        }
    }

    /// As the frame of a page that answers a form, whose address is another.
    pub(super) fn at(mut self, path: &'a str) -> Self {
        self.path = path;
        self
    }

    pub(super) fn csrf(&self) -> &'a str {
        self.signed.map_or("", |(_, csrf)| csrf)
    }
}

/// The word for a language in HTML.
pub(super) const fn code(language: Language) -> &'static str {
    match language {
        Language::Ja => "ja",
        Language::En | Language::Both => "en",
    }
}

#[derive(askama::Template)]
#[template(path = "refused.html", config = "src/portal/askama.toml")]
struct Refused<'a> {
    frame: Frame<'a>,
    t: &'static Words,
    said: &'a str,
}

/// A page of a template.
pub(super) fn show(template: &impl askama::Template) -> Response {
    match template.render() {
        Ok(text) => Html(text).into_response(),
        Err(error) => {
            log::error!("a page of the portal could not be made: {error}");
            Failure::Trouble.into_response()
        }
    }
}

/// A file of a type.
pub(super) fn typed(kind: &'static str, body: impl IntoResponse) -> Response {
    let kind: [(HeaderName, &str); 1] = [(header::CONTENT_TYPE, kind)];
    (kind, body).into_response()
}

/// Goes on at another page.
pub(super) fn go(path: &str) -> Response {
    Redirect::to(path).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_signs_in_goes_where_they_wanted() {
        for next in Next::ALL {
            assert_eq!(Next::read(next.word()), next);
            assert_eq!(Next::of_path(next.path()), next);
        }
        assert_eq!(Next::of_path("/methods/rename"), Next::Methods);
        assert_eq!(Next::of_path("/nowhere"), Next::Home);
        assert_eq!(Next::read("//evil.example"), Next::Home);
    }
}
