//! What is done with a configuration while no daemon runs: probing what it names, and restoring its store.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::unix::fs::{MetadataExt as _, lchown};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nix::unistd::geteuid;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::access;
use crate::account::TypedName;
use crate::channel::Channels;
use crate::clock::Clock;
use crate::config::Settings;
use crate::directory::{self, Directory, Found, People, Sample};
use crate::server;
use crate::store;

/// How long one part may take to be probed.
const PROBE_TIME: Duration = Duration::from_secs(20);
/// Files of a store: the database, its log and index, and what a rotation leaves for a moment.
const STORE_FILES: usize = 16;

/// What a probe saw of one part.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Probed {
    /// `directory`, `group`, `health check`, `store` or `gateway`.
    pub part: &'static str,
    /// Which one.
    pub name: String,
    /// What was seen of it, if nothing is wrong.
    pub seen: Option<String>,
    /// What is wrong; nothing if it is as it should be.
    pub fault: Option<String>,
}

impl Probed {
    fn new(part: &'static str, name: &str, seen: Result<String, String>) -> Self {
        let (seen, fault) = match seen {
            Ok(seen) => (Some(seen), None),
            Err(fault) => (None, Some(fault)),
        };
        Self {
            part,
            name: name.to_owned(),
            seen,
            fault,
        }
    }
}

/// Connects to every directory server and looks for people and the groups that the configuration names, reaches for every
/// gateway and looks at the store's files, changing nothing.
pub async fn probe(settings: &Settings) -> Vec<Probed> {
    let mut probed = vec![probe_store(&settings.store)];
    probed.extend(probe_directories(settings).await);
    probed.extend(probe_gateways(settings).await);
    probed
}

/// Connects to every directory server and looks for people and the groups that the configuration names.
pub async fn probe_directories(settings: &Settings) -> Vec<Probed> {
    let mut probed = Vec::new();
    let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
    let mut groups = Groups::named_in(&settings.access);
    for directory in &settings.directories {
        let opened = Directory::new(
            directory.clone(),
            Clock::system(),
            tracker.clone(),
            stop.clone(),
        );
        match opened {
            Ok(opened) => {
                let remembers = remembers(settings);
                let at = (directory, &opened, remembers);
                probed.extend(probe_directory(at, &mut groups).await);
                probed.extend(probe_checks(settings, (&directory.name, &opened)).await);
            }
            Err(error) => probed.push(Probed::new(
                "directory",
                &directory.name,
                Err(error.to_string()),
            )),
        }
    }
    stop.cancel();
    probed.extend(groups.probed());
    probed
}

/// Whether any client remembers stations.
fn remembers(settings: &Settings) -> bool {
    let mut clients = settings.server.clients.iter();
    clients.any(|client| !client.policy.remember.is_zero())
}

async fn probe_directory(
    (settings, directory, remembers): (&directory::Settings, &Directory, bool),
    groups: &mut Groups,
) -> Vec<Probed> {
    let name = &settings.name;
    let named = groups.dns();
    let survey = directory.survey(&named);
    let Ok(servers) = tokio::time::timeout(PROBE_TIME, survey).await else {
        return vec![Probed::new("directory", name, Err(slow()))];
    };
    servers
        .into_iter()
        .map(|server| {
            let seen = match server.content {
                None => Err(server.health.last_error.unwrap_or_else(slow)),
                Some(content) => {
                    groups.found(&content.groups);
                    let dated = content.sample.dated > 0;
                    judge(settings, content.people, content.sample).and_then(|found| {
                        match remembers && !dated {
                            true => Err(format!("{found}, but not when any of them changed the password: no station is remembered (see remember)")),
                            false => Ok(found),
                        }
                    })
                }
            };
            let name = format!("{name} {}", server.health.server);
            Probed::new("directory", &name, seen)
        })
        .collect()
}

/// People of a directory who have the name of a health check: they can never log in.
async fn probe_checks(
    settings: &Settings,
    (name, directory): (&Arc<str>, &Directory),
) -> Vec<Probed> {
    let mut probed = Vec::new();
    for client in &settings.server.clients {
        for probe in &client.probes {
            let server::Probe::Name(check) = probe else {
                continue;
            };
            let who = TypedName::parse(check.as_bytes())
                .and_then(|typed| typed.resolve(&settings.access.realms));
            let Ok(who) = who.as_ref() else { continue };
            let deadline = Instant::now() + PROBE_TIME;
            if who.directory == *name
                && let Ok(Found::One(_) | Found::Several) =
                    directory.find(&who.user, deadline).await
            {
                let why = format!(
                    "is a person of directory {name}, who can never log in by client {}: see probes",
                    client.name
                );
                probed.push(Probed::new("health check", check, Err(why)));
            }
        }
    }
    probed
}

/// What was seen of people, in words.
fn judge(settings: &directory::Settings, people: People, sample: Sample) -> Result<String, String> {
    let base = &settings.base;
    match people {
        People::Found => Ok(format!(
            "answers, and finds people under {base}: {}",
            sample_words(settings, sample)
        )),
        People::NoBase => Err(format!(
            "answers, but base {base} is not there, or the service account may not read it"
        )),
        People::Nobody => Err(format!(
            "answers, but finds nobody under {base} by user-filter {}",
            settings.user_filter
        )),
        People::NoStableId => Err(match &settings.id_attribute {
            Some(id) => format!("answers, but people under {base} have no attribute {id}: see id"),
            None => format!(
                "answers, but people under {base} have no stable id that the service account may read: see id"
            ),
        }),
    }
}

/// What is known of them, and what that means.
fn sample_words(settings: &directory::Settings, sample: Sample) -> String {
    let number = match (sample.people, sample.more) {
        (people, true) => format!("{people} and more"),
        (people, false) => people.to_string(),
    };
    let id = settings.id_attribute.as_deref().or(sample.id);
    let id = id.unwrap_or("unknown");
    let numbers = match (sample.with_phone, sample.more) {
        (0, _) => "nobody's".to_owned(),
        (some, false) => format!("that of {some}"),
        (some, true) => format!("that of {some} of {}", sample.people),
    };
    let changes = match sample.dated {
        0 => "is not told, so no station can be remembered",
        some if some < sample.people => "is told of some",
        _ => "is told",
    };
    format!(
        "{number}; stable id {id}; telephone number: {numbers}; when a password was changed {changes}"
    )
}

/// The groups that the configuration names, and which of them some directory shows.
struct Groups {
    /// Each with what names it.
    named: BTreeMap<Arc<str>, Vec<String>>,
    found: BTreeSet<Arc<str>>,
}

impl Groups {
    fn named_in(access: &access::Settings) -> Self {
        let always = access
            .always_ask
            .iter()
            .map(|group| ("always-ask".to_owned(), group));
        let rules =
            access.rules.iter().enumerate().filter_map(|(at, rule)| {
                Some((format!("[[rule]] {}", at + 1), rule.group.as_ref()?))
            });
        let replies = access.replies.iter().enumerate().filter_map(|(at, reply)| {
            Some((format!("[[reply]] {}", at + 1), reply.group.as_ref()?))
        });
        let mut named: BTreeMap<Arc<str>, Vec<String>> = BTreeMap::new();
        for (by, group) in always.chain(rules).chain(replies) {
            named.entry(group.clone()).or_default().push(by);
        }
        Self {
            named,
            found: BTreeSet::new(),
        }
    }

    fn dns(&self) -> Vec<Arc<str>> {
        self.named.keys().cloned().collect()
    }

    fn found(&mut self, groups: &[Arc<str>]) {
        self.found.extend(groups.iter().cloned());
    }

    /// Every group that no directory shows: who is meant by it is treated as if it were not written.
    fn probed(&self) -> Vec<Probed> {
        let probed = self.named.iter().map(|(group, by)| {
            let by = by.join(", ");
            let seen = match self.found.contains(group) {
                true => Ok(format!("is there, for {by}")),
                false => Err(format!(
                    "no directory shows it to its service account, so {by} holds for nobody"
                )),
            };
            Probed::new("group", group, seen)
        });
        probed.collect()
    }
}

async fn probe_gateways(settings: &Settings) -> Vec<Probed> {
    let channels = match Channels::new(settings.channel.clone()) {
        Ok(channels) => channels,
        Err(error) => return vec![Probed::new("gateway", "all", Err(error.to_string()))],
    };
    match tokio::time::timeout(PROBE_TIME, channels.probe()).await {
        Ok(gateways) => gateways
            .into_iter()
            .map(|(name, seen)| Probed::new("gateway", &name, seen.map(|()| "answers".to_owned())))
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
            .map(|_| "folder and master key are there".to_owned())
            .map_err(|error| error.to_string()),
        (Ok(_), false) => {
            Ok("the folder is there; the first start makes the master key".to_owned())
        }
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
