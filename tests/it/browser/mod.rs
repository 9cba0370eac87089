//! Real browsers, from Debian's packages and without the internet: Firefox with a push service of the tests' own, and Chromium.
//!
//! A browser has a profile of its own, ends with its value and all it started, and is waited for no longer than its
//! [`process::Deadline`] says. What it shows can be kept as a picture, see [`screens`].
//!
//! ```ignore
//! let chromium = Chromium::start("ja");
//! let page = chromium.page(PHONE);
//! page.goto(&house.url("/signin"));
//! page.tab_to("#user");
//! page.type_text("taro");
//! page.screenshot("signin-ja");
//! page.is_sound();
//! ```

mod acts;
mod approval;
mod campus;
mod chromium;
mod devtools;
mod firefox;
mod harness;
mod marionette;
mod outage;
mod page;
mod pages;
mod pairing;
#[expect(clippy::disallowed_methods, reason = "waits for other processes")]
mod process;
mod push_service;
mod rings;
mod sender;
mod served;
mod site;
mod vapid;

use std::path::PathBuf;

/// Width, height and how many dots a pixel has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Screen {
    width: u32,
    height: u32,
    dots: u32,
    mobile: bool,
}

/// A small phone of today.
const PHONE: Screen = Screen {
    width: 360,
    height: 640,
    dots: 2,
    mobile: true,
};
/// The narrowest that must do: also a wide screen enlarged to 400 % (WCAG 2.2, 1.4.10).
const NARROW: Screen = Screen {
    width: 320,
    height: 568,
    dots: 2,
    mobile: true,
};
/// A notebook.
const DESK: Screen = Screen {
    width: 1024,
    height: 768,
    dots: 1,
    mobile: false,
};

/// Where pictures are kept, for people to look at.
fn screens() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("screens");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// Keeps a picture as `screens/NAME.png`.
fn keep_picture(name: &str, base64: &str) {
    let octets = data_encoding::BASE64.decode(base64.as_bytes()).unwrap();
    std::fs::write(screens().join(format!("{name}.png")), octets).unwrap();
}
