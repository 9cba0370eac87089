//! The table: every method, by both versions of TLS, in fragments of three sizes, with a right and a wrong secret, a CA that is not
//! trusted, and an outer name that says nobody. The same against FreeRADIUS.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::thread;

use super::campus::{PASSWORD, PASSWORD_ONLY, WIFI, eap, people, with_hashes};
use super::freeradius::FreeRadius;
use super::papers::Papers;
use super::station::{METHODS, Method, Station, Version};
use crate::support::daemon::{Daemon, client};
use crate::support::slapd::Slapd;

const FRAGMENTS: [u16; 3] = [100, 500, 1400];
/// Logins at once: each waits most of its time.
const AT_ONCE: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Situation {
    Right,
    /// A wrong password, or a certificate of a CA that is not believed.
    WrongSecret,
    /// The station trusts another CA.
    WrongCa,
    Anonymous,
}

const SITUATIONS: [Situation; 4] = [
    Situation::Right,
    Situation::WrongSecret,
    Situation::WrongCa,
    Situation::Anonymous,
];

#[derive(Clone, Copy, Debug)]
struct Case {
    number: usize,
    method: Method,
    version: Version,
    fragment: u16,
    situation: Situation,
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for fragment in FRAGMENTS {
        for method in METHODS {
            for version in [Version::V12, Version::V13] {
                for situation in SITUATIONS {
                    cases.push(Case {
                        number: cases.len(),
                        method,
                        version,
                        fragment,
                        situation,
                    });
                }
            }
        }
    }
    cases
}

impl Case {
    /// Each has a person of its own: a limit on wrong passwords would join them.
    fn name(&self) -> String {
        format!("p{}", self.number)
    }

    fn prepare(&self, papers: &Papers) {
        if self.method == Method::Tls {
            let authority = match self.situation {
                Situation::WrongSecret => "other",
                _ => "clients",
            };
            let mail = format!("{}@example.ac.jp", self.name());
            papers.person(&self.name(), authority, &mail);
        }
    }

    fn station(&self) -> Station {
        let password = match self.situation {
            Situation::WrongSecret => "not it",
            _ => PASSWORD,
        };
        Station {
            version: self.version,
            fragment: self.fragment,
            trusted: match self.situation {
                Situation::WrongCa => "other",
                _ => "ca",
            },
            outer: (self.situation == Situation::Anonymous)
                .then(|| "anonymous@example.ac.jp".to_owned()),
            mac: format!(
                "02:00:00:00:{:02x}:{:02x}",
                self.number >> 8,
                self.number & 255
            ),
            ..Station::new(self.method, &self.name(), password)
        }
    }

    fn run(&self, papers: &Papers, server: SocketAddr) -> Result<(), String> {
        let station = self.station();
        let (said, judged) = match self.situation {
            Situation::Right | Situation::Anonymous => {
                let said = station.log_in(papers, server);
                let judged = said.let_in();
                (said, judged)
            }
            Situation::WrongSecret | Situation::WrongCa => {
                let said = station.is_refused(papers, server);
                let judged = said.refused();
                (said, judged)
            }
        };
        judged?;
        let used = format!("SSL: Using TLS version {}", self.version.shown());
        match said.count(&used) > 0 || self.situation == Situation::WrongCa {
            true => Ok(()),
            false => Err(format!("no {used:?}")),
        }
    }
}

/// Runs the cases, some at once; what went otherwise than expected.
fn run(cases: &[Case], papers: &Papers, servers: &BTreeMap<u16, SocketAddr>) -> Vec<String> {
    let (next, wrong) = (Mutex::new(cases.iter()), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some(case) = next.lock().unwrap().next() else {
                        return;
                    };
                    if let Err(why) = case.run(papers, servers[&case.fragment]) {
                        wrong.lock().unwrap().push(format!("{case:?}: {why}"));
                    }
                }
            });
        }
    });
    wrong.into_inner().unwrap()
}

#[test]
fn every_method_version_and_fragment_ends_as_it_should() {
    let (papers, cases) = (Papers::make(), cases());
    for case in &cases {
        case.prepare(&papers);
    }
    let names: Vec<String> = cases.iter().map(Case::name).collect();
    let slapd = Slapd::start(&people(names.iter().map(String::as_str)));
    let daemons: BTreeMap<u16, Daemon> = FRAGMENTS
        .into_iter()
        .map(|fragment| {
            let eap = eap(&papers, &format!("fragment = {fragment}"));
            let further = format!("{eap}{}\n{PASSWORD_ONLY}", client("wifi", WIFI));
            (fragment, Daemon::start(&with_hashes(&slapd), &further))
        })
        .collect();
    let servers = daemons
        .iter()
        .map(|(fragment, daemon)| (*fragment, daemon.radius))
        .collect();
    let wrong = run(&cases, &papers, &servers);
    let logs: String = daemons.values().map(Daemon::log).collect();
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}\n{logs}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
}

#[test]
fn freeradius_ends_the_same() {
    let (papers, cases) = (Papers::make(), cases());
    for case in &cases {
        case.prepare(&papers);
    }
    let names: Vec<String> = cases.iter().map(Case::name).collect();
    let peers: BTreeMap<u16, FreeRadius> = FRAGMENTS
        .into_iter()
        .map(|fragment| (fragment, FreeRadius::start(&papers, fragment, &names)))
        .collect();
    let servers = peers
        .iter()
        .map(|(fragment, peer)| (*fragment, peer.address()))
        .collect();
    let wrong = run(&cases, &papers, &servers);
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
}
