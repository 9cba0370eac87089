//! Health checks: requests by which gear or its keepers look whether anybody is there, in a name or with an attribute that no
//! person's login has.
//!
//! They are answered by a Reject, which shows them that all is well: no directory is asked, nobody is prompted, no message
//! goes out and no limit counts. A Reject also for `#ACSACL#-IP…`, by which an ASA asks for an access list that some
//! Accept named: there is none here, and an Accept without entries could be taken for a list that filters nothing.

use std::fmt;
use std::sync::Arc;

use crate::wire::{Request, attribute};

/// Connect-Info (RFC 2869 §5.11).
const CONNECT_INFO: u8 = 77;
const CONNECT_INFO_IS: &str = "Connect-Info=";
/// Letters before a `*`, at least: fewer would take people for health checks.
const PREFIX_LEAST: usize = 4;
/// Longest text of one (RFC 2865 §5).
const LONGEST: usize = 253;

/// By what a health check is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// User-Name is this, in any case.
    Name(Arc<str>),
    /// User-Name begins like this, in any case.
    Prefix(Arc<str>),
    /// Connect-Info is this.
    ConnectInfo(Arc<str>),
}

impl Probe {
    /// Reads `NAME`, `PREFIX*` or `Connect-Info=TEXT`. `None` if it is none of these, or would be true of too many.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        if text.is_empty() || text.len() > LONGEST || text.chars().any(char::is_control) {
            return None;
        }
        if let Some(info) = text.strip_prefix(CONNECT_INFO_IS) {
            return (!info.is_empty()).then(|| Self::ConnectInfo(info.into()));
        }
        match text.split_once('*') {
            None => Some(Self::Name(text.into())),
            Some((prefix, "")) if prefix.chars().count() >= PREFIX_LEAST => {
                Some(Self::Prefix(prefix.into()))
            }
            Some(_) => None,
        }
    }

    fn is(&self, request: &Request) -> bool {
        if let Self::ConnectInfo(text) = self {
            let mut infos = request.attributes(CONNECT_INFO);
            return infos.any(|value| value.eq_ignore_ascii_case(text.as_bytes()));
        }
        let name = request.attribute(attribute::USER_NAME);
        self.is_named(name.unwrap_or_default())
    }

    fn is_named(&self, name: &[u8]) -> bool {
        let equals = |value: &[u8], text: &str| value.eq_ignore_ascii_case(text.as_bytes());
        match self {
            Self::Name(text) => equals(name, text),
            Self::Prefix(text) => name
                .get(..text.len())
                .is_some_and(|start| equals(start, text)),
            Self::ConnectInfo(_) => false,
        }
    }
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(text) => f.write_str(text),
            Self::Prefix(text) => write!(f, "{text}*"),
            Self::ConnectInfo(text) => write!(f, "{CONNECT_INFO_IS}{text}"),
        }
    }
}

/// Which of a client's health checks a request is.
pub(super) fn find<'p>(request: &Request, probes: &'p [Probe]) -> Option<&'p Probe> {
    probes.iter().find(|probe| probe.is(request))
}

/// Which of a client's health checks a name is: the identity of an EAP conversation.
pub(super) fn find_name<'p>(name: &[u8], probes: &'p [Probe]) -> Option<&'p Probe> {
    probes.iter().find(|probe| probe.is_named(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;
    use crate::wire::Query;

    #[test]
    fn health_checks_are_known_by_name_prefix_or_connect_info() {
        let probes: Vec<_> = ["meraki_8021x_test", "#ACSACL#-IP*", "Connect-Info=test"]
            .into_iter()
            .map(|text| Probe::read(text).unwrap())
            .collect();
        let found = |name: &[u8], info: &[u8]| {
            let asked = Query::access(1)
                .with(1, name)
                .with(77, info)
                .sign(&Secret::from("a secret"));
            let request = Request::parse(asked.octets()).unwrap();
            find(&request, &probes).map(ToString::to_string)
        };
        for (name, info, expected) in [
            (
                &b"meraki_8021x_test"[..],
                &b"vpn"[..],
                Some("meraki_8021x_test"),
            ),
            (b"Meraki_8021X_Test", b"vpn", Some("meraki_8021x_test")),
            (b"meraki_8021x_test2", b"vpn", None),
            (b"#ACSACL#-IP-staff-5f2a", b"vpn", Some("#ACSACL#-IP*")),
            (b"#ACSACL#", b"vpn", None),
            (b"taro", b"test", Some("Connect-Info=test")),
            (b"taro", b"vpn-ssl", None),
            (b"test", b"testing", None),
        ] {
            assert_eq!(found(name, info).as_deref(), expected, "{name:?} {info:?}");
        }
    }

    #[test]
    fn what_would_be_true_of_everybody_is_no_health_check() {
        for text in ["", "*", "abc*", "a*c", "abcd**", "Connect-Info=", "te\nst"] {
            assert_eq!(Probe::read(text), None, "{text:?}");
        }
        assert!(Probe::read(&"a".repeat(254)).is_none());
        assert!(Probe::read("probe*").is_some());
    }
}
