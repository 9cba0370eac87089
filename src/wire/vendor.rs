//! Vendor-Specific (RFC 2865 §5.26) in the form that nearly all vendors use.

use super::VALUE_OCTETS;
use super::reader::{Attributes, Reader};

/// The sub-attributes, if the value is this vendor's and a list to its last octet.
pub(super) fn sub_attributes(value: &[u8], vendor: u32) -> Option<Attributes<'_>> {
    let mut reader = Reader::new(value);
    if u32::from_be_bytes(reader.array()?) != vendor {
        return None;
    }
    let list = Attributes::new(reader.rest());
    list.is_whole().then_some(list)
}

/// The value of a Vendor-Specific with one sub-attribute; none when it would be too long.
pub(super) fn value(vendor: u32, kind: u8, value: &[u8]) -> Option<Vec<u8>> {
    let length = u8::try_from(value.len() + 2).ok()?;
    let whole = [&vendor.to_be_bytes(), &[kind, length][..], value].concat();
    (whole.len() <= VALUE_OCTETS).then_some(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_sub_attributes_are_read_in_order() {
        let value = [0, 0, 1, 55, 7, 3, b'a', 8, 2, 7, 4, b'b', b'c'];
        let found: Vec<_> = sub_attributes(&value, 311).unwrap().of(7).collect();
        assert_eq!(found, [&b"a"[..], b"bc"]);
        assert!(sub_attributes(&value, 9).is_none());
    }

    #[test]
    fn malformed_values_have_no_sub_attributes() {
        for value in [
            &[][..],
            &[0, 0, 1],
            &[0, 0, 1, 55, 7],
            &[0, 0, 1, 55, 7, 0],
            &[0, 0, 1, 55, 7, 1],
            &[0, 0, 1, 55, 7, 3],
            &[0, 0, 1, 55, 7, 3, b'a', 7, 0],
        ] {
            assert!(sub_attributes(value, 311).is_none(), "{value:?}");
        }
    }

    #[test]
    fn longest_value_is_known() {
        assert!(value(311, 2, &[0; 247]).is_some());
        assert!(value(311, 2, &[0; 248]).is_none());
        assert!(value(311, 2, &[0; 1000]).is_none());
    }
}
