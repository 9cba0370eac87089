//! Sekisho (関所): a RADIUS second-factor daemon in front of an LDAP directory.
//!
//! The rooms, in the order in which a login passes them: [`server`] receives, [`wire`] reads,
//! [`access`] decides with [`directory`], [`factor`], [`store`] and [`channel`], [`telemetry`]
//! tells. In [`portal`] people enrol and approve. [`config`] reads the file, [`daemon`] wires it all, [`control`] and [`cli`] are for
//! operators, [`demo`] for trying. [`secret`], [`clock`] and [`account`] are the words they share.
//! Who may import whom is drawn in `docs/design.md` and tested.

pub mod access;
pub mod account;
pub mod channel;
pub mod cli;
pub mod clock;
pub mod config;
pub mod control;
pub mod daemon;
pub mod demo;
pub mod directory;
pub mod eap;
pub mod factor;
pub mod portal;
pub mod secret;
pub mod server;
pub mod store;
pub mod telemetry;
pub mod wire;
