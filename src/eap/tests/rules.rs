//! Peers that go against the rules.

use super::peer::{Habits, Script, avp, packet, tls};
use super::*;

const ROOM: Room = Room(1400);

fn protocol(why: &'static str) -> Option<Failed> {
    Some(Failed::Protocol(why))
}

/// The packet of a question.
fn asked(turn: Turn<Record>) -> Vec<u8> {
    match turn {
        Turn::Ask(packet) => packet,
        Turn::Failure(_, why) => panic!("failed: {why:?}"),
        _ => panic!("no question"),
    }
}

/// Why it failed.
fn failed(turn: Turn<Record>) -> Option<Failed> {
    match turn {
        Turn::Failure(_, why) => why,
        Turn::Ask(packet) => panic!("asked {packet:?}"),
        _ => panic!("no failure"),
    }
}

fn begun(settings: &Settings) -> (super::super::Conversation<Record>, Vec<u8>) {
    let (conversation, turn) = authenticator(settings).begin(&packet(7, 1, b"taro"), ROOM);
    (conversation, asked(turn))
}

#[test]
fn first_method_is_offered_and_another_taken_once() {
    let settings = Pki::new().settings();
    let nak = |wanted: &[u8]| {
        let (mut conversation, start) = begun(&settings);
        assert_eq!(start, [1, 8, 0, 6, 21, 0x20]);
        (
            conversation.receive(&packet(8, 3, wanted), ROOM),
            conversation,
        )
    };
    let (turn, mut conversation) = nak(&[43, 13, 25]);
    assert_eq!(
        asked(turn),
        [1, 9, 0, 6, 13, 0x20],
        "the peer's first wish that is offered"
    );
    assert_eq!(conversation.told(), "EAP-TLS");
    assert_eq!(
        failed(conversation.receive(&packet(9, 3, &[25]), ROOM)),
        Some(Failed::NoMethod)
    );
    for wanted in [&[0][..], &[], &[43, 4], &[21]] {
        assert_eq!(failed(nak(wanted).0), Some(Failed::NoMethod), "{wanted:?}");
    }
    let expanded = [0, 0, 0, 0, 0, 0, 3, 254, 0, 0, 0, 0, 0, 0, 25];
    let (mut conversation, _) = begun(&settings);
    let turn = conversation.receive(&packet(8, 254, &expanded), ROOM);
    assert_eq!(asked(turn), [1, 9, 0, 6, 25, 0x20]);
    let only = Settings {
        methods: vec![Method::Peap],
        ..settings
    };
    let (mut conversation, _) = begun(&only);
    assert_eq!(
        failed(conversation.receive(&packet(8, 3, &[21, 13]), ROOM)),
        Some(Failed::NoMethod)
    );
}

#[test]
fn nak_is_heard_at_the_first_answer_alone() {
    let pki = Pki::new();
    let (mut conversation, start) = begun(&pki.settings());
    let habits = Habits::new(Method::Ttls, Script::Pap("right"));
    let mut peer = Peer::new(&tls(&pki, Version::V13, None), habits);
    let flight = asked(conversation.receive(&peer.answer(&start), ROOM));
    let turn = conversation.receive(&packet(flight[1], 3, &[25]), ROOM);
    assert!(matches!(turn, Turn::Discard(_)));
}

#[test]
fn identity_is_of_any_octets_within_its_bound() {
    let eap = authenticator(&Pki::new().settings());
    let long = [0xff; 1020];
    for identity in [&b""[..], b"taro@example.ac.jp", &[0, 0xff], &long] {
        let (conversation, turn) = eap.begin(&packet(1, 1, identity), ROOM);
        assert_eq!(asked(turn).len(), 6);
        assert_eq!(conversation.identity(), identity);
    }
    let (_, turn) = eap.begin(&packet(1, 1, &[1; 1021]), ROOM);
    assert_eq!(failed(turn), protocol("identity that is too long"));
    let (mut conversation, turn) = eap.begin(&[], ROOM);
    let question = asked(turn);
    assert_eq!((question[0], question[4], question.len()), (1, 1, 5));
    let turn = conversation.receive(&packet(question[1], 21, &[0]), ROOM);
    assert_eq!(failed(turn), protocol("no Identity where one was asked"));
    for first in [&packet(1, 21, &[0])[..], &[2, 1, 0, 4], &[1, 1, 0, 5, 1]] {
        assert!(failed(eap.begin(first, ROOM).1).is_some());
    }
}

#[test]
fn odd_packets_are_discarded_until_there_are_too_many() {
    let (mut conversation, start) = begun(&Pki::new().settings());
    let odd = [
        packet(start[1].wrapping_sub(1), 21, &[0]),
        packet(start[1], 4, &[0]),
        vec![3, start[1], 0, 4],
        vec![2, start[1], 0, 9, 21],
        vec![],
    ];
    for packet in &odd {
        assert!(
            matches!(conversation.receive(packet, ROOM), Turn::Discard(_)),
            "{packet:?}"
        );
    }
    let turn = conversation.receive(&odd[0], ROOM);
    assert_eq!(failed(turn), protocol("too many odd packets"));
    let (mut conversation, start) = begun(&Pki::new().settings());
    let turn = conversation.receive(&[1, start[1], 0, 5, 21], ROOM);
    assert_eq!(failed(turn), protocol("EAP-Request from a peer"));
}

#[test]
fn odd_packet_does_not_disturb_a_login() {
    let pki = Pki::new();
    let habits = Habits::new(Method::Ttls, Script::Pap("right"));
    let mut peer = Peer::new(&tls(&pki, Version::V13, None), habits);
    let (mut conversation, mut request) = begun(&pki.settings());
    loop {
        let stale = packet(request[1].wrapping_add(9), 21, &[0]);
        if !matches!(conversation.receive(&stale, ROOM), Turn::Discard(_)) {
            panic!("not discarded");
        }
        match conversation.receive(&peer.answer(&request), ROOM) {
            Turn::Ask(next) => request = next,
            Turn::Judge(_) => break,
            _ => panic!("another turn"),
        }
    }
}

#[test]
fn rounds_end() {
    let (mut conversation, start) = begun(&Pki::new().settings());
    let mut data = vec![0xc0, 0, 0, 1, 0, 22];
    let mut identifier = start[1];
    for _ in 0..50 {
        let request = asked(conversation.receive(&packet(identifier, 21, &data), ROOM));
        assert_eq!(request[4..], [21, 0], "an acknowledgement");
        identifier = request[1];
        data = vec![0x40, 3];
    }
    let turn = conversation.receive(&packet(identifier, 21, &data), ROOM);
    assert_eq!(failed(turn), protocol("too many rounds"));
}

#[test]
fn fragment_bombs_are_refused() {
    let settings = Pki::new().settings();
    let cases: [(&[u8], &str); 5] = [
        (&[0xc0, 0, 1, 0, 1, 22], "message that is too long"),
        (
            &[0xc0, 0xff, 0xff, 0xff, 0xff, 22],
            "message that is too long",
        ),
        (&[0xc0, 0, 0, 0, 0], "fragment without data"),
        (&[0x40, 22], "first fragment without a length"),
        (&[0], "no hello"),
    ];
    for (data, why) in cases {
        let (mut conversation, start) = begun(&settings);
        let turn = conversation.receive(&packet(start[1], 21, data), ROOM);
        assert_eq!(failed(turn), protocol(why));
    }
}

#[test]
fn data_where_a_fragment_is_to_be_acknowledged_ends_it() {
    let pki = Pki::new();
    let (mut conversation, start) = begun(&pki.settings());
    let habits = Habits::new(Method::Ttls, Script::Pap("right"));
    let mut peer = Peer::new(&tls(&pki, Version::V13, None), habits);
    let flight = asked(conversation.receive(&peer.answer(&start), Room(100)));
    assert_eq!((flight.len(), flight[5]), (100, 0xc0));
    let turn = conversation.receive(&packet(flight[1], 21, &[0, 1]), Room(100));
    assert_eq!(
        failed(turn),
        protocol("data where our fragment was to be acknowledged")
    );
}

/// Says these octets inside, instead of a login, in both versions.
fn says(method: Method, said: &[Vec<u8>], why: &Option<Failed>) {
    let pki = Pki::new();
    let eap = authenticator(&pki.settings());
    for version in [Version::V12, Version::V13] {
        let script = Script::Raw(said.iter().cloned().collect());
        let mut peer = Peer::new(&tls(&pki, version, None), Habits::new(method, script));
        let ended = converse(&eap, &mut peer, JUDGE, 1400);
        assert_eq!(&ended.why(), why);
        assert!(ended.yielded.is_empty(), "{:?}", ended.yielded);
    }
}

#[test]
fn ttls_without_a_login_is_refused() {
    let login = [avp(1, b"taro"), avp(2, b"right")].concat();
    let start = avp(79, &packet(1, 1, b"taro"));
    let cases: &[(&[Vec<u8>], Failed)] = &[
        (&[], Failed::Protocol("tunnel without an inner login")),
        (&[avp(1, b"taro")], Failed::Protocol("no inner method")),
        (
            &[[login.clone(), start.clone()].concat()],
            Failed::Protocol("two inner methods at once"),
        ),
        (
            &[[login.clone(), avp(999, b"")].concat()],
            Failed::Protocol("unknown mandatory AVP"),
        ),
        (
            &[start.clone(), login.clone()],
            Failed::Protocol("two inner methods at once"),
        ),
        (
            &[avp(79, &packet(1, 6, b"right"))],
            Failed::Protocol("inner answer that nobody asked for"),
        ),
        (
            &[start.clone(), start.clone()],
            Failed::Protocol("inner packet that answers another"),
        ),
        (
            &[start, avp(79, &packet(2, 1, b"hanako"))],
            Failed::Protocol("inner answer of another type than was asked"),
        ),
        (
            &[avp(79, &[3, 1, 0, 4])],
            Failed::Protocol("malformed inner packet"),
        ),
    ];
    for (said, why) in cases {
        says(Method::Ttls, said, &Some(why.clone()));
    }
}

#[test]
fn peap_without_a_login_is_refused() {
    let success = packet(1, 33, &[0x80, 3, 0, 2, 0, 1]);
    let name = [&[1][..], b"taro"].concat();
    let cases: &[(&[Vec<u8>], Failed)] = &[
        (
            std::slice::from_ref(&success),
            Failed::Protocol("Result TLV before the inner login"),
        ),
        (
            &[name.clone(), success.clone()],
            Failed::Protocol("Result TLV before the inner login"),
        ),
        (
            &[vec![6, b'x']],
            Failed::Protocol("inner answer that nobody asked for"),
        ),
        (
            &[vec![1]],
            Failed::Protocol("inner name that is empty or too long"),
        ),
        (
            &[name.clone(), vec![6]],
            Failed::Protocol("malformed inner answer"),
        ),
        (&[name.clone(), vec![3, 4]], Failed::NoMethod),
        (&[name.clone(), vec![3, 26], vec![3, 6]], Failed::NoMethod),
        (&[], Failed::Protocol("tunnel without an inner login")),
    ];
    for (said, why) in cases {
        says(Method::Peap, said, &Some(why.clone()));
    }
}

#[test]
fn inner_method_that_is_not_offered_is_refused() {
    let pki = Pki::new();
    let settings = Settings {
        inner: vec![Inner::Gtc],
        ..pki.settings()
    };
    for (method, script) in [
        (Method::Ttls, Script::Pap("right")),
        (Method::Ttls, Script::MsChapV2([8; 24], true)),
        (Method::Peap, Script::MsChapV2([8; 24], true)),
    ] {
        let mut peer = Peer::new(&tls(&pki, Version::V13, None), Habits::new(method, script));
        let ended = converse(&authenticator(&settings), &mut peer, JUDGE, 1400);
        assert_eq!(ended.why(), Some(Failed::NoMethod));
    }
}

#[test]
fn peers_own_result_counts() {
    let pki = Pki::new();
    let eap = authenticator(&pki.settings());
    let login = |result| {
        let habits = Habits {
            result,
            ..Habits::new(Method::Peap, Script::Gtc(vec!["right"]))
        };
        let mut peer = Peer::new(&tls(&pki, Version::V13, None), habits);
        converse(&eap, &mut peer, JUDGE, 1400).why()
    };
    assert_eq!(login(2), Some(Failed::ByPeer));
    assert_eq!(login(3), protocol("malformed Result TLV"));
}

#[test]
fn word_that_nobody_waits_for_is_no_success() {
    let pki = Pki::new();
    let accept = || Judgement::Accept {
        record: Some(1),
        proof: None,
    };
    let (mut conversation, _) = begun(&pki.settings());
    assert!(matches!(conversation.judged(accept()), Turn::Failure(..)));
    let (mut conversation, start) = begun(&pki.settings());
    let habits = Habits::new(Method::Ttls, Script::Pap("right"));
    let mut peer = Peer::new(&tls(&pki, Version::V13, None), habits);
    let _flight = asked(conversation.receive(&peer.answer(&start), ROOM));
    assert!(matches!(conversation.judged(accept()), Turn::Failure(..)));
    let (mut conversation, _) = begun(&pki.settings());
    assert!(matches!(
        conversation.looked(MayResume::Yes),
        Turn::Failure(..)
    ));
}

#[test]
fn conversation_is_told() {
    let pki = Pki::new();
    let eap = authenticator(&pki.settings());
    let habits = Habits::new(Method::Ttls, Script::Pap("right"));
    let cases = [
        (
            Version::V12,
            "EAP-TTLS, TLS 1.2 TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        ),
        (Version::V13, "EAP-TTLS, TLS 1.3 TLS13_AES_256_GCM_SHA384"),
    ];
    for (version, told) in cases {
        let config = tls(&pki, version, None);
        let ended = converse(&eap, &mut Peer::new(&config, habits.clone()), JUDGE, 1400);
        assert_eq!(ended.told, told);
        let again = converse(&eap, &mut Peer::new(&config, habits.clone()), JUDGE, 1400);
        assert_eq!(again.told, format!("{told}, resumed"));
        assert!(again.rounds <= ended.rounds);
    }
}

#[test]
fn conversation_that_dies_tells_where() {
    let pki = Pki::new();
    let (mut conversation, start) = begun(&pki.settings());
    assert_eq!(
        conversation.waits(),
        "an answer to the method that is offered"
    );
    let habits = Habits::new(Method::Ttls, Script::Pap("right"));
    let mut peer = Peer::new(&tls(&pki, Version::V12, None), habits);
    let flight = asked(conversation.receive(&peer.answer(&start), ROOM));
    assert!(
        conversation
            .waits()
            .starts_with("an answer to our certificate")
    );
    let alert = asked(conversation.receive(
        &packet(flight[1], 21, &[0, 22, 3, 3, 0, 5, 99, 0, 0, 1, 0]),
        ROOM,
    ));
    assert_eq!(alert[6..8], [21, 3]);
    assert_eq!(conversation.waits(), "an answer to an alert");
    let told = conversation.told();
    assert!(
        told.starts_with("EAP-TTLS, TLS 1.2 TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, "),
        "{told}"
    );
    let (mut conversation, start) = begun(&pki.settings());
    let hello = Peer::new(
        &tls(&pki, Version::V12, None),
        Habits::new(Method::Ttls, Script::Nothing),
    )
    .answer(&start);
    let _first = asked(conversation.receive(&hello, Room(100)));
    assert!(conversation.waits().starts_with("word that a fragment"));
}

#[test]
fn settings_that_cannot_be_used_are_refused() {
    let pki = Pki::new();
    let good = pki.settings();
    let refused =
        |settings: &Settings| Authenticator::<Record>::new(settings, Clock::system()).err();
    let mut other_key = good.clone();
    other_key.key = Secret::from(Pki::new().server.1.as_str());
    assert!(matches!(
        refused(&other_key),
        Some(super::super::Error::Certificate(_))
    ));
    let mut empty = good.clone();
    empty.certificate.clear();
    assert!(matches!(
        refused(&empty),
        Some(super::super::Error::Certificate(_))
    ));
    let mut no_ca = good.clone();
    no_ca.client_ca.clear();
    assert!(matches!(
        refused(&no_ca),
        Some(super::super::Error::ClientCa(_))
    ));
    let mut no_list = good.clone();
    no_list.crl = b"nothing".to_vec();
    assert!(matches!(
        refused(&no_list),
        Some(super::super::Error::ClientCa(_))
    ));
    let mut long = good.clone();
    long.fragment = 100;
    long.certificate = pki.server.0.repeat(9).into_bytes();
    assert!(matches!(
        refused(&long),
        Some(super::super::Error::Chain { .. })
    ));
    let mut eap = authenticator(&good);
    assert!(eap.reload(&long).is_err());
    assert_eq!(refused(&good).map(|_| ()), None);
}
