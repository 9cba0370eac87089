//! The demo as a whole: the lines that it prints, pasted.

use std::io::{self, Write};
use std::process::{Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sekisho::demo::{Options, run_until};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::sync::oneshot;
use tokio::time::{interval, timeout};

/// What the demo has printed so far.
#[derive(Clone, Default)]
struct Terminal(Arc<Mutex<Vec<u8>>>);

impl Write for Terminal {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        Write::write(&mut *self.0.lock().unwrap(), octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Terminal {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// What a look finds in the text, as soon as it finds it.
    async fn wait<T>(&self, look: impl Fn(&str) -> Option<T>) -> T {
        let mut looks = interval(Duration::from_millis(50));
        let seen = async {
            loop {
                looks.tick().await;
                if let Some(found) = look(&self.text()) {
                    return found;
                }
            }
        };
        match timeout(Duration::from_secs(30), seen).await {
            Ok(found) => found,
            Err(_) => panic!("not seen in:\n{}", self.text()),
        }
    }

    /// The line to paste that holds these words.
    async fn line(&self, words: &str) -> String {
        self.wait(|text| {
            let line = text.lines().find(|line| line.contains(words))?;
            Some(line.trim().to_owned())
        })
        .await
    }

    /// The code of the message after so many octets of text.
    async fn code(&self, after: usize) -> String {
        self.wait(|text| {
            let message = text.get(after..)?.split_once("│ ")?.1;
            let digits: String = message
                .chars()
                .skip_while(|c| !c.is_ascii_digit())
                .take_while(char::is_ascii_digit)
                .collect();
            (digits.len() == 6).then_some(digits)
        })
        .await
    }
}

/// Pastes a line, with the built program in place of this test.
async fn paste(line: &str) -> Output {
    let mut child = shell(line).spawn().unwrap();
    drop(child.stdin.take());
    finished(child.wait_with_output()).await
}

async fn finished(output: impl Future<Output = io::Result<Output>>) -> Output {
    timeout(Duration::from_secs(60), output)
        .await
        .expect("an end")
        .unwrap()
}

fn shell(line: &str) -> Command {
    let this = std::env::current_exe().unwrap();
    let line = line.replace(this.to_str().unwrap(), env!("CARGO_BIN_EXE_sekisho"));
    let mut command = Command::new("sh");
    command
        .args(["-c", &line])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

async fn every_line_works(terminal: Terminal) {
    let accepted = |what: &str, output: &Output| {
        assert_eq!(
            output.status.code(),
            Some(0),
            "{what}: {output:?}\n{}",
            terminal.text()
        );
    };
    let appended = terminal.line("try --socket").await;
    terminal.line("otpauth://").await;
    accepted("appended", &paste(&appended).await);
    accepted("challenge", &paste(&terminal.line(" jiro ").await).await);
    accepted(
        "campus",
        &paste(&terminal.line("--station 203.0.113.7").await).await,
    );

    // hanako is asked, and types what her phone shows.
    let before = terminal.text().len();
    let mut child = shell(&terminal.line(" hanako ").await).spawn().unwrap();
    let mut keyboard = child.stdin.take().unwrap();
    let code = terminal.code(before).await;
    keyboard
        .write_all(format!("{code}\n").as_bytes())
        .await
        .unwrap();
    drop(keyboard);
    accepted(
        "SMS by challenge",
        &finished(child.wait_with_output()).await,
    );

    // 桜子's gear cannot ask: a code comes, and goes behind her password.
    let before = terminal.text().len();
    let first = terminal.line(" 桜子 ").await;
    let refused = paste(&first).await;
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    let code = terminal.code(before).await;
    accepted(
        "SMS, logged in again",
        &paste(&format!("{first} --code {code}")).await,
    );
}

#[tokio::test]
async fn the_lines_that_it_prints_work_and_nothing_is_left() {
    let terminal = Terminal::default();
    let (finish, finished) = oneshot::channel::<()>();
    let options = Options {
        radius: Some("127.0.0.1:0".parse().unwrap()),
        terminal: false,
    };
    let mut out = terminal.clone();
    let demo = run_until(options, &mut out, async {
        let _either_way = finished.await;
    });
    let visitor = async {
        every_line_works(terminal.clone()).await;
        finish.send(()).unwrap();
    };
    let (ended, ()) = tokio::join!(demo, visitor);
    ended.unwrap();
    let line = terminal.line("--socket").await;
    let socket = line.split('\'').nth(3).unwrap();
    assert!(socket.ends_with("/control.sock"), "{socket}");
    assert!(!std::path::Path::new(socket).parent().unwrap().exists());
}
