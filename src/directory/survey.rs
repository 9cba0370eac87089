//! What `check --probe` sees of a directory beyond that its servers answer: its people, and groups that the configuration
//! names. Asked once, by an operator: the breaker's own probe stays with the root entry.

use std::sync::Arc;

use tokio::time::Instant;

use super::entry;
use super::failure::Failure;
use super::protocol::{Filter, Query, Scope, Selection};
use super::server::Host;
use super::{Directory, Inner, ServerHealth};

/// People looked at.
const SOME: usize = 16;

/// One server, and what it shows.
#[derive(Clone, Debug)]
pub struct Surveyed {
    /// Whether it answers.
    pub health: ServerHealth,
    /// What it shows; nothing if it does not answer.
    pub content: Option<Content>,
}

/// What a server shows to the service account.
#[derive(Clone, Debug)]
pub struct Content {
    /// Whether people can be found.
    pub people: People,
    /// Whether it is told of any of the people looked at when the password was changed: some have never changed it.
    pub dated: bool,
    /// Of the groups that were asked about, those that are there.
    pub groups: Vec<Arc<str>>,
}

/// Whether people can be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum People {
    /// The search base is not there, or may not be read.
    NoBase,
    /// The user filter finds nobody under it, whatever the name.
    Nobody,
    /// Somebody is found, but without a stable id.
    NoStableId,
    /// Somebody is found who could log in.
    Found,
}

impl Directory {
    /// Connects to every server and looks for people, and for these groups (in [`super::same_dn_form`]).
    pub async fn survey(&self, groups: &[Arc<str>]) -> Vec<Surveyed> {
        let mut servers = Vec::with_capacity(self.inner.hosts.len());
        for host in &self.inner.hosts {
            let content = match host.probe().await {
                Ok(()) => self.inner.content(host, groups).await.ok(),
                Err(_) => None,
            };
            // What went wrong is in its health.
            servers.push(Surveyed {
                health: ServerHealth {
                    up: content.is_some(),
                    ..host.health()
                },
                content,
            });
        }
        servers
    }
}

impl Inner {
    async fn content(&self, host: &Arc<Host>, groups: &[Arc<str>]) -> Result<Content, Failure> {
        let (people, dated) = self.people_at(host).await?;
        let mut there = Vec::new();
        for group in groups {
            if self.is_there(host, group).await? {
                there.push(group.clone());
            }
        }
        Ok(Content {
            people,
            dated,
            groups: there,
        })
    }

    async fn people_at(&self, host: &Arc<Host>) -> Result<(People, bool), Failure> {
        if !self.is_there(host, &self.settings.base).await? {
            return Ok((People::NoBase, false));
        }
        let query = Query {
            base: &self.settings.base,
            scope: Scope::Subtree,
            filter: self.user_filter.anybody(),
            attributes: &self.attributes,
            limit: SOME,
        };
        let answer = host.search(&query, self.patience()).await?;
        let now = self.clock.now();
        let some = answer.entries.iter();
        let mut some = some.map(|found| entry::person(found, &self.settings, now));
        Ok(match some.next() {
            None => (People::Nobody, false),
            Some(None) => (People::NoStableId, false),
            Some(Some(first)) => {
                let mut all = [Some(first)].into_iter().chain(some).flatten();
                (
                    People::Found,
                    all.any(|person| person.password_changed.is_some()),
                )
            }
        })
    }

    async fn is_there(&self, host: &Arc<Host>, dn: &str) -> Result<bool, Failure> {
        let query = Query {
            base: dn,
            scope: Scope::Base,
            filter: Filter::Everything,
            attributes: &Selection::none(),
            limit: 1,
        };
        let answer = host.search(&query, self.patience()).await?;
        Ok(!answer.entries.is_empty())
    }

    fn patience(&self) -> Instant {
        Instant::now() + self.settings.connect_timeout + self.settings.operation_timeout
    }
}
