//! What a conversation costs that was begun and left.

use std::process::Command;

use super::peer::{Habits, Script, packet, tls};
use super::*;

/// Set in the process that measures itself.
const MEASURES: &str = "SEKISHO_TEST_MEASURES";
const CONVERSATIONS: usize = 2000;

/// How many octets this process holds.
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = pages.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

/// Octets of a conversation that waits for the hello, of one that waits for a first fragment's rest, and of one that has heard
/// the hello, by each version of TLS.
fn measure() -> [usize; 4] {
    let pki = Pki::new();
    let eap = authenticator(&pki.settings());
    let begin = || {
        eap.begin(&packet(1, 1, b"anonymous@example.ac.jp"), Room(1400))
            .0
    };
    let hello = |version| {
        let habits = Habits::new(Method::Ttls, Script::Pap("right"));
        Peer::new(&tls(&pki, version, None), habits).answer(&[1, 2, 0, 6, 21, 0x20])
    };
    let hellos = [
        vec![],
        packet(2, 21, &[&[0xc0, 0, 0, 2, 0][..], &[22; 400]].concat()),
        hello(Version::V12),
        hello(Version::V13),
    ];
    // Once before it counts, so that what is made once is not counted.
    hellos.map(|hello| {
        let mut held = Vec::with_capacity(2 * CONVERSATIONS);
        let mut before = 0;
        for conversation in 0..2 * CONVERSATIONS {
            if conversation == CONVERSATIONS {
                before = resident();
            }
            let mut conversation = begin();
            if !hello.is_empty() {
                assert!(matches!(
                    conversation.receive(&hello, Room(1400)),
                    Turn::Ask(_)
                ));
            }
            held.push(conversation);
        }
        let each = resident().saturating_sub(before) / CONVERSATIONS;
        // Never given back, so that the next kind takes memory of its own.
        std::mem::forget(held);
        each
    })
}

#[test]
fn conversation_that_was_left_costs_little() {
    if std::env::var_os(MEASURES).is_some() {
        println!("measured: {:?}", measure());
        return;
    }
    // In a process of its own, whose memory no other test uses.
    let ran = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "eap::tests::memory::conversation_that_was_left_costs_little",
        ])
        .arg("--nocapture")
        .env(MEASURES, "1")
        .output()
        .unwrap();
    let said = String::from_utf8(ran.stdout).unwrap();
    let (_, list) = said.split_once("measured: [").unwrap();
    let (list, _) = list.split_once(']').unwrap();
    let octets: Vec<usize> = list
        .split(", ")
        .map(|octets| octets.parse().unwrap())
        .collect();
    println!("{octets:?}");
    let bounds = [600, 1500, 12_000, 12_000];
    let within = octets
        .iter()
        .zip(bounds)
        .all(|(octets, bound)| *octets <= bound);
    assert!(within, "{octets:?} over {bounds:?}");
}

#[test]
fn what_a_peer_has_said_is_counted_until_the_conversation_is_over() {
    let pki = Pki::new();
    let eap = authenticator(&pki.settings());
    let own = pki.client("right@example.ac.jp", 1);
    let habits = Habits::new(Method::Tls, Script::Nothing);
    let mut peer = Peer::new(&tls(&pki, Version::V13, Some(&own)), habits);
    let room = Room(4000);
    let (mut conversation, _) = eap.begin(&packet(1, 1, b"somebody"), room);
    drop(conversation.receive(&packet(2, 3, &[13]), room));
    let Turn::Ask(flight) = conversation.receive(&peer.answer(&[1, 3, 0, 6, 13, 0x20]), room)
    else {
        panic!("no flight");
    };
    let hello = conversation.octets();
    assert!(hello < 3000, "{hello}");
    // Half of a long list of certificates, and never the rest.
    let mut data = [&[0xc0, 0, 0, 0xf0, 0][..], &[22; 3000]].concat();
    let mut identifier = flight[1];
    for part in 1..=10 {
        let Turn::Ask(next) = conversation.receive(&packet(identifier, 13, &data), room) else {
            panic!("no room");
        };
        assert!(conversation.octets() >= hello + part * 3000);
        identifier = next[1];
        data = [&[0x40][..], &[22; 3000]].concat();
    }
}
