//! The gateways that need only an account: templates shipped in `config/presets`.

/// The name of each preset, and its TOML text with the tables `[sms]` and `[voice]`.
const PRESETS: [(&str, &str); 2] = [
    ("twilio", include_str!("../../config/presets/twilio.toml")),
    ("vonage", include_str!("../../config/presets/vonage.toml")),
];

/// The TOML text of a preset. Its tables `[sms]` and `[voice]` have the keys that a site's own template has; what the
/// site writes beside `preset` fills `{{account}}`, and adds the credentials and the sender.
#[must_use]
pub fn text(name: &str) -> Option<&'static str> {
    PRESETS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, text)| *text)
}

/// The names of all presets, for the message about an unknown one.
pub fn names() -> impl Iterator<Item = &'static str> {
    PRESETS.iter().map(|(name, _)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_sms_and_voice_with_a_secure_url() {
        for name in names() {
            let preset: toml::Table = text(name).unwrap().parse().unwrap();
            for kind in ["sms", "voice"] {
                let url = preset[kind]["url"].as_str().unwrap();
                assert!(url.starts_with("https://"), "{name} {kind}: {url}");
            }
        }
    }

    #[test]
    fn unknown_names_have_none() {
        assert_eq!(text("../twilio"), None);
    }
}
