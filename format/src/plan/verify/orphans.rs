//! What lies in a list's folders: what nothing refers to, stubs, and what a compaction is preparing.

use super::super::{Answer, Listed, Request};
use super::Scrub;
use crate::limits::MAX_RESTARTS;

/// Names of one LIST answer.
const MAX_LISTED: u32 = 1_000;

impl Scrub<'_> {
    /// Lists everything and compares it with what is reachable.
    ///
    /// Nothing that is found here can become reachable again: a commit below C, or an object with X <= C that the index
    /// does not refer to (PROTOCOL, 'Why rule 11 is safe').
    pub(super) async fn find_orphans(&mut self) {
        for folder in [self.list.commits(), self.list.segments(), self.list.index_pages()] {
            let mut after = None;
            loop {
                let Some((objects, truncated)) = self.listed(&folder, after.take()).await else { return };
                objects.iter().for_each(|object| self.place(object));
                match objects.last() {
                    Some(last) if truncated => after = Some(last.name.clone()),
                    _ => break,
                }
            }
        }
    }

    async fn listed(&self, folder: &str, after: Option<String>) -> Option<(Vec<Listed>, bool)> {
        for _ in 0..MAX_RESTARTS {
            let list = Request::List {
                prefix: folder.to_owned(),
                start_after: after.clone(),
                max_keys: MAX_LISTED,
                delimiter: false,
            };
            if let Answer::Listed(listing) = self.port.send_one(list).await {
                return Some((listing.objects, listing.truncated));
            }
        }
        None
    }

    fn place(&mut self, object: &Listed) {
        let covered = self.newest.covered;
        if let Some(seq) = self.list.parse_commit(&object.name) {
            if object.size == 0 && seq < covered {
                self.report.stubs += 1;
            } else if seq < covered && !self.reachable.commits.contains(&seq) && !self.reachable.incomplete {
                self.report.orphan(object.name.clone(), object.size);
            }
            return;
        }
        let id = self.list.parse_segment(&object.name).or_else(|| self.list.parse_index_page(&object.name));
        match id {
            Some(id) if self.reachable.objects.contains(&id) => {}
            Some(id) if id.x > covered => self.report.in_preparation += 1,
            Some(_) if self.reachable.incomplete => {}
            Some(_) => self.report.orphan(object.name.clone(), object.size),
            None => self.report.foreign(),
        }
    }
}
