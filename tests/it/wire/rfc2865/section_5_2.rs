//! User-Password.

use sekisho::secret::Secret;
use sekisho::wire::{BadPassword, Query, Request, attribute};

use crate::wire::{attribute as written, packet, secret};

#[test]
fn lengths_other_than_one_to_eight_blocks_are_bad() {
    for length in 0..=253 {
        let octets = packet(1, &written(attribute::USER_PASSWORD, &vec![1; length]));
        let revealed = Request::parse(&octets).unwrap().user_password(&secret());
        if (16..=128).contains(&length) && length % 16 == 0 {
            assert!(revealed.unwrap().is_some(), "{length}");
        } else {
            assert_eq!(revealed, Err(BadPassword::Length), "{length}");
        }
    }
}

#[test]
fn absent_password_is_none() {
    let request = Request::parse(&packet(1, &written(1, b"bob"))).unwrap();
    assert_eq!(request.user_password(&secret()), Ok(None));
}

#[test]
fn password_ends_at_its_first_zero() {
    for (typed, revealed) in [
        (&b"arctangent"[..], &b"arctangent"[..]),
        (b"exactly sixteen!", b"exactly sixteen!"),
        (b"before\0after", b"before"),
        (b"\0after", b""),
        (b"", b""),
        (b"\0", b""),
        ("ひみつ,123456".as_bytes(), "ひみつ,123456".as_bytes()),
    ] {
        let asked = Query::access(7)
            .with_password(&secret(), typed)
            .sign(&secret());
        let request = Request::parse(asked.octets()).unwrap();
        let plain = request.user_password(&secret()).unwrap().unwrap();
        assert_eq!(plain.expose(), revealed);
    }
}

#[test]
fn garbage_behind_the_zero_is_no_part_of_the_password() {
    let garbage = [b"open sesame\0".to_vec(), vec![0xaa; 116]].concat();
    let asked = Query::access(7)
        .with_password(&secret(), &garbage)
        .sign(&secret());
    let request = Request::parse(asked.octets()).unwrap();
    let plain = request.user_password(&secret()).unwrap().unwrap();
    assert_eq!(plain, Secret::from("open sesame"));
}

#[test]
fn another_secret_reveals_something_else() {
    let asked = Query::access(7)
        .with_password(&secret(), b"arctangent")
        .sign(&secret());
    let request = Request::parse(asked.octets()).unwrap();
    let other = request.user_password(&Secret::from("xyzzy5462"));
    assert_ne!(other.unwrap().unwrap(), Secret::from("arctangent"));
}
