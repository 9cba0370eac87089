//! What to write in a log about a method in work.

use super::super::{Failed, Method};
use super::{Dialogue, Phase};

impl<R> Dialogue<R> {
    /// The method, version and suite of TLS as far as they are known, and what was refused, if the peer was just told so.
    pub(in crate::eap) fn told(&self) -> String {
        let mut told = self.method.told().to_owned();
        if let Some(tunnel) = &self.tunnel {
            told = format!("{told}, {}", tunnel.told());
            if tunnel.is_resumed() {
                told.push_str(", resumed");
            }
        }
        if let Phase::Alerted(Failed::Tls(why)) = &self.phase {
            told = format!("{told}, {why}");
        }
        told
    }

    /// What is waited for, in words that tell why a conversation may have died here.
    pub(in crate::eap) fn waits(&self) -> &'static str {
        match &self.phase {
            Phase::Hello => "the peer's hello",
            Phase::Looking(_) | Phase::Judging(_) => "a verdict",
            Phase::Handshake(_) if self.method == Method::Tls => {
                "an answer to our certificate: the peer does not trust it, or fragments of its own are lost on the way"
            }
            Phase::Handshake(_) => {
                "an answer to our certificate: the peer does not trust it, or a person is asked whether to"
            }
            Phase::Turning { .. } | Phase::Success => "an answer to the end of the handshake",
            Phase::Inside(_) => "what the peer says inside: a password may be typed",
            Phase::Result { .. } => "the peer's result",
            Phase::Alerted(_) => "an answer to an alert",
            Phase::Over => "nothing",
        }
    }
}
