//! Who is signed in: a random token in a cookie, of which the store keeps a digest; and the token of their forms.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::{Form, FromRequest, FromRequestParts, Request};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use data_encoding::BASE64URL_NOPAD;
use serde::de::DeserializeOwned;

use super::page::{Failure, Next};
use super::{House, cookies};
use crate::account::{AccountId, FactorKind};
use crate::secret::{equal, random_array};
use crate::store::{KnownAccount, Session};

const COOKIE: &str = "session";

/// Somebody signed in.
#[derive(Clone)]
pub(super) struct SignedIn {
    token: [u8; 32],
    pub(super) session: Session,
    /// What their forms must bring.
    pub(super) csrf: String,
}

impl SignedIn {
    fn of(house: &House, headers: &HeaderMap) -> Result<Option<Self>, Failure> {
        let token = cookies::get(headers, COOKIE, house.is_secure());
        let token = token.and_then(|token| BASE64URL_NOPAD.decode(token.as_bytes()).ok());
        let Some(token) = token.and_then(|token| <[u8; 32]>::try_from(token).ok()) else {
            return Ok(None);
        };
        let Some(session) = house.rooms.store.session(&token)? else {
            return Ok(None);
        };
        let digest = house.key.digest(&[b"form", &token]);
        let csrf = BASE64URL_NOPAD.encode(digest.get(..16).unwrap_or_default());
        Ok(Some(Self {
            token,
            session,
            csrf,
        }))
    }

    /// The account.
    pub(super) fn account(&self) -> &AccountId {
        &self.session.account
    }

    /// The name without its directory, to be shown.
    pub(super) fn shown(&self) -> &str {
        let name = &*self.session.name;
        name.split_once('/').map_or(name, |(_, user)| user)
    }

    /// Whether a factor was proven so lately that factors may be changed; and by a factor of their own, once they have one: what
    /// was begun with a password alone does not outlive the first factor.
    pub(super) fn is_fresh(&self, house: &House, known: Option<&KnownAccount>) -> bool {
        let proven = self.session.proven;
        let window = house.setup.load().settings.re_proof;
        let factors = known.map(|known| known.factors.as_slice());
        let own = factors.unwrap_or_default().iter();
        let own = own.filter(|factor| factor.proven && factor.kind < FactorKind::Sms);
        let first = own.map(|factor| factor.enrolled).min();
        proven.after(window) > house.rooms.clock.now() && first.is_none_or(|first| proven > first)
    }

    /// The account's factors, if they may be changed now; otherwise the way to prove oneself.
    pub(super) async fn fresh(
        &self,
        house: &House,
        next: Next,
    ) -> Result<Option<KnownAccount>, Failure> {
        let known = house.rooms.store.known(self.account()).await?;
        match self.is_fresh(house, known.as_ref()) {
            true => Ok(known),
            false => Err(Failure::SignIn(next)),
        }
    }

    /// Ends the session.
    pub(super) async fn end(&self, house: &House, headers: &mut HeaderMap) -> Result<(), Failure> {
        house.rooms.store.end_session(&self.token).await?;
        cookies::end(house, headers, COOKIE);
        Ok(())
    }

    /// Ends all sessions of the account but this one, which gets a new token.
    pub(super) async fn alone(
        &self,
        house: &House,
        headers: &mut HeaderMap,
    ) -> Result<(), Failure> {
        house.rooms.store.end_sessions(self.account()).await?;
        open(house, headers, self.session.clone()).await
    }
}

/// Opens a session, in a cookie of the answer.
pub(super) async fn open(
    house: &House,
    headers: &mut HeaderMap,
    session: Session,
) -> Result<(), Failure> {
    let token: [u8; 32] = random_array();
    let life = session.expires.since(house.rooms.clock.now());
    house.rooms.store.open_session(&token, session).await?;
    let token = BASE64URL_NOPAD.encode(&token);
    cookies::set(house, headers, (COOKIE, &token), life);
    Ok(())
}

impl FromRequestParts<Arc<House>> for SignedIn {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, house: &Arc<House>) -> Result<Self, Failure> {
        let next = Next::of_path(parts.uri.path());
        Self::of(house, &parts.headers)?.ok_or(Failure::SignIn(next))
    }
}

/// Somebody signed in, or nobody.
pub(super) struct Maybe(pub(super) Option<SignedIn>);

impl FromRequestParts<Arc<House>> for Maybe {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, house: &Arc<House>) -> Result<Self, Failure> {
        SignedIn::of(house, &parts.headers).map(Self)
    }
}

/// The head of a request, to read cookies of.
pub(super) struct Head(pub(super) HeaderMap);

impl FromRequestParts<Arc<House>> for Head {
    type Rejection = Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        _house: &Arc<House>,
    ) -> Result<Self, Infallible> {
        Ok(Self(parts.headers.clone()))
    }
}

/// What a form brings beside its fields.
pub(super) trait Guarded {
    /// The token of the session's forms.
    fn csrf(&self) -> &str;
}

/// A form of somebody signed in, with the right token.
pub(super) struct Sent<T>(pub(super) SignedIn, pub(super) T);

impl<T> FromRequest<Arc<House>> for Sent<T>
where
    T: DeserializeOwned + Guarded,
{
    type Rejection = Failure;

    async fn from_request(request: Request, house: &Arc<House>) -> Result<Self, Failure> {
        let (mut parts, body) = request.into_parts();
        let signed = SignedIn::from_request_parts(&mut parts, house).await?;
        let Fields(fields) =
            Fields::<T>::from_request(Request::from_parts(parts, body), house).await?;
        match equal(fields.csrf().as_bytes(), signed.csrf.as_bytes()) {
            true => Ok(Self(signed, fields)),
            false => Err(Failure::Elsewhere),
        }
    }
}

/// The fields of a form.
pub(super) struct Fields<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Arc<House>> for Fields<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, house: &Arc<House>) -> Result<Self, Failure> {
        let form = Form::<T>::from_request(request, house).await;
        form.map(|Form(fields)| Self(fields))
            .map_err(|_| Failure::Malformed)
    }
}
