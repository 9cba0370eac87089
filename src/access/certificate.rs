//! Certificates: what was verified by the gear's own handshake is something that the person has, so that no factor is asked for. No
//! password is shown: what a report of one ends is not ended here. What does: the certificate's end, its revocation, an account that
//! is barred, and a rule that denies.

use super::Then;
use super::exchange::{Exchange, Settled, Undecided, reason_of};
use super::policy;
use super::proven::Proven;
use super::resumption::Grounds;
use super::texts::Text;
use crate::account::{Reason, Who};
use crate::clock::Timestamp;
use crate::directory::{Found, State};

impl Exchange<'_> {
    /// Decides a login by a certificate, whose account must be there and usable. The entry is read anew, as there is no bind.
    pub(super) async fn certificate(
        &mut self,
        who: &Who,
        ends: Timestamp,
    ) -> Result<Settled, Undecided> {
        let entry = match self.find_since(who, self.attempt.received).await? {
            Found::One(entry) => entry,
            Found::Nobody => return Ok(self.refuse_unproven(Reason::UnknownUser)),
            Found::Several => return Ok(self.refuse_unproven(Reason::AmbiguousUser)),
        };
        self.decision.account = Some(entry.id.clone());
        if let State::Barred(refusal) = entry.state {
            self.end_if_disabled(&entry.id, refusal).await?;
            return Ok(self.refuse_unproven(reason_of(refusal)));
        }
        let store = &self.room.store;
        let standing = store.standing(&entry.id, &self.attempt.station)?;
        let ruling = self.rule(&entry);
        let mut proven = Proven::first(self, who, &entry, policy::has_own(&standing));
        proven.facts.lasting = self.lasting(&entry, &standing, &ruling);
        if ruling.then == Then::Deny {
            return self
                .refuse_proven(&proven, Reason::Denied, &Text::Denied)
                .await;
        }
        let grounds = (Grounds::Certificate, Some(ends));
        self.accept(&proven, grounds, Reason::Certificate).await
    }
}
