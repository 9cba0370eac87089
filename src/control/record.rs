//! What the trail says of an operator's act: a sentence, written here and read back here, so that it can be told in
//! another language.

/// Before an act that failed.
const TRIED: &str = "tried to ";
/// Between an act that failed and the reason.
const FAILED: &str = ", failed: ";
/// Where a part goes.
const PART: &str = "{}";

/// What an operator can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Enrols a TOTP that a code has proven: label, account.
    EnrolProven,
    /// Enrols a TOTP that no code has proven: label, account.
    EnrolUnproven,
    /// Makes new recovery codes: account.
    RecoveryCodes,
    /// Ends a lock-out: account.
    Unlock,
    /// Ends what a report began: account.
    ClearReport,
    /// Has open sessions ended: account.
    Disconnect,
    /// Forgets every remembered station: account.
    Forget,
    /// Forgets one: station, account.
    ForgetStation,
    /// Removes every factor: account.
    Reset,
    /// Removes a factor: number, label, account.
    Remove,
    /// Borrows a client for a trial: client.
    Borrow,
    /// Reads the configuration anew.
    Reload,
    /// Copies the store: path.
    Backup,
    /// Makes a new master key.
    RotateKey,
    /// Was not let in at the socket.
    Knock,
}

impl Deed {
    const ALL: [Self; 15] = [
        Self::EnrolProven,
        Self::EnrolUnproven,
        Self::RecoveryCodes,
        Self::Unlock,
        Self::ClearReport,
        Self::Disconnect,
        Self::Forget,
        Self::ForgetStation,
        Self::Reset,
        Self::Remove,
        Self::Borrow,
        Self::Reload,
        Self::Backup,
        Self::RotateKey,
        Self::Knock,
    ];

    /// The verb as of somebody who does it, the verb as of somebody who tries to, and the rest.
    const fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::EnrolProven => ("enrols", "enrol", "a TOTP, proven by a code ({}), for {}"),
            Self::EnrolUnproven => ("enrols", "enrol", "a TOTP without proof ({}) for {}"),
            Self::RecoveryCodes => ("makes", "make", "new recovery codes for {}"),
            Self::Unlock => ("unlocks", "unlock", "the codes of {}"),
            Self::ClearReport => ("clears", "clear", "the report of {}"),
            Self::Disconnect => ("ends", "end", "the open sessions of {}"),
            Self::Forget => ("forgets", "forget", "the remembered stations of {}"),
            Self::ForgetStation => ("forgets", "forget", "the station {} of {}"),
            Self::Reset => ("removes", "remove", "every factor of {}"),
            Self::Remove => ("removes", "remove", "factor {} ({}) of {}"),
            Self::Borrow => ("borrows", "borrow", "for a trial the client {}"),
            Self::Reload => ("reloads", "reload", "the configuration"),
            Self::Backup => ("copies", "copy", "the store to {}"),
            Self::RotateKey => ("rotates", "rotate", "the master key"),
            Self::Knock => ("was refused", "be let in", "at the control socket"),
        }
    }
}

/// An act: what was done, and the parts of the sentence that says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    /// What.
    pub deed: Deed,
    /// The parts, in the order that [`Deed`] says.
    pub parts: Vec<String>,
}

/// An act as the trail tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// What.
    pub act: Act,
    /// Why it was not done, if it was not.
    pub failed: Option<String>,
}

impl Act {
    pub(super) fn new<const N: usize>(deed: Deed, parts: [&str; N]) -> Self {
        Self {
            deed,
            parts: parts.map(str::to_owned).to_vec(),
        }
    }

    /// What is recorded before it is done: nothing is done that is not recorded.
    pub(super) fn begun(&self) -> String {
        let (does, _, rest) = self.deed.words();
        format!("{does} {}", self.filled(rest))
    }

    /// What is recorded after it, if it was not done.
    pub(super) fn failed(&self, why: &str) -> String {
        let (_, tries, rest) = self.deed.words();
        // The first sentence: what follows is advice.
        let why = why.split_once(". ").map_or(why, |(first, _)| first);
        let why = why.trim_end_matches('.');
        format!("{TRIED}{tries} {}{FAILED}{why}", self.filled(rest))
    }

    /// A sentence with the parts in their places, of which `{}` is the next.
    fn filled(&self, sentence: &str) -> String {
        let mut parts = self.parts.iter();
        let mut pieces = sentence.split(PART);
        let mut text = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            text.push_str(parts.next().map_or("", String::as_str));
            text.push_str(piece);
        }
        text
    }
}

impl Recorded {
    /// Reads a sentence of the trail; `None` if it is none of ours.
    #[must_use]
    pub fn read(sentence: &str) -> Option<Self> {
        let tried = sentence
            .strip_prefix(TRIED)
            .and_then(|rest| rest.split_once(FAILED));
        Deed::ALL.into_iter().find_map(|deed| {
            let (does, tries, rest) = deed.words();
            let (verb, said) = tried.map_or((does, sentence), |(said, _)| (tries, said));
            let said = said.strip_prefix(verb)?.strip_prefix(' ')?;
            Some(Self {
                act: Act {
                    deed,
                    parts: parts_of(said, rest)?,
                },
                failed: tried.map(|(_, why)| why.to_owned()),
            })
        })
    }
}

/// What stands where the sentence has its parts.
fn parts_of(said: &str, sentence: &str) -> Option<Vec<String>> {
    let mut pieces = sentence.split(PART);
    let mut left = said.strip_prefix(pieces.next()?)?;
    let mut parts = Vec::new();
    for piece in pieces {
        // The last piece is the end of the sentence, and nothing stands behind it.
        let (part, behind) = match piece {
            "" => (left, ""),
            piece => left.split_once(piece)?,
        };
        parts.push(part.to_owned());
        left = behind;
    }
    left.is_empty().then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_act_is_read_as_it_was_written() {
        for deed in Deed::ALL {
            let (_, _, rest) = deed.words();
            let words = ["3", "電話 (old)", "campus/taro"];
            let count = rest.matches(PART).count();
            let parts = words[..count].iter().map(|&word| word.to_owned()).collect();
            let act = Act { deed, parts };
            let read = Recorded::read(&act.begun()).unwrap();
            assert_eq!((&read.act, read.failed), (&act, None), "{}", act.begun());
            let failed = act.failed("store cannot be written: full.");
            let read = Recorded::read(&failed).unwrap();
            assert_eq!(read.act, act, "{failed}");
            assert_eq!(
                read.failed.as_deref(),
                Some("store cannot be written: full")
            );
        }
        assert_eq!(Recorded::read("paints the wall"), None);
        assert_eq!(Recorded::read("reloads the configuration twice"), None);
    }
}
