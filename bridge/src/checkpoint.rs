//! What the bridge keeps beside a committed offset, in the commit's metadata.

use std::fmt;
use std::str::FromStr;

use klstore_format::NameError;
use klstore_writer::Source;

/// What is kept beside a committed offset.
///
/// ```
/// use klstore_bridge::checkpoint::Checkpoint;
/// let checkpoint = Checkpoint { epoch: 2, partitions: Some(16), is_refused: false };
/// assert_eq!(checkpoint.to_string(), "klstore epoch=2 partitions=16");
/// assert_eq!(checkpoint.to_string().parse(), Ok(checkpoint));
/// // Another consumer's commit.
/// assert_eq!("".parse(), Ok(Checkpoint::default()));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Checkpoint {
    /// How often the topic's offsets have begun anew: the upper half of nonces from `RecordOffset`.
    pub epoch: u64,
    /// Partitions of the topic at that time.
    pub partitions: Option<u32>,
    /// Its records look like those of another topic of this name: nobody goes on before an operator has looked.
    pub is_refused: bool,
}

/// Metadata that begins as the bridge's, and is not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the committed offset's metadata `{0}` is of another version of the bridge")]
pub struct UnknownCheckpoint(String);

impl Checkpoint {
    /// The nonce of the record at `offset`.
    pub fn nonce(&self, offset: u64) -> u128 {
        u128::from(self.epoch) << 64 | u128::from(offset)
    }

    /// The partition as lists know it: `topic`, or `topic#epoch`, as offsets of another epoch are others.
    ///
    /// # Errors
    ///
    /// A topic's name that has no room for the epoch.
    pub fn source(&self, topic: &str, partition: i32) -> Result<Source, NameError> {
        let name = if self.epoch == 0 { topic.to_owned() } else { format!("{topic}#{}", self.epoch) };
        Source::new(name, u32::try_from(partition).unwrap_or_default())
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "klstore epoch={}", self.epoch)?;
        if let Some(partitions) = self.partitions {
            write!(formatter, " partitions={partitions}")?;
        }
        formatter.write_str(if self.is_refused { " refused=1" } else { "" })
    }
}

impl FromStr for Checkpoint {
    type Err = UnknownCheckpoint;

    fn from_str(text: &str) -> Result<Self, UnknownCheckpoint> {
        let Some(rest) = text.strip_prefix("klstore ") else { return Ok(Self::default()) };
        let unknown = || UnknownCheckpoint(text.chars().take(100).collect());
        let mut checkpoint = Self::default();
        for part in rest.split(' ') {
            match part.split_once('=') {
                Some(("epoch", epoch)) => checkpoint.epoch = epoch.parse().map_err(|_| unknown())?,
                Some(("partitions", count)) => checkpoint.partitions = Some(count.parse().map_err(|_| unknown())?),
                Some(("refused", "1")) => checkpoint.is_refused = true,
                _ => return Err(unknown()),
            }
        }
        Ok(checkpoint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_understood_is_refused() {
        assert_eq!("klstore epoch=3".parse(), Ok(Checkpoint { epoch: 3, ..Checkpoint::default() }));
        let refused = Checkpoint { is_refused: true, ..Checkpoint::default() };
        assert_eq!(refused.to_string().parse(), Ok(refused));
        assert_eq!("somebody else's".parse(), Ok(Checkpoint::default()));
        for text in ["klstore ", "klstore epoch=x", "klstore epoch=1 more=2", "klstore epoch=1 partitions=-1"] {
            assert!(text.parse::<Checkpoint>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_later_epoch_is_above_all_offsets_of_the_one_before() {
        let (first, second) = (Checkpoint::default(), Checkpoint { epoch: 1, ..Checkpoint::default() });
        assert_eq!(first.nonce(17), 17);
        assert!(first.nonce(u64::MAX) < second.nonce(0));
    }
}
