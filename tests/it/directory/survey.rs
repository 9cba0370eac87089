//! What a probe sees of a directory beyond that a server answers.

use std::sync::Arc;

use sekisho::directory::{People, Settings, Surveyed, same_dn_form};

use super::{patient, run, settings};
use crate::support::ports;
use crate::support::slapd::{BASE, Slapd, group, group_dn, person};

async fn survey(settings: Settings, groups: &[Arc<str>]) -> Surveyed {
    let campus = run(settings);
    let mut servers = campus.directory.survey(groups).await;
    assert_eq!(servers.len(), 1);
    servers.remove(0)
}

#[tokio::test]
async fn people_are_found_by_their_base_filter_and_id() {
    let slapd = Slapd::start(&person("taro", "himitsu"));
    for (base, filter, id, people) in [
        ("ou=people", "(uid={user})", None, People::Found),
        (
            "ou=people",
            "(&(objectClass=person)(|(mail={user}@*)(uid={user})))",
            Some("entryUUID"),
            People::Found,
        ),
        ("ou=peple", "(uid={user})", None, People::NoBase),
        ("ou=groups", "(uid={user})", None, People::Nobody),
        ("ou=people", "(sAMAccountName={user})", None, People::Nobody),
        (
            "ou=people",
            "(&(objectClass=posixAccount)(uid={user}))",
            None,
            People::Nobody,
        ),
        (
            "ou=people",
            "(uid={user})",
            Some("employeeNumber"),
            People::NoStableId,
        ),
    ] {
        let seen = survey(
            Settings {
                base: format!("{base},{BASE}"),
                user_filter: filter.to_owned(),
                id_attribute: id.map(str::to_owned),
                ..patient(&slapd)
            },
            &[],
        )
        .await;
        assert!(seen.health.up, "{:?}", seen.health);
        let content = seen.content.unwrap();
        assert_eq!(content.people, people, "{base} {filter} {id:?}");
    }
}

#[tokio::test]
async fn groups_that_are_there_are_told_from_those_that_are_not() {
    let people = [person("taro", "himitsu"), group("Mfa, always", &["taro"])];
    let slapd = Slapd::start(&people.concat().replace("Mfa, always,", "Mfa\\, always,"));
    let there = same_dn_form(&group_dn("MFA\\, always"));
    let typo = same_dn_form(&group_dn("mfa-alway"));
    let seen = survey(patient(&slapd), &[typo, there.clone()]).await;
    assert_eq!(seen.content.unwrap().groups, [there]);
}

#[tokio::test]
async fn a_server_that_does_not_answer_shows_nothing() {
    let seen = survey(settings(&[ports::free()]), &[]).await;
    assert!(!seen.health.up && seen.content.is_none());
    assert!(seen.health.last_error.is_some());
}

#[tokio::test]
async fn who_may_not_look_sees_no_base() {
    let slapd = Slapd::start(&person("taro", "himitsu"));
    let anonymous = Settings {
        bind: None,
        ..patient(&slapd)
    };
    let seen = survey(anonymous, &[]).await;
    assert_eq!(seen.content.unwrap().people, People::NoBase);
}

#[tokio::test]
async fn whether_changes_of_passwords_are_dated_is_seen() {
    let slapd = Slapd::start(&[person("taro", "a"), person("jiro", "b")].concat());
    slapd.set_policy(&[]);
    let dated = async || {
        let seen = survey(patient(&slapd), &[]).await;
        let content = seen.content.unwrap();
        assert_eq!(content.people, People::Found);
        content.sample.dated > 0
    };
    assert!(!dated().await);
    slapd.change_password("jiro", "c");
    assert!(dated().await);
}
