//! The clients that come of a foreign file: each with a name, addresses and a secret of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Subnets};

use super::notes::{Notes, Place};
use crate::cli::draft::Draft;
use crate::secret::Secret;

/// Networks shorter than these must be allowed by name: `wide` in sekisho.toml(5).
const WIDE_V4: u8 = 16;
const WIDE_V6: u8 = 65;
/// Octets of a name in the configuration.
const NAME_OCTETS: usize = 48;
/// Octets of a secret that the configuration takes.
const SECRET_OCTETS: usize = 4096;
/// Most clients: as many as a configuration of the longest length has room for.
const MOST: usize = 10_000;

/// A client to be.
#[derive(Debug)]
pub(super) struct Gear {
    pub(super) name: String,
    pub(super) addresses: Vec<IpNet>,
    pub(super) secret: Secret,
    pub(super) place: Place,
    pub(super) keys: Keys,
}

/// The keys of a table beside its names, addresses and secrets; one that is set again is as it was set last.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys(Vec<(&'static str, Value)>);

/// What a key is.
#[derive(Clone, Debug)]
enum Value {
    List(Vec<String>),
    Text(String),
    Flag(bool),
}

impl Keys {
    pub(super) fn list(&mut self, key: &'static str, list: Vec<String>) {
        self.set(key, Value::List(list));
    }

    pub(super) fn text(&mut self, key: &'static str, text: impl Into<String>) {
        self.set(key, Value::Text(text.into()));
    }

    pub(super) fn flag(&mut self, key: &'static str, flag: bool) {
        self.set(key, Value::Flag(flag));
    }

    pub(super) fn unset(&mut self, key: &str) {
        self.0.retain(|(own, _)| *own != key);
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.0.iter().any(|(own, _)| *own == key)
    }

    fn set(&mut self, key: &'static str, value: Value) {
        self.unset(key);
        self.0.push((key, value));
    }

    /// Writes them.
    pub(super) fn write(&self, draft: &mut Draft) {
        for (key, value) in &self.0 {
            match value {
                Value::List(list) => draft.texts(key, list),
                Value::Text(text) => draft.text(key, text),
                Value::Flag(flag) => draft.flag(key, *flag),
            }
        }
    }
}

/// All clients, no two with a name or an address in common.
#[derive(Debug, Default)]
pub(super) struct Clients {
    gear: Vec<Gear>,
    names: BTreeSet<String>,
    known: BTreeMap<IpNet, Place>,
}

impl Clients {
    /// Takes one in, as far as it can be one.
    pub(super) fn admit(&mut self, mut gear: Gear, notes: &mut Notes) {
        let place = gear.place.clone();
        let Self { known, .. } = self;
        gear.addresses.retain(|net| match known.get(net) {
            Some(first) => {
                notes.add(
                    &place,
                    format!("{net} is a client already, at {first}: left out here."),
                );
                false
            }
            None => true,
        });
        gear.addresses.sort_unstable();
        gear.addresses.dedup();
        let why = match gear.secret.len() {
            _ if gear.addresses.is_empty() => Some("no address is left"),
            0 => Some("it has no secret"),
            _ if is_blank(&gear.secret) => Some("its secret is blank"),
            length if length > SECRET_OCTETS => Some("its secret is too long"),
            _ if self.gear.len() == MOST => Some("there are too many clients"),
            _ => None,
        };
        if let Some(why) = why {
            notes.add(
                &place,
                format!("Client {:?} is left out: {why}.", gear.name),
            );
            return;
        }
        for net in gear.addresses.iter().filter(|net| is_wide(net)) {
            notes.add(
                &place,
                format!("{net} is very wide: every host in it may ask. It is written with wide = true; name the gear instead."),
            );
        }
        known.extend(gear.addresses.iter().map(|net| (*net, place.clone())));
        gear.name = self.name_of(&gear.name);
        self.gear.push(gear);
    }

    /// A name like this that the configuration takes and nobody has.
    fn name_of(&mut self, wanted: &str) -> String {
        let sound = |c: char| {
            if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') {
                c
            } else {
                '-'
            }
        };
        let mut name: String = wanted.chars().map(sound).take(NAME_OCTETS).collect();
        if name.trim_matches(['-', '.']).is_empty() {
            "client".clone_into(&mut name);
        }
        let first = name.clone();
        let mut number = 1_u32;
        // File names are made of it, and some systems fold them.
        while !self.names.insert(name.to_ascii_lowercase()) {
            number += 1;
            name = format!("{first}-{number}");
        }
        name
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.gear.len()
    }

    /// Writes their tables.
    pub(super) fn write(self, draft: &mut Draft) {
        for gear in self.gear {
            draft.gap();
            draft.table(&["client", &gear.name]);
            let addresses: Vec<String> = gear.addresses.iter().map(shown).collect();
            draft.texts("address", &addresses);
            if gear.addresses.iter().any(is_wide) {
                draft.flag("wide", true);
            }
            draft.secret(
                "secret-file",
                &format!("{}.secret", gear.name),
                Some(gear.secret),
            );
            gear.keys.write(draft);
        }
    }
}

/// Texts in their order, without those that came before.
pub(super) fn each_once(texts: impl Iterator<Item = String>) -> Vec<String> {
    let mut known = BTreeSet::new();
    texts.filter(|text| known.insert(text.clone())).collect()
}

/// A host without its length.
fn shown(net: &IpNet) -> String {
    if net.prefix_len() == net.max_prefix_len() {
        net.addr().to_string()
    } else {
        net.to_string()
    }
}

fn is_blank(secret: &Secret) -> bool {
    secret
        .expose_str()
        .is_some_and(|text| text.trim().is_empty())
}

fn is_wide(net: &IpNet) -> bool {
    match net {
        IpNet::V4(net) => net.prefix_len() < WIDE_V4,
        IpNet::V6(net) => net.prefix_len() < WIDE_V6,
    }
}

/// The networks of an address, a network (whose host bits do not matter) or a range `first-last`; nothing if it is none of them.
pub(super) fn networks(text: &str) -> Vec<IpNet> {
    let text = text.trim();
    if let Ok(address) = text.parse::<IpAddr>() {
        return vec![IpNet::from(address.to_canonical())];
    }
    if let Ok(net) = text.parse::<IpNet>() {
        return vec![net.trunc()];
    }
    let range = text.split_once('-');
    let range = range.and_then(|(first, last)| {
        let first: Ipv4Addr = first.trim().parse().ok()?;
        let last: Ipv4Addr = last.trim().parse().ok()?;
        (first <= last).then(|| Ipv4Subnets::new(first, last, 0))
    });
    range.into_iter().flatten().map(IpNet::V4).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;

    fn place(line: usize) -> Place {
        Place {
            file: Path::new("f").into(),
            line,
        }
    }

    fn gear(name: &str, address: &str, line: usize) -> Gear {
        Gear {
            name: name.to_owned(),
            addresses: networks(address),
            secret: Secret::from("a secret that is long enough"),
            place: place(line),
            keys: Keys::default(),
        }
    }

    #[test]
    fn addresses_networks_and_ranges_are_networks() {
        let read = |text| networks(text).iter().map(shown).collect::<Vec<_>>();
        assert_eq!(read("192.0.2.10"), ["192.0.2.10"]);
        assert_eq!(read("192.0.2.10/24"), ["192.0.2.0/24"]);
        assert_eq!(read("2001:db8::1"), ["2001:db8::1"]);
        assert_eq!(read("::ffff:192.0.2.1"), ["192.0.2.1"]);
        assert_eq!(
            read("192.0.2.1-192.0.2.4"),
            ["192.0.2.1", "192.0.2.2/31", "192.0.2.4"]
        );
        for none in [
            "",
            "fw1.example",
            "192.0.2.4-192.0.2.1",
            "*",
            "1-2",
            "192.0.2.1/33",
        ] {
            assert!(read(none).is_empty(), "{none}");
        }
    }

    #[test]
    fn no_two_clients_share_a_name_or_an_address() {
        let (mut clients, mut notes) = (Clients::default(), Notes::default());
        clients.admit(gear("fw", "192.0.2.1", 1), &mut notes);
        clients.admit(gear("FW", "192.0.2.2", 2), &mut notes);
        clients.admit(gear("other", "192.0.2.1", 3), &mut notes);
        clients.admit(gear("学外", "10.0.0.0/8", 4), &mut notes);
        let names: Vec<_> = clients.gear.iter().map(|gear| gear.name.clone()).collect();
        assert_eq!(names, ["fw", "FW-2", "client"]);
        let (notes, _) = notes.sorted();
        let lines: Vec<_> = notes.iter().map(|note| note.line).collect();
        assert_eq!(lines, [3, 3, 4]);
    }

    proptest! {
        #[test]
        fn a_range_is_covered_and_nothing_else(first in any::<u32>(), length in 0_u32..5000) {
            let last = first.saturating_add(length);
            let (from, to) = (Ipv4Addr::from(first), Ipv4Addr::from(last));
            let nets = networks(&format!("{from}-{to}"));
            let hosts: u64 = nets.iter().map(|net| 1_u64 << (32 - net.prefix_len())).sum();
            prop_assert_eq!(hosts, u64::from(last - first) + 1);
            prop_assert!(nets.iter().any(|net| net.contains(&IpAddr::V4(from))));
            prop_assert!(nets.iter().any(|net| net.contains(&IpAddr::V4(to))));
        }
    }
}
