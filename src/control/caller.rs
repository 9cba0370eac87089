//! The asking end of the socket, for the command line.

use std::io;
use std::path::{Path, PathBuf};

use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use zeroize::Zeroizing;

use super::line::{self, Line};
use super::protocol::{ANSWER_OCTETS, Answer, Ask};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// Nobody listens at the socket.
    #[error("no daemon listens at {path}: {source}")]
    NobodyThere {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// This user may not open the socket.
    #[error("{path} is only for root and the daemon's administrators")]
    NotAllowed {
        /// The socket.
        path: PathBuf,
    },
    /// The connection broke.
    #[error("the daemon did not answer: {0}")]
    Broken(#[from] io::Error),
    /// The answer is of another version.
    #[error("the daemon's answer cannot be read, is it of another version? {0}")]
    Unreadable(#[from] serde_json::Error),
}

/// A connection to the running daemon.
pub struct Caller {
    from: BufReader<OwnedReadHalf>,
    to: OwnedWriteHalf,
}

impl Caller {
    /// Connects.
    ///
    /// # Errors
    ///
    /// When nobody listens, or this user may not ask.
    pub async fn connect(path: &Path) -> Result<Self, NoAnswer> {
        match UnixStream::connect(path).await {
            Ok(stream) => {
                let (from, to) = stream.into_split();
                Ok(Self {
                    from: BufReader::new(from),
                    to,
                })
            }
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                Err(NoAnswer::NotAllowed { path: path.into() })
            }
            Err(source) => Err(NoAnswer::NobodyThere {
                path: path.into(),
                source,
            }),
        }
    }

    /// Asks, and waits for the answer: the daemon has the deadlines.
    ///
    /// # Errors
    ///
    /// When none comes, or none that can be read.
    pub async fn ask(&mut self, ask: &Ask) -> Result<Answer, NoAnswer> {
        let mut text = Zeroizing::new(serde_json::to_vec(ask)?);
        text.push(b'\n');
        // A daemon that refuses this peer says so before it has read anything: its answer is worth more than the error.
        let written = self.to.write_all(&text).await;
        match line::read(&mut self.from, ANSWER_OCTETS).await? {
            Line::Whole(answer) => Ok(serde_json::from_slice(&answer)?),
            Line::End => {
                written?;
                Err(io::Error::from(io::ErrorKind::UnexpectedEof).into())
            }
            Line::TooLong => Err(io::Error::from(io::ErrorKind::InvalidData).into()),
        }
    }
}
