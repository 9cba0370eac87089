//! The sample directory of the demo, seen by OpenLDAP's tools and by the library that the daemon uses.

mod binary;
mod run;

use std::process::Output;
use std::time::Duration;

use ldap3::{LdapConnAsync, Scope, SearchEntry};
use sekisho::demo::ldap::Ldap;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

const BASE: &str = "dc=sakura-u,dc=example";
const SERVICE: (&str, &str) = (
    "cn=sekisho,ou=services,dc=sakura-u,dc=example",
    "directory-demo",
);
const TARO: &str = "uid=taro,ou=people,dc=sakura-u,dc=example";

async fn directory() -> (Ldap, DropGuard) {
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let ldap = Ldap::start(&tasks, &stop).await.unwrap();
    (ldap, stop.drop_guard())
}

async fn ldapsearch(ldap: &Ldap, as_whom: Option<(&str, &str)>, rest: &[&str]) -> Output {
    let mut command = Command::new("ldapsearch");
    command.args([
        "-x",
        "-LLL",
        "-o",
        "ldif-wrap=no",
        "-H",
        &format!("ldap://{}", ldap.address()),
    ]);
    if let Some((dn, password)) = as_whom {
        command.args(["-D", dn, "-w", password]);
    }
    command.args(rest).output().await.unwrap()
}

fn shown(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[tokio::test]
async fn ldapsearch_finds_a_person_by_what_the_daemon_asks() {
    let (ldap, _stop) = directory().await;
    let output = ldapsearch(
        &ldap,
        Some(SERVICE),
        &[
            "-b",
            &format!("ou=people,{BASE}"),
            "(&(objectClass=person)(uid=TARO)(!(uid=jiro))(mobile=*))",
            "mobile",
            "memberOf",
            "entryUUID",
        ],
    )
    .await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(
        shown(&output),
        format!(
            "dn: {TARO}\nmemberOf: cn=staff,ou=groups,{BASE}\nentryUUID: 5f0c8a4e-0001-4c1d-9a70-3f6d1b2c0001\nmobile: +81 90 1111 2222\n\n"
        )
    );
}

#[tokio::test]
async fn ldapsearch_sees_what_each_filter_and_scope_means() {
    let (ldap, _stop) = directory().await;
    let names = async |rest: &[&str]| {
        let all = [&["-b", BASE], rest, &["1.1"]].concat();
        let output = ldapsearch(&ldap, Some(SERVICE), &all).await;
        let mut names: Vec<_> = shown(&output)
            .lines()
            .filter_map(|line| Some(line.strip_prefix("dn: ")?.split(',').next()?.to_owned()))
            .collect();
        names.sort();
        (output.status.code(), names)
    };
    let found = |names: &[&str]| {
        (
            Some(0),
            names.iter().map(ToString::to_string).collect::<Vec<_>>(),
        )
    };
    assert_eq!(
        names(&["(|(uid=taro)(uid=hanako))"]).await,
        found(&["uid=hanako", "uid=taro"])
    );
    assert_eq!(names(&["(uid=h*n*ko)"]).await, found(&["uid=hanako"]));
    assert_eq!(
        names(&[&format!("(member={TARO})")]).await,
        found(&["cn=staff"])
    );
    assert_eq!(names(&["(uid>=a)"]).await, found(&[]));
    assert_eq!(
        names(&["-s", "one", "(objectClass=*)"]).await,
        found(&["ou=groups", "ou=people", "ou=services"])
    );
    assert_eq!(
        names(&["-s", "base", "(objectClass=*)"]).await,
        found(&["dc=sakura-u"])
    );
    let (code, some) = names(&["-z", "2", "(uid=*)"]).await;
    assert_eq!((code, some.len()), (Some(4), 2));
}

#[tokio::test]
async fn japanese_names_and_passwords_bind() {
    let (ldap, _stop) = directory().await;
    let dn = format!("uid=桜子,ou=people,{BASE}");
    let output = ldapsearch(
        &ldap,
        Some((&dn, "桜子の秘密")),
        &["-b", BASE, "(uid=桜子)", "cn"],
    )
    .await;
    assert_eq!(output.status.code(), Some(0));
    // 桜井 桜子 and the DN, as LDIF writes what is not ASCII.
    assert!(
        shown(&output).contains("cn:: 5qGc5LqVIOahnOWtkA=="),
        "{output:?}"
    );
}

#[tokio::test]
async fn nobody_gets_in_without_the_right_password() {
    let (ldap, _stop) = directory().await;
    for (as_whom, code) in [
        (Some((TARO, "wrong")), 49),
        (
            Some(("uid=nobody,ou=people,dc=sakura-u,dc=example", "x")),
            49,
        ),
        (Some((TARO, "")), 53),
    ] {
        let output = ldapsearch(&ldap, as_whom, &["-b", BASE, "(uid=taro)"]).await;
        assert_eq!(output.status.code(), Some(code), "{as_whom:?}");
        assert_eq!(shown(&output), "");
    }
}

#[tokio::test]
async fn the_library_of_the_daemon_binds_searches_and_reads_the_root() {
    let (ldap, _stop) = directory().await;
    let (connection, mut client) = LdapConnAsync::new(&format!("ldap://{}", ldap.address()))
        .await
        .unwrap();
    let mut driver = tokio::task::JoinSet::new();
    driver.spawn(connection.drive());

    let root = client
        .search("", Scope::Base, "(objectClass=*)", vec!["namingContexts"])
        .await
        .unwrap();
    let (root, _) = root.success().unwrap();
    assert_eq!(
        SearchEntry::construct(root[0].clone()).attrs["namingContexts"],
        [BASE]
    );
    let refused = client
        .search(BASE, Scope::Subtree, "(uid=taro)", vec!["cn"])
        .await
        .unwrap();
    assert_eq!(refused.1.rc, 50);

    client
        .simple_bind(SERVICE.0, SERVICE.1)
        .await
        .unwrap()
        .success()
        .unwrap();
    let (found, _) = client
        .search(
            BASE,
            Scope::Subtree,
            "(uid=hanako)",
            vec!["*", "modifyTimestamp"],
        )
        .await
        .unwrap()
        .success()
        .unwrap();
    let hanako = SearchEntry::construct(found[0].clone());
    assert_eq!(hanako.attrs["mobile"], ["０９０－１２３４－５６７８"]);
    assert_eq!(hanako.attrs["cn"], ["佐藤 花子"]);
    assert_eq!(hanako.attrs["modifyTimestamp"], ["20240401000000Z"]);
    assert!(!hanako.attrs.contains_key("entryUUID") && !hanako.attrs.contains_key("userPassword"));

    assert_eq!(client.delete(TARO).await.unwrap().rc, 53);
    // A failed bind ends what the connection might do.
    assert_eq!(client.simple_bind(TARO, "wrong").await.unwrap().rc, 49);
    let refused = client
        .search(BASE, Scope::Subtree, "(uid=taro)", vec!["cn"])
        .await
        .unwrap();
    assert_eq!(refused.1.rc, 50);
    client.unbind().await.unwrap();
}

#[tokio::test]
async fn what_is_no_ldap_costs_one_connection() {
    let (ldap, _stop) = directory().await;
    let deep = {
        let mut octets = vec![0x30, 0x82, 0x1f, 0x40];
        octets.extend([0x30, 0x80].repeat(4000));
        octets
    };
    for octets in [
        b"GET / HTTP/1.1\r\n\r\n".as_slice(),
        &[0x30, 0x84, 0x7f, 0xff, 0xff, 0xff],
        &[0x30, 0x8f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        &[0x30, 0x03, 0x02, 0x01, 0x01],
        &[0x30, 0x05, 0x02, 0x01, 0x01, 0x61, 0x00],
        &[0x30, 0x00],
        &deep,
    ] {
        let mut stream = TcpStream::connect(ldap.address()).await.unwrap();
        stream.write_all(octets).await.unwrap();
        let mut answer = [0; 16];
        let read = timeout(Duration::from_secs(10), stream.read(&mut answer))
            .await
            .expect("an end");
        assert!(matches!(read, Ok(0) | Err(_)), "{octets:?}: {read:?}");
    }
    let output = ldapsearch(&ldap, Some(SERVICE), &["-b", BASE, "(uid=taro)", "uid"]).await;
    assert_eq!(output.status.code(), Some(0));
}
