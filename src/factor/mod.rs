//! Knows what a second factor is and whether a response to it is right.
//!
//! No storage, no network. RFC 4226, RFC 6238.

mod code;
mod totp;

pub use code::{OneTimeCode, RecoveryCode, typed_code};
pub use totp::{Algorithm, BadSeed, Totp, TotpStep};
