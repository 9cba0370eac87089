//! The password policy of OpenLDAP: each refusal has its own reason.

use std::time::Duration;

use sekisho::directory::{Bind, Refusal, State};
use tokio::time::Instant;

use super::{PATIENCE, patient, run};
use crate::support::slapd::{Slapd, person, person_dn};

/// A directory with a policy for everybody.
fn with_policy(ldif: &str, policy: &[&str]) -> Slapd {
    let slapd = Slapd::start("");
    slapd.set_policy(policy);
    slapd.add(ldif);
    slapd
}

#[tokio::test]
async fn a_locked_account_is_refused_as_locked() {
    let policy = [
        "pwdLockout: TRUE",
        "pwdMaxFailure: 2",
        "pwdLockoutDuration: 0",
    ];
    let slapd = with_policy(&person("taro", "himitsu"), &policy);
    let campus = run(patient(&slapd));
    for _ in 0..2 {
        let bind = campus.login("taro", "chigau").await.unwrap();
        assert_eq!(bind, Bind::Refused(Refusal::WrongPassword));
    }
    let bind = campus.login("taro", "himitsu").await.unwrap();
    assert_eq!(bind, Bind::Refused(Refusal::Locked));
}

#[tokio::test]
async fn an_account_locked_for_good_is_barred() {
    let slapd = with_policy(&person("taro", "himitsu"), &["pwdLockout: TRUE"]);
    slapd.modify(&format!(
        "dn: {}\nchangetype: modify\nadd: pwdAccountLockedTime\npwdAccountLockedTime: 000001010000Z\n",
        person_dn("taro")
    ));
    let campus = run(patient(&slapd));
    let entry = campus.one("taro").await;
    assert_eq!(entry.state, State::Barred(Refusal::Locked));
    let bind = campus.bind(&entry, "himitsu").await.unwrap();
    assert_eq!(bind, Bind::Refused(Refusal::Locked));
}

#[tokio::test]
async fn a_password_that_was_reset_must_be_changed() {
    let slapd = with_policy(&person("taro", "himitsu"), &["pwdMustChange: TRUE"]);
    slapd.modify(&format!(
        "dn: {}\nchangetype: modify\nadd: pwdReset\npwdReset: TRUE\n",
        person_dn("taro")
    ));
    let campus = run(patient(&slapd));
    let bind = campus.login("taro", "himitsu").await.unwrap();
    assert_eq!(bind, Bind::Refused(Refusal::MustChange));
    let bind = campus.login("taro", "chigau").await.unwrap();
    assert_eq!(bind, Bind::Refused(Refusal::WrongPassword));
}

#[tokio::test]
async fn an_expired_password_is_refused_once_grace_is_used_up() {
    let policy = ["pwdMaxAge: 1", "pwdGraceAuthNLimit: 2"];
    let slapd = with_policy(&person("taro", "himitsu"), &policy);
    let campus = run(patient(&slapd));
    let entry = campus.one("taro").await;
    assert!(entry.password_changed.is_some());
    let give_up = Instant::now() + PATIENCE;
    let refused = loop {
        match campus.bind(&entry, "himitsu").await.unwrap() {
            Bind::Proven => assert!(Instant::now() < give_up, "never expires"),
            Bind::Refused(refusal) => break refusal,
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert_eq!(refused, Refusal::PasswordExpired);
}
