//! The octets of LDAP: what is asked, written; what a server sends, read within bounds (RFC 4511).
//!
//! No sockets, no waiting. Nothing that a person typed becomes part of a text that is parsed
//! again: a name is an octet string of its own from the first.

mod ber;
mod filter;
mod message;
mod request;

pub(super) use ber::{Reader, SEQUENCE, Violation};
pub(super) use filter::{Filter, UserFilter};
pub(super) use message::{Attributes, Inbox, Message, Operation, Outcome};
pub(super) use request::{PPOLICY, Query, STARTTLS, Scope, Selection, bind, search};
