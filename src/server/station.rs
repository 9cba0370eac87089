//! The station, read from the attributes that a client's configuration trusts.

use std::net::IpAddr;
use std::sync::Arc;

use super::{StationForm, StationSource};
use crate::account::Station;
use crate::wire::Request;

/// Highest tag octet (RFC 2868 §3.3); anything above is the first octet of the text.
const HIGHEST_TAG: u8 = 0x1f;

/// Reads the sources in order; the first that tells something wins, and is named.
pub(super) fn read(request: &Request, sources: &[StationSource]) -> (Station, Option<Arc<str>>) {
    sources
        .iter()
        .find_map(|source| {
            let station = match source.vendor {
                None => first_known(source, request.attributes(source.kind)),
                Some(vendor) => first_known(source, request.vendor_attributes(vendor, source.kind)),
            };
            station.map(|station| (station, Some(Arc::clone(&source.name))))
        })
        .unwrap_or_default()
}

fn first_known<'a>(
    source: &StationSource,
    values: impl Iterator<Item = &'a [u8]>,
) -> Option<Station> {
    values
        .map(|value| read_value(source, value))
        .find(|station| *station != Station::Unknown)
}

fn read_value(source: &StationSource, value: &[u8]) -> Station {
    match source.form {
        StationForm::Text => read_text(source, value),
        StationForm::TaggedText => match value.split_first() {
            Some((tag, text)) if *tag <= HIGHEST_TAG => read_text(source, text),
            _ => read_text(source, value),
        },
        StationForm::Address => read_address(value),
    }
}

fn read_text(source: &StationSource, value: &[u8]) -> Station {
    let prefix = source.prefix.as_deref().unwrap_or_default();
    std::str::from_utf8(value)
        .ok()
        .and_then(|text| text.strip_prefix(prefix))
        .map(Station::read)
        .unwrap_or_default()
}

fn read_address(value: &[u8]) -> Station {
    if let Ok(octets) = <[u8; 4]>::try_from(value) {
        return Station::Address(IpAddr::from(octets));
    }
    <[u8; 16]>::try_from(value)
        .map(|octets| Station::Address(IpAddr::from(octets).to_canonical()))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;
    use crate::wire::Query;

    fn source(form: StationForm, prefix: Option<&str>) -> StationSource {
        StationSource {
            name: "source".into(),
            vendor: None,
            kind: 31,
            prefix: prefix.map(str::to_owned),
            form,
        }
    }

    fn address(text: &str) -> Station {
        Station::Address(text.parse().unwrap())
    }

    #[test]
    fn every_form_is_read() {
        let text = source(StationForm::Text, None);
        let tagged = source(StationForm::TaggedText, None);
        let octets = source(StationForm::Address, None);
        let pair = source(StationForm::Text, Some("ip:source-ip="));
        for (source, value, expected) in [
            (&text, &b"203.0.113.5[4500]"[..], address("203.0.113.5")),
            (&text, b"\xff\xfe", Station::Unknown),
            (&text, b"", Station::Unknown),
            (&tagged, b"\x01203.0.113.5", address("203.0.113.5")),
            (&tagged, b"203.0.113.5", address("203.0.113.5")),
            (&tagged, b"", Station::Unknown),
            (&octets, &[203, 0, 113, 5], address("203.0.113.5")),
            (&octets, b"203.0.113.5", Station::Unknown),
            (&pair, b"ip:source-ip=203.0.113.5", address("203.0.113.5")),
            (&pair, b"203.0.113.5", Station::Unknown),
        ] {
            assert_eq!(read_value(source, value), expected, "{value:?}");
        }
        let mapped: std::net::Ipv6Addr = "::ffff:203.0.113.5".parse().unwrap();
        assert_eq!(
            read_value(&octets, &mapped.octets()),
            address("203.0.113.5")
        );
    }

    #[test]
    fn the_first_source_that_tells_something_wins_and_is_named() {
        let named = |name: &str, vendor, kind| StationSource {
            name: name.into(),
            vendor,
            kind,
            prefix: None,
            form: StationForm::Text,
        };
        let sources = [
            named("Calling-Station-Id", None, 31),
            named("PaloAlto-Client-Source-IP", Some(25461), 7),
        ];
        let secret = Secret::from("a secret");
        let read_from = |calling: &[u8], vendor: u32| {
            let asked = Query::access(1)
                .with(31, calling)
                .with_vendor(vendor, 7, b"203.0.113.7")
                .sign(&secret);
            read(&Request::parse(asked.octets()).unwrap(), &sources)
        };
        let name = |name: &str| Some(Arc::from(name));
        assert_eq!(
            read_from(b"203.0.113.5", 25461),
            (address("203.0.113.5"), name("Calling-Station-Id"))
        );
        assert_eq!(
            read_from(b"my-laptop", 25461),
            (address("203.0.113.7"), name("PaloAlto-Client-Source-IP"))
        );
        assert_eq!(read_from(b"my-laptop", 9), (Station::Unknown, None));
    }

    #[test]
    fn the_first_value_that_tells_something_wins() {
        let pair = source(StationForm::Text, Some("ip:source-ip="));
        let values = [
            &b"mdm-tlv=device-mac=00-1b-63-84-45-e6"[..],
            b"ip:source-ip=nowhere",
            b"ip:source-ip=203.0.113.5",
            b"ip:source-ip=203.0.113.6",
        ];
        assert_eq!(
            first_known(&pair, values.into_iter()),
            Some(address("203.0.113.5"))
        );
        assert_eq!(first_known(&pair, values.into_iter().take(2)), None);
    }
}
