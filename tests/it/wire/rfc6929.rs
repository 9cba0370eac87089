//! Extended attributes (241 to 246) are skipped, whatever they hold.

use sekisho::wire::{Request, attribute};

use crate::wire::{attribute as written, packet};

#[test]
fn extended_attributes_never_spoil_a_packet() {
    for kind in 241..=246 {
        for value in [
            &[][..],
            &[1],
            &[1, 0x80],
            &[26, 0, 0, 0],
            &[26, 0x80, 0, 0, 0, 9, 1, 0],
            &[0xff; 253],
        ] {
            let list = [written(kind, value).repeat(2), written(1, b"bob")].concat();
            let request = Request::parse(&packet(1, &list)).unwrap();
            assert_eq!(request.attribute(attribute::USER_NAME), Some(&b"bob"[..]));
            assert_eq!(request.repeated(), None);
        }
    }
}
