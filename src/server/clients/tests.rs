use super::*;
use crate::access::{Asks, ClientPolicy, Texts};
use crate::account::Language;
use crate::server::{PeerName, Transport, WhenUndecided};
use crate::wire::Signing;

pub(in crate::server) fn client(name: &str, addresses: &[&str]) -> Client {
    Client {
        name: ClientName::new(name),
        addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(),
        secret: Secret::from("a secret that is long enough"),
        transport: Transport::Datagrams,
        profile: &crate::server::GENERIC,
        signing: Signing::Required,
        probes: Vec::new(),
        station: Vec::new(),
        when_undecided: WhenUndecided::Discard,
        patience: Duration::from_secs(30),
        class: true,
        disconnect: None,
        session_timeout: None,
        policy: Arc::new(ClientPolicy {
            name: ClientName::new(name),
            label: crate::access::Label::default(),
            code: Vec::new(),
            delimiter: ',',
            ways: Vec::new(),
            texts: Texts::None,
            language: Language::Both,
            pool: Vec::new(),
            shared_stations: false,
            push: Vec::new(),
            patience: Duration::from_secs(30),
            pair: Duration::from_secs(10),
            asks: Asks::ByRules,
            remember: Duration::ZERO,
            remember_always: false,
            late_approval: Duration::from_secs(60),
        }),
    }
}

fn found(clients: &Clients, address: &str, now: Instant) -> Option<String> {
    clients
        .find(address.parse().unwrap(), now)
        .map(|known| known.client.name.to_string())
}

#[tokio::test]
async fn the_longest_prefix_wins() {
    let now = Instant::now();
    let clients = Clients::new(&[
        client("wide", &["192.0.2.0/24", "2001:db8::/32"]),
        client("narrow", &["192.0.2.16/28", "2001:db8:1::/48"]),
        client("one", &["192.0.2.17/32", "2001:db8:1::1/128"]),
    ]);
    for (address, expected) in [
        ("192.0.2.1", Some("wide")),
        ("192.0.2.16", Some("narrow")),
        ("192.0.2.17", Some("one")),
        ("192.0.3.1", None),
        ("2001:db8:2::1", Some("wide")),
        ("2001:db8:1::2", Some("narrow")),
        ("2001:db8:1::1", Some("one")),
        ("2001:db9::1", None),
        ("::1", None),
    ] {
        assert_eq!(
            found(&clients, address, now).as_deref(),
            expected,
            "{address}"
        );
    }
}

#[tokio::test]
async fn a_v4_everything_says_nothing_about_v6() {
    let now = Instant::now();
    let clients = Clients::new(&[client("all", &["0.0.0.0/0"])]);
    assert_eq!(found(&clients, "203.0.113.1", now).as_deref(), Some("all"));
    assert_eq!(found(&clients, "2001:db8::1", now), None);
}

#[tokio::test]
async fn shares_outlive_a_reload() {
    let now = Instant::now();
    let clients = Clients::new(&[client("vpn", &["192.0.2.1/32"])]);
    let before = clients.find("192.0.2.1".parse().unwrap(), now).unwrap();
    clients.replace(&[client("vpn", &["192.0.2.2/32"])]);
    assert_eq!(found(&clients, "192.0.2.1", now), None);
    let after = clients.find("192.0.2.2".parse().unwrap(), now).unwrap();
    assert!(Arc::ptr_eq(&before.share, &after.share));
}

#[tokio::test]
async fn a_lent_client_lives_its_time_at_a_loopback_address_alone() {
    let now = Instant::now();
    let life = (now, now + Duration::from_secs(60));
    let clients = Clients::new(&[client("vpn", &["192.0.2.1/32"])]);
    let vpn = ClientName::new("vpn");
    let lend = |name: &ClientName, address: &str| {
        clients.lend(name, address.parse().unwrap(), Secret::from("lent"), life)
    };
    assert!(!lend(&ClientName::new("other"), "127.0.0.9"));
    assert!(!lend(&vpn, "192.0.2.9"));
    assert!(lend(&vpn, "127.0.0.9"));
    assert!(!lend(&vpn, "127.0.0.9"));
    let known = clients.find("127.0.0.9".parse().unwrap(), now).unwrap();
    assert_eq!(known.client.name, vpn);
    assert!(known.client.secret == Secret::from("lent"));
    assert_eq!(found(&clients, "127.0.0.10", now), None);
    assert_eq!(found(&clients, "127.0.0.9", life.1), None);
}

#[tokio::test]
async fn at_most_sixteen_are_lent_until_one_expires() {
    let now = Instant::now();
    let clients = Clients::new(&[client("vpn", &["192.0.2.1/32"])]);
    let lend = |last: u8, now: Instant| {
        let until = now + Duration::from_secs(60);
        let address = IpAddr::from([127, 0, 0, last]);
        clients.lend(
            &ClientName::new("vpn"),
            address,
            Secret::from("s"),
            (now, until),
        )
    };
    assert!((1..=16).all(|last| lend(last, now)));
    assert!(!lend(17, now));
    assert!(lend(17, now + Duration::from_secs(60)));
}

#[test]
fn permits_are_bounded_for_house_and_client_and_come_back() {
    let house = Arc::new(AtomicUsize::new(0));
    let (vpn, wifi) = (Share::default(), Share::default());
    let bounds = Bounds {
        house: 3,
        client: 2,
    };
    let take = |share: &Share| Permit::take(&house, share, Turn::First, bounds);
    let first = take(&vpn).unwrap();
    let _second = take(&vpn).unwrap();
    assert!(take(&vpn).is_none(), "the client's share is full");
    let _third = take(&wifi).unwrap();
    assert!(take(&wifi).is_none(), "the house is full");
    assert_eq!(wifi.in_work.load(Ordering::Acquire), 1);
    drop(first);
    assert!(take(&wifi).is_some());
}

#[test]
fn a_reserve_is_kept_for_answers_to_challenges() {
    let house = Arc::new(AtomicUsize::new(0));
    let share = Share::default();
    let bounds = Bounds {
        house: 32,
        client: 32,
    };
    let first: Vec<_> =
        std::iter::from_fn(|| Permit::take(&house, &share, Turn::First, bounds)).collect();
    let answers: Vec<_> =
        std::iter::from_fn(|| Permit::take(&house, &share, Turn::Answer, bounds)).collect();
    assert_eq!((first.len(), answers.len()), (30, 2));
}

#[tokio::test]
async fn status_server_is_answered_so_many_times_a_second() {
    let now = Instant::now();
    let allowance = Allowance::default();
    let answered = |now: Instant| (0..20).filter(|_| allowance.may_answer(5, now)).count();
    assert_eq!(answered(now), 5);
    assert_eq!(answered(now + Duration::from_millis(400)), 2);
    assert_eq!(answered(now + Duration::from_secs(60)), 5);
    assert!(!Allowance::default().may_answer(0, now));
}

fn by_tls(name: &str, names: &[&str], addresses: &[&str]) -> Client {
    let names = names.iter().map(|name| PeerName::read(name).unwrap());
    Client {
        transport: Transport::Tls(names.collect()),
        ..client(name, addresses)
    }
}

fn named(clients: &Clients, names: &[&str], address: &str) -> Result<String, &'static str> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let found = clients.find_named(&names, address.parse().unwrap());
    found.map(|known| known.client.name.to_string())
}

#[tokio::test]
async fn a_certificate_is_known_by_its_name_and_where_it_comes_from() {
    let clients = Clients::new(&[
        by_tls("one", &["AP1.example.ac.jp"], &[]),
        by_tls("rest", &["*.example.ac.jp"], &[]),
        by_tls("near", &["near.example.org"], &["192.0.2.0/24"]),
    ]);
    let here = "192.0.2.1";
    for (names, address, expected) in [
        (&["ap1.example.ac.jp"][..], here, Some("one")),
        (&["ap2.example.ac.jp"], here, Some("rest")),
        (&["other", "ap2.example.ac.jp"], here, Some("rest")),
        (&["deep.ap2.example.ac.jp"], here, None),
        (&["*.example.ac.jp"], here, None),
        (&["example.ac.jp"], here, None),
        (&["ap1.example.ac.jp", "ap2.example.ac.jp"], here, None),
        (&["near.example.org"], here, Some("near")),
        (&["near.example.org"], "198.51.100.1", None),
        (&[""], here, None),
        (&[], here, None),
    ] {
        let found = named(&clients, names, address).ok();
        assert_eq!(found.as_deref(), expected, "{names:?} from {address}");
    }
}

#[tokio::test]
async fn a_client_of_tls_alone_has_no_datagrams_and_no_secret_of_its_own() {
    let now = Instant::now();
    let mut both = by_tls("both", &["both.example.ac.jp"], &["192.0.2.2/32"]);
    both.transport = Transport::Both(both.transport.names().to_vec());
    let alone = by_tls("alone", &["alone.example.ac.jp"], &["192.0.2.1/32"]);
    let clients = Clients::new(&[both, alone]);
    assert_eq!(found(&clients, "192.0.2.1", now), None);
    assert_eq!(found(&clients, "192.0.2.2", now).as_deref(), Some("both"));
    let address = "192.0.2.2".parse().unwrap();
    let names = ["both.example.ac.jp".to_owned()];
    let by_tls = clients.find_named(&names, address).unwrap();
    assert!(by_tls.client.secret == Secret::from("radsec"));
    assert_eq!(by_tls.client.signing, Signing::Optional);
    let by_udp = clients.find(address, now).unwrap();
    assert!(by_udp.client.secret != Secret::from("radsec"));
    assert_eq!(by_udp.client.signing, Signing::Required);
    assert!(Arc::ptr_eq(&by_udp.share, &by_tls.share));
}

#[tokio::test]
async fn connections_are_taken_from_the_addresses_of_clients_if_all_have_some() {
    let near = by_tls("near", &["near"], &["192.0.2.0/24"]);
    let may = |clients: &[Client], address: &str| {
        Clients::new(clients).may_connect(address.parse().unwrap())
    };
    assert!(may(std::slice::from_ref(&near), "192.0.2.9"));
    assert!(!may(std::slice::from_ref(&near), "198.51.100.1"));
    let anywhere = by_tls("anywhere", &["anywhere"], &[]);
    assert!(may(&[near, anywhere], "198.51.100.1"));
    let udp = client("vpn", &["198.51.100.1/32"]);
    assert!(!may(&[udp], "198.51.100.1"));
}

#[test]
fn a_client_has_so_many_connections() {
    let share = Share::default();
    let first = share.connect(2).unwrap();
    let _second = share.connect(2).unwrap();
    assert!(share.connect(2).is_none());
    drop(first);
    assert!(share.connect(2).is_some());
}
