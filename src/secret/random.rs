//! Random octets and digits from the operating system's generator.

use aws_lc_rs::rand::{SecureRandom, SystemRandom};

/// `N` random octets.
///
/// # Panics
///
/// When the operating system has no randomness to give: nothing safe can be done without it.
#[must_use]
#[expect(
    clippy::expect_used,
    reason = "without randomness no State, code or key may be made at all"
)]
pub fn random_array<const N: usize>() -> [u8; N] {
    let mut octets = [0; N];
    SystemRandom::new()
        .fill(&mut octets)
        .expect("the operating system gives randomness");
    octets
}

/// `count` decimal digits, each equally likely (octets of 250 and more are thrown away).
#[must_use]
pub fn random_digits(count: usize) -> String {
    let mut digits = String::with_capacity(count);
    while digits.len() < count {
        for octet in random_array::<16>() {
            if octet < 250 && digits.len() < count {
                digits.push(char::from(b'0' + octet % 10));
            }
        }
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_as_many_as_asked_and_all_occur() {
        let digits = random_digits(4000);
        assert_eq!(digits.len(), 4000);
        assert!(('0'..='9').all(|digit| digits.contains(digit)));
    }
}
