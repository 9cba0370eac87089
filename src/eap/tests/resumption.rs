//! Sessions: what makes one resumable, who may resume it, and what ends it.

use std::sync::Arc;

use rustls::ClientConfig;

use super::peer::{Habits, Script, packet, retrying, tls};
use super::*;

const VERSIONS: [Version; 2] = [Version::V12, Version::V13];
const METHODS: [Method; 3] = [Method::Ttls, Method::Peap, Method::Tls];

/// A house, and a peer's equipment in it, which resumes whatever it can.
struct Scene {
    pki: Pki,
    clock: Clock,
    eap: Authenticator<Record>,
    method: Method,
    tls: Arc<ClientConfig>,
}

fn login(method: Method) -> Script {
    match method {
        Method::Ttls => Script::Pap("right"),
        Method::Peap => Script::Gtc(vec!["right"]),
        Method::Tls => Script::Nothing,
    }
}

fn proven(method: Method) -> &'static str {
    match method {
        Method::Ttls => "taro: right once",
        Method::Peap => "taro: right",
        Method::Tls => "right@example.ac.jp: certificate until 2208988800",
    }
}

impl Scene {
    fn new(method: Method, version: Version) -> Self {
        let pki = Pki::new();
        let clock = Clock::shifted(0);
        let own = pki.client("right@example.ac.jp", 1);
        Self {
            eap: Authenticator::new(&pki.settings(), clock.clone()).unwrap(),
            tls: tls(&pki, version, (method == Method::Tls).then_some(&own)),
            pki,
            clock,
            method,
        }
    }

    fn converse(&self, habits: Habits, judge: Judge) -> Ended {
        let mut peer = Peer::new(&self.tls, habits);
        let ended = converse(&self.eap, &mut peer, judge, 1400);
        let resumed = ended.yielded.iter().any(|what| what.starts_with("resumed"));
        assert_eq!(peer.is_resumed(), resumed, "{:?}", ended.yielded);
        if let Ok(success) = &ended.how {
            let (receive, send, id) = peer.keys();
            assert_eq!(success.receive_key.expose(), receive);
            assert_eq!(success.send_key.expose(), send);
            assert_eq!(success.session_id, id);
        }
        ended
    }

    fn login(&self, judge: Judge) -> Ended {
        self.converse(Habits::new(self.method, login(self.method)), judge)
    }

    /// Logs in once in full.
    fn logged_in(method: Method, version: Version) -> Self {
        let scene = Self::new(method, version);
        scene.is_full();
        scene
    }

    /// The next login names no session that is known.
    fn is_full(&self) {
        let ended = self.login(JUDGE);
        assert!(ended.is_success(), "{:?}", ended.how.as_ref().err());
        assert_eq!(ended.yielded, [proven(self.method)]);
    }

    fn is_resumed(&self) {
        let ended = self.login(JUDGE);
        assert!(ended.is_success(), "{:?}", ended.how.as_ref().err());
        assert_eq!(ended.yielded, ["look 7", "resumed 7"]);
    }
}

fn each(test: impl Fn(Method, Version)) {
    for method in METHODS {
        for version in VERSIONS {
            test(method, version);
        }
    }
}

#[test]
fn session_of_a_login_is_resumed_again_and_again() {
    each(|method, version| {
        let scene = Scene::logged_in(method, version);
        for _ in 0..3 {
            scene.is_resumed();
        }
    });
}

#[test]
fn session_is_resumed_by_a_second_hello() {
    for method in [Method::Ttls, Method::Peap] {
        let mut scene = Scene::new(method, Version::V13);
        let straight = scene.login(JUDGE).rounds;
        scene.tls = retrying(&scene.pki);
        let ended = scene.login(JUDGE);
        assert_eq!(ended.yielded, [proven(method)]);
        // One more for the second hello, and one as the first fills two fragments.
        assert_eq!(ended.rounds, straight + 2);
        scene.is_resumed();
        let judge = Judge {
            may_resume: MayResume::Never,
            ..JUDGE
        };
        assert_eq!(scene.login(judge).yielded, ["look 7", proven(method)]);
    }
}

#[test]
fn session_that_may_not_be_resumed_becomes_a_full_login() {
    each(|method, version| {
        let scene = Scene::logged_in(method, version);
        let judge = Judge {
            may_resume: MayResume::Never,
            record: None,
            ..JUDGE
        };
        let ended = scene.login(judge);
        assert!(ended.is_success());
        assert_eq!(ended.yielded, ["look 7", proven(method)]);
        // Neither the old session nor, without a record, the new one.
        scene.is_full();
    });
}

#[test]
fn session_that_is_named_elsewhere_is_left_to_its_owner() {
    each(|method, version| {
        let scene = Scene::logged_in(method, version);
        let mut thief = Peer::new(&scene.tls, Habits::new(method, login(method)));
        let identifier = if method == Method::Ttls { 2 } else { 3 };
        let hello = thief.answer(&[1, identifier, 0, 6, thief.kind(), 0x20]);
        let (_, turn) = greets(&scene, &hello, MayResume::NotHere);
        assert!(matches!(turn, Turn::Ask(_)));
        let (_, turn) = greets(&scene, &hello, MayResume::Yes);
        assert!(matches!(turn, Turn::Ask(_)));
    });
}

#[test]
fn login_that_failed_leaves_no_session() {
    each(|method, version| {
        let scene = Scene::new(method, version);
        if method == Method::Tls {
            return;
        }
        let wrong = match method {
            Method::Ttls => Script::Pap("wrong"),
            _ => Script::Gtc(vec!["wrong"]),
        };
        let ended = scene.converse(Habits::new(method, wrong), JUDGE);
        assert_eq!(ended.why(), None);
        scene.is_full();
    });
}

#[test]
fn login_that_did_not_come_to_success_leaves_no_session() {
    for version in VERSIONS {
        let scene = Scene::new(Method::Peap, version);
        let habits = Habits {
            result: 2,
            ..Habits::new(Method::Peap, login(Method::Peap))
        };
        assert_eq!(scene.converse(habits, JUDGE).why(), Some(Failed::ByPeer));
        scene.is_full();
    }
}

#[test]
fn resumed_session_that_is_refused_is_over() {
    each(|method, version| {
        let scene = Scene::logged_in(method, version);
        let judge = Judge {
            accepts_resumed: false,
            ..JUDGE
        };
        let ended = scene.login(judge);
        assert_eq!(ended.why(), None);
        assert_eq!(ended.yielded, ["look 7", "resumed 7"]);
        scene.is_full();
    });
}

#[test]
fn resumed_session_without_a_record_is_the_last() {
    each(|method, version| {
        let scene = Scene::logged_in(method, version);
        let judge = Judge {
            record: None,
            ..JUDGE
        };
        assert_eq!(scene.login(judge).yielded, ["look 7", "resumed 7"]);
        scene.is_full();
    });
}

#[test]
fn session_is_not_resumed_by_another_method() {
    for version in VERSIONS {
        for (before, after) in [(Method::Ttls, Method::Peap), (Method::Peap, Method::Ttls)] {
            let mut scene = Scene::logged_in(before, version);
            scene.method = after;
            scene.is_full();
            scene.is_resumed();
        }
    }
}

#[test]
fn session_ends_with_its_time_however_often_it_was_resumed() {
    each(|method, version| {
        let scene = Scene::logged_in(method, version);
        scene.clock.shift_by(50 * 60 * 1000);
        scene.is_resumed();
        scene.clock.shift_by(9 * 60 * 1000);
        scene.is_resumed();
        scene.clock.shift_by(60 * 1000);
        scene.is_full();
    });
}

#[test]
fn forgotten_session_is_over() {
    each(|method, version| {
        let scene = Scene::logged_in(method, version);
        scene.eap.forget(|record| *record == 8);
        scene.is_resumed();
        scene.eap.forget(|record| *record == 7);
        scene.is_full();
    });
}

#[test]
fn sessions_live_through_a_reload_but_not_a_restart() {
    each(|method, version| {
        let mut scene = Scene::logged_in(method, version);
        let settings = scene.pki.settings();
        scene.eap.reload(&settings).unwrap();
        scene.is_resumed();
        let mut without = settings.clone();
        without.methods.retain(|offered| *offered != method);
        scene.eap.reload(&without).unwrap();
        scene.eap.reload(&settings).unwrap();
        scene.is_full();
        scene.eap = Authenticator::new(&settings, scene.clock.clone()).unwrap();
        scene.is_full();
    });
}

#[test]
fn nothing_is_resumed_where_it_is_switched_off() {
    each(|method, version| {
        let mut scene = Scene::new(method, version);
        let settings = Settings {
            resume_for: Duration::ZERO,
            ..scene.pki.settings()
        };
        scene.eap = authenticator(&settings);
        scene.is_full();
        scene.is_full();
    });
}

#[test]
fn certificate_that_was_revoked_since_is_not_resumed() {
    for version in VERSIONS {
        let mut scene = Scene::logged_in(Method::Tls, version);
        let settings = Settings {
            crl: scene.pki.revoking(&[1], 2040).into_bytes(),
            ..scene.pki.settings()
        };
        scene.eap.reload(&settings).unwrap();
        let mut peer = Peer::new(&scene.tls, Habits::new(Method::Tls, Script::Nothing));
        let ended = converse(&scene.eap, &mut peer, JUDGE, 1400);
        let revoked = Failed::Tls("the client certificate is revoked".into());
        assert_eq!(
            (ended.why(), ended.yielded),
            (Some(revoked), vec!["look 7".to_owned()])
        );
        scene.eap.reload(&scene.pki.settings()).unwrap();
        scene.is_full();
    }
}

/// Brings a peer's hello before a new conversation, and says whether the session that it names may be resumed.
fn greets(
    scene: &Scene,
    hello: &[u8],
    may: MayResume,
) -> (super::super::Conversation<Record>, Turn<Record>) {
    let room = Room(1400);
    let (mut conversation, _) = scene.eap.begin(&packet(1, 1, b"somebody"), room);
    if hello[4] != 21 {
        drop(conversation.receive(&packet(2, 3, &hello[4..5]), room));
    }
    let Turn::Look(7) = conversation.receive(hello, room) else {
        panic!("no session");
    };
    let turn = conversation.looked(may);
    (conversation, turn)
}

#[test]
fn who_only_saw_a_sessions_name_neither_resumes_nor_ends_it() {
    each(|method, version| {
        let scene = Scene::logged_in(method, version);
        let mut owner = Peer::new(&scene.tls, Habits::new(method, login(method)));
        let identifier = if method == Method::Ttls { 2 } else { 3 };
        let hello = owner.answer(&[1, identifier, 0, 6, owner.kind(), 0x20]);
        // Somebody says it again, and cannot go on.
        let (_, turn) = greets(&scene, &hello, MayResume::Yes);
        assert!(matches!(turn, Turn::Ask(_)));
        if version == Version::V13 {
            let mut spoilt = hello.clone();
            *spoilt.last_mut().unwrap() ^= 1;
            let (mut conversation, turn) = greets(&scene, &spoilt, MayResume::Yes);
            let Turn::Ask(alert) = turn else {
                panic!("no alert");
            };
            assert_eq!(alert[6..8], [21, 3]);
            let turn = conversation.receive(&packet(alert[1], owner.kind(), &[0]), Room(1400));
            assert!(matches!(turn, Turn::Failure(_, Some(Failed::Tls(_)))));
        }
        let (mut conversation, turn) = greets(&scene, &hello, MayResume::Yes);
        let Turn::Ask(flight) = turn else {
            panic!("no flight");
        };
        let turn = conversation.receive(&owner.answer(&flight), Room(1400));
        assert!(matches!(turn, Turn::Judge(Credentials::Resumed(7))));
    });
}
