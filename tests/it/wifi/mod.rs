//! Campus Wi-Fi: EAP against supplicants that nobody here wrote.

mod ap;
mod campus;
mod flood;
mod freeradius;
mod papers;
mod rules;
mod station;
mod table;
