//! Runs the whole thing on one machine with nothing installed and nothing left behind.
//!
//! Everything between a RADIUS request and its answer is the ordinary daemon; only the directory and the phones are
//! samples. Not here: anything that a test of the daemon would lean on.

mod filter;
pub mod ldap;
pub mod nas;
mod people;
mod phone;
mod sample;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use data_encoding::BASE32_NOPAD;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::account::Language;
use crate::clock::{Clock, Timestamp};
use crate::config;
use crate::control::{Answer, Ask, Caller, Demanded, EnrolTotp, NoAnswer};
use crate::daemon::{self, Daemon};
use crate::factor::{Algorithm, Totp};
use crate::secret::Secret;

use ldap::Ldap;
use people::{HANAKO, JIRO, Person, SAKURA, TARO};
use sample::Folder;

/// RADIUS's own port, on this machine alone.
const LISTEN: &str = "127.0.0.1:1812";
/// Where the portal is, unless somebody else is there.
const PAGES: &str = "127.0.0.1:8080";
/// How often the phones are looked at: soon enough to seem at once.
const LOOK: Duration = Duration::from_millis(200);
/// How long the sample directory may take to be found by the daemon.
const WARM_UP: Duration = Duration::from_secs(10);

/// How long the apps show a code.
const STEP: Duration = Duration::from_secs(30);

/// Goes back to the line above and clears it.
const LINE_ABOVE: &str = "\x1b[A\x1b[2K";

/// What can be chosen.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where to listen for RADIUS; without it on 127.0.0.1:1812, or another port if that is taken.
    pub radius: Option<SocketAddr>,
    /// A person reads on a terminal, where a new line of codes may take the place of the one before.
    pub terminal: bool,
}

/// Why there is no demonstration.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// This machine has a real configuration: a sample must not be taken for it.
    #[error("there is a configuration at {file}; the demo does not run beside it", file = .0.display())]
    RealConfiguration(PathBuf),
    /// A file, a socket or the terminal.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The sample configuration is not what this daemon reads.
    #[error("the sample configuration has faults: {0}")]
    Configuration(String),
    /// The daemon.
    #[error(transparent)]
    Daemon(#[from] daemon::Error),
    /// The daemon's control socket.
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
    /// A sample person was not enrolled.
    #[error("{user} could not be enrolled: {why}")]
    NotEnrolled {
        /// Who.
        user: &'static str,
        /// The daemon's word.
        why: String,
    },
}

/// Runs until it is interrupted: starts the sample directory and the daemon, enrols people, prints lines to paste, then
/// every message that goes out and every new code.
///
/// # Errors
///
/// When something does not start, or the daemon ends by itself.
pub async fn run(options: Options, out: &mut dyn Write) -> Result<(), Error> {
    run_until(options, out, interrupted()).await
}

/// As [`run`], until `shutdown` is ready.
///
/// # Errors
///
/// As [`run`].
pub async fn run_until(
    options: Options,
    out: &mut dyn Write,
    shutdown: impl Future<Output = ()>,
) -> Result<(), Error> {
    let real = Path::new(config::FILE);
    if real.exists() {
        return Err(Error::RealConfiguration(real.to_owned()));
    }
    let clock = Clock::system();
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let _directory_ends_with_us = stop.clone().drop_guard();
    let ldap = Ldap::start(&tasks, &stop).await?;
    let folder = Folder::new()?;
    let secret = sample::shared_secret();
    let listen = listen(&options)?;
    let portal = pages(&options)?;
    let text = sample::configuration(&folder, (listen, portal), ldap.address(), &secret);
    let file = folder.write(&text)?;
    let settings = config::read(&file).map_err(|faults| Error::Configuration(in_words(&faults)))?;
    let daemon = Box::pin(Daemon::start(settings, Some(file), clock.clone())).await?;
    let apps = Apps {
        taro: enrolled(&TARO, &folder.socket()).await?,
        jiro: enrolled(&JIRO, &folder.socket()).await?,
    };
    let shown = Shown {
        program: program(),
        socket: folder.socket(),
        listen,
        portal,
        ldap: ldap.address(),
        secret: &secret,
        terminal: options.terminal,
    };
    shown.welcome(&apps, clock.now(), out)?;
    let spool = folder.spool();
    tokio::select! {
        ended = daemon.run(shutdown) => ended?,
        shown = narrate(&apps, (&spool, &clock), options.terminal, out) => shown?,
    }
    writeln!(out, "\nThe demo is over; nothing is left of it.")?;
    Ok(())
}

fn listen(options: &Options) -> io::Result<SocketAddr> {
    match options.radius {
        // Asked for by name: taken, it is an error.
        Some(address) if address.port() != 0 => Ok(address),
        Some(any_port) => sample::free(any_port),
        None => sample::free(LISTEN.parse().map_err(io::Error::other)?),
    }
}

/// Where RADIUS takes any port, the portal does, too.
fn pages(options: &Options) -> io::Result<SocketAddr> {
    let mut wanted: SocketAddr = PAGES.parse().map_err(io::Error::other)?;
    if options.radius.is_some_and(|radius| radius.port() == 0) {
        wanted.set_port(0);
    }
    sample::free_for_pages(wanted)
}

fn in_words(faults: &[config::Fault]) -> String {
    let sentences: Vec<_> = faults
        .iter()
        .map(|fault| format!("line {}: {} {}", fault.line, fault.what, fault.mend))
        .collect();
    sentences.join("; ")
}

/// The running program, to be named in lines to paste.
fn program() -> String {
    let path = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("sekisho"));
    path.display().to_string()
}

/// Interrupted by hand or by a supervisor, or left alone by a terminal that was closed.
async fn interrupted() {
    let (Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
        signal(SignalKind::hangup()),
    ) else {
        return;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
}

/// The apps of those who have enrolled one.
struct Apps {
    taro: Totp,
    jiro: Totp,
}

/// Enrols a new app through the control socket, as an operator would. The directory may not be found yet.
async fn enrolled(person: &Person, socket: &Path) -> Result<Totp, Error> {
    let totp = Totp::random();
    let until = Instant::now() + WARM_UP;
    loop {
        let ask = Ask::EnrolTotp(EnrolTotp {
            user: person.user.to_owned(),
            label: "demo".to_owned(),
            seed: Some(Secret::from(
                BASE32_NOPAD.encode(totp.seed().expose()).as_str(),
            )),
            algorithm: Algorithm::Sha1,
            digits: totp.digits(),
            proof: Demanded::Nothing,
            language: Language::Ja,
        });
        match Caller::connect(socket).await?.ask(&ask).await? {
            Answer::Seed {
                factor: Some(_), ..
            } => return Ok(totp),
            Answer::Refused { .. } if Instant::now() < until => tokio::time::sleep(LOOK).await,
            Answer::Refused { why, .. } => {
                let user = person.user;
                return Err(Error::NotEnrolled { user, why });
            }
            other => {
                let (user, why) = (person.user, format!("an unexpected answer: {other:?}"));
                return Err(Error::NotEnrolled { user, why });
            }
        }
    }
}

/// What the lines to paste are made of.
struct Shown<'a> {
    program: String,
    socket: PathBuf,
    listen: SocketAddr,
    portal: SocketAddr,
    ldap: SocketAddr,
    secret: &'a Secret,
    terminal: bool,
}

impl Shown<'_> {
    fn welcome(&self, apps: &Apps, now: Timestamp, out: &mut dyn Write) -> io::Result<()> {
        self.headline(out)?;
        self.attempts(apps, now, out)?;
        self.others(apps, now, out)?;
        out.flush()
    }

    fn headline(&self, out: &mut dyn Write) -> io::Result<()> {
        let secret = self.secret.expose_str().unwrap_or_default();
        let (listen, ldap) = (self.listen, self.ldap);
        writeln!(
            out,
            "Sekisho is running: RADIUS on {listen} (secret {secret}),\na sample directory on ldap://{ldap}."
        )?;
        writeln!(
            out,
            "Paste these lines into another terminal. Ctrl-C here ends everything."
        )?;
        let newest = match self.terminal {
            true => "the newest of the last line",
            false => "one from the app whose address stands below",
        };
        writeln!(
            out,
            "Codes hold for about a minute; later, put in {newest}.\n"
        )
    }

    fn attempts(&self, apps: &Apps, now: Timestamp, out: &mut dyn Write) -> io::Result<()> {
        let (taro, jiro) = (apps.taro.code_at(now), apps.jiro.code_at(now));
        writeln!(
            out,
            "A code of the app behind the password (山田 太郎; a code works once):"
        )?;
        self.attempt(&TARO, &format!("--client vpn --code {taro}"), out)?;
        writeln!(out, "The code asked for by a challenge (鈴木 次郎):")?;
        self.attempt(&JIRO, &format!("--client vpn --answer {jiro}"), out)?;
        writeln!(
            out,
            "A code by SMS, which appears here (佐藤 花子; type it when asked):"
        )?;
        self.attempt(&HANAKO, "--client vpn", out)?;
        writeln!(
            out,
            "The same on gear that cannot ask: log in twice, the second time with --code (桜井 桜子):"
        )?;
        self.attempt(&SAKURA, "--client old-vpn", out)?;
        writeln!(out, "From the campus, where the password is enough:")?;
        self.attempt(&TARO, "--client vpn --station 203.0.113.7", out)?;
        writeln!(
            out,
            "The portal, where {} (password {}) signs in with a code of the app, adds a phone and sees logins:",
            TARO.user, TARO.password
        )?;
        writeln!(out, "  http://localhost:{}\n", self.portal.port())?;
        writeln!(out, "What happened, and why:")?;
        writeln!(out, "  {}\n", self.command("why"))
    }

    fn others(&self, apps: &Apps, now: Timestamp, out: &mut dyn Write) -> io::Result<()> {
        let secret = self.secret.expose_str().unwrap_or_default();
        // The next code: the first line above uses the one of now, and each works once.
        let (listen, taro) = (self.listen, apps.taro.code_at(now.after(STEP)));
        writeln!(out, "With another RADIUS client:")?;
        let request = format!(
            "User-Name={},User-Password={}{taro},Message-Authenticator=0x00",
            TARO.user, TARO.password
        );
        writeln!(
            out,
            "  echo '{request}' | radclient -x {listen} auth {secret}\n"
        )?;
        let uri = apps.taro.uri("桜大学", TARO.user);
        writeln!(out, "山田 太郎's app, to add it to a real phone:")?;
        writeln!(out, "  {}\n", uri.expose_str().unwrap_or_default())
    }

    fn attempt(&self, person: &Person, options: &str, out: &mut dyn Write) -> io::Result<()> {
        let (user, password) = (person.user, person.password);
        let command = self.command("try");
        writeln!(out, "  {command} {user} --password {password} {options}\n")
    }

    fn command(&self, verb: &str) -> String {
        format!(
            "'{}' {verb} --socket '{}'",
            self.program,
            self.socket.display()
        )
    }
}

/// Shows messages as they go out, and the codes of each new step.
async fn narrate(
    apps: &Apps,
    (spool, clock): (&Path, &Clock),
    terminal: bool,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut looks = tokio::time::interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut shown = None;
    loop {
        looks.tick().await;
        let rang = phone::ring(spool, out)?;
        let now = clock.now();
        let codes = (apps.taro.code_at(now), apps.jiro.code_at(now));
        // A log is not to grow for ever by codes that nobody reads.
        if rang || shown.is_none() || (terminal && shown.as_ref() != Some(&codes)) {
            if terminal && !rang && shown.is_some() {
                write!(out, "{LINE_ABOVE}")?;
            }
            writeln!(out, "The apps show: {} (taro), {} (jiro)", codes.0, codes.1)?;
            out.flush()?;
            shown = Some(codes);
        }
    }
}
