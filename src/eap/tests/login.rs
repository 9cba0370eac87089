//! Every method by every version of TLS in every size of fragments, right and wrong.

use super::peer::{Habits, Script, tls, trusting};
use super::*;

const VERSIONS: [Version; 2] = [Version::V12, Version::V13];
const FRAGMENTS: [usize; 3] = [100, 500, 1400];

const RIGHT: [u8; 24] = [8; 24];
const WRONG: [u8; 24] = [9; 24];

/// Logs in by each version and size; gives how it ended.
fn all(method: Method, script: &Script, judge: Judge, mut look: impl FnMut(&Ended, &Peer)) {
    let pki = Pki::new();
    let own = match method {
        Method::Tls if matches!(script, Script::Pap(_)) => {
            Some(pki.client("wrong@example.ac.jp", 1))
        }
        Method::Tls => Some(pki.client("right@example.ac.jp", 1)),
        Method::Ttls | Method::Peap => None,
    };
    let eap = authenticator(&pki.settings());
    for version in VERSIONS {
        for fragment in FRAGMENTS {
            for eager in [false, true] {
                let habits = Habits {
                    fragment,
                    eager,
                    ..Habits::new(method, script.clone())
                };
                let mut peer = Peer::new(&tls(&pki, version, own.as_ref()), habits);
                let ended = converse(&eap, &mut peer, judge, fragment);
                look(&ended, &peer);
                if let Ok(success) = &ended.how {
                    let (receive, send, id) = peer.keys();
                    assert_eq!(success.receive_key.expose(), receive);
                    assert_eq!(success.send_key.expose(), send);
                    assert_ne!(receive, send);
                    assert_eq!(success.session_id, id);
                }
            }
        }
    }
}

fn lets_in(method: Method, script: &Script, judge: Judge, yielded: &[&str]) {
    all(method, script, judge, |ended, peer| {
        assert!(
            ended.is_success(),
            "{:?} {}",
            ended.how.as_ref().err(),
            peer.told()
        );
        assert_eq!(ended.yielded, yielded);
    });
}

fn refuses(method: Method, script: &Script, judge: Judge, yielded: &[&str]) {
    all(method, script, judge, |ended, peer| {
        assert_eq!(ended.why(), None, "{}", peer.told());
        assert_eq!(ended.yielded, yielded);
    });
}

#[test]
fn ttls_pap() {
    lets_in(
        Method::Ttls,
        &Script::Pap("right"),
        JUDGE,
        &["taro: right once"],
    );
    refuses(
        Method::Ttls,
        &Script::Pap("wrong"),
        JUDGE,
        &["taro: wrong once"],
    );
}

#[test]
fn gtc() {
    for method in [Method::Ttls, Method::Peap] {
        lets_in(method, &Script::Gtc(vec!["right"]), JUDGE, &["taro: right"]);
        refuses(method, &Script::Gtc(vec!["wrong"]), JUDGE, &["taro: wrong"]);
    }
}

#[test]
fn gtc_asks_for_a_code() {
    let judge = Judge {
        asks: true,
        ..JUDGE
    };
    for method in [Method::Ttls, Method::Peap] {
        let script = Script::Gtc(vec!["right", "123456"]);
        all(method, &script, judge, |ended, peer| {
            assert!(ended.is_success());
            assert_eq!(ended.yielded, ["taro: right", "taro: 123456"]);
            let question = "コード / Code: ".as_bytes();
            assert!(
                peer.heard
                    .iter()
                    .any(|heard| { heard.windows(question.len()).any(|part| part == question) })
            );
        });
        refuses(
            method,
            &Script::Gtc(vec!["right", "1"]),
            judge,
            &["taro: right", "taro: 1"],
        );
    }
}

#[test]
fn gtc_takes_an_empty_answer_to_a_question_alone() {
    let judge = Judge {
        asks: true,
        ..JUDGE
    };
    for method in [Method::Ttls, Method::Peap] {
        let script = Script::Gtc(vec!["right", ""]);
        refuses(method, &script, judge, &["taro: right", "taro: "]);
        all(method, &Script::Gtc(vec![""]), judge, |ended, _| {
            assert!(!ended.is_success());
            assert!(ended.yielded.is_empty(), "nothing to judge");
        });
    }
}

#[test]
fn ms_chap_v2() {
    for method in [Method::Ttls, Method::Peap] {
        let right = Script::MsChapV2(RIGHT, true);
        all(method, &right, JUDGE, |ended, peer| {
            assert!(ended.is_success(), "{:?}", ended.how.as_ref().err());
            let proof = format!("S={} M=", "AB".repeat(20));
            assert!(peer.heard.iter().any(|heard| {
                heard
                    .windows(proof.len())
                    .any(|part| part == proof.as_bytes())
            }));
        });
        refuses(
            method,
            &Script::MsChapV2(WRONG, true),
            JUDGE,
            &["taro: response"],
        );
        all(
            method,
            &Script::MsChapV2(RIGHT, false),
            JUDGE,
            |ended, _| {
                assert_eq!(ended.why(), Some(Failed::ByPeer));
            },
        );
    }
}

#[test]
fn client_certificate() {
    let yielded = ["right@example.ac.jp: certificate until 2208988800"];
    lets_in(Method::Tls, &Script::Nothing, JUDGE, &yielded);
    let yielded = ["wrong@example.ac.jp: certificate until 2208988800"];
    // The script tells only which certificate is shown.
    all(Method::Tls, &Script::Pap(""), JUDGE, |ended, peer| {
        assert_eq!(
            (ended.why(), &ended.yielded[..]),
            (None, &[yielded[0].to_owned()][..])
        );
        assert!(peer.heard.is_empty(), "success was promised");
    });
}

/// Shows a certificate; gives why it is refused.
fn shows(
    settings: &Settings,
    pki: &Pki,
    own: Option<&(String, String)>,
    version: Version,
) -> Ended {
    let habits = Habits::new(Method::Tls, Script::Nothing);
    let mut peer = Peer::new(&tls(pki, version, own), habits);
    let ended = converse(&authenticator(settings), &mut peer, JUDGE, 1400);
    assert!(
        ended.is_success() || peer.alert.is_some(),
        "an alert told it"
    );
    ended
}

#[test]
fn certificates_that_cannot_be_used_are_told_apart() {
    let (pki, other) = (Pki::new(), Pki::named("Other CA"));
    let revoked = pki.client("right@example.ac.jp", 9);
    let listed = |serials: &[u8], until| Settings {
        crl: pki.revoking(serials, until).into_bytes(),
        ..pki.settings()
    };
    let foreign = other.client("right@example.ac.jp", 1);
    let plain = pki.settings();
    let cases = [
        (&plain, None, "the peer shows no certificate"),
        (
            &plain,
            Some(&foreign),
            "the client certificate is of an unknown CA",
        ),
        (
            &listed(&[9], 2040),
            Some(&revoked),
            "the client certificate is revoked",
        ),
        (
            &listed(&[], 2021),
            Some(&revoked),
            "the client certificate cannot be looked up, as its revocation list has expired",
        ),
        (
            &plain,
            Some(&pki.server),
            "the client certificate is not for client authentication",
        ),
    ];
    for (settings, own, why) in cases {
        for version in VERSIONS {
            let ended = shows(settings, &pki, own, version);
            assert_eq!(ended.why(), Some(Failed::Tls(why.into())));
            assert_eq!(ended.yielded, [""; 0]);
        }
    }
    assert!(shows(&listed(&[8], 2040), &pki, Some(&revoked), Version::V13).is_success());
}

#[test]
fn peer_that_does_not_trust_us_is_told_so() {
    let (pki, other) = (Pki::new(), Pki::named("Other CA"));
    let eap = authenticator(&pki.settings());
    for version in VERSIONS {
        let habits = Habits::new(Method::Peap, Script::Gtc(vec!["right"]));
        let mut peer = Peer::new(&trusting(&other.ca.pem(), version, None), habits);
        let ended = converse(&eap, &mut peer, JUDGE, 1400);
        let Some(Failed::Tls(why)) = ended.why() else {
            panic!("another reason");
        };
        assert_eq!(
            why,
            "the peer does not trust our certificate (alert unknown_ca from the peer)"
        );
    }
}

#[test]
fn no_common_version_is_told() {
    let pki = Pki::new();
    let pairs = [(Version::V12, Version::V13), (Version::V13, Version::V12)];
    for (ours, theirs) in pairs {
        let settings = Settings {
            oldest: ours,
            newest: ours,
            ..pki.settings()
        };
        let habits = Habits::new(Method::Ttls, Script::Pap("right"));
        let mut peer = Peer::new(&tls(&pki, theirs, None), habits);
        let ended = converse(&authenticator(&settings), &mut peer, JUDGE, 1400);
        let Some(Failed::Tls(why)) = ended.why() else {
            panic!("another reason");
        };
        assert!(why.starts_with("no common version of TLS"), "{why}");
        assert!(peer.alert.is_some());
    }
}
