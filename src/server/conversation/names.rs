//! Outer and inner names: the outer one stands in the open and only finds the way here.

/// What people are told to write for a name that says nobody, and what it may begin with.
const NOBODY: &[u8] = b"anonymous";
/// The short form of it.
const NOBODY_SHORT: &[u8] = b"anon";

/// Whether an outer name says nobody: nothing before the realm (RFC 7542 §2.4), or a word for it.
pub(super) fn is_anonymous(outer: &[u8]) -> bool {
    let user = outer.split(|octet| *octet == b'@').next();
    let user = user.unwrap_or_default();
    let start = user.get(..NOBODY.len()).unwrap_or_default();
    user.is_empty() || user.eq_ignore_ascii_case(NOBODY_SHORT) || start.eq_ignore_ascii_case(NOBODY)
}

/// The person's name in an account's key, which has the directory's in front.
pub(super) fn user_of(key: &str) -> &[u8] {
    let user = key.split_once('/').map_or(key, |(_, user)| user);
    user.as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_the_persons_name_behind_the_directorys() {
        assert_eq!(user_of("campus/taro"), b"taro");
        assert_eq!(user_of("campus/a/b"), b"a/b");
        assert_eq!(user_of("taro"), b"taro");
    }

    #[test]
    fn a_name_that_says_nobody_is_known() {
        for outer in [
            "",
            "@example.ac.jp",
            "anonymous",
            "Anonymous@example.ac.jp",
            "anonymous-2024@example.ac.jp",
            "anon@example.ac.jp",
        ] {
            assert!(is_anonymous(outer.as_bytes()), "{outer}");
        }
        for outer in [
            "taro",
            "taro@example.ac.jp",
            "anond",
            "nonymous@example.ac.jp",
        ] {
            assert!(!is_anonymous(outer.as_bytes()), "{outer}");
        }
        assert!(!is_anonymous(b"\xff\xfe"));
    }
}
