//! Replies that are held for a prompt while their connection closes.

use std::time::Duration;

use sekisho::server::{PeerName, Transport};
use sekisho::wire::{Asked, Code, Query};

use super::{NAME, PATIENCE, Peer, config, tls};
use crate::access::house::HOME;
use crate::server::push::{House, settings_of};
use crate::support::authority::{Authority, Shown};
use crate::support::phone::approve;

const CALLING_STATION_ID: u8 = 31;

struct Site {
    house: House,
    authority: Authority,
    shown: Shown,
}

impl Site {
    fn start() -> Self {
        let authority = Authority::new();
        let shown = authority.issue(&[NAME]);
        let mut settings = settings_of(Duration::from_secs(60));
        settings.tls = Some(tls(&authority, None));
        let names = vec![PeerName::read(NAME).unwrap()];
        settings.clients[0].transport = Transport::Tls(names);
        Self {
            house: House::start_with(settings),
            authority,
            shown,
        }
    }

    fn connect(&self) -> Peer {
        let address = self.house.server().tls_addresses()[0];
        Peer::connect(address, config(&self.authority, Some(&self.shown))).unwrap()
    }

    async fn has_connections(&self, count: usize) {
        let equal = async {
            while self.house.server().connections() != count {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(PATIENCE, equal).await.unwrap();
    }
}

fn login(peer: &mut Peer) -> Asked {
    let asked = Query::access(7)
        .with(1, b"hanako")
        .with_password(&peer.secret, b"himitsu")
        .with(CALLING_STATION_ID, HOME.as_bytes())
        .sign(&peer.secret);
    peer.send(asked.octets()).unwrap();
    asked
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_waits_goes_on_by_another_connection() {
    let site = Site::start();
    let mut phone = site.house.phone("hanako").await;
    let mut first = site.connect();
    let _asked = login(&mut first);
    site.house.holds(1).await;
    drop(first);
    site.has_connections(0).await;
    let mut second = site.connect();
    let asked = login(&mut second);
    site.house.holds(2).await;
    site.house.say(&mut phone, approve("")).await;
    assert_eq!(second.answer(&asked).code(), Code::AccessAccept);
    site.house.holds(0).await;
    site.house.deciding.has_bound("hanako", 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_is_not_spent_on_a_connection_that_is_closed() {
    let site = Site::start();
    let mut phone = site.house.phone("hanako").await;
    let mut first = site.connect();
    let _asked = login(&mut first);
    site.house.holds(1).await;
    drop(first);
    site.has_connections(0).await;
    site.house.say(&mut phone, approve("")).await;
    site.house.holds(0).await;
    // The approval is there for one later packet, with a bind of its own.
    let mut second = site.connect();
    let asked = login(&mut second);
    assert_eq!(second.answer(&asked).code(), Code::AccessAccept);
    site.house.deciding.has_bound("hanako", 2).await;
}
