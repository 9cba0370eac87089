//! The socket itself: binding, admitting, reading asks and writing answers.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nix::unistd::{Group, chown};
use tokio::io::{AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use zeroize::Zeroizing;

use super::Settings;
use super::acts::{Acts, Conversation};
use super::line::{self, Line};
use super::peer::Peer;
use super::protocol::{ANSWER_OCTETS, ASK_OCTETS, Answer, Ask};

/// Connections at once: a few operators and their scripts.
const CONNECTIONS: usize = 16;
/// How long a line may take: somebody scans a code with her phone and types what it shows.
const ASK_TIME: Duration = Duration::from_secs(300);
/// How long an answer may take to be read.
const ANSWER_TIME: Duration = Duration::from_secs(10);
/// The pause after the socket could not be accepted from (no file descriptor is left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
/// Root and the group, nobody else.
const MODE: u32 = 0o660;

/// Binds beside the place and moves the socket there, so that nobody ever meets it with other rights.
pub(super) fn bind(path: &Path, group: &str) -> io::Result<UnixListener> {
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        return Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            format!("another daemon listens at {}", path.display()),
        ));
    }
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = Path::new(&beside);
    match std::fs::remove_file(beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(unbound(path, &error));
        }
        Ok(()) | Err(_) => {}
    }
    let listener = UnixListener::bind(beside).map_err(|error| unbound(path, &error))?;
    std::fs::set_permissions(beside, std::fs::Permissions::from_mode(MODE))?;
    match Group::from_name(group) {
        Ok(Some(group)) => {
            if let Err(error) = chown(beside, None, Some(group.gid)) {
                log::warn!("control socket stays with its own group: {error}");
            }
        }
        Ok(None) | Err(_) => {
            log::warn!("there is no group {group}: only root may use the control socket");
        }
    }
    std::fs::rename(beside, path)?;
    Ok(listener)
}

/// Names the socket, and what mends it.
fn unbound(path: &Path, error: &io::Error) -> io::Error {
    let folder = path.parent().unwrap_or(path).display();
    let mend = match error.kind() {
        io::ErrorKind::NotFound => format!(": make the folder {folder}, or set [control] socket"),
        io::ErrorKind::PermissionDenied => {
            format!(": give the folder {folder} to the daemon's user, or set [control] socket")
        }
        _ => String::new(),
    };
    io::Error::new(error.kind(), format!("{}: {error}{mend}", path.display()))
}

/// Accepts until stopped; a permit comes before each connection.
pub(super) async fn serve(
    listener: UnixListener,
    settings: Settings,
    acts: Acts,
    tracker: TaskTracker,
    stop: CancellationToken,
) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS));
    let group: Arc<str> = settings.group.into();
    while let Some((stream, permit)) = admit(&listener, &permits, &stop).await {
        let connection = Connection {
            group: group.clone(),
            acts: acts.clone(),
            _permit: permit,
        };
        let stop = stop.clone();
        tracker.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                ended = connection.run(stream) => if let Err(error) = ended {
                    log::debug!("a control connection ended: {error}");
                }
            }
        });
    }
    if let Err(error) = std::fs::remove_file(&settings.socket) {
        log::debug!("the control socket was not removed: {error}");
    }
}

async fn admit(
    listener: &UnixListener,
    permits: &Arc<Semaphore>,
    stop: &CancellationToken,
) -> Option<(UnixStream, OwnedSemaphorePermit)> {
    let admitted = async {
        let permit = permits.clone().acquire_owned().await.ok()?;
        loop {
            match listener.accept().await {
                Ok((stream, _)) => return Some((stream, permit)),
                Err(error) => {
                    log::warn!("the control socket does not accept: {error}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    stop.run_until_cancelled(admitted).await.flatten()
}

struct Connection {
    group: Arc<str>,
    acts: Acts,
    _permit: OwnedSemaphorePermit,
}

impl Connection {
    async fn run(self, stream: UnixStream) -> io::Result<()> {
        let peer = Peer::of(&stream)?;
        let (from, mut to) = stream.into_split();
        let group = self.group.clone();
        let allowed = tokio::task::spawn_blocking(move || peer.may_ask(&group)).await?;
        if !allowed {
            self.acts.note_stranger(peer.uid).await;
            let answer =
                refused("Only root, the daemon's own user and its administrators' group may ask.");
            return write(&mut to, &answer).await;
        }
        let mut from = BufReader::new(from);
        let mut conversation = Conversation::new(self.acts, peer.uid);
        loop {
            let line = match timeout(ASK_TIME, line::read(&mut from, ASK_OCTETS)).await?? {
                Line::Whole(line) => line,
                Line::End => return Ok(()),
                Line::TooLong => {
                    return write(&mut to, &refused("The line is longer than 64 KiB.")).await;
                }
            };
            let Ok(ask) = serde_json::from_slice::<Ask>(&line) else {
                let answer = refused("The line is nothing that this version can be asked.");
                return write(&mut to, &answer).await;
            };
            drop(line);
            let answer = conversation.answer(ask).await;
            write(&mut to, &answer).await?;
        }
    }
}

fn refused(why: &str) -> Answer {
    Answer::Refused {
        why: why.to_owned(),
        cause: None,
        faults: Vec::new(),
    }
}

async fn write(to: &mut (impl tokio::io::AsyncWrite + Unpin), answer: &Answer) -> io::Result<()> {
    let mut text = Zeroizing::new(serde_json::to_vec(answer)?);
    if text.len() >= ANSWER_OCTETS {
        text = Zeroizing::new(serde_json::to_vec(&refused(
            "The answer is too long: ask for less.",
        ))?);
    }
    text.push(b'\n');
    timeout(ANSWER_TIME, to.write_all(&text)).await?
}
