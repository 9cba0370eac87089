//! An HTTP gateway: a template made ready, and the asking.

use std::error::Error;
use std::io;
use std::time::Duration;

use data_encoding::{BASE64, HEXLOWER};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, Request, Url};
use tokio::time::{Instant, timeout_at};
use zeroize::Zeroizing;

use super::answer::{Fault, Judge};
use super::template::{BadTemplate, HeaderPattern, JsonPattern, Pattern, Values, header_value};
use super::{Auth, Body, Message, NumberForm, Settings, Template, outward, tls};
use crate::secret::{Secret, hmac_sha256};

/// A gateway ready to be asked.
pub(super) struct HttpGateway {
    client: Client,
    method: Method,
    url: Pattern,
    root: Url,
    headers: Vec<HeaderPattern>,
    proof: Proof,
    body: BodyPattern,
    from: String,
    number_form: NumberForm,
    idempotency: Option<HeaderName>,
    judge: Judge,
    timeout: Duration,
}

/// What proves to the gateway who asks.
enum Proof {
    None,
    Authorization(HeaderValue),
    Hmac { header: HeaderName, key: Secret },
}

enum BodyPattern {
    Empty,
    Form(Vec<(String, Pattern)>),
    Json(JsonPattern),
}

impl HttpGateway {
    /// Takes the template apart.
    pub(super) fn new(template: &Template) -> io::Result<Self> {
        let method = match template.method.as_str() {
            "POST" => Method::POST,
            "GET" => Method::GET,
            "PUT" => Method::PUT,
            other => {
                return Err(unusable(format!(
                    "method {other} is none of POST, GET and PUT"
                )));
            }
        };
        let root = root(&template.url)?;
        Ok(Self {
            client: client(template, &root)?,
            method,
            url: Pattern::read(&template.url).map_err(unusable)?,
            root,
            headers: template
                .headers
                .iter()
                .map(|(name, value)| {
                    HeaderPattern::read(header_name(name)?, value).map_err(unusable)
                })
                .collect::<Result<_, _>>()?,
            proof: Proof::of(&template.auth)?,
            body: BodyPattern::read(&template.body).map_err(unusable)?,
            from: template.from.clone(),
            number_form: template.number_form,
            idempotency: template
                .idempotency_header
                .as_deref()
                .map(header_name)
                .transpose()?,
            judge: Judge::of(template)?,
            timeout: template.timeout,
        })
    }

    /// Hands a message over; the gateway's id for it. One that knows messages again is asked twice if it was silent.
    pub(super) async fn send(
        &self,
        message: &Message,
        settings: &Settings,
        deadline: Instant,
    ) -> Result<Option<String>, Fault> {
        let request = self.request(message, settings)?;
        let again = match self.idempotency {
            Some(_) => request.try_clone(),
            None => None,
        };
        match (self.ask(request, deadline).await, again) {
            (Err(fault), Some(again)) if fault.is_uncertain() && Instant::now() < deadline => {
                log::debug!("a gateway that {fault} is asked again under the same key");
                self.ask(again, deadline).await
            }
            (answer, _) => answer,
        }
    }

    /// Whether anything answers at the gateway's address.
    pub(super) async fn probe(&self) -> Result<(), String> {
        outward::probe(&self.client, self.root.clone()).await
    }

    async fn ask(&self, request: Request, deadline: Instant) -> Result<Option<String>, Fault> {
        let end = deadline.min(Instant::now() + self.timeout);
        let exchange = async {
            let response = self.client.execute(request).await;
            self.judge
                .judge(response.map_err(|error| Fault::of_request(&error))?)
                .await
        };
        timeout_at(end, exchange)
            .await
            .unwrap_or(Err(Fault::Silent))
    }

    fn request(&self, message: &Message, settings: &Settings) -> Result<Request, Fault> {
        let values = Values::of(message, &self.from, self.number_form, settings);
        let unfit = |name: &HeaderName| Fault::Unfit(name.to_string());
        let mut headers = HeaderMap::new();
        for header in &self.headers {
            let value = header.fill(&values).ok_or_else(|| unfit(&header.name))?;
            headers.append(header.name.clone(), value);
        }
        if let Some(name) = &self.idempotency {
            let value = header_value(message.idempotency.as_bytes()).ok_or_else(|| unfit(name))?;
            headers.insert(name.clone(), value);
        }
        let asked = self
            .client
            .request(self.method.clone(), self.url.fill_url(&values))
            .headers(headers);
        let asked = match &self.body {
            BodyPattern::Empty => asked,
            BodyPattern::Form(fields) => {
                let filled: Vec<(&str, String)> = fields
                    .iter()
                    .map(|(key, pattern)| (key.as_str(), pattern.fill(&values)))
                    .collect();
                asked.form(&filled)
            }
            BodyPattern::Json(json) => asked.json(&json.fill(&values)),
        };
        let mut request = asked
            .build()
            .map_err(|_| Fault::Unreachable("the URL is none"))?;
        self.prove(&mut request);
        Ok(request)
    }

    fn prove(&self, request: &mut Request) {
        let (name, value) = match &self.proof {
            Proof::None => return,
            Proof::Authorization(value) => (AUTHORIZATION, value.clone()),
            Proof::Hmac { header, key } => {
                let body = request.body().and_then(reqwest::Body::as_bytes);
                let digest = HEXLOWER.encode(&hmac_sha256(key, body.unwrap_or_default()));
                let Some(value) = header_value(digest.as_bytes()) else {
                    return;
                };
                (header.clone(), value)
            }
        };
        request.headers_mut().insert(name, value);
    }
}

impl Proof {
    fn of(auth: &Auth) -> io::Result<Self> {
        let authorization = |scheme: &str, credentials: &[u8]| {
            outward::authorization(scheme, credentials).map(Self::Authorization)
        };
        match auth {
            Auth::None => Ok(Self::None),
            Auth::Basic { user, .. } if user.contains(':') => {
                Err(unusable("a user of HTTP Basic cannot hold a colon"))
            }
            Auth::Basic { user, password } => {
                let pair = Zeroizing::new([user.as_bytes(), b":", password.expose()].concat());
                let coded = Zeroizing::new(BASE64.encode(&pair));
                authorization("Basic", coded.as_bytes())
            }
            Auth::Bearer(token) => authorization("Bearer", token.expose()),
            Auth::Hmac { header, key } => Ok(Self::Hmac {
                header: header_name(header)?,
                key: key.clone(),
            }),
        }
    }
}

impl BodyPattern {
    fn read(body: &Body) -> Result<Self, BadTemplate> {
        Ok(match body {
            Body::Empty => Self::Empty,
            Body::Form(fields) => Self::Form(
                fields
                    .iter()
                    .map(|(key, value)| Ok((key.clone(), Pattern::read(value)?)))
                    .collect::<Result<_, _>>()?,
            ),
            Body::Json(value) => Self::Json(JsonPattern::read(value)?),
        })
    }
}

fn unusable(why: impl Into<Box<dyn Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}

fn header_name(name: &str) -> io::Result<HeaderName> {
    let bytes = name.as_bytes();
    match HeaderName::from_bytes(bytes) {
        // The body's form is the template's to choose, by its table.
        Ok(name) if name == CONTENT_TYPE => Err(unusable("Content-Type follows from form or json")),
        Ok(name) => Ok(name),
        Err(_) => Err(unusable(format!("{name:?} is no header"))),
    }
}

/// The server behind a URL, which no placeholder may choose.
fn root(url: &str) -> io::Result<Url> {
    let fixed = url.split("{{").next().unwrap_or_default();
    let authority_ends = fixed
        .split_once("://")
        .is_some_and(|(_, rest)| rest.contains(['/', '?']));
    if fixed != url && !authority_ends {
        return Err(unusable("a placeholder may not stand in the URL's host"));
    }
    let parsed = Url::parse(fixed).map_err(|error| unusable(format!("the URL: {error}")))?;
    if !matches!(parsed.scheme(), "https" | "http") || !parsed.username().is_empty() {
        return Err(unusable(
            "the URL must be https:// or http://, without a user",
        ));
    }
    parsed.join("/").map_err(unusable)
}

fn client(template: &Template, root: &Url) -> io::Result<Client> {
    let builder = match root.scheme() {
        "https" => {
            outward::builder(tls::configuration(template.ca_file.as_deref())?).https_only(true)
        }
        // No TLS is spoken, so no roots are looked for.
        _ => outward::builder(tls::without_roots()?),
    };
    builder.build().map_err(io::Error::other)
}
