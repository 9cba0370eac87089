//! Status-Server: always signed, answered on either port.

use sekisho::wire::{Code, Query, Reply, Request, Signed, Signing, Unbelieved, attribute};

use crate::wire::secret;

#[test]
fn unsigned_status_server_is_not_believed() {
    let asked = Query::status(7)
        .with_password(&secret(), b"a password does not help")
        .unsigned(&secret());
    let request = Request::parse(asked.octets()).unwrap();
    let refused = request.believe(&secret(), Signing::Optional);
    assert_eq!(refused, Err(Unbelieved::Unsigned));
}

#[test]
fn status_server_is_answered_as_either_port_does() {
    for code in [Code::AccessAccept, Code::AccountingResponse] {
        let asked = Query::status(7).sign(&secret());
        let request = Request::parse(asked.octets()).unwrap();
        let believed = request.believe(&secret(), Signing::Required);
        assert_eq!(believed, Ok(Signed::Yes));
        let octets = Reply::to(&request, code)
            .with(attribute::CLASS, b"left out")
            .sign(&secret());
        let answer = asked.answer(&octets, &secret()).unwrap();
        assert_eq!(answer.code(), code);
        assert!(answer.all().map(|(kind, _)| kind).eq([80]));
    }
}
