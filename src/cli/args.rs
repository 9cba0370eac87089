//! The arguments: one command, which owns exactly its options.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::config::PROFILES;
use crate::control;

/// Sekisho (関所), a RADIUS second-factor daemon in front of an LDAP directory.
#[derive(Debug, Parser)]
#[command(name = "sekisho", version, max_term_width = 100)]
pub(super) struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub(super) command: Command,
    /// Answer in JSON, one object; `user enrol-totp` that waits for a code gives one with the address before.
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// The language of what users and the help desk read (`why`, `user`, `status`), by default that of LANG; other commands and
    /// errors for administrators are in English.
    #[arg(long, global = true, value_enum)]
    pub(super) lang: Option<Lang>,
    /// The configuration [default: /etc/sekisho/sekisho.toml].
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// The control socket of the running daemon, if it is not that of the configuration.
    #[arg(long, global = true, value_name = "PATH")]
    pub(super) socket: Option<PathBuf>,
}

/// A language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Lang {
    /// Japanese.
    Ja,
    /// English.
    En,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run the daemon in the foreground.
    Serve,
    /// Run everything on this machine, with sample people, and leave nothing behind.
    Demo {
        /// Where to listen for RADIUS; 127.0.0.1:1812, or another port if that is taken.
        #[arg(long, value_name = "ADDRESS:PORT")]
        radius: Option<SocketAddr>,
    },
    /// Read the configuration as the daemon would and report every fault.
    Check {
        /// Also connect to what the configuration names and say what was seen.
        #[arg(long)]
        probe: bool,
    },
    /// Log in as a NAS would, by a real RADIUS packet.
    Try(Try),
    /// Tell the story of a user's logins or of one attempt.
    Why {
        /// A user, or the number of an attempt as the log gives it; without it, the newest of everybody.
        #[arg(value_name = "USER|ID")]
        about: Option<String>,
        /// How many rows at most.
        #[arg(long, short = 'n', default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=i64::from(control::STORY_ROWS)))]
        rows: u32,
    },
    /// Say which rule would match a login and what would be asked, without doing it.
    Explain {
        /// The user's name.
        #[arg(long)]
        user: String,
        /// The client's name in the configuration.
        #[arg(long)]
        client: String,
        /// The station: an IP address, a hardware address or unknown.
        #[arg(long)]
        station: String,
        /// At what time, such as 2026-04-01T09:00:00+09:00; now, if not said.
        #[arg(long, value_name = "TIME")]
        at: Option<jiff::Timestamp>,
    },
    /// Show and change what a user has enrolled.
    #[command(subcommand)]
    User(User),
    /// Look at the configured clients.
    #[command(subcommand)]
    Client(Client),
    /// Say how the running daemon is; exits 1 if it cannot decide logins.
    Status,
    /// Make the running daemon read its configuration anew.
    Reload,
    /// Make secrets.
    #[command(subcommand)]
    Secret(SecretCommand),
    /// Copy the store of the running daemon to a new file.
    Backup {
        /// The new file. The daemon writes it.
        #[arg(value_name = "FILE")]
        to: PathBuf,
    },
    /// Put a backup in the place of the store; the daemon must not run.
    Restore {
        /// The backup.
        #[arg(value_name = "FILE")]
        backup: PathBuf,
        /// The master key that the backup was made under; the configured one, if not given.
        #[arg(long, value_name = "FILE")]
        key_file: Option<PathBuf>,
    },
    /// Change the master key.
    #[command(subcommand)]
    Key(Key),
    /// Print what a shell needs to complete these commands.
    Completions {
        /// The shell.
        shell: Shell,
    },
}

/// The script by which a shell completes the commands.
pub(super) fn completions(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "sekisho", &mut script);
    script
}

/// The login of `try`.
#[derive(Debug, Args)]
pub(super) struct Try {
    /// The user's name, as she would type it.
    pub(super) user: String,
    /// The client whose policy to try, borrowed from the running daemon for as long as it takes.
    #[arg(long, conflicts_with = "radius")]
    pub(super) client: Option<String>,
    /// Read the password from the first line of this file (- is standard input) instead of asking.
    #[arg(long, value_name = "FILE", conflicts_with = "password")]
    pub(super) password_file: Option<PathBuf>,
    /// The password itself: for demonstrations, others can see it.
    #[arg(long)]
    pub(super) password: Option<String>,
    /// A code to append to the password, as users do.
    #[arg(long)]
    pub(super) code: Option<String>,
    /// The answer to a challenge, instead of asking; once for each challenge.
    #[arg(long = "answer", value_name = "TEXT")]
    pub(super) answers: Vec<String>,
    /// The station to report: an IP address or a hardware address.
    #[arg(long)]
    pub(super) station: Option<String>,
    /// Send straight to this server as a client it already knows, without the running daemon's help.
    #[arg(long, value_name = "ADDRESS:PORT", requires = "secret_file")]
    pub(super) radius: Option<SocketAddr>,
    /// The file of the shared secret for --radius (- is standard input).
    #[arg(long, value_name = "FILE", requires = "radius")]
    pub(super) secret_file: Option<PathBuf>,
    /// How long to wait for an answer, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, conflicts_with = "gear", value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(super) patience: u64,
    /// Ask, wait and give up as gear of this make does by itself; see PROFILES in sekisho.toml(5).
    #[arg(long = "as", id = "gear", value_name = "PROFILE", value_parser = profiles())]
    pub(super) gear: Option<String>,
    /// The second server of the gear, which it asks when the first says nothing.
    #[arg(long, value_name = "ADDRESS:PORT", requires = "gear")]
    pub(super) second: Option<SocketAddr>,
    /// Log in so often, one time after the other, as a person does whose gear gave up.
    #[arg(long, value_name = "TIMES", value_parser = clap::value_parser!(u8).range(1..=10))]
    pub(super) count: Option<u8>,
}

fn profiles() -> PossibleValuesParser {
    PossibleValuesParser::new(PROFILES.map(|profile| profile.name))
}

/// The commands about a user.
#[derive(Debug, Subcommand)]
pub(super) enum User {
    /// Show the directory entry, the factors and whether codes are locked.
    Show {
        /// The user's name.
        user: String,
    },
    /// Enrol an authenticator app: show a QR code and take a code that proves it.
    EnrolTotp(EnrolTotp),
    /// Make ten new recovery codes in place of the old, and show them this once.
    RecoveryCodes {
        /// The user's name.
        user: String,
    },
    /// End a lock-out.
    Unlock {
        /// The user's name.
        user: String,
    },
    /// End what a report of the owner ("it was not me") began: no login from outside.
    ClearReport {
        /// The user's name.
        user: String,
    },
    /// Remove every factor.
    Reset {
        /// The user's name.
        user: String,
    },
    /// Remove one factor.
    Remove {
        /// The user's name.
        user: String,
        /// The factor's number, as `show` gives it.
        factor: i64,
    },
    /// List everybody with a factor or a lock-out.
    List {
        /// Begin after this name.
        #[arg(long)]
        after: Option<String>,
    },
}

/// The authenticator app to enrol.
#[derive(Debug, Args)]
pub(super) struct EnrolTotp {
    /// The user's name.
    pub(super) user: String,
    /// Take the secret in base32 from the first line of this file (- is standard input), such as that of a hardware token.
    #[arg(long, value_name = "FILE")]
    pub(super) secret_file: Option<PathBuf>,
    /// What to call it.
    #[arg(long, default_value = "app")]
    pub(super) label: String,
    /// The hash; many apps know only SHA-1.
    #[arg(long, value_enum, default_value = "sha1")]
    pub(super) algorithm: Hash,
    /// Digits of a code; many apps know only 6.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u8).range(6..=8))]
    pub(super) digits: u8,
    /// A code that proves it, instead of asking.
    #[arg(long, conflicts_with = "unproven")]
    pub(super) code: Option<String>,
    /// Make it active without a code that proves it.
    #[arg(long)]
    pub(super) unproven: bool,
}

/// A hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Hash {
    /// HMAC-SHA-1.
    Sha1,
    /// HMAC-SHA-256.
    Sha256,
    /// HMAC-SHA-512.
    Sha512,
}

/// The commands about clients.
#[derive(Debug, Subcommand)]
pub(super) enum Client {
    /// List the clients with what was seen of each NAS.
    List,
}

/// The commands about secrets.
#[derive(Debug, Subcommand)]
pub(super) enum SecretCommand {
    /// Make a random shared secret.
    New {
        /// Its random octets.
        #[arg(long, value_name = "OCTETS", default_value_t = 32, value_parser = clap::value_parser!(u16).range(16..=64))]
        length: u16,
    },
}

/// The commands about the master key.
#[derive(Debug, Subcommand)]
pub(super) enum Key {
    /// Make a new master key and seal everything anew under it.
    Rotate,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Arguments::command().debug_assert();
    }
}
