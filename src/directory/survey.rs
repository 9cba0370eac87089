//! What `check --probe` sees of a directory beyond that its servers answer: its people, and groups that the configuration
//! names. Asked once, by an operator: the breaker's own probe stays with the root entry.

use std::sync::Arc;

use tokio::time::Instant;

use super::entry;
use super::failure::Failure;
use super::protocol::{Filter, Query, Scope, Selection};
use super::server::Host;
use super::{Directory, Inner, ServerHealth};

/// People that are looked at: enough to tell whether an attribute is kept, in one answer of some hundred kilobytes at most.
const SAMPLE: usize = 100;

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
    /// The people that were looked at.
    pub sample: Sample,
    /// Of the groups that were asked about, those that are there.
    pub groups: Vec<Arc<str>>,
}

/// The first people that a server shows, a hundred at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// How many there are.
    pub people: usize,
    /// Whether there are more.
    pub more: bool,
    /// The attribute that is their stable id, as the first of them has it.
    pub id: Option<&'static str>,
    /// How many of them say when their password was changed.
    pub dated: usize,
    /// How many have a telephone number.
    pub with_phone: usize,
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
        let (people, sample) = self.people_at(host).await?;
        let mut there = Vec::new();
        for group in groups {
            if self.is_there(host, group).await? {
                there.push(group.clone());
            }
        }
        Ok(Content {
            people,
            sample,
            groups: there,
        })
    }

    async fn people_at(&self, host: &Arc<Host>) -> Result<(People, Sample), Failure> {
        if !self.is_there(host, &self.settings.base).await? {
            return Ok((People::NoBase, Sample::default()));
        }
        let query = Query {
            base: &self.settings.base,
            scope: Scope::Subtree,
            filter: self.user_filter.anybody(),
            attributes: &self.attributes,
            limit: SAMPLE,
        };
        let answer = host.search(&query, self.patience()).await?;
        let now = self.clock.now();
        let person = |found| entry::person(found, &self.settings, now);
        let people = match answer.entries.first().map(person) {
            None => People::Nobody,
            Some(None) => People::NoStableId,
            Some(Some(_)) => People::Found,
        };
        let mut sample = Sample {
            people: answer.entries.len(),
            more: !answer.complete,
            id: answer.entries.first().and_then(entry::own_id),
            ..Sample::default()
        };
        for person in answer.entries.iter().filter_map(person) {
            sample.dated += usize::from(person.password_changed.is_some());
            sample.with_phone += usize::from(!person.phones.is_empty());
        }
        Ok((people, sample))
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
