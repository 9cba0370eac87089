//! Carries the operator's commands over a local socket.
//!
//! One JSON object a line each way. Root and one group may ask; the peer's credentials are checked, every act is audited with the uid.

use std::path::PathBuf;

/// `[control]` after checking.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The socket.
    pub socket: PathBuf,
    /// The group that may ask beside root (and the daemon's own user).
    pub group: String,
}
