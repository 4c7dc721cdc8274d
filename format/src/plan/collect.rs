//! Collection: freeing what an acknowledged publication has replaced (PROTOCOL rule 9).

use super::{Plan, Port, PutKind, Request};
use crate::limits::MAX_IN_FLIGHT;
use crate::rules::{self, Rule};

/// Names of one DeleteObjects request.
const MAX_DELETES: usize = 1_000;

/// What a publication replaces. Collected only after the publishing commit is acknowledged; may be lost or late.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Garbage {
    /// Handover commits: overwritten by a stub, so that their names stay taken.
    pub(super) stubs: Vec<String>,
    /// Everything else: deleted.
    pub(super) deletes: Vec<String>,
}

impl Garbage {
    /// Commits that become stubs.
    pub fn stubs(&self) -> &[String] {
        &self.stubs
    }

    /// Objects that are deleted.
    pub fn deletes(&self) -> &[String] {
        &self.deletes
    }

    /// Adds a commit that nothing refers to any more.
    pub(super) fn add_commit(&mut self, name: String, handover: bool, rule: Rule) {
        // Rule 9: a handover commit's name must never become free again.
        if handover && rules::kept(rule) {
            self.stubs.push(name);
        } else {
            self.deletes.push(name);
        }
    }

    /// Pages and segments alone.
    #[cfg(feature = "mutants")]
    pub(super) fn without_commits(&self, list: &crate::names::ListName) -> Self {
        let others = self.deletes.iter().filter(|name| list.parse_commit(name).is_none());
        Self { stubs: Vec::new(), deletes: others.cloned().collect() }
    }

    /// Joins what an earlier publication left.
    pub(super) fn with(mut self, earlier: Option<Self>) -> Self {
        if let Some(earlier) = earlier {
            self.stubs.extend(earlier.stubs);
            self.deletes.extend(earlier.deletes);
        }
        self
    }
}

/// Frees the garbage. Whatever is lost on the way is found again by a sweep.
pub fn collect(garbage: Garbage) -> Plan<()> {
    Plan::new(|port| async move { free(&port, garbage).await })
}

pub(super) async fn free(port: &Port, garbage: Garbage) {
    let stub = |name: &String| Request::Put { name: name.clone(), body: bytes::Bytes::new(), kind: PutKind::Stub };
    for names in garbage.stubs.chunks(MAX_IN_FLIGHT) {
        port.send(names.iter().map(stub).collect()).await;
    }
    for names in garbage.deletes.chunks(MAX_DELETES) {
        port.send_one(Request::Delete { names: names.to_vec() }).await;
    }
}
