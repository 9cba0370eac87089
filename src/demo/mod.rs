//! Runs the whole thing on one machine with nothing installed and nothing left behind.

pub mod nas;
