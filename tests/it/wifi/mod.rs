//! Campus Wi-Fi: EAP against supplicants that nobody here wrote.

mod accept;
#[expect(
    clippy::disallowed_methods,
    reason = "waits for a second of the directory's"
)]
mod again;
mod ap;
mod campus;
mod factor;
#[expect(clippy::disallowed_methods, reason = "measures")]
mod flood;
mod freeradius;
mod outage;
mod papers;
mod readme;
mod reload;
mod rules;
mod station;
mod table;
mod wired;
