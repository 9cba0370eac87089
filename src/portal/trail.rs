//! What people do to their own methods, as the trail, the journal and their page of logins tell it.

use std::net::IpAddr;
use std::sync::Arc;

use super::page::Failure;
use super::{CLIENT, House};
use crate::account::{
    AccountId, AttemptId, ClientName, Decision, Durations, FactorKind, Outcome, Reason, Station,
};

/// What was done, to a factor of which kind if to one, called what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Act<'a> {
    pub(super) reason: Reason,
    pub(super) kind: Option<FactorKind>,
    pub(super) label: &'a str,
}

/// Records it. What cannot be recorded is not to be done.
pub(super) async fn record(
    house: &House,
    (account, name): (&AccountId, &str),
    from: IpAddr,
    act: Act<'_>,
) -> Result<(), Failure> {
    let now = house.rooms.clock.now();
    let label = (!act.label.is_empty()).then(|| act.label.into());
    let decision = Arc::new(Decision {
        attempt: AttemptId::new(now),
        at: now,
        account: Some(account.clone()),
        name: name.into(),
        client: ClientName::new(CLIENT),
        nas: from,
        station: Station::Address(from),
        station_from: None,
        zone: None,
        rule: None,
        factor: act.kind,
        outcome: Outcome::Waiting,
        reason: act.reason,
        directory: None,
        durations: Durations::default(),
        note: label,
    });
    house.rooms.store.record(Arc::clone(&decision)).await?;
    house.rooms.telemetry.decision(&decision);
    Ok(())
}
