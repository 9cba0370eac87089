//! RFC 2866: acknowledged when kept, never else.

use sekisho::wire::{Code, Query};

use super::{House, Nas, PATIENCE};

const START: [u8; 4] = [0, 0, 0, 1];

fn record(identifier: u8, session: &[u8]) -> Query {
    Query::accounting(identifier)
        .with(40, &START)
        .with(44, session)
        .with(1, b"taro")
        .with(31, b"203.0.113.5")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_kept_acknowledged_and_acknowledged_again() {
    let house = House::start(|_| {});
    let nas = Nas::new(house.accounting());
    let asked = record(1, b"S1").sign(&nas.secret);
    nas.send(asked.octets());
    let first = nas.receive(PATIENCE).expect("an answer");
    let answer = asked.answer(&first, &nas.secret).unwrap();
    assert_eq!(answer.code(), Code::AccountingResponse);
    nas.send(asked.octets());
    assert_eq!(nas.receive(PATIENCE), Some(first));
    assert_eq!(house.metric("sekisho_accounting_records_total"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_accounting_port_answers_status_server_in_its_own_way() {
    let house = House::start(|_| {});
    let nas = Nas::new(house.accounting());
    assert_eq!(nas.ask(Query::status(1)).code(), Code::AccountingResponse);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_record_is_not_acknowledged() {
    let house = House::start(|_| {});
    let nas = Nas::new(house.accounting());
    for query in [
        Query::accounting(1).with(44, b"S1"),
        Query::accounting(2).with(40, &START),
        Query::accounting(3).with(40, &[1]).with(44, b"S1"),
    ] {
        nas.send(query.sign(&nas.secret).octets());
        assert!(nas.hears_nothing());
    }
    let other = Nas::at("127.0.0.1", house.accounting(), "another secret altogether");
    other.send(record(4, b"S1").sign(&other.secret).octets());
    assert!(other.hears_nothing());
    nas.send(nas.login(5).octets());
    assert!(nas.hears_nothing(), "no login on the accounting port");
    assert_eq!(house.metric("sekisho_accounting_records_total"), 0);
}
