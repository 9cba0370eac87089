//! What reply sets hold, in words for people.

use std::collections::BTreeMap;
use std::sync::Arc;

use data_encoding::HEXLOWER;

use crate::server::ReplyAttribute;

const FILTER_ID: u8 = 11;
const CLASS: u8 = 25;
const SESSION_TIMEOUT: u8 = 27;
/// Tunnel-Type and Tunnel-Medium-Type: they say only that a VLAN follows.
const BEFORE_VLAN: [u8; 2] = [64, 65];
const TUNNEL_PRIVATE_GROUP_ID: u8 = 81;

/// The words of each set.
pub(super) type Replies = BTreeMap<Arc<str>, Vec<String>>;

/// Puts every set in words.
pub(super) fn in_words(sets: &BTreeMap<Arc<str>, Vec<ReplyAttribute>>) -> Replies {
    sets.iter()
        .map(|(name, set)| (name.clone(), set.iter().filter_map(shown).collect()))
        .collect()
}

fn shown(attribute: &ReplyAttribute) -> Option<String> {
    let value = readable(&attribute.value);
    let name = match (attribute.vendor, attribute.kind) {
        (None, kind) if BEFORE_VLAN.contains(&kind) => return None,
        (None, FILTER_ID) => "Filter-Id".to_owned(),
        (None, CLASS) => "Class".to_owned(),
        (None, TUNNEL_PRIVATE_GROUP_ID) => "VLAN".to_owned(),
        (None, SESSION_TIMEOUT) => {
            let octets = attribute.value.as_slice().try_into();
            let seconds = octets.map(u32::from_be_bytes).unwrap_or_default();
            return Some(format!("Session-Timeout {seconds} s"));
        }
        (None, kind) => format!("attribute {kind}"),
        (Some(vendor), kind) => format!("vendor {vendor}, attribute {kind}:"),
    };
    Some(format!("{name} {value}"))
}

/// Text as it is, octets in hex.
fn readable(value: &[u8]) -> String {
    match std::str::from_utf8(value) {
        Ok(text) if !text.chars().any(char::is_control) => text.to_owned(),
        Ok(_) | Err(_) => format!("0x{}", HEXLOWER.encode(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_told_by_name_and_value() {
        let attribute = |vendor, kind, value: &[u8]| ReplyAttribute {
            vendor,
            kind,
            value: value.to_vec(),
        };
        for (attribute, words) in [
            (
                attribute(None, CLASS, "職員".as_bytes()),
                Some("Class 職員"),
            ),
            (
                attribute(None, FILTER_ID, b"staff"),
                Some("Filter-Id staff"),
            ),
            (attribute(None, 64, &[0, 0, 0, 13]), None),
            (
                attribute(None, TUNNEL_PRIVATE_GROUP_ID, b"110"),
                Some("VLAN 110"),
            ),
            (
                attribute(None, SESSION_TIMEOUT, &[0, 0, 14, 16]),
                Some("Session-Timeout 3600 s"),
            ),
            (
                attribute(Some(9), 1, b"priv=15"),
                Some("vendor 9, attribute 1: priv=15"),
            ),
            (
                attribute(Some(9), 2, &[0, 1]),
                Some("vendor 9, attribute 2: 0x0001"),
            ),
        ] {
            assert_eq!(shown(&attribute).as_deref(), words);
        }
    }
}
