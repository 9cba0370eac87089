//! Finding and binding: who is meant, and whether the password is theirs.

use std::time::Duration;

use sekisho::clock::Timestamp;
use sekisho::directory::{
    Bind, Error, Found, Groups, Proof, Refusal, Settings, State, same_dn_form,
};
use sekisho::secret::Secret;
use tokio::time::Instant;

use super::{PATIENCE, patient, run};
use crate::support::mschap::respond;
use crate::support::slapd::{
    BASE, SERVICE_DN, Slapd, group, group_dn, nt_hash_lines, person, person_dn, person_with,
};

#[tokio::test]
async fn a_person_is_found_and_proven() {
    let slapd = Slapd::start(&person_with(
        "taro",
        "himitsu",
        &["mobile: +81 90 1234 5678", "preferredLanguage: ja"],
    ));
    let campus = run(patient(&slapd));
    let entry = campus.one("taro").await;
    assert_eq!(&*entry.dn, person_dn("taro"));
    assert!(entry.id.as_str().starts_with("campus:"));
    assert_eq!(entry.id.as_str().len(), "campus:".len() + 36);
    assert_eq!(entry.phones, ["+81 90 1234 5678"]);
    assert_eq!(entry.language.as_deref(), Some("ja"));
    assert_eq!(entry.state, State::Usable);
    assert!(entry.changed.is_some_and(|at| at > Timestamp::from_secs(0)));
    let bind = campus.bind(&entry, "himitsu").await.unwrap();
    assert_eq!(bind, Bind::Proven);
    let bind = campus.bind(&entry, "chigau").await.unwrap();
    assert_eq!(bind, Bind::Refused(Refusal::WrongPassword));
    assert_eq!(slapd.binds(&person_dn("taro")), 2);
}

#[tokio::test]
async fn japanese_names_and_passwords_work() {
    let slapd = Slapd::start(&person("太郎", "合言葉"));
    let campus = run(patient(&slapd));
    assert_eq!(campus.login("太郎", "合言葉").await.unwrap(), Bind::Proven);
}

#[tokio::test]
async fn nobody_and_several_are_told_apart() {
    let slapd = Slapd::start(
        &[
            person_with("taro", "a", &["uid: shared"]),
            person_with("jiro", "b", &["uid: shared"]),
            person_with("saburo", "c", &["uid: shared"]),
        ]
        .concat(),
    );
    let campus = run(patient(&slapd));
    assert!(matches!(campus.find("shiro").await, Ok(Found::Nobody)));
    assert!(matches!(campus.find("shared").await, Ok(Found::Several)));
}

#[tokio::test]
async fn odd_names_match_nobody() {
    let slapd = Slapd::start(&[person("taro", "a"), person("jiro", "b")].concat());
    let campus = run(patient(&slapd));
    let long = "x".repeat(253);
    for name in [
        "*",
        "t*",
        ")(uid=*",
        "taro)(uid=*",
        "*)(|(uid=*",
        "\\2a",
        "taro\0",
        "\0",
        "",
        "(",
        "\\",
        "uid=taro",
        &long,
    ] {
        let found = campus.find(name).await;
        assert!(matches!(found, Ok(Found::Nobody)), "{name:?}: {found:?}");
    }
    assert_eq!(campus.login("taro", "a").await.unwrap(), Bind::Proven);
}

#[tokio::test]
async fn no_password_is_refused_without_asking() {
    let slapd = Slapd::start(&person("taro", "himitsu"));
    let campus = run(patient(&slapd));
    let entry = campus.one("taro").await;
    for octets in [&b""[..], b"\0", b"\0\0\0\0", b"\xff\xfe"] {
        let password = Secret::new(octets.to_vec());
        let deadline = Instant::now() + PATIENCE;
        let bind = campus.directory.bind(&entry, &password, deadline).await;
        assert_eq!(bind.unwrap(), Bind::Refused(Refusal::WrongPassword));
    }
    assert_eq!(slapd.binds(&person_dn("taro")), 0);
}

#[tokio::test]
async fn an_empty_dn_is_never_bound() {
    let slapd = Slapd::start(&person("taro", "himitsu"));
    let campus = run(patient(&slapd));
    let mut entry = (*campus.one("taro").await).clone();
    entry.dn = "".into();
    let bind = campus.bind(&entry, "himitsu").await;
    assert!(
        matches!(bind, Err(Error::Undecided { code: 34 })),
        "{bind:?}"
    );
    assert_eq!(slapd.binds(""), 0);
}

#[tokio::test]
async fn an_entry_is_remembered_and_the_bind_is_not() {
    let slapd = Slapd::start(&person("taro", "himitsu"));
    let campus = run(Settings {
        remember: Duration::from_secs(60),
        ..patient(&slapd)
    });
    for _ in 0..3 {
        let bind = campus.login("taro", "himitsu").await.unwrap();
        assert_eq!(bind, Bind::Proven);
    }
    let people = format!("ou=people,{BASE}");
    assert_eq!(slapd.searches(&people), 1);
    assert_eq!(slapd.binds(&person_dn("taro")), 3);
    campus.directory.forget();
    campus.one("taro").await;
    assert_eq!(slapd.searches(&people), 2);
}

#[tokio::test]
async fn an_entry_without_stable_id_decides_nothing() {
    let slapd = Slapd::start(&person("taro", "himitsu"));
    let campus = run(Settings {
        id_attribute: Some("employeeNumber".into()),
        ..patient(&slapd)
    });
    let found = campus.find("taro").await;
    assert!(
        matches!(found, Err(Error::Undecided { code: 16 })),
        "{found:?}"
    );
}

#[tokio::test]
async fn a_wrong_service_password_is_said_as_such() {
    let slapd = Slapd::start(&person("taro", "himitsu"));
    let mut settings = patient(&slapd);
    settings.bind = Some((SERVICE_DN.into(), Secret::from("wrong")));
    let campus = run(settings);
    let found = campus.find("taro").await;
    assert!(
        matches!(found, Err(Error::ServiceAccount { code: 49 })),
        "{found:?}"
    );
    let seen = campus.directory.survey(&[]).await;
    assert_eq!(
        seen[0].health.last_error.as_deref(),
        Some("service account refused: result 49")
    );
}

#[tokio::test]
async fn an_account_whose_time_is_over_is_barred() {
    let slapd = Slapd::start(&person_with("taro", "himitsu", &["shadowExpire: 19000"]));
    let campus = run(patient(&slapd));
    let entry = campus.one("taro").await;
    assert_eq!(entry.state, State::Barred(Refusal::AccountExpired));
}

fn forms(names: &[&str]) -> Vec<std::sync::Arc<str>> {
    let mut forms: Vec<_> = names.iter().map(|cn| same_dn_form(&group_dn(cn))).collect();
    forms.sort();
    forms
}

/// taro is in a, a in b, b in c, and c in a again; jiro is in d alone.
fn nested() -> Slapd {
    let slapd = Slapd::start(
        &[
            person("taro", "himitsu"),
            person("jiro", "himitsu"),
            group("a", &["taro"]),
            group("b", &[&group_dn("a")]),
            group("c", &[&group_dn("b")]),
            group("d", &["jiro"]),
        ]
        .concat(),
    );
    slapd.modify(&format!(
        "dn: {}\nchangetype: modify\nadd: member\nmember: {}\n",
        group_dn("a"),
        group_dn("c")
    ));
    slapd
}

#[tokio::test]
async fn nested_groups_are_followed_to_their_depth() {
    let slapd = nested();
    for (depth, expected) in [
        (1, &["a"][..]),
        (2, &["a", "b"]),
        (3, &["a", "b", "c"]),
        (9, &["a", "b", "c"]),
    ] {
        let base = format!("ou=groups,{BASE}");
        for groups in [
            Groups::MemberOf { depth },
            Groups::MemberSearch { base, depth },
        ] {
            let campus = run(Settings {
                groups: groups.clone(),
                ..patient(&slapd)
            });
            let entry = campus.one("taro").await;
            assert_eq!(entry.groups, forms(expected), "{groups:?}");
        }
    }
}

#[tokio::test]
async fn a_group_search_that_fails_is_not_taken_for_no_groups() {
    let slapd = nested();
    let campus = run(Settings {
        groups: Groups::MemberSearch {
            base: format!("ou=nowhere,{BASE}"),
            depth: 1,
        },
        ..patient(&slapd)
    });
    let found = campus.find("taro").await;
    assert!(
        matches!(found, Err(Error::Undecided { code: 32 })),
        "{found:?}"
    );
}

#[tokio::test]
async fn many_groups_are_all_found() {
    let groups: String = (0..400)
        .map(|number| group(&format!("course-{number}"), &["taro"]))
        .collect();
    let slapd = Slapd::start(&[person("taro", "himitsu"), groups].concat());
    let base = format!("ou=groups,{BASE}");
    for groups in [
        Groups::MemberOf { depth: 2 },
        Groups::MemberSearch { base, depth: 2 },
    ] {
        let campus = run(Settings {
            groups,
            ..patient(&slapd)
        });
        assert_eq!(campus.one("taro").await.groups.len(), 400);
    }
}

#[tokio::test]
async fn a_large_entry_passes_and_one_beyond_the_bound_costs_its_connection() {
    let value = format!("description: {}", "x".repeat(4990));
    let values = |count: usize| -> Vec<String> {
        (0..count)
            .map(|number| format!("{value}{number}"))
            .collect()
    };
    let (large, huge) = (values(100), values(300));
    let large: Vec<&str> = large.iter().map(String::as_str).collect();
    let huge: Vec<&str> = huge.iter().map(String::as_str).collect();
    let slapd = Slapd::start(
        &[
            person_with("large", "himitsu", &large),
            person_with("huge", "himitsu", &huge),
        ]
        .concat(),
    );
    let campus = run(Settings {
        phone: vec!["description".into()],
        ..patient(&slapd)
    });
    for _ in 0..3 {
        assert_eq!(
            campus.login("large", "himitsu").await.unwrap(),
            Bind::Proven
        );
        let found = campus.find("huge").await;
        assert!(matches!(found, Err(Error::Unreachable)), "{found:?}");
    }
}

#[tokio::test]
async fn many_at_once_share_few_connections() {
    let people: String = (0..50)
        .map(|number| person(&format!("user{number}"), &format!("word{number}")))
        .collect();
    let slapd = Slapd::start(&people);
    let campus = run(patient(&slapd));
    let mut logins = tokio::task::JoinSet::new();
    for number in 0..200 {
        let directory = campus.directory.clone();
        logins.spawn(async move {
            let deadline = Instant::now() + PATIENCE;
            let user = format!("user{}", number % 50);
            let word = format!("word{}", (number + number / 100) % 50);
            let Found::One(entry) = directory.find(&user, deadline).await.unwrap() else {
                panic!("{user} is not found");
            };
            let bind = directory
                .bind(&entry, &Secret::from(&*word), deadline)
                .await;
            (number, bind.unwrap())
        });
    }
    while let Some(login) = logins.join_next().await {
        let (number, bind) = login.unwrap();
        let expected = if number < 100 {
            Bind::Proven
        } else {
            Bind::Refused(Refusal::WrongPassword)
        };
        assert_eq!(bind, expected, "{number}");
    }
    assert_eq!(slapd.binds(SERVICE_DN), 2);
    // Four for binds, two for searches; the test itself makes a handful.
    let log = slapd.log();
    let connections = log.lines().filter(|line| line.contains(" ACCEPT ")).count();
    assert!(connections <= 4 + 2 + 8, "{connections} connections");
}

#[tokio::test]
async fn a_hash_is_read_anew_and_never_remembered() {
    let [class, hash] = &nt_hash_lines("himitsu");
    let slapd = Slapd::start(&person_with("taro", "himitsu", &[class, hash]));
    let campus = run(Settings {
        remember: Duration::from_secs(60),
        nt_hash: Some("sambaNTPassword".into()),
        ..patient(&slapd)
    });
    let deadline = || Instant::now() + PATIENCE;
    let entry = campus.one("taro").await;
    let prove = async |password: &str| {
        let shown = respond("taro", password);
        let proof = campus.directory.prove(&entry, &shown, deadline()).await;
        proof.unwrap()
    };
    assert!(matches!(prove("himitsu").await, Proof::Proven(_)));
    let refused = Proof::Refused(Refusal::WrongPassword);
    assert_eq!(
        format!("{:?}", prove("chigau").await),
        format!("{refused:?}")
    );
    let [_, changed] = nt_hash_lines("chigau");
    let dn = person_dn("taro");
    slapd.modify(&format!(
        "dn: {dn}\nchangetype: modify\nreplace: sambaNTPassword\n{changed}\n\n"
    ));
    assert!(matches!(prove("himitsu").await, Proof::Refused(_)));
    assert!(matches!(prove("chigau").await, Proof::Proven(_)));
    assert_eq!(slapd.binds(&dn), 0);
    // The DN may be somebody else's by now, and then proves nothing.
    slapd.modify(&format!("dn: {dn}\nchangetype: delete\n\n"));
    assert!(matches!(prove("chigau").await, Proof::Refused(_)));
    let [class, hash] = &nt_hash_lines("chigau");
    slapd.add(&person_with("taro", "chigau", &[class, hash]));
    assert!(matches!(prove("chigau").await, Proof::Refused(_)));
}

#[tokio::test]
async fn without_the_attribute_no_response_is_judged() {
    let [class, hash] = &nt_hash_lines("himitsu");
    let slapd = Slapd::start(&person_with("taro", "himitsu", &[class, hash]));
    let campus = run(patient(&slapd));
    let entry = campus.one("taro").await;
    let shown = respond("taro", "himitsu");
    let deadline = Instant::now() + PATIENCE;
    let proof = campus.directory.prove(&entry, &shown, deadline).await;
    assert!(matches!(proof, Ok(Proof::NoHash)), "{proof:?}");
}

#[tokio::test]
async fn a_server_that_is_away_judges_no_response() {
    let [class, hash] = &nt_hash_lines("himitsu");
    let mut slapd = Slapd::start(&person_with("taro", "himitsu", &[class, hash]));
    let campus = run(Settings {
        nt_hash: Some("sambaNTPassword".into()),
        ..patient(&slapd)
    });
    let entry = campus.one("taro").await;
    slapd.kill();
    let shown = respond("taro", "himitsu");
    let deadline = Instant::now() + PATIENCE;
    let proof = campus.directory.prove(&entry, &shown, deadline).await;
    assert!(proof.is_err(), "{proof:?}");
}
