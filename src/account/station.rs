//! The end user's own equipment, as the NAS reports it.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// In the first octet of a hardware address: it is a group's.
const GROUP: u8 = 1;

/// What is known of the equipment that a person logs in from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Station {
    /// Nothing that the client's configuration lets us trust.
    #[default]
    Unknown,
    /// An IP address, which several people may share.
    Address(IpAddr),
    /// A hardware address.
    Mac([u8; 6]),
}

impl Station {
    /// The address, if the station is known by one.
    #[must_use]
    pub const fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Address(address) => Some(*address),
            Self::Unknown | Self::Mac(_) => None,
        }
    }

    /// Reads the text of an attribute such as Calling-Station-Id: an IPv4 or IPv6 address, with a
    /// port as `address[port]`, `[address]:port` or `ipv4:port`, or a hardware address in any of its usual spellings.
    /// Everything else is unknown, and so is a hardware address that is nobody's own: zeros, which gear sends that knows none, and those
    /// of groups (IEEE 802, the lowest bit of the first octet).
    #[must_use]
    pub fn read(text: &str) -> Self {
        let text = text.trim();
        read_address(text)
            .map(Self::Address)
            .or_else(|| read_mac(text).filter(is_ones_own).map(Self::Mac))
            .unwrap_or_default()
    }
}

fn read_address(text: &str) -> Option<IpAddr> {
    let bare = match (text.strip_prefix('['), text.split_once('[')) {
        (Some(rest), _) => {
            let (address, port) = rest.split_once(']')?;
            let port = port.strip_prefix(':').unwrap_or(port);
            if !port.bytes().all(|octet| octet.is_ascii_digit()) {
                return None;
            }
            address
        }
        (None, Some((address, port))) => {
            port.strip_suffix(']')?.parse::<u16>().ok()?;
            address
        }
        (None, None) => text,
    };
    let bare = match bare.split_once(':') {
        Some((address, port)) if address.contains('.') && port.parse::<u16>().is_ok() => address,
        _ => bare,
    };
    bare.parse::<IpAddr>()
        .ok()
        .map(|address| address.to_canonical())
}

fn read_mac(text: &str) -> Option<[u8; 6]> {
    let hex: String = text
        .chars()
        .filter(|c| !matches!(c, ':' | '-' | '.'))
        .collect();
    let separators = text.len() - hex.len();
    if hex.len() != 12 || !matches!(separators, 0 | 1 | 2 | 5) {
        return None;
    }
    let mut octets = [0; 6];
    data_encoding::HEXLOWER_PERMISSIVE
        .decode_mut(hex.as_bytes(), &mut octets)
        .ok()
        .map(|_| octets)
}

fn is_ones_own(mac: &[u8; 6]) -> bool {
    let [first, ..] = mac;
    *mac != [0; 6] && first & GROUP == 0
}

impl fmt::Display for Station {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("unknown"),
            Self::Address(address) => write!(f, "{address}"),
            Self::Mac([a, b, c, d, e, g]) => {
                write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_in_all_their_spellings() {
        for (text, expected) in [
            ("203.0.113.5", "203.0.113.5"),
            (" 203.0.113.5 ", "203.0.113.5"),
            ("203.0.113.5[4500]", "203.0.113.5"),
            ("203.0.113.5:4500", "203.0.113.5"),
            ("::ffff:203.0.113.5", "203.0.113.5"),
            ("2001:db8::5", "2001:db8::5"),
            ("2001:db8::5[4500]", "2001:db8::5"),
            ("[2001:db8::5]:4500", "2001:db8::5"),
        ] {
            assert_eq!(
                Station::read(text),
                Station::Address(expected.parse().unwrap()),
                "{text}"
            );
        }
    }

    #[test]
    fn hardware_addresses_are_read_in_all_their_spellings() {
        let mac = Station::Mac([0, 0x1b, 0x63, 0x84, 0x45, 0xe6]);
        for text in [
            "00:1b:63:84:45:e6",
            "00-1B-63-84-45-E6",
            "001b.6384.45e6",
            "001b63-8445e6",
            "001B638445E6",
        ] {
            assert_eq!(Station::read(text), mac, "{text}");
        }
    }

    #[test]
    fn everything_else_is_unknown() {
        for text in [
            "",
            "somewhere",
            "203.0.113.5[x]",
            "203.0.113",
            "00:1b:63:84:45",
            "[::1",
            "00:00:00:00:00:00",
            "000000000000",
            "ff-ff-ff-ff-ff-ff",
            "01:00:5e:10:00:01",
        ] {
            assert_eq!(Station::read(text), Station::Unknown, "{text}");
        }
    }
}
