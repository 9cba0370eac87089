//! Octets as a configuration file: read to the end, with faults or without, never a panic.

#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| read(text));

fn read(text: &str) {
    let _ = sekisho::config::parse_text(text);
}
