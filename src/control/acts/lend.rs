//! Lending a client to a trial: at a loopback address, for some minutes at most, with a secret of its own.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;

use super::{Acts, Conversation, Refused};
use crate::account::ClientName;
use crate::control::protocol::{Answer, Lent};
use crate::control::record::{Act, Deed};
use crate::secret::{Secret, random_array};

/// How long a lent client holds, in seconds: one login with a challenge or two, up to ten by patient gear.
const LENT_LIFE: RangeInclusive<u64> = 60..=900;
/// Where lent clients send from, with IPv4: the octets of a network in 127.0.0.0/8 that nobody else uses.
const LENT_NETWORK: [u8; 3] = [127, 83, 75];
/// How many addresses of it: several trials at once seldom meet, and what is seen of them stays little.
const LENT_ADDRESSES: u8 = 64;
/// Addresses tried until one is free: as many as are ever lent at once leave most of them free.
const LENT_TRIES: usize = 16;
/// Octets of a lent client's secret.
const LENT_SECRET_OCTETS: usize = 24;

impl Acts {
    fn client_to_lend(&self, client: Option<String>) -> Result<String, Refused> {
        let mut clients = (self.doors.clients)();
        match (client, clients.len()) {
            (Some(client), _) if clients.iter().any(|known| known.name == client) => Ok(client),
            (Some(client), _) => Err(Refused::from(self.no_such_client(&client))),
            (None, 1) => Ok(clients.swap_remove(0).name),
            (None, _) => {
                let names: Vec<_> = clients.into_iter().map(|client| client.name).collect();
                Err(Refused::from(format!(
                    "Say through which client, with --client: {}.",
                    names.join(", ")
                )))
            }
        }
    }
}

impl Conversation {
    pub(super) async fn lend(
        &mut self,
        client: Option<String>,
        seconds: u64,
    ) -> Result<Answer, Refused> {
        let seconds = seconds.clamp(*LENT_LIFE.start(), *LENT_LIFE.end());
        let name = self.acts.client_to_lend(client)?;
        let listening = (self.acts.doors.addresses)();
        if listening.is_empty() {
            return Err("The daemon listens at no address that can be reached from here.".into());
        }
        let act = Act::new(Deed::Borrow, [&name]);
        self.audit(None, act).await?;
        let secret = Secret::from(
            BASE64URL_NOPAD
                .encode(&random_array::<LENT_SECRET_OCTETS>())
                .as_str(),
        );
        let client = ClientName::new(&name);
        let life = Duration::from_secs(seconds);
        // An address may be lent already.
        let (from, to) = std::iter::repeat_with(|| way_in(&listening))
            .take(LENT_TRIES)
            .flatten()
            .find(|(from, _)| (self.acts.doors.lend)(&client, *from, secret.clone(), life))
            .ok_or("Too many clients are lent: try again in a minute.")?;
        Ok(Answer::Lent(Lent {
            client: name,
            from,
            to,
            secret,
            seconds,
        }))
    }
}

/// Whether an address is one that trials send from: no NAS is there.
pub(super) fn is_lent(address: IpAddr) -> bool {
    matches!(address, IpAddr::V4(address) if address.octets().starts_with(&LENT_NETWORK))
}

/// Where to send from and to, so that a packet reaches one of the listening addresses from a loopback address.
/// Addresses of their own keep clear of a client that is configured at 127.0.0.1.
fn way_in(listening: &[SocketAddr]) -> Option<(IpAddr, SocketAddr)> {
    let [at] = random_array();
    let [a, b, c] = LENT_NETWORK;
    let from = Ipv4Addr::new(a, b, c, at % LENT_ADDRESSES + 1);
    let here = |address: &SocketAddr, loopback: IpAddr| {
        let ip = if address.ip().is_unspecified() {
            loopback
        } else {
            address.ip()
        };
        SocketAddr::new(ip, address.port())
    };
    let takes_v4 =
        |address: &&SocketAddr| address.is_ipv4() || address.ip() == Ipv6Addr::UNSPECIFIED;
    listening
        .iter()
        .find(takes_v4)
        .map(|address| (from.into(), here(address, Ipv4Addr::LOCALHOST.into())))
        .or_else(|| {
            let address = listening.first()?;
            let loopback = IpAddr::from(Ipv6Addr::LOCALHOST);
            Some((loopback, here(address, loopback)))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lent_client_sends_from_loopback_to_where_it_is_heard() {
        let way = |listening: &str| way_in(&[listening.parse().unwrap()]).unwrap();
        for (listening, to) in [
            ("0.0.0.0:1812", "127.0.0.1:1812"),
            ("127.0.0.1:40000", "127.0.0.1:40000"),
            ("[::]:1812", "127.0.0.1:1812"),
            ("192.0.2.1:1812", "192.0.2.1:1812"),
        ] {
            let (from, found) = way(listening);
            assert!(from.is_loopback() && is_lent(from), "{from}");
            assert_eq!(found, to.parse().unwrap(), "{listening}");
        }
        let (from, to) = way("[::1]:1812");
        assert_eq!(
            (from, to),
            (Ipv6Addr::LOCALHOST.into(), "[::1]:1812".parse().unwrap())
        );
        assert!(way_in(&[]).is_none());
    }
}
