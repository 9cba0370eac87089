//! A university with the real portal, somebody at a computer, and their phone: each a page of Chromium.

use super::chromium::Chromium;
use super::page::{Key, Page};
use super::{DESK, NARROW, PHONE};
use crate::login::SEED;
use crate::portal::House;
use crate::support::daemon::code;

/// What the VPN can do: it shows the number.
const SHOWN: &str = "code = [\"challenge\"]\npush = [\"shown\"]\nstation = [\"Calling-Station-Id\"]\n\
                                label = { ja = \"VPN(学外接続)\", en = \"Campus VPN\" }";
/// Names as long as they get.
const ISSUER: &str =
    "[login.issuer]\nja = \"国立大学法人さくら大学\"\nen = \"Sakura University of Technology\"";
const PORTAL: &str = "password-url = \"https://id.example.ac.jp/\"\n\
                      desk = { ja = \"情報基盤センター 1階 窓口\\n平日 9:00~17:00\\n内線 1234\", \
                      en = \"Information Center, ground floor\\nweekdays 9:00-17:00\\nextension 1234\" }";

/// Where a login comes from that is tried here.
pub(super) const STATION: &str = "203.0.113.24";

/// The university, and a browser whose user reads one language.
pub(super) struct Campus {
    pub(super) house: House,
    pub(super) chromium: Chromium,
    pub(super) language: &'static str,
}

/// The university alone, with more configuration.
pub(super) fn house(further: &str) -> House {
    House::start(SHOWN, PORTAL, &format!("{ISSUER}\n{further}"))
}

impl Campus {
    pub(super) fn new(language: &'static str) -> Self {
        Self::with(language, "")
    }

    /// With more configuration.
    pub(super) fn with(language: &'static str, further: &str) -> Self {
        Self {
            house: house(further),
            chromium: Chromium::start(language),
            language,
        }
    }

    /// An address of the portal.
    pub(super) fn url(&self, path: &str) -> String {
        format!("http://localhost:{}{path}", self.house.portal.port())
    }

    /// A computer that was never there.
    pub(super) fn computer(&self) -> Page<'_> {
        self.chromium.page_apart(DESK)
    }

    /// Types name and password.
    pub(super) fn types_password(&self, page: &Page<'_>, user: &str) {
        page.goto(&self.url("/signin"));
        page.tab_to("#user");
        page.type_text(user);
        page.tab_to("#password");
        page.type_text(&format!("{user}-password"));
        page.press(Key::Enter);
    }

    /// Signs in with a code.
    pub(super) fn signs_in(&self, page: &Page<'_>, user: &str) {
        self.types_password(page, user);
        page.tab_to("#code");
        page.type_text(&code(SEED, 0));
        page.press(Key::Enter);
        page.find(".tasks");
    }

    /// Somebody at a computer with a phone that is paired and proven.
    pub(super) fn paired(&self, user: &str) -> (Page<'_>, Page<'_>) {
        let (computer, phone) = (self.computer(), self.chromium.page(PHONE));
        self.signs_in(&computer, user);
        computer.goto(&self.url("/methods/add"));
        computer.click("form[action='/methods/add/device'] button");
        let code = computer.text(".number");
        phone.goto(&self.url("/app"));
        phone.click("#pair-code");
        phone.type_text(&code);
        phone.press(Key::Enter);
        phone.find(".request .digits");
        computer.wait("one('.number').innerText.trim().length === 2");
        approve(&phone, &computer.text(".number"));
        phone.click(".outcome button");
        phone.find("#nothing");
        (computer, phone)
    }

    /// Looks at a page on phones: everything is there, and pictures are kept.
    pub(super) fn looks(&self, page: &mut Page<'_>, name: &str) {
        let before = page.screen();
        for screen in [PHONE, NARROW] {
            page.resize(screen);
            page.is_sound();
            page.is_fit();
            page.screenshot(&format!("{name}-{}-{}", self.language, screen.width));
        }
        page.resize(before);
        let language = page.value("document.documentElement.lang");
        assert_eq!(language, self.language);
    }
}

/// Types a number at a phone and approves, by keyboard.
pub(super) fn approve(phone: &Page<'_>, number: &str) {
    phone.tab_to(".request .digits");
    phone.type_text(number);
    phone.tab_to(".request .approve");
    phone.press(Key::Enter);
    phone.find(".outcome");
}
