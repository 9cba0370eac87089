//! Turns arguments into one command and runs it.
//!
//! Not here: what the commands do, which is behind the control socket or in the daemon. Here is how people are told.

mod args;
mod cert;
mod check;
mod draft;
mod enrol;
mod import;
mod init;
mod login;
mod nagios;
mod people;
mod serve;
mod sessions;
mod terminal;
mod upkeep;
mod why;
mod words;

use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ErrorKind;

use crate::config;
use crate::control::{self, Answer, Ask, Caller, Language, NoAnswer};
use args::{Arguments, Command, Lang};
use terminal::Page;

/// How a command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// It was done; for `try`: accepted; for `status`: ready.
    Done = 0,
    /// It was not; for `status --nagios`: WARNING.
    Failed = 1,
    /// For `status --nagios` alone: CRITICAL.
    Critical = 2,
    /// For `status --nagios` alone: UNKNOWN.
    Unknown = 3,
    /// The arguments make no command (EX_USAGE of sysexits).
    Usage = 64,
    /// The configuration has faults (EX_CONFIG of sysexits).
    Config = 78,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command was not done, as a sentence, and how it ends.
#[derive(Debug)]
struct Failure {
    exit: Exit,
    why: String,
}

impl Failure {
    fn new(why: impl Into<String>) -> Self {
        Self {
            exit: Exit::Failed,
            why: why.into(),
        }
    }

    /// Whoever read has seen enough, as `head` has: there is nobody to tell.
    fn unread() -> Self {
        Self::new("")
    }

    fn usage(why: impl Into<String>) -> Self {
        Self {
            exit: Exit::Usage,
            why: why.into(),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::unread();
        }
        Self::new(format!("Input or output failed: {error}."))
    }
}

type Ended = Result<Exit, Failure>;

/// Runs the command of this process's arguments.
#[must_use]
pub fn main() -> ExitCode {
    let mut stdout = io::stdout();
    let terminal = stdout.is_terminal();
    run(std::env::args_os(), &mut stdout, terminal).into()
}

/// Runs one command. `terminal` says whether a person reads `out` on a terminal.
pub fn run(
    arguments: impl IntoIterator<Item = OsString>,
    out: &mut dyn Write,
    terminal: bool,
) -> Exit {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => return misread(&error),
    };
    let mut page = Page::new(out, terminal, arguments.json, language(arguments.lang));
    match follow(arguments, &mut page) {
        Ok(exit) => exit,
        Err(failure) => {
            if !failure.why.is_empty() {
                page.failure(&failure.why);
            }
            failure.exit
        }
    }
}

/// Help and version are answers; everything else that clap says is a wrong usage.
fn misread(error: &clap::Error) -> Exit {
    // Nothing can be said about a terminal that is gone.
    let _gone = error.print();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Done,
        _ => Exit::Usage,
    }
}

fn follow(arguments: Arguments, page: &mut Page<'_>) -> Ended {
    let file = arguments.config.clone();
    let file = file.as_deref().unwrap_or_else(|| Path::new(config::FILE));
    let daemon = &DaemonAt {
        socket: arguments.socket,
        file: arguments.config,
        language: page.language(),
    };
    match arguments.command {
        Command::Serve => serve::serve(file, page),
        Command::Demo { radius } => serve::demo(radius, page),
        Command::Init(wanted) => init::init(&wanted, file, page),
        Command::Import(wanted) => import::import(wanted, page),
        Command::Check { probe } => check::check(file, probe, page),
        Command::Try(login) => wait(login::attempt(login, daemon, page)),
        Command::Why { about, rows } => wait(why::tell(about, rows, daemon, page)),
        Command::Explain {
            user,
            client,
            station,
            at,
        } => {
            let ask = people::would(user, client, station, at);
            wait(people::explain(ask, daemon, page))
        }
        Command::User(command) => wait(people::user(command, daemon, page)),
        Command::Client(args::Client::List) => wait(upkeep::clients(daemon, page)),
        Command::Status(wanted) => status(&wanted, daemon, page),
        Command::Reload => wait(upkeep::reload(daemon, page)),
        Command::Secret(args::SecretCommand::New { length }) => upkeep::new_secret(length, page),
        Command::Cert(command) => cert::cert(command, file, page),
        Command::Backup { to } => wait(upkeep::backup(&to, daemon, page)),
        Command::Restore { backup, key_file } => {
            upkeep::restore(file, &backup, key_file.as_deref(), page)
        }
        Command::Completions { shell } => {
            page.out().write_all(&args::completions(shell))?;
            Ok(Exit::Done)
        }
        Command::Key(args::Key::Rotate) => wait(upkeep::rotate_key(daemon, page)),
    }
}

fn status(wanted: &args::StatusWanted, daemon: &DaemonAt, page: &mut Page<'_>) -> Ended {
    if !wanted.nagios {
        return wait(upkeep::status(daemon, page));
    }
    if page.is_json() {
        return Err(Failure::usage("--nagios is not --json."));
    }
    let thresholds = nagios::Thresholds {
        size: [wanted.warning_size, wanted.critical_size],
        time: [wanted.warning_time, wanted.critical_time],
    };
    wait(nagios::status(thresholds, daemon, page))
}

/// Runs a command that asks one thing after the other.
fn wait(command: impl Future<Output = Ended>) -> Ended {
    one_thread()?.block_on(command)
}

/// A runtime for commands that ask one thing.
fn one_thread() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}

/// The daemon behind its control socket.
struct DaemonAt {
    socket: Option<PathBuf>,
    file: Option<PathBuf>,
    language: Language,
}

impl DaemonAt {
    async fn call(&self) -> Result<Caller, Failure> {
        Caller::connect(&self.place()?)
            .await
            .map_err(|error| unanswered(&error, self.language))
    }

    /// The socket as asked for, or as the configuration says. Without either option the usual configuration may be one
    /// that this user cannot read: then the usual socket is meant.
    fn place(&self) -> Result<PathBuf, Failure> {
        match (&self.socket, &self.file) {
            (Some(socket), _) => Ok(socket.clone()),
            (None, Some(file)) => match config::read(file) {
                Ok(settings) => Ok(settings.control.socket),
                Err(faults) => Err(Failure {
                    exit: Exit::Config,
                    why: check::in_lines(&faults),
                }),
            },
            (None, None) => Ok(config::read(Path::new(config::FILE)).map_or_else(
                |_| PathBuf::from(control::SOCKET),
                |settings| settings.control.socket,
            )),
        }
    }

    /// Asks one thing; a refusal is a failure.
    async fn ask(&self, ask: Ask) -> Result<Answer, Failure> {
        put(&mut self.call().await?, ask, self.language).await
    }
}

/// Asks on an open connection; a refusal is a failure.
async fn put(caller: &mut Caller, ask: Ask, language: Language) -> Result<Answer, Failure> {
    let answer = caller.ask(&ask).await;
    match answer.map_err(|error| unanswered(&error, language))? {
        Answer::Refused { why, cause, faults } => {
            let why = match cause {
                Some(cause) => words::of(language).cause(&cause, &why),
                None => why,
            };
            let lines: Vec<String> = std::iter::once(why).chain(faults).collect();
            Err(Failure::new(lines.join("\n")))
        }
        answer => Ok(answer),
    }
}

fn unanswered(error: &NoAnswer, language: Language) -> Failure {
    let words = words::of(language);
    Failure::new(match error {
        NoAnswer::NobodyThere { path, source } => {
            words.nobody_listens(&path.display().to_string(), &source.to_string())
        }
        NoAnswer::NotAllowed { path } => {
            words.not_allowed(&path.display().to_string(), control::GROUP)
        }
        NoAnswer::Broken(why) => format!("The daemon did not answer: {why}."),
        NoAnswer::Unreadable(why) => {
            format!("The daemon's answer cannot be read; is it of another version? It was: {why}.")
        }
    })
}

/// That the daemon answered something else than it was asked.
fn astray() -> Failure {
    Failure::new("The daemon's answer does not fit the question; is it of another version?")
}

fn language(asked: Option<Lang>) -> Language {
    match asked {
        Some(Lang::Ja) => Language::Ja,
        Some(Lang::En) => Language::En,
        None => {
            let japanese = ["LC_ALL", "LC_MESSAGES", "LANG"]
                .into_iter()
                .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
                .is_some_and(|value| value.starts_with("ja"));
            if japanese { Language::Ja } else { Language::En }
        }
    }
}
