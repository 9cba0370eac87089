//! The portal of the real daemon, with a real directory: pages as a browser without scripts sees them, and phones as they speak.

mod certificates;
mod fences;
mod joining;
mod listening;
mod methods;
mod odd;
mod pairing;
mod phone;
mod rings;
mod sessions;
mod signin;
pub mod visitor;
pub mod wifi;

use std::net::SocketAddr;

use crate::login::{PEOPLE, SEED, SPOOL, directory};
use crate::support::daemon::{Daemon, client, code};
use crate::support::ports;
use crate::support::slapd::Slapd;
use phone::Phone;
use visitor::{Page, Visitor};

/// A daemon with a portal.
pub struct House {
    pub _slapd: Slapd,
    pub daemon: Daemon,
    pub portal: SocketAddr,
}

/// The rules of the university: a password is enough on campus, which is this machine.
pub const CAMPUS: &str = "[zone.campus]\nnetworks = [\"127.0.0.0/8\"]\n[[rule]]\nzone = \"campus\"\nthen = \"password-only\"\n";

impl House {
    /// With a client whose keys are given, and more configuration; `portal` are more keys of the portal.
    pub fn start(vpn: &str, portal: &str, further: &str) -> Self {
        let slapd = Slapd::start(PEOPLE);
        let address = SocketAddr::from(([127, 0, 0, 1], ports::free()));
        let port = address.port();
        let text = format!(
            "{}\n{further}\n{SPOOL}\n[portal]\nlisten = [\"{address}\"]\nurl = \"http://localhost:{port}\"\n{portal}\n",
            client("vpn", vpn)
        );
        let daemon = Daemon::start(&directory(&[&slapd.url()]), &text);
        for user in ["taro", "bob", "山田"] {
            daemon.enrol(user, SEED);
        }
        Self {
            _slapd: slapd,
            daemon,
            portal: address,
        }
    }

    /// The usual one.
    pub fn new() -> Self {
        let vpn = "code = [\"challenge\"]\npush = [\"shown\"]\nstation = [\"Calling-Station-Id\"]\nlabel = { ja = \"学外接続\", en = \"Campus VPN\" }";
        Self::start(vpn, "", "")
    }

    pub fn visitor(&self) -> Visitor {
        Visitor::new(self.portal)
    }

    /// Somebody signed in with their code.
    pub fn signed_in(&self, user: &str) -> Visitor {
        let mut visitor = self.visitor();
        let asked = visitor.password(user, &format!("{user}-password"));
        assert!(
            asked.title().contains("Prove"),
            "{}\n{}",
            asked.body,
            self.daemon.log()
        );
        let page = visitor.code(&code(SEED, 0));
        assert_eq!(page.status, 200, "{}", page.body);
        assert!(page.body.contains("Sign out"), "{}", page.body);
        visitor
    }

    /// Pairs a phone for somebody signed in, and proves it.
    pub fn pair(&self, visitor: &mut Visitor) -> Phone {
        let page = visitor.press("/methods/add", "/methods/add/device", &[]);
        let mut phone = Phone::try_pair(self.portal, &page.number()).unwrap();
        let number = visitor.get("/methods/add/device").number();
        let test = phone.request();
        assert_eq!(test["test"], true);
        assert_eq!(phone.say(&test, "approve", &number), "approved");
        let done = visitor.get("/methods/add/device");
        assert!(done.body.contains("Your phone is added"), "{}", done.body);
        phone
    }
}

fn shows(page: &Page, what: &str) {
    assert!(
        page.body.contains(what),
        "no {what:?} in {} {}",
        page.status,
        page.body
    );
}
