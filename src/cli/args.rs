//! The arguments: one command, which owns exactly its options.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::config::PROFILES;
use crate::control;
use crate::daemon::SERVER_DAYS;

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
    /// Ask for the directory and the first gear, look whether they are so, and write the configuration.
    Init(Init),
    /// Carry the configuration of another RADIUS server over, and say what of it could not be.
    #[command(subcommand)]
    Import(Import),
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
    Status(StatusWanted),
    /// Make the running daemon read its configuration anew.
    Reload,
    /// Make secrets.
    #[command(subcommand)]
    Secret(SecretCommand),
    /// Make certificates for Wi-Fi, and say what is in one.
    #[command(subcommand)]
    Cert(Cert),
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

/// What `init` would ask.
#[derive(Debug, Args)]
pub(super) struct Init {
    /// Ask nothing: what no option says is as the questions suggest.
    #[arg(long, short = 'y')]
    pub(super) yes: bool,
    /// Write without looking at the directory.
    #[arg(long)]
    pub(super) no_probe: bool,
    /// The kind of directory.
    #[arg(long, value_enum)]
    pub(super) kind: Option<Kind>,
    /// A server of the directory, as ldaps://HOST or HOST; once for each, in order of preference.
    #[arg(long = "server", value_name = "URL")]
    pub(super) servers: Vec<String>,
    /// The file of the CA that signed the servers' certificates, if the system does not know it.
    #[arg(long, value_name = "FILE")]
    pub(super) ca_file: Option<String>,
    /// People are found under this DN.
    #[arg(long, value_name = "DN")]
    pub(super) base: Option<String>,
    /// The account that searches; "none" searches anonymously.
    #[arg(long, value_name = "DN")]
    pub(super) bind_dn: Option<String>,
    /// Read its password from the first line of this file (- is standard input) instead of asking.
    #[arg(long, value_name = "FILE")]
    pub(super) password_file: Option<PathBuf>,
    /// What people may type behind an @; "none" if nothing.
    #[arg(long)]
    pub(super) realm: Option<String>,
    /// The Windows domain that people may type before a \, for Active Directory; "none" if nothing.
    #[arg(long)]
    pub(super) domain: Option<String>,
    /// What to call the first gear.
    #[arg(long, value_name = "NAME")]
    pub(super) client: Option<String>,
    /// An address or network it asks from; once for each.
    #[arg(long = "address", value_name = "ADDRESS")]
    pub(super) addresses: Vec<String>,
    /// Its make; see PROFILES in sekisho.toml(5).
    #[arg(long, value_name = "PROFILE", value_parser = profiles())]
    pub(super) profile: Option<String>,
    /// Read the secret shared with it from the first line of this file (- is standard input) instead of making one.
    #[arg(long, value_name = "FILE")]
    pub(super) secret_file: Option<PathBuf>,
}

/// How `status` says it.
#[derive(Debug, Args)]
pub(super) struct StatusWanted {
    /// As a monitoring plugin: one line with figures; exits 0 (OK), 1 (WARNING), 2 (CRITICAL) or 3 (UNKNOWN).
    #[arg(long)]
    pub(super) nagios: bool,
    /// Warn when the store has so many MiB.
    #[arg(long, value_name = "MIB", requires = "nagios")]
    pub(super) warning_size: Option<u64>,
    /// Be critical when it has so many.
    #[arg(long, value_name = "MIB", requires = "nagios")]
    pub(super) critical_size: Option<u64>,
    /// Warn when the daemon's answer took so long.
    #[arg(long, value_name = "MS", requires = "nagios")]
    pub(super) warning_time: Option<u64>,
    /// Be critical when it took so long.
    #[arg(long, value_name = "MS", requires = "nagios")]
    pub(super) critical_time: Option<u64>,
}

/// What is carried over. Without --out the result is shown and nothing is written; secrets are never shown.
#[derive(Debug, Subcommand)]
pub(super) enum Import {
    /// authproxy.cfg of Duo's authentication proxy.
    Duo {
        /// The file.
        file: PathBuf,
        /// Write the result here, and its secrets in files beside it.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// clients.conf and the module ldap of FreeRADIUS.
    Freeradius {
        /// Its folder, such as /etc/freeradius/3.0, or a file.
        path: PathBuf,
        /// Write the result here, and its secrets in files beside it (or, from within conf.d, one folder above).
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

/// A kind of directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Kind {
    /// OpenLDAP, or another that names people by uid.
    Openldap,
    /// Active Directory, or Samba.
    Ad,
    /// 389 Directory Server.
    #[value(name = "389")]
    Ds389,
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
    /// Show the directory entry, the factors, whether codes are locked, and remembered stations.
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
    /// Have the gear end the user's open sessions; exits 1 if any may still be open.
    Disconnect {
        /// The user's name.
        user: String,
    },
    /// Forget the stations at which a factor need not be proven again, and let no session be resumed.
    Forget {
        /// The user's name.
        user: String,
        /// Only this one: its hardware address, as `show` gives it.
        station: Option<String>,
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

/// The commands about certificates.
#[derive(Debug, Subcommand)]
pub(super) enum Cert {
    /// Make a CA of your own: devices that join the Wi-Fi believe what it signs, and nothing else.
    Ca {
        /// What people's devices call it, such as "Example University Wi-Fi CA".
        #[arg(long)]
        name: String,
        /// The folder for ca.pem and ca.key; another than that of the server's, because the key leaves this machine.
        #[arg(long, value_name = "FOLDER")]
        out: PathBuf,
        /// How many days it holds, of which one is past already; devices must be set up anew when it ends.
        #[arg(long, default_value_t = 3650, value_parser = clap::value_parser!(u32).range(30..=10_950))]
        days: u32,
    },
    /// Make the certificate of a RADIUS server; one that is there is kept beside it.
    Server {
        /// The folder of the CA.
        #[arg(long, value_name = "FOLDER")]
        ca: PathBuf,
        /// The server's name, which devices are told to look for; once for each name.
        #[arg(long = "name", value_name = "NAME", required = true)]
        names: Vec<String>,
        /// The folder for server.pem and server.key.
        #[arg(long, value_name = "FOLDER")]
        out: PathBuf,
        /// How many days it holds, of which one is past already; Apple takes 825 at most.
        #[arg(long, default_value_t = SERVER_DAYS, value_parser = clap::value_parser!(u32).range(2..=i64::from(SERVER_DAYS)))]
        days: u32,
    },
    /// Make the certificate of a person's device, for logins by certificate.
    Client {
        /// The folder of the CA.
        #[arg(long, value_name = "FOLDER")]
        ca: PathBuf,
        /// The person's mail address, by which the account is found.
        #[arg(long, value_name = "ADDRESS")]
        mail: String,
        /// The file for certificate and key, as PEM.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// How many days it holds, of which one is past already.
        #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u32).range(2..=1825))]
        days: u32,
    },
    /// Say what certificates are, how long they hold, and what devices would miss in them; exits 1 if one has ended or lacks something.
    Show {
        /// PEM files; those that the configuration names, if none is given.
        #[arg(value_name = "FILE")]
        files: Vec<PathBuf>,
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
