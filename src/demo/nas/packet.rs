//! Packets as people read them: nothing secret, nothing that moves a terminal's cursor.

use std::net::IpAddr;

use serde::Serialize;

use crate::wire::{self, Code};

pub(super) const USER_NAME: u8 = 1;
pub(super) const USER_PASSWORD: u8 = 2;
pub(super) const REPLY_MESSAGE: u8 = 18;
pub(super) const STATE: u8 = 24;
pub(super) const VENDOR_SPECIFIC: u8 = 26;
pub(super) const CALLING_STATION_ID: u8 = 31;
pub(super) const NAS_IDENTIFIER_ATTRIBUTE: u8 = 32;
pub(super) const TUNNEL_CLIENT_ENDPOINT: u8 = 66;
pub(super) const MESSAGE_AUTHENTICATOR: u8 = 80;

/// A packet as shown to people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Packet {
    /// Its code, in the RFC's words.
    pub code: &'static str,
    /// Its identifier.
    pub identifier: u8,
    /// Its attributes, in order.
    pub attributes: Vec<Attribute>,
}

/// An attribute as shown to people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Attribute {
    /// Its name, or its number.
    pub name: String,
    /// Its value in words; never a secret.
    pub value: String,
}

pub(super) fn shown(answer: &wire::Answer, identifier: u8) -> Packet {
    Packet {
        code: code_name(answer.code()),
        identifier,
        attributes: answer
            .all()
            .map(|(kind, value)| named(kind, value))
            .collect(),
    }
}

pub(super) const fn code_name(code: Code) -> &'static str {
    match code {
        Code::AccessRequest => "Access-Request",
        Code::AccessAccept => "Access-Accept",
        Code::AccessReject => "Access-Reject",
        Code::AccessChallenge => "Access-Challenge",
        Code::AccountingRequest => "Accounting-Request",
        Code::AccountingResponse => "Accounting-Response",
        Code::StatusServer => "Status-Server",
        Code::DisconnectRequest => "Disconnect-Request",
        Code::DisconnectAck => "Disconnect-ACK",
        Code::DisconnectNak => "Disconnect-NAK",
    }
}

/// How the value of an attribute is written.
#[derive(Clone, Copy)]
enum Form {
    Text,
    /// An optional tag octet, then text (RFC 2868 §3.3).
    TaggedText,
    Number,
    /// A tag octet, then a number of three octets (RFC 2868 §3.1).
    TaggedNumber,
    Address,
    Octets,
    Vendor,
    Signature,
}

/// The attributes that replies of access servers carry; others are shown by number.
const KNOWN: &[(u8, &str, Form)] = &[
    (USER_NAME, "User-Name", Form::Text),
    (USER_PASSWORD, "User-Password", Form::Signature),
    (6, "Service-Type", Form::Number),
    (7, "Framed-Protocol", Form::Number),
    (8, "Framed-IP-Address", Form::Address),
    (9, "Framed-IP-Netmask", Form::Address),
    (11, "Filter-Id", Form::Text),
    (REPLY_MESSAGE, "Reply-Message", Form::Text),
    (STATE, "State", Form::Octets),
    (25, "Class", Form::Text),
    (VENDOR_SPECIFIC, "Vendor-Specific", Form::Vendor),
    (27, "Session-Timeout", Form::Number),
    (28, "Idle-Timeout", Form::Number),
    (29, "Termination-Action", Form::Number),
    (CALLING_STATION_ID, "Calling-Station-Id", Form::Text),
    (NAS_IDENTIFIER_ATTRIBUTE, "NAS-Identifier", Form::Text),
    (33, "Proxy-State", Form::Octets),
    (61, "NAS-Port-Type", Form::Number),
    (64, "Tunnel-Type", Form::TaggedNumber),
    (65, "Tunnel-Medium-Type", Form::TaggedNumber),
    (
        TUNNEL_CLIENT_ENDPOINT,
        "Tunnel-Client-Endpoint",
        Form::TaggedText,
    ),
    (76, "Prompt", Form::Number),
    (
        MESSAGE_AUTHENTICATOR,
        "Message-Authenticator",
        Form::Signature,
    ),
    (81, "Tunnel-Private-Group-Id", Form::TaggedText),
    (88, "Framed-Pool", Form::Text),
    (97, "Framed-IPv6-Prefix", Form::Octets),
    (168, "Framed-IPv6-Address", Form::Address),
];

pub(super) fn name(kind: u8) -> String {
    KNOWN.iter().find(|(known, ..)| *known == kind).map_or_else(
        || format!("Attribute {kind}"),
        |(_, name, _)| (*name).to_owned(),
    )
}

pub(super) fn named(kind: u8, value: &[u8]) -> Attribute {
    let form = KNOWN
        .iter()
        .find(|(known, ..)| *known == kind)
        .map_or(Form::Octets, |(_, _, form)| *form);
    Attribute {
        name: name(kind),
        value: in_words(form, value),
    }
}

fn in_words(form: Form, value: &[u8]) -> String {
    match (form, value) {
        (Form::Text, _) => printable(value),
        (Form::TaggedText, [tag @ 0..=0x1f, rest @ ..]) => {
            format!("{} (tag {tag})", printable(rest))
        }
        (Form::TaggedText, _) => printable(value),
        (Form::Number, &[a, b, c, d]) => u32::from_be_bytes([a, b, c, d]).to_string(),
        (Form::TaggedNumber, &[tag, a, b, c]) => {
            format!("{} (tag {tag})", u32::from_be_bytes([0, a, b, c]))
        }
        (Form::Address, _) => <[u8; 4]>::try_from(value)
            .map(IpAddr::from)
            .or_else(|_| <[u8; 16]>::try_from(value).map(IpAddr::from))
            .map_or_else(|_| octets(value), |address| address.to_string()),
        (Form::Vendor, &[a, b, c, d, kind, _, ref rest @ ..]) => {
            let vendor = u32::from_be_bytes([a, b, c, d]);
            format!("vendor {vendor}, type {kind}: {}", printable(rest))
        }
        (Form::Signature, _) => "right".to_owned(),
        (Form::Number | Form::TaggedNumber | Form::Octets | Form::Vendor, _) => octets(value),
    }
}

fn octets(value: &[u8]) -> String {
    format!("{} octets", value.len())
}

/// Text without anything that moves a terminal's cursor; what is no text is counted.
pub(super) fn printable(value: &[u8]) -> String {
    std::str::from_utf8(value).map_or_else(
        |_| octets(value),
        |text| {
            text.chars()
                .map(|c| if c.is_control() { '·' } else { c })
                .collect()
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_shown_in_words_and_never_move_the_cursor() {
        for (kind, value, words) in [
            (18, "確認コード\u{1b}[2J".as_bytes(), "確認コード·[2J"),
            (25, b"staff", "staff"),
            (25, &[0xff, 0xfe], "2 octets"),
            (27, &[0, 0, 14, 16], "3600"),
            (27, &[0, 0], "2 octets"),
            (64, &[1, 0, 0, 13], "13 (tag 1)"),
            (81, b"\x01120", "120 (tag 1)"),
            (81, b"120", "120"),
            (8, &[192, 0, 2, 1], "192.0.2.1"),
            (24, &[7; 16], "16 octets"),
            (
                26,
                b"\x00\x00\x00\x09\x01\x07abcde",
                "vendor 9, type 1: abcde",
            ),
            (26, b"\x00\x00", "2 octets"),
            (250, &[1, 2], "2 octets"),
        ] {
            assert_eq!(named(kind, value).value, words, "{kind}");
        }
        assert_eq!(named(250, &[]).name, "Attribute 250");
    }
}
