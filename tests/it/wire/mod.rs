//! Packets as they come and go, filed by RFC and section, and packets of radclient's.
//!
//! `cfg(test)` always holds here; it tells clippy that helpers beside the tests may unwrap too.

#[cfg(test)]
mod corpus;
#[cfg(test)]
pub mod radclient;
#[cfg(test)]
mod rfc2865;
#[cfg(test)]
mod rfc2866;
#[cfg(test)]
mod rfc3579;
#[cfg(test)]
mod rfc5176;
#[cfg(test)]
mod rfc5997;
#[cfg(test)]
mod rfc6929;

use sekisho::secret::Secret;

/// The shared secret of the RFCs' examples.
fn secret() -> Secret {
    Secret::from("xyzzy5461")
}

/// A packet of identifier 7 and any authenticator, its length right, its attributes as given.
fn packet(code: u8, attributes: &[u8]) -> Vec<u8> {
    let [.., high, low] = (20 + attributes.len()).to_be_bytes();
    [&[code, 7, high, low][..], &[9; 16], attributes].concat()
}

/// An attribute.
fn attribute(kind: u8, value: &[u8]) -> Vec<u8> {
    let [.., length] = (2 + value.len()).to_be_bytes();
    [&[kind, length][..], value].concat()
}
