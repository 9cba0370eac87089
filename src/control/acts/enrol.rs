//! Enrolling a TOTP: begun, shown, proven, and only then kept.

use super::people::Person;
use super::{Conversation, Refused};
use crate::access::Label;
use crate::account::Language;
use crate::control::protocol::{Answer, Demanded, EnrolTotp};
use crate::control::record::{Act, Deed};
use crate::factor::{Algorithm, Totp, typed_code};
use crate::secret::{Secret, random_array};
use crate::store::Proof;

/// Wrong codes before an enrolment must begin anew.
const TRIES: u8 = 5;
/// Characters of a label.
const LABEL_CHARACTERS: usize = 64;
/// Octets of a typed seed: 128 octets in base32, spaced as people like.
const SEED_TEXT_OCTETS: usize = 1024;
/// The issuer's name where the configuration gives none.
const ISSUER: &str = "Sekisho";

/// A TOTP that waits for its proof; it is nowhere but in this connection.
pub(super) struct Pending {
    person: Person,
    label: String,
    totp: Totp,
    left: u8,
}

impl Conversation {
    /// Makes or takes the seed and shows it; keeps it at once only if the proof was waived.
    pub(super) async fn enrol_totp(&mut self, wanted: EnrolTotp) -> Result<Answer, Refused> {
        self.pending = None;
        let label = checked_label(&wanted.label)?;
        let totp = generator(&wanted)?;
        let person = self.acts.person(&wanted.user).await?;
        let issuer = issuer(&self.acts.rooms.access.settings().issuer, wanted.language);
        let uri = totp.uri(&issuer, &person.who.user);
        let pending = Pending {
            person,
            label,
            totp,
            left: TRIES,
        };
        let factor = match wanted.proof {
            Demanded::Code => {
                self.pending = Some(pending);
                None
            }
            Demanded::Nothing => Some(self.keep(pending, Proof::Waived).await?),
        };
        Ok(Answer::Seed { uri, factor })
    }

    /// Checks a code of the pending TOTP and keeps it if it is right.
    pub(super) async fn prove(&mut self, code: &Secret) -> Result<Answer, Refused> {
        let Some(mut pending) = self.pending.take() else {
            return Err("No enrolment waits for a code on this connection.".into());
        };
        let code = typed_code(code.expose_str().unwrap_or_default());
        let now = self.acts.rooms.clock.now();
        if let Some(step) = pending.totp.verify(&code, now) {
            let factor = self.keep(pending, Proof::Step(step)).await?;
            return Ok(Answer::Enrolled { factor });
        }
        pending.left = pending.left.saturating_sub(1);
        let left = pending.left;
        self.pending = (left > 0).then_some(pending);
        Ok(Answer::WrongCode { left })
    }

    async fn keep(&mut self, pending: Pending, proof: Proof) -> Result<i64, Refused> {
        let deed = match proof {
            Proof::Step(_) => Deed::EnrolProven,
            Proof::Waived => Deed::EnrolUnproven,
        };
        let Person { entry, who } = pending.person;
        let act = Act::new(deed, [&pending.label, who.key.as_str()]);
        self.audit(Some(&entry.id), act).await?;
        let store = &self.acts.rooms.store;
        Ok(store
            .enrol_totp(
                &entry.id,
                who.key.as_str(),
                &pending.label,
                pending.totp,
                proof,
            )
            .await?)
    }
}

fn generator(wanted: &EnrolTotp) -> Result<Totp, Refused> {
    let seed = match &wanted.seed {
        None => random_seed(wanted.algorithm),
        Some(text) if text.len() > SEED_TEXT_OCTETS => return Err("The secret is too long.".into()),
        Some(text) => Totp::read_seed(text.expose_str().unwrap_or_default())
            .map_err(|bad| Refused::from(format!("The secret cannot be used: {bad}.")))?,
    };
    Totp::new(seed, wanted.algorithm, wanted.digits)
        .map_err(|bad| Refused::from(format!("The TOTP cannot be made: {bad}.")))
}

/// As long as the hash's own output (RFC 6238 §5.1, R6 of RFC 4226).
fn random_seed(algorithm: Algorithm) -> Secret {
    Secret::new(match algorithm {
        Algorithm::Sha1 => random_array::<20>().to_vec(),
        Algorithm::Sha256 => random_array::<32>().to_vec(),
        Algorithm::Sha512 => random_array::<64>().to_vec(),
    })
}

fn checked_label(label: &str) -> Result<String, Refused> {
    let label = label.trim();
    if label.is_empty() || label.chars().count() > LABEL_CHARACTERS {
        return Err(Refused::from(format!(
            "A label has 1 to {LABEL_CHARACTERS} characters."
        )));
    }
    if label.chars().any(char::is_control) {
        return Err("A label has no control characters.".into());
    }
    Ok(label.to_owned())
}

/// What the app shows above the code.
fn issuer(label: &Label, language: Language) -> String {
    let (first, second) = match language {
        Language::Ja => (&label.ja, &label.en),
        Language::En | Language::Both => (&label.en, &label.ja),
    };
    [first, second]
        .into_iter()
        .find(|name| !name.is_empty())
        .map_or_else(|| ISSUER.to_owned(), Clone::clone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_short_words_in_any_script() {
        assert!(checked_label(" 電話 ").is_ok_and(|label| label == "電話"));
        for bad in ["", "  ", "a\u{1b}[31m", &"x".repeat(65)] {
            assert!(checked_label(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_issuer_is_named_in_the_language_or_the_other_or_ours() {
        let label = |ja: &str, en: &str| Label {
            ja: ja.into(),
            en: en.into(),
        };
        assert_eq!(issuer(&label("桜大学", "Sakura"), Language::Ja), "桜大学");
        assert_eq!(issuer(&label("桜大学", "Sakura"), Language::En), "Sakura");
        assert_eq!(issuer(&label("桜大学", ""), Language::En), "桜大学");
        assert_eq!(issuer(&label("", ""), Language::En), ISSUER);
    }

    #[test]
    fn seeds_that_are_made_fit_their_hash() {
        for (algorithm, octets) in [
            (Algorithm::Sha1, 20),
            (Algorithm::Sha256, 32),
            (Algorithm::Sha512, 64),
        ] {
            assert_eq!(random_seed(algorithm).len(), octets);
        }
    }
}
