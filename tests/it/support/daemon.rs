//! The daemon as its own process, started as an administrator would.

use std::fs;
use std::io::Read;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant, SystemTime};

use tempfile::TempDir;

use super::nas::Nas;
use super::ports;

/// The secret of every client in tests.
pub const SECRET: &str = "a shared secret for tests only";
/// How long the daemon may take to be ready.
const START: Duration = Duration::from_secs(30);

/// A running daemon with its folder.
pub struct Daemon {
    folder: TempDir,
    child: Option<Child>,
    pub radius: SocketAddr,
    pub accounting: SocketAddr,
    wrapper: Vec<String>,
}

impl Daemon {
    /// Starts with a directory and further configuration; `{folder}` is filled in. Clients, rules
    /// and the like are the caller's, see [`client`].
    pub fn start(directory: &str, further: &str) -> Self {
        Self::start_under(&[], directory, further)
    }

    /// The same, under a program such as strace.
    pub fn start_under(wrapper: &[&str], directory: &str, further: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [radius, accounting] =
            [(); 2].map(|()| SocketAddr::from(([127, 0, 0, 1], ports::free())));
        let mut daemon = Self {
            folder,
            child: None,
            radius,
            accounting,
            wrapper: wrapper.iter().map(|&word| word.to_owned()).collect(),
        };
        daemon.configure(directory, further);
        daemon.run();
        daemon
    }

    /// Writes the configuration.
    pub fn configure(&self, directory: &str, further: &str) {
        let folder = self.folder.path().display();
        let text = format!(
            "{}\n[radius]\nlisten = [\"{}\"]\naccounting = [\"{}\"]\nreject-floor = \"500ms\"\n\n[log]\nto = \"stderr\"\n\n\
             [store]\nfolder = \"{folder}/state\"\nkey-file = \"{folder}/master.key\"\n\n[control]\nsocket = \
             \"{folder}/control.sock\"\n\n{}",
            directory,
            self.radius,
            self.accounting,
            further.replace("{folder}", &folder.to_string())
        );
        for name in ["state", "sms", "voice"] {
            fs::create_dir_all(self.path(name)).unwrap();
        }
        fs::write(self.path("sekisho.toml"), text).unwrap();
        fs::set_permissions(self.path("sekisho.toml"), fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// A path in the daemon's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts the process under a program such as strace (none: by itself).
    pub fn run_under(&mut self, wrapper: &[&str]) {
        self.wrapper = wrapper.iter().map(|&word| word.to_owned()).collect();
        self.run();
    }

    /// Starts the process and waits until it says that it is ready.
    pub fn run(&mut self) {
        let notify = self.path("notify.sock");
        let _absent = fs::remove_file(&notify);
        let socket = UnixDatagram::bind(&notify).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(50)))
            .unwrap();
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.path("log"))
            .unwrap();
        let mut words = self.wrapper.clone();
        words.push(env!("CARGO_BIN_EXE_sekisho").to_owned());
        let mut child = Command::new(&words[0])
            .args(&words[1..])
            .arg("serve")
            .arg("--config")
            .arg(self.path("sekisho.toml"))
            .env("NOTIFY_SOCKET", &notify)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let begun = Instant::now();
        let mut message = [0; 256];
        loop {
            if let Ok(count) = socket.recv(&mut message)
                && message[..count].starts_with(b"READY=1")
            {
                break;
            }
            if let Some(status) = child.try_wait().unwrap() {
                panic!("the daemon ended ({status}):\n{}", self.log());
            }
            assert!(
                begun.elapsed() < START,
                "the daemon is not ready:\n{}",
                self.log()
            );
        }
        self.child = Some(child);
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        let mut text = String::new();
        if let Ok(mut file) = fs::File::open(self.path("log")) {
            let _count = file.read_to_string(&mut text).unwrap();
        }
        text
    }

    /// Waits until the log satisfies.
    pub fn wait_log(&self, what: &str) {
        wait(
            || self.log().contains(what),
            || format!("no {what:?} in the log:\n{}", self.log()),
        );
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("running").id()
    }

    /// Ends it at once, as a power failure would end the process.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            for tracee in children(child.id()) {
                signal(tracee, "KILL");
            }
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Ends it in order, and gives its exit status.
    pub fn stop(&mut self) -> Option<i32> {
        signal(self.child.as_ref()?.id(), "TERM");
        self.ended()
    }

    /// Waits until it has ended by itself, and gives its exit status.
    pub fn ended(&mut self) -> Option<i32> {
        self.child.take()?.wait().unwrap().code()
    }

    /// Makes it read its configuration again.
    pub fn hang_up(&self) {
        signal(self.pid(), "HUP");
    }

    /// Runs one of the people's commands against it.
    pub fn cli(&self, words: &[&str]) -> Output {
        self.cli_with_input(words, "")
    }

    /// The same with lines on standard input.
    pub fn cli_with_input(&self, words: &[&str], input: &str) -> Output {
        let mut child = Command::new(env!("CARGO_BIN_EXE_sekisho"))
            .args(words)
            .arg("--config")
            .arg(self.path("sekisho.toml"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // A command that reads nothing may have ended already.
        let _closed = std::io::Write::write_all(&mut stdin, input.as_bytes());
        drop(stdin);
        child.wait_with_output().unwrap()
    }

    /// The same; it must succeed, and gives what it printed.
    pub fn cli_ok(&self, words: &[&str]) -> String {
        let output = self.cli(words);
        assert!(
            output.status.success(),
            "{words:?}: {}{}\n{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
            self.log()
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// Enrols a TOTP seed (base32) for a user, as an operator who was told it by a token's maker.
    pub fn enrol(&self, user: &str, seed: &str) {
        let file = self.path("seed");
        fs::write(&file, seed).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        let file = file.display().to_string();
        self.cli_ok(&[
            "user",
            "enrol-totp",
            user,
            "--secret-file",
            &file,
            "--unproven",
        ]);
    }

    /// A NAS of the usual client.
    pub fn nas(&self) -> Nas {
        Nas::new(self.radius, SECRET)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A client table for 127.0.0.1 with further keys.
pub fn client(name: &str, keys: &str) -> String {
    format!("[client.{name}]\naddress = [\"127.0.0.1\"]\nsecret = \"{SECRET}\"\n{keys}\n")
}

/// The processes that a process started: the daemon, when a tracer runs it.
fn children(pid: u32) -> Vec<u32> {
    let listed = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    listed
        .split_whitespace()
        .map(|pid| pid.parse().unwrap())
        .collect()
}

/// Sends a signal to a process that a test started.
pub fn signal(pid: u32, name: &str) {
    let status = Command::new("kill")
        .arg(format!("-{name}"))
        .arg(pid.to_string())
        .status()
        .unwrap();
    assert!(status.success());
}

/// Waits for a condition, which must come true.
pub fn wait(mut holds: impl FnMut() -> bool, otherwise: impl FnOnce() -> String) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < START, "{}", otherwise());
        std::thread::yield_now();
        let (sender, receiver) = std::sync::mpsc::channel::<()>();
        let _timeout = receiver.recv_timeout(Duration::from_millis(20));
        drop(sender);
    }
}

/// The code of a base32 seed so many steps from now, by oathtool. That of the last step is only
/// good until this one ends, so that it is not made just before.
pub fn code(seed: &str, steps: i64) -> String {
    if steps < 0 {
        wait(|| seconds() % 30 < 26, || "time stands still".to_owned());
    }
    let when = format!("now {} seconds", steps * 30);
    let output = Command::new("oathtool")
        .args(["--totp", "--base32", "--now", &when, seed])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "oathtool: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn seconds() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs()
}

/// Whether a file can be read only by its owner and group.
pub fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}
