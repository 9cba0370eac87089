#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| sekisho_fuzz::eap(octets));
