//! A browser's processes: a group of their own that ends with its value, in a folder that goes with it.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tempfile::TempDir;

/// How often is looked for what nobody tells us of.
const LOOK: Duration = Duration::from_millis(20);
/// How long a page may take to come to what a test waits for.
const STEP: Duration = Duration::from_secs(20);
/// How long what was killed may take to be gone.
const END: Duration = Duration::from_secs(10);

/// When waiting is over, whatever is waited for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline(Instant);

impl Deadline {
    pub(super) fn after(time: Duration) -> Self {
        Self(Instant::now() + time)
    }

    /// What is left; nothing, once it has passed.
    pub(super) fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// Looks until there is something, but no longer than a step takes: what went wrong can still be asked then.
    pub(super) fn wait<T>(
        self,
        what: impl Fn() -> String,
        mut look: impl FnMut() -> Option<T>,
    ) -> T {
        let step = Self::after(STEP.min(self.left()));
        loop {
            if let Some(found) = look() {
                return found;
            }
            assert!(!step.left().is_zero(), "{}", what());
            std::thread::park_timeout(LOOK);
        }
    }
}

/// A program with all that it starts.
pub(super) struct Process {
    child: Child,
    folder: TempDir,
}

impl Process {
    /// Starts a program, at home in a folder where it also finds its profile. What it says is in the folder's `log`. It ends
    /// with the thread that starts it, however that ends.
    pub(super) fn start(program: &str, words: &[String], folder: TempDir, pipes: bool) -> Self {
        let pipe = || if pipes { Stdio::piped() } else { Stdio::null() };
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", program])
            .args(words)
            .env("HOME", folder.path())
            .env("TMPDIR", folder.path())
            .env_remove("DISPLAY")
            .env_remove("WAYLAND_DISPLAY")
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("XDG_CACHE_HOME")
            .env("TZ", "Asia/Tokyo")
            .stdin(pipe())
            .stdout(pipe())
            .stderr(log)
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("setpriv: {error}"));
        Self { child, folder }
    }

    pub(super) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// A path in the folder.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What it said, for the message of a test that fails.
    pub(super) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// Whether it has ended.
    pub(super) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let group = Pid::from_raw(self.child.id().try_into().unwrap());
        // Nobody is left in it if it ended by itself.
        let _gone = killpg(group, Signal::SIGKILL);
        let _status = self.child.wait();
        // The folder cannot go while somebody writes to it.
        let end = Deadline::after(END);
        while !end.left().is_zero() && lives(group) {
            std::thread::park_timeout(LOOK);
        }
    }
}

/// Whether anybody of a group still runs.
fn lives(group: Pid) -> bool {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let mut stats =
        processes.filter_map(|process| fs::read_to_string(process.path().join("stat")).ok());
    stats.any(|stat| group_of(&stat) == Some(group.as_raw()))
}

/// The group of a process that runs, by its line: the name in parentheses, state, parent, group.
fn group_of(stat: &str) -> Option<i32> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut words = rest.split(' ');
    let state = words.next()?;
    let group = words.nth(1)?.parse().ok()?;
    (!matches!(state, "Z" | "X")).then_some(group)
}

/// The program of a name, if it is installed.
pub(super) fn installed(program: &str) -> String {
    let path = format!("/usr/bin/{program}");
    assert!(
        Path::new(&path).exists(),
        "{program} is not installed: tests/run installs it"
    );
    path
}
