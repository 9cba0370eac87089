//! Attempts decided by the room itself: a real slapd, a real store, and a spool folder as gateway.

mod attack;
mod bell;
mod certificate;
mod code;
pub(crate) mod house;
mod limit;
mod meanwhile;
mod mschap;
mod push;
mod remembered;
mod resumed;
mod retry;
mod sent;
