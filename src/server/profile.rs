//! What makes of gear can do and how long they wait: the defaults of `[client.NAME]`, and what `sekisho try --as`
//! imitates.
//!
//! A value is the make's own default, the most careful one where versions differ. Where nothing is known of a make, it has what
//! gear of no known make has. The table of sekisho.toml(5) tells where each value comes from.

use std::time::Duration;

use crate::access::{CodeEntry, PushMode};

/// A make of gear.
#[derive(Debug)]
pub struct Profile {
    /// The word of `profile`.
    pub name: &'static str,
    /// What people call it.
    pub gear: &'static str,
    /// How long it waits after each request of a login, until it sends the next or gives up.
    pub waits: &'static [Duration],
    /// What it sends when nothing came.
    pub again: Again,
    /// How it hands over what was typed.
    pub method: Method,
    /// How a code comes in.
    pub code: &'static [CodeEntry],
    /// How the number of a push crosses over; never [`PushMode::Approve`], which is by name alone.
    pub push: &'static [PushMode],
    /// What it can be asked to show.
    pub dialogue: Dialogue,
    /// The word of `reply-message`.
    pub reply_message: &'static str,
    /// The station's attributes in order of trust, as `station` has them.
    pub station: &'static [&'static str],
    /// Whether it tells the station again with the answer to a challenge.
    pub repeats_station: bool,
    /// Whether it sends Message-Authenticator.
    pub signing: Signs,
    /// Its health checks, as `probes` has them.
    pub probes: &'static [&'static str],
    /// How often it logs in for one login of a person.
    pub logins: u8,
    /// How long a verdict is given again.
    pub pair: Duration,
    /// Whether a Class of ours is safe with it: gear that reads groups from Class could take it for one.
    pub class: bool,
    /// For how long a station is remembered at which a factor was proven; zero is never.
    pub remember: Duration,
    /// What makes it wait longer, as a sentence.
    pub raise: &'static str,
}

/// What gear sends when no answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// The same octets from the same port.
    SamePacket,
    /// A new request: another identifier, authenticator and port.
    NewRequest,
}

/// How gear hands over what was typed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Method {
    /// As User-Password, with whatever stands behind the password.
    #[default]
    Pap,
    /// As a response to a challenge of CHAP or MS-CHAP: the text itself never arrives.
    MsChap,
    /// Within EAP.
    Eap,
}

impl Method {
    /// The word of the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pap => "pap",
            Self::MsChap => "mschap",
            Self::Eap => "eap",
        }
    }
}

/// What gear can be asked to show to a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialogue {
    /// It is not known.
    Unknown,
    /// No Access-Challenge, and no text.
    Nothing,
    /// The text of an Access-Challenge, with a field for the answer.
    Challenge,
    /// And the text of an Access-Reject.
    Everything,
}

/// Whether gear signs its requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signs {
    /// With Message-Authenticator, or it can be made to.
    Yes,
    /// It cannot.
    Never,
}

impl Profile {
    /// The profile of a name.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        PROFILES.into_iter().find(|profile| profile.name == name)
    }

    /// How long it waits in all.
    #[must_use]
    pub fn patience(&self) -> Duration {
        self.waits.iter().sum()
    }

    /// Whether an Access-Challenge reaches the person, as far as is known.
    #[must_use]
    pub fn can_challenge(&self) -> bool {
        self.dialogue != Dialogue::Nothing
    }
}

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// How long a verdict is given again where nothing asks for more: a lost answer is asked for again within it.
const PAIR: Duration = secs(10);
const CALLING: &str = "Calling-Station-Id";
const BY_CHALLENGE: &[CodeEntry] = &[CodeEntry::Appended, CodeEntry::Challenge];
const BY_PASSWORD: &[CodeEntry] = &[CodeEntry::Appended, CodeEntry::Delimited];

/// Gear of no known make: what a client without `profile` has.
pub static GENERIC: Profile = Profile {
    name: "generic",
    gear: "gear of no known make",
    waits: &[secs(5), secs(5)],
    again: Again::SamePacket,
    method: Method::Pap,
    code: &[CodeEntry::Appended],
    push: &[],
    dialogue: Dialogue::Unknown,
    reply_message: "both",
    station: &[],
    repeats_station: true,
    signing: Signs::Yes,
    probes: &[],
    logins: 1,
    pair: PAIR,
    class: true,
    remember: Duration::ZERO,
    raise: "Raise the time-out of the RADIUS server on the gear to 60 s.",
};

static FORTIGATE: Profile = Profile {
    name: "fortigate",
    gear: "Fortinet FortiGate",
    waits: &[secs(5)],
    code: BY_CHALLENGE,
    push: &[PushMode::Shown],
    dialogue: Dialogue::Challenge,
    station: &[CALLING, "Framed-IP-Address"],
    probes: &["Connect-Info=test"],
    raise: "On the FortiGate, set remoteauthtimeout (config system global) and the RADIUS server's timeout to 60.",
    ..GENERIC
};

static CISCO_ASA: Profile = Profile {
    name: "cisco-asa",
    gear: "Cisco ASA with Secure Client",
    waits: &[secs(10), secs(2)],
    code: BY_CHALLENGE,
    push: &[PushMode::Shown],
    dialogue: Dialogue::Everything,
    station: &[
        CALLING,
        "Tunnel-Client-Endpoint",
        "Cisco-AVPair:ip:source-ip",
    ],
    probes: &["#ACSACL#-IP*"],
    class: false,
    raise: "Set the timeout of the aaa-server host on the ASA, and AuthenticationTimeout in the profile of Secure Client, to 60.",
    ..GENERIC
};

static GLOBALPROTECT: Profile = Profile {
    name: "globalprotect",
    gear: "Palo Alto Networks GlobalProtect",
    waits: &[secs(3), secs(3), secs(3)],
    code: BY_CHALLENGE,
    push: &[PushMode::Shown],
    dialogue: Dialogue::Challenge,
    station: &["PaloAlto-Client-Source-IP"],
    logins: 2,
    pair: secs(30),
    raise: "In the firewall's RADIUS server profile, set Timeout to 25 and Retries to 1: the gateway itself gives up after about 25 s.",
    ..GENERIC
};

static IVANTI: Profile = Profile {
    name: "ivanti",
    gear: "Ivanti (Pulse) Connect Secure",
    waits: &[secs(30)],
    code: BY_CHALLENGE,
    push: &[PushMode::Shown],
    dialogue: Dialogue::Challenge,
    raise: "Set Timeout of the authentication server on the gateway to 60 and Retries to 0.",
    ..GENERIC
};

static MERAKI: Profile = Profile {
    name: "meraki",
    gear: "Cisco Meraki client VPN",
    waits: &[secs(5), secs(5), secs(5)],
    code: BY_PASSWORD,
    push: &[PushMode::Typed],
    dialogue: Dialogue::Nothing,
    reply_message: "none",
    probes: &["meraki_8021x_test"],
    raise: "Ask Meraki's support to raise the RADIUS time-out: nobody else can.",
    ..GENERIC
};

static OPENVPN: Profile = Profile {
    name: "openvpn",
    gear: "OpenVPN with a RADIUS plugin",
    waits: &[secs(1), secs(1)],
    again: Again::NewRequest,
    code: BY_PASSWORD,
    push: &[PushMode::Typed],
    dialogue: Dialogue::Nothing,
    reply_message: "none",
    station: &[CALLING],
    signing: Signs::Never,
    raise: "Set wait=60 and retry=1 in radiusplugin.cnf.",
    ..GENERIC
};

static OCSERV: Profile = Profile {
    name: "ocserv",
    gear: "ocserv, and others on radcli",
    waits: &[secs(10), secs(10), secs(10)],
    code: BY_CHALLENGE,
    push: &[PushMode::Shown],
    dialogue: Dialogue::Challenge,
    station: &[CALLING],
    signing: Signs::Never,
    class: false,
    raise: "Set radius_timeout to 60 and radius_retries to 1 in radiusclient.conf.",
    ..GENERIC
};

static STRONGSWAN: Profile = Profile {
    name: "strongswan",
    gear: "strongSwan (eap-radius, xauth-radius)",
    waits: &[
        secs(2),
        Duration::from_millis(2800),
        Duration::from_millis(3920),
        Duration::from_millis(5488),
    ],
    method: Method::Eap,
    code: BY_PASSWORD,
    push: &[PushMode::Typed],
    dialogue: Dialogue::Nothing,
    reply_message: "none",
    station: &[CALLING],
    class: false,
    raise: "Set charon.plugins.eap-radius.retransmit_timeout to 60 and retransmit_tries to 1.",
    ..GENERIC
};

static PAM: Profile = Profile {
    name: "pam",
    gear: "pam_radius",
    waits: &[secs(3)],
    code: BY_CHALLENGE,
    push: &[PushMode::Shown],
    dialogue: Dialogue::Challenge,
    station: &[CALLING],
    repeats_station: false,
    signing: Signs::Never,
    raise: "Write 60 as the time-out behind the server and its secret in pam_radius_auth.conf.",
    ..GENERIC
};

static SOFTETHER: Profile = Profile {
    name: "softether",
    gear: "SoftEther VPN",
    waits: &[secs(10)],
    code: BY_PASSWORD,
    push: &[PushMode::Typed],
    dialogue: Dialogue::Nothing,
    reply_message: "none",
    raise: "It cannot be raised there: 10 s are built in, 15 s in newer versions.",
    ..GENERIC
};

/// Within EAP the gear hands on what it does not see: a question is shown where the method has room for one (GTC).
static WIFI: Profile = Profile {
    name: "wifi",
    gear: "Wi-Fi gear of no known make",
    method: Method::Eap,
    code: BY_CHALLENGE,
    push: &[PushMode::Shown],
    station: &[CALLING],
    probes: &["meraki_8021x_test"],
    remember: secs(14 * 24 * 3600),
    raise: "Raise the time-out of the RADIUS server on the controller to 30 s.",
    ..GENERIC
};

static ARUBA: Profile = Profile {
    name: "aruba",
    gear: "Aruba controllers",
    waits: &[secs(30), secs(30)],
    raise: "It waits as long as people take.",
    ..WIFI
};

static ARUBA_INSTANT: Profile = Profile {
    name: "aruba-instant",
    gear: "Aruba Instant access points",
    waits: &[secs(5), secs(5), secs(5)],
    raise: "Raise the timeout of the authentication server on the access points to 25 s.",
    ..WIFI
};

static CISCO_WLC: Profile = Profile {
    name: "cisco-wlc",
    gear: "Cisco wireless controllers",
    waits: &[secs(2), secs(2)],
    raise: "Raise the server timeout of the RADIUS authentication server on the controller to 30 s.",
    ..WIFI
};

/// Every profile.
pub static PROFILES: [&Profile; 15] = [
    &GENERIC,
    &FORTIGATE,
    &CISCO_ASA,
    &GLOBALPROTECT,
    &IVANTI,
    &MERAKI,
    &OPENVPN,
    &OCSERV,
    &STRONGSWAN,
    &PAM,
    &SOFTETHER,
    &WIFI,
    &ARUBA,
    &ARUBA_INSTANT,
    &CISCO_WLC,
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::server::Probe;

    #[test]
    fn every_profile_can_do_what_it_says() {
        for profile in PROFILES {
            let name = profile.name;
            let codes = |entry| profile.code.contains(&entry);
            assert!(
                !profile.waits.is_empty() && profile.patience() >= secs(1),
                "{name}"
            );
            assert!(!profile.push.contains(&PushMode::Approve), "{name}");
            if profile.push.contains(&PushMode::Shown) {
                assert!(
                    codes(CodeEntry::Challenge) && profile.reply_message != "none",
                    "{name}"
                );
            }
            if profile.push.contains(&PushMode::Typed) {
                assert!(codes(CodeEntry::Delimited), "{name}");
            }
            assert!(
                profile.can_challenge() || !codes(CodeEntry::Challenge),
                "{name}"
            );
            assert!(
                profile
                    .probes
                    .iter()
                    .all(|probe| Probe::read(probe).is_some()),
                "{name}"
            );
            assert!(
                profile.pair >= PAIR && profile.raise.ends_with('.'),
                "{name}"
            );
        }
    }

    #[test]
    fn profiles_are_found_by_their_own_names() {
        let names: HashSet<_> = PROFILES.iter().map(|profile| profile.name).collect();
        assert_eq!(names.len(), PROFILES.len());
        assert_eq!(
            Profile::find("meraki").map(Profile::patience),
            Some(secs(15))
        );
        assert!(Profile::find("Meraki").is_none());
    }
}
