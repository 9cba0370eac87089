//! What is done with a configuration while no daemon runs: probing what it names, and restoring its store.

use std::io;
use std::os::unix::fs::{MetadataExt as _, lchown};
use std::path::Path;
use std::time::Duration;

use nix::unistd::geteuid;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::channel::Channels;
use crate::clock::Clock;
use crate::config::Settings;
use crate::directory::Directory;
use crate::store;

/// How long one part may take to be probed.
const PROBE_TIME: Duration = Duration::from_secs(20);
/// Files of a store: the database, its log and index, and what a rotation leaves for a moment.
const STORE_FILES: usize = 16;

/// What a probe saw of one part.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Probed {
    /// `directory`, `store` or `gateway`.
    pub part: &'static str,
    /// Which one.
    pub name: String,
    /// What is wrong; nothing if it answered.
    pub fault: Option<String>,
}

impl Probed {
    fn new(part: &'static str, name: &str, seen: Result<(), String>) -> Self {
        Self {
            part,
            name: name.to_owned(),
            fault: seen.err(),
        }
    }
}

/// Connects to every directory server, reaches for every gateway and looks at the store's files, changing nothing.
pub async fn probe(settings: &Settings) -> Vec<Probed> {
    let mut probed = vec![probe_store(&settings.store)];
    let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
    for directory in &settings.directories {
        let opened = Directory::new(
            directory.clone(),
            Clock::system(),
            tracker.clone(),
            stop.clone(),
        );
        match opened {
            Ok(opened) => probed.extend(probe_directory(&directory.name, &opened).await),
            Err(error) => probed.push(Probed::new(
                "directory",
                &directory.name,
                Err(error.to_string()),
            )),
        }
    }
    stop.cancel();
    probed.extend(probe_gateways(settings).await);
    probed
}

async fn probe_directory(name: &str, directory: &Directory) -> Vec<Probed> {
    let Ok(servers) = tokio::time::timeout(PROBE_TIME, directory.probe()).await else {
        return vec![Probed::new("directory", name, Err(slow()))];
    };
    servers
        .into_iter()
        .map(|server| {
            let seen = if server.up {
                Ok(())
            } else {
                Err(server.last_error.unwrap_or_else(slow))
            };
            Probed::new("directory", &format!("{name} {}", server.server), seen)
        })
        .collect()
}

async fn probe_gateways(settings: &Settings) -> Vec<Probed> {
    let channels = match Channels::new(settings.channel.clone()) {
        Ok(channels) => channels,
        Err(error) => return vec![Probed::new("gateway", "all", Err(error.to_string()))],
    };
    match tokio::time::timeout(PROBE_TIME, channels.probe()).await {
        Ok(gateways) => gateways
            .into_iter()
            .map(|(name, seen)| Probed::new("gateway", &name, seen))
            .collect(),
        Err(_) => vec![Probed::new("gateway", "all", Err(slow()))],
    }
}

fn slow() -> String {
    format!("no answer within {} s", PROBE_TIME.as_secs())
}

/// Opening the store would migrate it, and making the key is `serve`'s: the files are looked at only.
fn probe_store(settings: &store::Settings) -> Probed {
    let name = settings.folder.display().to_string();
    let seen = match (
        std::fs::metadata(&settings.folder),
        settings.key_file.exists(),
    ) {
        (Err(error), _) => Err(error.to_string()),
        (Ok(folder), _) if !folder.is_dir() => Err("is no folder".to_owned()),
        (Ok(_), true) => store::master_key(settings)
            .map(drop)
            .map_err(|error| error.to_string()),
        (Ok(_), false) => Ok(()),
    };
    Probed::new("store", &name, seen)
}

/// Puts a backup in the place of the store. `key_file` holds the master key it was made under; the configured one, if not given.
///
/// # Errors
///
/// When the key is not there, or the backup cannot be used; then nothing was changed.
pub fn restore(
    settings: &store::Settings,
    from: &Path,
    key_file: Option<&Path>,
) -> Result<(), store::Error> {
    let mut settings = settings.clone();
    if let Some(key_file) = key_file {
        settings.key_file = key_file.to_owned();
    }
    // A key is never made here: a backup opens only under the key it was made under.
    if !settings.key_file.exists() {
        return Err(store::Error::File {
            path: settings.key_file,
            source: io::ErrorKind::NotFound.into(),
        });
    }
    let (key, _) = store::master_key(&settings)?;
    store::restore(&settings, &key, from)?;
    give_to_owner(&settings.folder).map_err(|source| store::Error::File {
        path: settings.folder,
        source,
    })
}

/// Root restores, another user serves: what lies in the folder belongs to the folder's owner.
fn give_to_owner(folder: &Path) -> io::Result<()> {
    if !geteuid().is_root() {
        return Ok(());
    }
    let owner = std::fs::metadata(folder)?;
    for file in std::fs::read_dir(folder)?.take(STORE_FILES) {
        // Never through a link: the folder is another user's.
        lchown(file?.path(), Some(owner.uid()), Some(owner.gid()))?;
    }
    Ok(())
}
