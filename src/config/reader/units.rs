//! Small notations: durations, sizes, and the word that was probably meant.

use std::fmt;
use std::time::Duration;

/// Units of durations, largest first, in milliseconds.
const DURATIONS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("ms", 1),
    ("m", 60_000),
    ("s", 1000),
];
/// Units of sizes in octets.
const SIZES: [(&str, usize); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
/// Letters that may differ for "did you mean": more are another word.
const SLIPS: usize = 2;

/// Reads "500ms", "30s", "5m", "12h" or "14d".
pub(in crate::config) fn duration(text: &str) -> Option<Duration> {
    let (count, unit) = DURATIONS
        .iter()
        .find_map(|(unit, millis)| Some((text.strip_suffix(unit)?, *millis)))?;
    Some(Duration::from_millis(digits(count)?.checked_mul(unit)?))
}

/// Reads "64KiB" or "4MiB".
pub(in crate::config) fn size(text: &str) -> Option<usize> {
    let (count, unit) = SIZES
        .iter()
        .find_map(|(unit, octets)| Some((text.strip_suffix(unit)?, *octets)))?;
    usize::try_from(digits(count)?).ok()?.checked_mul(unit)
}

fn digits(text: &str) -> Option<u64> {
    if text.bytes().all(|octet| octet.is_ascii_digit()) {
        text.parse().ok()
    } else {
        None
    }
}

/// A size as it would be written.
pub(in crate::config) fn shown_size(octets: usize) -> String {
    SIZES
        .iter()
        .find(|(_, unit)| octets >= *unit && octets.is_multiple_of(*unit))
        .map_or_else(
            || octets.to_string(),
            |(name, unit)| format!("{}{name}", octets / unit),
        )
}

/// A duration as it would be written.
pub(in crate::config) struct Shown(pub(in crate::config) Duration);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        if millis == 0 {
            return f.write_str("0s");
        }
        let mut units = DURATIONS;
        units.sort_by_key(|(_, unit)| std::cmp::Reverse(*unit));
        // Hours up to three days: 72h is how people say it.
        let fits = |(name, unit): &&(&str, u64)| {
            millis.is_multiple_of(*unit) && (*name != "d" || millis / unit > 3 || millis == *unit)
        };
        let (name, unit) = units.iter().find(fits).copied().unwrap_or(("ms", 1));
        write!(f, "{}{name}", millis / unit)
    }
}

/// The known word that was probably meant.
pub(in crate::config) fn nearest<'a>(
    word: &str,
    known: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    let plain = |text: &str| text.to_lowercase().replace('_', "-");
    let word = plain(word);
    known
        .map(|candidate| (strsim::osa_distance(&word, &plain(candidate)), candidate))
        .filter(|(distance, candidate)| {
            *distance <= SLIPS && *distance < candidate.chars().count().max(2) - 1
        })
        .min()
        .map(|(_, candidate)| candidate)
}

/// `"a", "b" or "c"`.
pub(in crate::config) fn one_of<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let mut quoted: Vec<String> = words.map(|word| format!("{word:?}")).collect();
    let last = quoted.pop().unwrap_or_default();
    if quoted.is_empty() {
        last
    } else {
        format!("{} or {last}", quoted.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_one_unit() {
        assert_eq!(duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(duration("5m"), Some(Duration::from_secs(300)));
        assert_eq!(duration("14d"), Some(Duration::from_secs(14 * 86_400)));
        for wrong in [
            "",
            "5",
            "s",
            "-5s",
            "+5s",
            "5 s",
            "1h30m",
            "99999999999999999999d",
            "９s",
        ] {
            assert_eq!(duration(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn durations_are_shown_as_they_are_written() {
        for text in ["0s", "500ms", "30s", "90s", "5m", "12h", "72h", "1d", "90d"] {
            assert_eq!(Shown(duration(text).unwrap()).to_string(), text);
        }
    }

    #[test]
    fn sizes_have_one_unit() {
        assert_eq!(size("4MiB"), Some(4 << 20));
        assert_eq!(size("4MB"), None);
        assert_eq!(size("18446744073709551615GiB"), None);
        assert_eq!(shown_size(64 << 10), "64KiB");
    }

    #[test]
    fn the_word_that_was_meant_is_near() {
        let known = ["listen", "accounting", "in-work"];
        assert_eq!(nearest("listne", known.into_iter()), Some("listen"));
        assert_eq!(nearest("in_work", known.into_iter()), Some("in-work"));
        assert_eq!(nearest("Listen", known.into_iter()), Some("listen"));
        assert_eq!(nearest("xyz", known.into_iter()), None);
    }
}
