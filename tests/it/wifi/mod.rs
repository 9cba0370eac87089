//! Campus Wi-Fi: EAP against supplicants that nobody here wrote.

mod accept;
mod again;
mod ap;
mod campus;
mod factor;
mod flood;
mod freeradius;
mod outage;
mod papers;
mod reload;
mod rules;
mod station;
mod table;
mod wired;
