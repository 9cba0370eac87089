//! Who is signed in: a random token in a cookie, of which the store keeps a digest; and the token of their forms.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::{Form, FromRequest, FromRequestParts, Request};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use data_encoding::BASE64URL_NOPAD;
use serde::de::DeserializeOwned;

use super::page::{Failure, Next};
use super::trail::{self, Act};
use super::visit::Visit;
use super::{House, cookies};
use crate::account::{AccountId, FactorKind};
use crate::clock::Timestamp;
use crate::secret::{equal, random_array};
use crate::store::{Enrolled, KnownAccount, Session};

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

    /// The account's factors, if they may be changed now; otherwise the way to prove oneself.
    pub(super) async fn fresh(
        &self,
        house: &House,
        next: Next,
    ) -> Result<Option<KnownAccount>, Failure> {
        let known = house.rooms.store.known(self.account()).await?;
        let factors = known.as_ref().map(|known| known.factors.as_slice());
        let window = house.setup.load().settings.re_proof;
        let until = self.session.proven.after(window);
        let factors = factors.unwrap_or_default();
        match until > house.rooms.clock.now() && is_by_own(self.session.proven, factors) {
            true => Ok(known),
            false => Err(Failure::SignIn(next)),
        }
    }

    /// Records what they do to their methods.
    pub(super) async fn record(
        &self,
        house: &House,
        visit: &Visit,
        act: Act<'_>,
    ) -> Result<(), Failure> {
        let whose = (self.account(), &*self.session.name);
        trail::record(house, whose, visit.address, act).await
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

/// Whether the proof is one by a factor of their own, once they have one: what was begun with a password alone, or with a message to
/// the directory's number, changes nothing after the first factor.
fn is_by_own(proven: Timestamp, factors: &[Enrolled]) -> bool {
    let own = factors.iter();
    // A phone counts once it is proven; a seed that was handed out is asked for from the first.
    let asked = |factor: &&Enrolled| factor.proven || factor.kind == FactorKind::Totp;
    let own = own.filter(|factor| asked(factor) && factor.kind < FactorKind::Sms);
    let first = own.map(|factor| factor.enrolled).min();
    first.is_none_or(|first| proven > first)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn factor(kind: FactorKind, proven: bool, enrolled: i64) -> Enrolled {
        Enrolled {
            id: 1,
            kind,
            label: String::new(),
            digits: 6,
            proven,
            enrolled: Timestamp::from_secs(enrolled),
            used: None,
            silent: None,
        }
    }

    #[test]
    fn a_session_from_before_the_first_factor_proves_nothing_after_it() {
        let by_own = |factors: &[Enrolled]| is_by_own(Timestamp::from_secs(100), factors);
        assert!(by_own(&[]));
        assert!(by_own(&[factor(FactorKind::Totp, true, 50)]));
        assert!(!by_own(&[factor(FactorKind::Totp, true, 150)]));
        assert!(!by_own(&[factor(FactorKind::Push, true, 100)]));
        // One that was added later, by one that was there.
        let added = factor(FactorKind::Push, true, 150);
        assert!(by_own(&[factor(FactorKind::Totp, true, 50), added]));
        // What cannot be used to log in each day.
        assert!(by_own(&[factor(FactorKind::Push, false, 150)]));
        assert!(!by_own(&[factor(FactorKind::Totp, false, 150)]));
        assert!(by_own(&[factor(FactorKind::Recovery, true, 150)]));
    }
}
