//! Any octets at any stage: no panic, no Success, and an end.

use proptest::prelude::*;
use std::sync::LazyLock;

use super::peer::{Habits, Script, packet, tls};
use super::*;

static SCENE: LazyLock<(Pki, Authenticator<Record>)> = LazyLock::new(|| {
    let pki = Pki::new();
    let eap = authenticator(&pki.settings());
    (pki, eap)
});

/// What somebody does to a packet of the peer.
#[derive(Clone, Debug)]
enum Spoil {
    /// Changes an octet.
    Octet(usize, u8),
    /// Says these as the method's data.
    Data(Vec<u8>),
    /// Says these inside, instead of what the script says.
    Inside(Vec<u8>),
    /// Says these as the whole packet.
    Packet(Vec<u8>),
    /// Cuts it.
    Cut(usize),
}

fn spoil() -> impl Strategy<Value = Spoil> {
    let octets = || proptest::collection::vec(any::<u8>(), 0..200);
    prop_oneof![
        (any::<usize>(), any::<u8>()).prop_map(|(at, to)| Spoil::Octet(at, to)),
        octets().prop_map(Spoil::Data),
        octets().prop_map(Spoil::Inside),
        octets().prop_map(Spoil::Packet),
        any::<usize>().prop_map(Spoil::Cut),
    ]
}

fn spoilt(peer: &mut Peer, answer: Vec<u8>, spoil: &Spoil) -> Vec<u8> {
    let mut answer = answer;
    match spoil {
        Spoil::Octet(at, to) => {
            let at = at % answer.len();
            answer[at] = *to;
            answer
        }
        Spoil::Data(data) => packet(answer[1], answer[4], data),
        Spoil::Inside(said) if !peer.tls.is_handshaking() => {
            peer.say(said);
            let mut octets = Vec::new();
            while peer.tls.wants_write() {
                peer.tls.write_tls(&mut octets).unwrap();
            }
            packet(answer[1], answer[4], &[&[0][..], &octets].concat())
        }
        Spoil::Inside(said) | Spoil::Packet(said) => said.clone(),
        Spoil::Cut(at) => {
            let at = at % answer.len();
            answer.truncate(at);
            answer
        }
    }
}

/// Converses up to a round, spoils it, and goes on by repeating the same until the end; gives whether there was a Success.
fn converse_spoilt(habits: Habits, version: Version, at: usize, spoil: &Spoil) -> bool {
    let (pki, eap) = &*SCENE;
    let own = (habits.method == Method::Tls).then(|| pki.client("right@example.ac.jp", 1));
    let mut peer = Peer::new(&tls(pki, version, own.as_ref()), habits);
    let room = Room(1400);
    let (mut conversation, mut turn) = eap.begin(&[], room);
    let mut last = vec![1, 0, 0, 5, 1];
    for round in 0..70 {
        let rejected = match turn {
            Turn::Ask(packet) => {
                last = packet;
                None
            }
            Turn::Discard(_) => None,
            Turn::Look(_) => Some(conversation.looked(MayResume::NotHere)),
            Turn::Judge(_) if round > at => Some(conversation.judged(Judgement::Reject)),
            Turn::Judge(_) => Some(conversation.judged(Judgement::Accept {
                record: Some(1),
                proof: Some(PROOF),
            })),
            Turn::Success(_) => return true,
            Turn::Failure(..) => return false,
        };
        turn = match rejected {
            Some(turn) => turn,
            None if round <= at => {
                let mut answer = peer.answer(&last);
                if round == at {
                    answer = spoilt(&mut peer, answer, spoil);
                }
                conversation.receive(&answer, room)
            }
            None => {
                let empty = packet(last[1], last[4], &[0]);
                let again = spoilt(&mut peer, empty, spoil);
                conversation.receive(&again, room)
            }
        };
    }
    panic!("no end");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn spoilt_conversation_ends(
        method in prop_oneof![Just(Method::Ttls), Just(Method::Peap), Just(Method::Tls)],
        version in prop_oneof![Just(Version::V12), Just(Version::V13)],
        ms_chap in any::<bool>(),
        at in 0usize..9,
        spoil in spoil(),
    ) {
        let script = match method {
            Method::Tls => Script::Nothing,
            _ if ms_chap => Script::MsChapV2([8; 24], true),
            _ => Script::Gtc(vec!["right"; 9]),
        };
        // Whether there is a Success depends on what was right before; that there is an end does not.
        converse_spoilt(Habits::new(method, script), version, at, &spoil);
    }

    #[test]
    fn any_packets_end_in_failure(
        packets in proptest::collection::vec(
            prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..100),
                (any::<u8>(), proptest::collection::vec(any::<u8>(), 0..100))
                    .prop_map(|(kind, data)| packet(0, kind, &data)),
                proptest::collection::vec(any::<u8>(), 0..100)
                    .prop_map(|data| packet(0, 21, &data)),
            ],
            0..80,
        ),
    ) {
        let (mut conversation, mut turn) = SCENE.1.begin(&packet(0, 1, b"taro"), Room(1400));
        let mut identifier = 0;
        for mut packet in packets {
            match turn {
                Turn::Ask(asked) => identifier = asked[1],
                Turn::Discard(_) => {}
                Turn::Failure(..) => break,
                _ => panic!("something was believed"),
            }
            if let Some(octet) = packet.get_mut(1) {
                *octet = identifier;
            }
            turn = conversation.receive(&packet, Room(1400));
        }
    }
}
