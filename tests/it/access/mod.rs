//! Attempts decided by the room itself: a real slapd, a real store, and a spool folder as gateway.

mod attack;
mod bell;
mod code;
pub(crate) mod house;
mod limit;
mod push;
mod retry;
mod sent;
