//! Which groups an entry is in, nested ones included.
//!
//! A look-up that fails, or finds more than can be followed, decides nothing: never "no groups".

use std::collections::HashSet;
use std::sync::Arc;

use tokio::time::Instant;

use super::dn::same_dn_form;
use super::entry::MEMBER_OF;
use super::failure::Failure;
use super::memory::Memory;
use super::protocol::{Attributes, Filter, Query, Scope, Selection};
use super::server::Host;
use super::settings::Groups;

/// Groups of one person: about what a Windows token can hold.
const MAX_GROUPS: usize = 1024;
/// Groups asked about in one search for the groups that contain them, to keep the filter small.
const MEMBERS_PER_SEARCH: usize = 32;
/// LDAP result: more than can be followed.
const ADMIN_LIMIT_EXCEEDED: u32 = 11;

/// The groups that a group is in, remembered as long as entries are.
pub(super) type Parents = Memory<Arc<[Arc<str>]>>;

/// Asks one server.
pub(super) struct Asker<'a> {
    pub(super) host: &'a Arc<Host>,
    pub(super) parents: &'a Parents,
    pub(super) deadline: Instant,
}

/// Groups found so far: DNs as the server writes them, in order of finding, each once.
#[derive(Default)]
struct Gathered {
    forms: HashSet<Arc<str>>,
    /// Found in the latest level.
    latest: Vec<Arc<str>>,
}

impl Gathered {
    /// Adds a group unless it is known, which also ends loops.
    fn add(&mut self, dn: &str) -> Result<(), Failure> {
        if self.forms.insert(same_dn_form(dn)) {
            self.latest.push(dn.into());
        }
        if self.forms.len() > MAX_GROUPS {
            return Err(too_many());
        }
        Ok(())
    }

    fn next_level(&mut self) -> Vec<Arc<str>> {
        std::mem::take(&mut self.latest)
    }

    fn sorted(self) -> Vec<Arc<str>> {
        let mut groups: Vec<_> = self.forms.into_iter().collect();
        groups.sort_unstable();
        groups
    }
}

fn too_many() -> Failure {
    Failure::Undecided {
        code: ADMIN_LIMIT_EXCEEDED,
        text: "too many groups".to_owned(),
    }
}

impl Asker<'_> {
    pub(super) async fn groups(
        &self,
        how: &Groups,
        entry: &Attributes,
    ) -> Result<Vec<Arc<str>>, Failure> {
        match how {
            Groups::None => Ok(Vec::new()),
            Groups::MemberOf { depth } => self.member_of(entry, *depth).await,
            Groups::MemberSearch { base, depth } => self.member_search(entry, base, *depth).await,
            Groups::Chain { base } => {
                let mut gathered = Gathered::default();
                let filter = Filter::InChain(entry.dn());
                self.search(base, filter, &mut gathered).await?;
                Ok(gathered.sorted())
            }
        }
    }

    async fn member_of(&self, entry: &Attributes, depth: u8) -> Result<Vec<Arc<str>>, Failure> {
        let mut gathered = Gathered::default();
        for dn in listed(entry)? {
            gathered.add(dn)?;
        }
        for _ in 1..depth {
            let level = gathered.next_level();
            for group in level {
                for parent in self.parents_of(&group).await?.iter() {
                    gathered.add(parent)?;
                }
            }
        }
        Ok(gathered.sorted())
    }

    /// The groups that a group names itself a member of; none if it cannot be seen.
    async fn parents_of(&self, group: &str) -> Result<Arc<[Arc<str>]>, Failure> {
        let asked = Instant::now();
        if let Some(parents) = self.parents.recall(group, asked) {
            return Ok(parents);
        }
        let query = Query {
            base: group,
            scope: Scope::Base,
            filter: Filter::Everything,
            attributes: &Selection::of([MEMBER_OF]),
            limit: 1,
        };
        let answer = self.host.search(&query, self.deadline).await?;
        let parents: Arc<[Arc<str>]> = match answer.entries.first() {
            Some(entry) => listed(entry)?.map(Arc::from).collect(),
            None => Arc::default(),
        };
        self.parents.remember(group, parents.clone(), asked);
        Ok(parents)
    }

    async fn member_search(
        &self,
        entry: &Attributes,
        base: &str,
        depth: u8,
    ) -> Result<Vec<Arc<str>>, Failure> {
        let mut gathered = Gathered::default();
        let mut level = vec![Arc::from(entry.dn())];
        for _ in 0..depth {
            for members in level.chunks(MEMBERS_PER_SEARCH) {
                let filter = Filter::Members(members);
                self.search(base, filter, &mut gathered).await?;
            }
            level = gathered.next_level();
        }
        Ok(gathered.sorted())
    }

    async fn search(
        &self,
        base: &str,
        filter: Filter<'_>,
        gathered: &mut Gathered,
    ) -> Result<(), Failure> {
        let query = Query {
            base,
            scope: Scope::Subtree,
            filter,
            attributes: &Selection::none(),
            limit: MAX_GROUPS,
        };
        let answer = self.host.search(&query, self.deadline).await?;
        if !answer.complete {
            return Err(too_many());
        }
        answer
            .entries
            .iter()
            .try_for_each(|group| gathered.add(group.dn()))
    }
}

/// The values of memberOf, all of them.
fn listed(entry: &Attributes) -> Result<impl Iterator<Item = &str>, Failure> {
    if entry.is_cut(MEMBER_OF) {
        return Err(too_many());
    }
    Ok(entry.texts(MEMBER_OF))
}
