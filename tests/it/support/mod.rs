
pub mod slapd;
