//! Where items come from: streams that number their records themselves, such as the partitions of a topic.

use std::fmt;
use std::sync::Arc;

use crate::error::NameError;
use crate::limits::MAX_SOURCE_NAME_BYTES;

/// A stream whose records have ascending offsets of its own: a partition of a topic.
///
/// ```
/// use klstore_format::Source;
/// let source = Source::new("inbound", 3)?;
/// assert_eq!(source.to_string(), "inbound/3");
/// # Ok::<(), klstore_format::NameError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source {
    name: Arc<str>,
    partition: u32,
}

impl Source {
    /// The partition of the topic of this name, of 1 to 255 bytes.
    ///
    /// # Errors
    /// A name that is empty or longer.
    pub fn new(name: impl Into<Arc<str>>, partition: u32) -> Result<Self, NameError> {
        let (name, what) = (name.into(), "source");
        if name.is_empty() {
            return Err(NameError::Empty { what });
        }
        if name.len() > MAX_SOURCE_NAME_BYTES {
            return Err(NameError::SourceTooLong {
                name: name.chars().take(64).collect(),
                bytes: name.len(),
                limit: MAX_SOURCE_NAME_BYTES,
            });
        }
        Ok(Self { name, partition })
    }

    /// Another partition of the same topic.
    pub(crate) fn of_partition(&self, partition: u32) -> Self {
        Self { name: self.name.clone(), partition }
    }

    /// The topic's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The partition's number.
    pub fn partition(&self) -> u32 {
        self.partition
    }
}

impl fmt::Display for Source {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.name, self.partition)
    }
}

/// A record's place in its source.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SourceOffset {
    /// Whose record it is.
    pub source: Source,
    /// Its offset there. 2^64-1 is refused: no other could follow.
    pub offset: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_shown_by_name_and_partition() {
        assert_eq!(Source::new("inbound", 3).unwrap().to_string(), "inbound/3");
    }

    #[test]
    fn a_name_has_1_to_255_bytes() {
        assert!(Source::new("t".repeat(255), 0).is_ok());
        assert_eq!(Source::new("", 0), Err(NameError::Empty { what: "source" }));
        let long = NameError::SourceTooLong { name: "t".repeat(64), bytes: 256, limit: 255 };
        assert_eq!(Source::new("t".repeat(256), 0), Err(long));
    }
}
