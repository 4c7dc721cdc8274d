//! Sessions that occur many times in a page, written once.

use std::collections::HashMap;

use super::Malformed;
use super::cursor::{Reader, Write};
use super::identity::SessionId;

/// The distinct sessions of some commits, in order of first use.
#[derive(Debug, Default)]
pub(super) struct SessionTable {
    sessions: Vec<SessionId>,
    places: HashMap<SessionId, u64>,
}

impl SessionTable {
    /// Of these, which may repeat.
    pub fn of(sessions: impl Iterator<Item = SessionId>) -> Self {
        let mut table = Self::default();
        for session in sessions {
            let next = table.sessions.len() as u64;
            table.places.entry(session).or_insert_with(|| {
                table.sessions.push(session);
                next
            });
        }
        table
    }

    /// The place of a session that the table was made of.
    pub fn index(&self, session: SessionId) -> u64 {
        self.places.get(&session).copied().unwrap_or(u64::MAX)
    }

    pub fn write(&self, out: &mut Vec<u8>) {
        out.put_varint(self.sessions.len() as u64);
        for session in &self.sessions {
            out.extend_from_slice(&session.0.to_le_bytes());
        }
    }

    pub fn read(reader: &mut Reader<'_>, limit: usize) -> Result<Self, Malformed> {
        let count = reader.count(limit, 16)?;
        let sessions = (0..count).map(|_| reader.u128().map(SessionId)).collect::<Result<_, _>>()?;
        Ok(Self { sessions, places: HashMap::new() })
    }

    /// The session at a place that was read.
    pub fn get(&self, index: u64) -> Result<SessionId, Malformed> {
        usize::try_from(index)
            .ok()
            .and_then(|index| self.sessions.get(index).copied())
            .ok_or(Malformed::Corrupt("it names a session that it does not list"))
    }
}
