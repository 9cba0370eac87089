//! Who is at the other end of the socket, and whether she may ask.

use std::ffi::CString;

use nix::unistd::{Gid, Group, Uid, User, geteuid, getgrouplist};
use tokio::net::UnixStream;

/// The peer of a connection, as the kernel knows it (SO_PEERCRED): what it says of itself does not matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Peer {
    /// Its user.
    pub(super) uid: u32,
    gid: u32,
}

impl Peer {
    pub(super) fn of(stream: &UnixStream) -> std::io::Result<Self> {
        let credentials = stream.peer_cred()?;
        Ok(Self {
            uid: credentials.uid(),
            gid: credentials.gid(),
        })
    }

    /// Root, the daemon's own user, and members of the group may ask. Blocking: looks users and groups up.
    pub(super) fn may_ask(self, group: &str) -> bool {
        if self.uid == 0 || self.uid == geteuid().as_raw() {
            return true;
        }
        let Ok(Some(group)) = Group::from_name(group) else {
            return false;
        };
        group.gid.as_raw() == self.gid || self.groups().contains(&group.gid)
    }

    /// The groups that the user database gives the peer's user.
    fn groups(self) -> Vec<Gid> {
        let Ok(Some(user)) = User::from_uid(Uid::from_raw(self.uid)) else {
            return Vec::new();
        };
        let Ok(name) = CString::new(user.name) else {
            return Vec::new();
        };
        getgrouplist(&name, user.gid).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_may_not_ask_whatever_the_group() {
        let nobody = Peer {
            uid: 65_534,
            gid: 65_534,
        };
        assert!(!nobody.may_ask("sekisho-no-such-group"));
        assert!(!nobody.may_ask("root"));
        let own = Peer {
            uid: geteuid().as_raw(),
            gid: 65_534,
        };
        assert!(own.may_ask("sekisho-no-such-group"));
    }

    #[test]
    fn the_primary_group_counts() {
        let Ok(Some(root)) = Group::from_gid(Gid::from_raw(0)) else {
            return;
        };
        let member = Peer {
            uid: 65_534,
            gid: 0,
        };
        assert!(member.may_ask(&root.name));
    }
}
