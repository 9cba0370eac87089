//! One method in work, from the peer's hello to the end: what follows from each whole message.
//!
//! Not here: packets, fragments and who may decline a method (`conversation`).

mod told;

use super::inner::{self, Inside, Plain, Ruling, Said};
use super::settings::Method;
use super::tls::{self, Broken, Found, Keeper, Tunnel};
use super::{Credentials, Failed, House, Judgement, MayResume};
use crate::clock::Timestamp;
use crate::secret::Secret;

/// The longest first message: a hello with the largest key shares in use takes some 2,000 octets. Everybody can send one.
const HELLO_OCTETS: usize = 8 * 1024;
/// The longest message of a peer without certificates: one record holds a password or what MSCHAPv2 says.
const INNER_OCTETS: usize = 16 * 1024;
/// The longest message of a peer with certificates, as FreeRADIUS and hostapd have it.
const CERTIFICATES_OCTETS: usize = 64 * 1024;

/// How often a peer may say nothing inside: once it has the tickets of TLS 1.3, and once to spare.
const SILENCES: u8 = 2;

/// A method in work.
pub(super) struct Dialogue<R> {
    method: Method,
    /// None before the hello is known: it takes the most memory.
    tunnel: Option<Box<Tunnel>>,
    phase: Phase<R>,
    /// When the login was that the session stands for: of a resumed one, the first.
    since: Option<Timestamp>,
    /// What makes the session resumable.
    record: Option<R>,
    /// How often the peer was let speak inside and said nothing.
    silences: u8,
    /// Octets that the tunnel has heard.
    heard: usize,
}

/// What is waited for.
enum Phase<R> {
    /// The hello.
    Hello,
    /// Word on whether the session that the hello names may be resumed.
    Looking(Box<(Vec<u8>, Found<R>)>),
    /// The peer's part of the handshake; with the record of the session that it may resume.
    Handshake(Option<R>),
    /// Word on what the peer has shown.
    Judging(Subject),
    /// An empty answer to the handshake's end, for PEAP to begin or, when resumed, to end.
    Turning { resumed: bool },
    /// The peer to speak inside.
    Inside(Inside),
    /// The peer's result, after ours (PEAP).
    Result { success: bool },
    /// An empty answer, after which there is Success.
    Success,
    /// An answer to an alert, after which there is Failure.
    Alerted(Failed),
    /// Nothing.
    Over,
}

/// What is being judged.
enum Subject {
    Session,
    Certificate,
    Inside(Inside),
}

/// What follows.
pub(super) enum Step<R> {
    /// Octets for the peer; empty ones let it speak.
    Send(Vec<u8>),
    /// See [`super::Turn::Look`].
    Look(R),
    /// See [`super::Turn::Judge`].
    Judge(Credentials<R>),
    /// The peer is let in.
    Succeed,
    /// It is not.
    Fail(Option<Failed>),
}

/// Keys and Session-Id of a tunnel.
pub(super) type Keys = (Secret, Secret, Option<Vec<u8>>);

fn protocol<R>(why: &'static str) -> Step<R> {
    Step::Fail(Some(Failed::Protocol(why)))
}

impl<R: Clone> Dialogue<R> {
    /// Begins one.
    pub(super) fn new(method: Method) -> Self {
        Self {
            method,
            tunnel: None,
            phase: Phase::Hello,
            since: None,
            record: None,
            silences: 0,
            heard: 0,
        }
    }

    /// Octets that the tunnel has heard: it may still hold them, as halves of something, or as certificates.
    pub(super) const fn heard(&self) -> usize {
        self.heard
    }

    /// The longest message that may come now.
    pub(super) fn most(&self) -> usize {
        match (&self.tunnel, self.method) {
            (None, _) => HELLO_OCTETS,
            (Some(_), Method::Ttls | Method::Peap) => INNER_OCTETS,
            (Some(_), Method::Tls) => CERTIFICATES_OCTETS,
        }
    }

    /// Hears a whole message of the peer, which may be empty. `identifier`: that of the Request which will be sent.
    pub(super) fn hear(&mut self, house: &House<R>, message: Vec<u8>, identifier: u8) -> Step<R> {
        match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Hello => self.greeted(house, message, identifier),
            Phase::Handshake(record) => self.shake(house, (&message, record), identifier),
            Phase::Turning { resumed } => match self.nothing(&message) {
                Ok(()) => self.speak_first(house, resumed, identifier),
                Err(step) => step,
            },
            Phase::Inside(inside) => self.inside(inside, &message, identifier),
            Phase::Result { success } => self.concluded(success, &message),
            Phase::Success => match self.nothing(&message) {
                Ok(()) => Step::Succeed,
                Err(step) => step,
            },
            Phase::Alerted(failed) => Step::Fail(Some(failed)),
            Phase::Looking(_) | Phase::Judging(_) | Phase::Over => {
                protocol("message that nobody waited for")
            }
        }
    }

    /// Looks into the hello for a session that could be resumed.
    fn greeted(&mut self, house: &House<R>, hello: Vec<u8>, identifier: u8) -> Step<R> {
        if hello.is_empty() {
            return protocol("no hello");
        }
        let named = tls::sessions_named(&hello);
        let now = (house.clock.now(), house.resume_for);
        let Some(found) = house.sessions.find(self.method, &named, now) else {
            return self.start(house, (&hello, None), identifier);
        };
        let record = found.record.clone();
        self.phase = Phase::Looking(Box::new((hello, found)));
        Step::Look(record)
    }

    /// Hears whether it may be.
    pub(super) fn looked(&mut self, house: &House<R>, may: MayResume, identifier: u8) -> Step<R> {
        let Phase::Looking(looking) = std::mem::replace(&mut self.phase, Phase::Over) else {
            return protocol("word on a session that nobody named");
        };
        let (hello, found) = *looking;
        let allowed = match may {
            MayResume::Yes => Some(found),
            MayResume::NotHere => None,
            MayResume::Never => {
                house.sessions.remove(found.made.key());
                None
            }
        };
        self.start(house, (&hello, allowed), identifier)
    }

    /// Gives the hello to rustls.
    fn start(
        &mut self,
        house: &House<R>,
        (hello, found): (&[u8], Option<Found<R>>),
        identifier: u8,
    ) -> Step<R> {
        let makes = !house.resume_for.is_zero();
        let (allowed, record) = match found {
            Some(found) => {
                self.since = Some(found.since);
                (Some(found.made), Some(found.record))
            }
            None => (None, None),
        };
        match Tunnel::begin(&house.setup, self.method, Keeper::new(makes, allowed)) {
            Ok(tunnel) => self.tunnel = Some(Box::new(tunnel)),
            Err(why) => return Step::Fail(Some(Failed::Tls(why))),
        }
        self.shake(house, (hello, record), identifier)
    }

    /// Goes on with the handshake.
    fn shake(
        &mut self,
        house: &House<R>,
        (message, record): (&[u8], Option<R>),
        identifier: u8,
    ) -> Step<R> {
        if message.is_empty() {
            return protocol("empty message in the handshake");
        }
        let plain = match self.feed(message) {
            Ok(plain) => plain,
            Err(step) => return step,
        };
        let Some(tunnel) = &self.tunnel else {
            return protocol("handshake without a tunnel");
        };
        if tunnel.is_handshaking() {
            self.phase = Phase::Handshake(record);
            return self.send();
        }
        match (record, tunnel.is_resumed()) {
            (Some(record), true) => self.resumed(house, record, &plain),
            // Cannot be: nothing else was given to rustls.
            (None, true) => protocol("session that nobody allowed"),
            (_, false) => {
                self.since = None;
                self.established(house, &plain, identifier)
            }
        }
    }

    /// The peer has proven to hold the session.
    fn resumed(&mut self, house: &House<R>, record: R, plain: &[u8]) -> Step<R> {
        // Whoever wants to say something inside should not have resumed: a full login comes next.
        if !plain.is_empty() {
            self.forget(house);
            return protocol("inner data after a resumed handshake");
        }
        if let (Method::Tls, Some(tunnel)) = (self.method, &self.tunnel)
            && let Err(why) = house.setup.verify_again(tunnel.certificates())
        {
            self.forget(house);
            return Step::Fail(Some(Failed::Tls(why)));
        }
        self.phase = Phase::Judging(Subject::Session);
        Step::Judge(Credentials::Resumed(record))
    }

    /// A full handshake is done.
    fn established(&mut self, house: &House<R>, plain: &Plain, identifier: u8) -> Step<R> {
        let Some(tunnel) = &self.tunnel else {
            return protocol("handshake without a tunnel");
        };
        match self.method {
            Method::Tls if !plain.is_empty() => protocol("inner data in EAP-TLS"),
            Method::Tls => match tls::Shown::read(tunnel.certificates(), house.certificate_name) {
                Err(why) => Step::Fail(Some(Failed::Tls(why))),
                Ok(shown) => {
                    self.phase = Phase::Judging(Subject::Certificate);
                    Step::Judge(Credentials::Certificate {
                        name: shown.name,
                        told: shown.told,
                        ends: shown.ends,
                    })
                }
            },
            Method::Ttls => {
                let inside = Inside::ttls(&house.inner);
                // A peer may speak inside together with its Finished (RFC 9427 §3).
                if plain.is_empty() {
                    self.phase = Phase::Inside(inside);
                    return self.send();
                }
                self.listen(inside, plain, identifier)
            }
            Method::Peap if !plain.is_empty() => protocol("inner data before the server's"),
            Method::Peap => self.turn(house, false, identifier),
        }
    }

    /// Lets the handshake's last octets leave, if there are any, before the server speaks inside.
    fn turn(&mut self, house: &House<R>, resumed: bool, identifier: u8) -> Step<R> {
        match self.output() {
            last if last.is_empty() => self.speak_first(house, resumed, identifier),
            last => {
                self.phase = Phase::Turning { resumed };
                Step::Send(last)
            }
        }
    }

    /// PEAP's first words inside: who is there, or that all is well.
    fn speak_first(&mut self, house: &House<R>, resumed: bool, identifier: u8) -> Step<R> {
        if resumed {
            return self.conclude(true, identifier);
        }
        let (inside, asked) = Inside::peap(&house.inner);
        self.phase = Phase::Inside(inside);
        self.say(&asked)
    }

    /// Hears what the peer says inside.
    fn inside(&mut self, inside: Inside, message: &[u8], identifier: u8) -> Step<R> {
        let plain = match self.feed(message) {
            Ok(plain) => plain,
            Err(step) => return step,
        };
        if !plain.is_empty() {
            return self.listen(inside, &plain, identifier);
        }
        self.silences += 1;
        if self.silences > SILENCES {
            return protocol("tunnel without an inner login");
        }
        self.phase = Phase::Inside(inside);
        self.send()
    }

    fn listen(&mut self, mut inside: Inside, plain: &Plain, identifier: u8) -> Step<R> {
        let said = inside.hear(plain);
        self.follow(inside, said, identifier)
    }

    /// Does what the inside wants.
    fn follow(&mut self, inside: Inside, said: Said, identifier: u8) -> Step<R> {
        match said {
            Said::Ask(octets) => {
                self.phase = Phase::Inside(inside);
                self.say(&octets)
            }
            Said::Judge(shown) => {
                self.phase = Phase::Judging(Subject::Inside(inside));
                Step::Judge(shown.into())
            }
            Said::Accepted if self.method == Method::Peap => self.conclude(true, identifier),
            Said::Accepted => Step::Succeed,
            Said::Refused if self.method == Method::Peap => self.conclude(false, identifier),
            Said::Refused => Step::Fail(None),
            Said::Broken(failed) => Step::Fail(Some(failed)),
        }
    }

    /// Hears what became of what the peer has shown.
    pub(super) fn judged(
        &mut self,
        house: &House<R>,
        judgement: Judgement<R>,
        identifier: u8,
    ) -> Step<R> {
        let Phase::Judging(subject) = std::mem::replace(&mut self.phase, Phase::Over) else {
            return protocol("verdict that nobody asked for");
        };
        let ruling = match judgement {
            Judgement::Accept { record, proof } => {
                self.record = record;
                Ruling::Accept(proof)
            }
            Judgement::Reject => Ruling::Reject,
            Judgement::Ask(text) => Ruling::Ask(text),
        };
        match (subject, &ruling) {
            (Subject::Inside(mut inside), ruling) => {
                let said = inside.judged(ruling);
                self.follow(inside, said, identifier)
            }
            // Nothing can be asked of who has shown no name.
            (_, Ruling::Reject | Ruling::Ask(_)) => Step::Fail(None),
            (Subject::Session, Ruling::Accept(_)) if self.method == Method::Peap => {
                self.turn(house, true, identifier)
            }
            (Subject::Session, Ruling::Accept(_)) if !self.is_1_3() => Step::Succeed,
            (Subject::Session | Subject::Certificate, Ruling::Accept(_)) => {
                self.phase = Phase::Success;
                // The octet that promises success (RFC 9190 §2.1.1); in TLS 1.2 our Finished does.
                if self.is_1_3() {
                    self.say(&[0])
                } else {
                    self.send()
                }
            }
        }
    }

    /// Ends PEAP by our Result TLV, which the peer must answer.
    fn conclude(&mut self, success: bool, identifier: u8) -> Step<R> {
        self.phase = Phase::Result { success };
        self.say(&inner::request(identifier, success))
    }

    /// Hears the peer's.
    fn concluded(&mut self, success: bool, message: &[u8]) -> Step<R> {
        let plain = match self.feed(message) {
            Ok(plain) => plain,
            Err(_) if !success => return Step::Fail(None),
            Err(step) => return step,
        };
        match inner::result(&plain) {
            _ if !success => Step::Fail(None),
            Some(Ok(true)) => Step::Succeed,
            Some(Ok(false)) => Step::Fail(Some(Failed::ByPeer)),
            Some(Err(why)) => protocol(why),
            None => protocol("no Result TLV"),
        }
    }

    /// Keeps the session if it may be resumed, and gives the keys; at Success.
    pub(super) fn finish(&mut self, house: &House<R>) -> Option<Keys> {
        let tunnel = self.tunnel.as_ref()?;
        let (receive, send) = tunnel.keys(self.method)?;
        let session_id = tunnel.session_id(self.method);
        let resumed = tunnel.keeper().allowed().filter(|_| tunnel.is_resumed());
        let made = tunnel.keeper().take_made();
        if let Some(made) = resumed {
            house.sessions.remove(made.key());
        }
        // A session of TLS 1.2 is resumed again and again, a ticket once: then there is a new one.
        if let (Some(made), Some(record)) = (made.or_else(|| resumed.cloned()), self.record.take())
        {
            let since = self.since.unwrap_or_else(|| house.clock.now());
            house.sessions.keep(self.method, made, record, since);
        }
        Some((receive, send, session_id))
    }

    /// Ends the session that was resumed, if the peer has proven to hold it; at Failure.
    pub(super) fn forget(&self, house: &House<R>) {
        let Some(tunnel) = &self.tunnel else {
            return;
        };
        if tunnel.is_resumed()
            && !tunnel.is_handshaking()
            && let Some(made) = tunnel.keeper().allowed()
        {
            house.sessions.remove(made.key());
        }
    }

    fn is_1_3(&self) -> bool {
        self.tunnel.as_ref().is_some_and(|tunnel| tunnel.is_1_3())
    }

    /// Nothing is due from the peer.
    fn nothing(&mut self, message: &[u8]) -> Result<(), Step<R>> {
        if message.is_empty() {
            return Ok(());
        }
        self.feed(message)?;
        Err(protocol("data where an empty answer was due"))
    }

    fn feed(&mut self, message: &[u8]) -> Result<Plain, Step<R>> {
        let Some(tunnel) = &mut self.tunnel else {
            return Err(protocol("message without a tunnel"));
        };
        self.heard = self.heard.saturating_add(message.len());
        match tunnel.feed(message) {
            Ok(plain) => Ok(plain),
            Err(Broken::ByPeer(why)) => Err(Step::Fail(Some(Failed::Tls(why)))),
            Err(Broken::ByUs(why)) => {
                let failed = Failed::Tls(why);
                let alert = tunnel.output();
                if alert.is_empty() {
                    return Err(Step::Fail(Some(failed)));
                }
                self.phase = Phase::Alerted(failed);
                Err(Step::Send(alert))
            }
        }
    }

    fn output(&mut self) -> Vec<u8> {
        let tunnel = self.tunnel.as_mut();
        tunnel.map_or_else(Vec::new, |tunnel| tunnel.output())
    }

    fn say(&mut self, plain: &[u8]) -> Step<R> {
        if let Some(tunnel) = &mut self.tunnel {
            tunnel.say(plain);
        }
        self.send()
    }

    fn send(&mut self) -> Step<R> {
        Step::Send(self.output())
    }
}
