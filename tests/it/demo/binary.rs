//! The demo as the README has it started: the program itself, and what it prints pasted.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use crate::support::daemon::{signal, wait};

/// The running program, and what it has printed.
struct Demo {
    child: Child,
    printed: Arc<Mutex<String>>,
}

impl Demo {
    fn start() -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_sekisho"))
            .args(["demo", "--radius", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let printed = Arc::new(Mutex::new(String::new()));
        let into = printed.clone();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                *into.lock().unwrap() += &(line + "\n");
            }
        });
        Self { child, printed }
    }

    fn text(&self) -> String {
        self.printed.lock().unwrap().clone()
    }

    /// Sends a signal, at which it ends and leaves nothing.
    fn ends_at(&mut self, name: &str) {
        self.line("The apps show");
        let line = self.line("--socket");
        let socket = std::path::Path::new(line.split('\'').nth(3).unwrap());
        signal(self.child.id(), name);
        wait(
            || self.child.try_wait().unwrap().is_some(),
            || "the demo does not end".to_owned(),
        );
        assert!(!socket.parent().unwrap().exists(), "{line}");
    }

    /// The line to paste that holds these words.
    fn line(&self, words: &str) -> String {
        let find = |text: String| {
            let line = text.lines().find(|line| line.contains(words))?;
            Some(line.trim().to_owned())
        };
        wait(|| find(self.text()).is_some(), || self.text());
        find(self.text()).unwrap()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

/// Pastes a line into a shell, which may take a minute.
fn paste(line: &str) -> Output {
    Command::new("timeout")
        .args(["60", "sh", "-c", line])
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[test]
fn the_program_starts_and_what_it_prints_can_be_pasted() {
    let mut demo = Demo::start();
    demo.line("The apps show");
    let accepted = paste(&demo.line("--client vpn --code"));
    assert!(accepted.status.success(), "{accepted:?}\n{}", demo.text());

    let radclient = paste(&demo.line("| radclient"));
    let said = String::from_utf8(radclient.stdout).unwrap();
    assert!(
        said.contains("Received Access-Accept"),
        "{said}\n{}",
        demo.text()
    );

    let why = paste(&demo.line("' why --socket"));
    let said = String::from_utf8(why.stdout).unwrap();
    assert!(why.status.success(), "{said}");
    assert_eq!(said.matches("[proven]").count(), 2, "{said}");
    assert!(said.contains("enrols a TOTP"), "{said}");

    demo.ends_at("INT");
}

#[test]
fn nothing_is_left_when_the_terminal_is_closed() {
    Demo::start().ends_at("HUP");
}
