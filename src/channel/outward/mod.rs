//! The way out to servers that are asked over HTTP: which addresses may be, and how.
//!
//! A server that the configuration names may lie inside only where it says so; one that a person's device names never.

mod address;

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::HeaderValue;
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Url};
use rustls::ClientConfig;
use zeroize::Zeroizing;

use super::answer::Fault;
use super::template::header_value;
use super::tls;

pub(super) use address::is_public;

/// How long a connection may take to come about; less of a try is left for the answer otherwise.
const CONNECT: Duration = Duration::from_secs(5);
/// Idle connections kept to one server: messages come singly.
const IDLE: usize = 2;
/// How long a probe may take.
const PROBE: Duration = Duration::from_secs(5);
/// Octets of a URL, at most.
const URL: usize = 2048;

/// Which addresses a server may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// Those of the world alone, by TLS.
    #[default]
    Public,
    /// Any, also in the clear: for a server that the configuration names, and says so.
    Anywhere,
}

/// A server that the configuration names.
#[derive(Clone)]
pub struct Endpoint {
    url: Url,
    reach: Reach,
    ca_file: Option<PathBuf>,
}

/// Why a text is no endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadEndpoint {
    /// No URL of a server.
    #[error("is no https:// address")]
    Form,
    /// A user, a password or a fragment, which nobody would hear of.
    #[error("has a user, a password or a #fragment in it")]
    Surplus,
    /// In the clear.
    #[error("is in the clear")]
    Clear,
    /// An address that is not of the world.
    #[error("is an address that is not public")]
    Private,
}

impl Endpoint {
    /// Reads an address: https, or http where addresses of all kinds may be asked.
    ///
    /// # Errors
    ///
    /// When it cannot be asked.
    pub fn read(text: &str, reach: Reach, ca_file: Option<PathBuf>) -> Result<Self, BadEndpoint> {
        let url = Url::parse(text).map_err(|_| BadEndpoint::Form)?;
        if text.len() > URL || !matches!(url.scheme(), "https" | "http") {
            return Err(BadEndpoint::Form);
        }
        if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            return Err(BadEndpoint::Surplus);
        }
        if reach == Reach::Public {
            if url.scheme() != "https" {
                return Err(BadEndpoint::Clear);
            }
            if !is_public_host(&url) {
                return Err(BadEndpoint::Private);
            }
        }
        Ok(Self {
            url,
            reach,
            ca_file,
        })
    }

    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    /// Whether what is said there can be read on the way.
    #[must_use]
    pub fn is_clear(&self) -> bool {
        self.url.scheme() == "http"
    }

    /// Whether the server is on this host, by its name or address.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        match host_address(&self.url) {
            Some(address) => address.to_canonical().is_loopback(),
            None => self.url.host_str() == Some("localhost"),
        }
    }

    pub(super) fn client(&self) -> io::Result<Client> {
        match self.is_clear() {
            // No TLS is spoken, so no roots are looked for.
            true => build(tls::without_roots()?, self.reach),
            false => client(self.ca_file.as_deref(), self.reach),
        }
    }
}

impl fmt::Debug for Endpoint {
    /// Without path and query, in which a site may have put a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Endpoint({}, …)",
            self.url.origin().ascii_serialization()
        )
    }
}

/// Whether the host is a name, which is judged when it is resolved, or an address of the world. An address in a URL is never
/// resolved.
fn is_public_host(url: &Url) -> bool {
    url.has_host() && host_address(url).is_none_or(is_public)
}

/// The address that stands in a URL in the place of a name.
fn host_address(url: &Url) -> Option<IpAddr> {
    let host = url.host_str()?;
    host.trim_matches(['[', ']']).parse().ok()
}

/// A client for https, which trusts the CAs of the file or the system's.
pub(super) fn client(ca_file: Option<&Path>, reach: Reach) -> io::Result<Client> {
    build(tls::configuration(ca_file)?, reach)
}

fn build(tls: ClientConfig, reach: Reach) -> io::Result<Client> {
    let builder = builder(tls);
    match reach {
        Reach::Public => builder.https_only(true).dns_resolver(PublicAlone),
        Reach::Anywhere => builder,
    }
    .build()
    .map_err(io::Error::other)
}

/// What holds for every request: no redirect, no proxy, no second try behind our back.
pub(super) fn builder(tls: ClientConfig) -> ClientBuilder {
    Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .referer(false)
        .connect_timeout(CONNECT)
        .pool_max_idle_per_host(IDLE)
        .user_agent(concat!("sekisho/", env!("CARGO_PKG_VERSION")))
}

/// Whether anything answers at an address: any answer at all is a good one.
pub(super) async fn probe(client: &Client, url: Url) -> Result<(), String> {
    match client.head(url).timeout(PROBE).send().await {
        Ok(_) => Ok(()),
        Err(error) => Err(Fault::of_request(&error).to_string()),
    }
}

/// The value of `Authorization`.
pub(super) fn authorization(scheme: &str, credentials: &[u8]) -> io::Result<HeaderValue> {
    let value = Zeroizing::new([scheme.as_bytes(), b" ", credentials].concat());
    header_value(&value).ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::InvalidInput,
            "the credentials hold a control character",
        )
    })
}

/// The name has no address of the world.
#[derive(Debug, thiserror::Error)]
#[error("the name has no public address")]
pub(super) struct NotPublic;

/// Resolves names as the system does, and keeps addresses of the world alone. The connection is made to what was judged: the
/// name is not resolved again in between.
struct PublicAlone;

impl Resolve for PublicAlone {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            // The port is filled in from the URL.
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<_> = found.filter(|address| is_public(address.ip())).collect();
            if public.is_empty() {
                return Err(NotPublic.into());
            }
            let addresses: Addrs = Box::new(public.into_iter());
            Ok(addresses)
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn endpoints_are_https_unless_they_may_be_anywhere() {
        use BadEndpoint::{Clear, Form, Private, Surplus};
        for (text, public, anywhere) in [
            ("https://push.example.ac.jp/a?b=c", None, None),
            ("https://push.example.ac.jp:8443", None, None),
            ("https://8.8.8.8/", None, None),
            ("https://[2606:4700::1]/", None, None),
            ("http://push.example.ac.jp/", Some(Clear), None),
            ("https://127.0.0.1/", Some(Private), None),
            ("https://2130706433/", Some(Private), None),
            ("https://0x7f.1/", Some(Private), None),
            ("https://[::1]:8443/", Some(Private), None),
            ("https://[::ffff:10.0.0.1]/", Some(Private), None),
            (
                "https://u@push.example.ac.jp/",
                Some(Surplus),
                Some(Surplus),
            ),
            (
                "https://:p@push.example.ac.jp/",
                Some(Surplus),
                Some(Surplus),
            ),
            (
                "https://push.example.ac.jp/#a",
                Some(Surplus),
                Some(Surplus),
            ),
            ("ftp://push.example.ac.jp/", Some(Form), Some(Form)),
            ("push.example.ac.jp", Some(Form), Some(Form)),
            ("", Some(Form), Some(Form)),
        ] {
            let read = |reach| Endpoint::read(text, reach, None).err();
            assert_eq!(read(Reach::Public), public, "{text}");
            assert_eq!(read(Reach::Anywhere), anywhere, "{text}");
        }
        let long = format!("https://push.example.ac.jp/{}", "a".repeat(URL));
        assert!(Endpoint::read(&long, Reach::Anywhere, None).is_err());
    }

    #[test]
    fn a_path_is_not_shown() {
        let endpoint = Endpoint::read("https://a.example/secret?k=1", Reach::Public, None);
        let shown = format!("{:?}", endpoint.unwrap());
        assert_eq!(shown, "Endpoint(https://a.example, …)");
    }

    #[tokio::test]
    async fn a_name_that_lies_inside_has_no_address() {
        let name: Name = "localhost".parse().unwrap();
        let error = PublicAlone.resolve(name).await.err().unwrap();
        assert!(error.is::<NotPublic>(), "{error}");
    }

    proptest! {
        #[test]
        fn no_endpoint_of_the_world_lies_inside(text in "(https?://)?[-0-9a-fA-Fx.:\\[\\]@/#?]{0,40}|.{0,60}") {
            if let Ok(endpoint) = Endpoint::read(&text, Reach::Public, None) {
                prop_assert_eq!(endpoint.url().scheme(), "https");
                prop_assert!(endpoint.url().has_host() && endpoint.url().username().is_empty());
                prop_assert!(host_address(endpoint.url()).is_none_or(is_public), "{}", text);
            }
        }
    }
}
