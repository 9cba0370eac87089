//! Knows what a second factor is and whether a response to it is right.
//!
//! No storage, no network. RFC 4226, RFC 6238, FIPS 186-5 (ECDSA).

mod code;
mod device;
mod totp;

pub use code::{OneTimeCode, RecoveryCode, typed_code};
pub use device::{
    BadKey, DeviceKey, Response, SIGNATURE, Signer, Subject, decision_text, doorbell_text,
    pairing_text, poll_text,
};
pub use totp::{Algorithm, BadSeed, Totp, TotpStep};
