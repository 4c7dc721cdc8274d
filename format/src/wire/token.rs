//! The continuation token: opaque to callers, and not to be trusted when it comes back.
//!
//! Base64 (URL alphabet, no padding) of: version (1 byte), flags (1 byte), the first 8 bytes of the list hash, numbers
//! and ids, crc32c of all before it (4 bytes). It names no object: names are made for the list that the caller names.

use base64ct::{Base64UrlUnpadded, Encoding};

use super::Malformed;
use super::checksum::crc32c;
use super::commit::{IndexReference, read_id, read_index, write_id};
use super::cursor::{Reader, Write};
use super::identity::{BlockOwner, ListHash, ObjectId};
use crate::error::InvalidContinuation;
use crate::item::IterationOrder;
use crate::limits::MAX_TOKEN_CHARACTERS;
use crate::rules::{self, Rule};

const VERSION: u8 = 1;
const BACKWARDS: u8 = 1;
const HAS_INDEX: u8 = 2;
const IN_SEGMENT: u8 = 4;
const IN_COMMIT: u8 = 8;
const LIST_BYTES: usize = 8;
const CHECKSUM_BYTES: usize = 4;

/// Where in which object the next page starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In a segment.
    Segment {
        /// Its name parts.
        id: ObjectId,
        /// The frame boundary: forwards the begin of the first block to read, backwards the end of the last one.
        position: u64,
    },
    /// In a commit.
    Commit {
        /// Its number.
        seq: u64,
        /// Whose its blocks are: tells it from another commit of the same name.
        owner: BlockOwner,
        /// As in a segment.
        position: u64,
    },
}

/// The newest commit of the snapshot that the pages are read in: its header has the table of what no index covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewestCommit {
    /// Its number.
    pub seq: u64,
    /// Whose its blocks are: tells it from another commit of the same name.
    pub owner: BlockOwner,
}

/// Where a page ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    /// The order of the pages.
    pub order: IterationOrder,
    /// Offset of the item to deliver next.
    pub next: u64,
    /// Where the snapshot that the pages are read in ends in this order: forwards its next offset, backwards its start.
    pub end: u64,
    /// The snapshot's newest commit.
    pub newest: NewestCommit,
    /// The snapshot's index.
    pub index: Option<IndexReference>,
    /// Where to go on.
    pub place: Option<Place>,
    /// Stored bytes that the next page of the same size will probably take, in whole blocks: how much to ask for.
    pub page_bytes: u32,
}

impl Token {
    /// The token as text of at most [`MAX_TOKEN_CHARACTERS`] characters.
    pub fn encode(&self, list: &ListHash) -> String {
        let mut flags = if self.order == IterationOrder::Backwards { BACKWARDS } else { 0 };
        flags |= if self.index.is_some() { HAS_INDEX } else { 0 };
        flags |= match self.place {
            Some(Place::Segment { .. }) => IN_SEGMENT,
            Some(Place::Commit { .. }) => IN_COMMIT,
            None => 0,
        };
        let mut out = vec![VERSION, flags];
        out.extend(list.0.iter().take(LIST_BYTES));
        out.put_varint(self.next);
        out.put_varint(self.end);
        out.put_varint(u64::from(self.page_bytes));
        out.put_varint(self.newest.seq);
        out.extend_from_slice(&self.newest.owner.0);
        if let Some(index) = &self.index {
            write_id(&index.id, &mut out);
            out.put_varint(index.length);
        }
        match &self.place {
            Some(Place::Segment { id, position }) => {
                write_id(id, &mut out);
                out.put_varint(*position);
            }
            Some(Place::Commit { seq, owner, position }) => {
                out.put_varint(*seq);
                out.extend_from_slice(&owner.0);
                out.put_varint(*position);
            }
            None => {}
        }
        let sum = crc32c(&[&out]);
        out.extend_from_slice(&sum.to_le_bytes());
        Base64UrlUnpadded::encode_string(&out)
    }

    /// Reads a token of this list and order. Its numbers are the caller's: check them against the list before use.
    ///
    /// # Errors
    /// [`InvalidContinuation`] where it is damaged, newer, or of another list or order.
    pub fn decode(text: &str, list: &ListHash, order: IterationOrder) -> Result<Self, InvalidContinuation> {
        let refuse = |reason| InvalidContinuation { reason };
        let malformed = refuse("it is not one of klstore's, or was changed on the way");
        if text.len() > MAX_TOKEN_CHARACTERS {
            return Err(malformed);
        }
        let bytes = Base64UrlUnpadded::decode_vec(text).map_err(|_| malformed)?;
        let (body, sum) = bytes.split_last_chunk::<CHECKSUM_BYTES>().ok_or(malformed)?;
        if crc32c(&[body]) != u32::from_le_bytes(*sum) && rules::kept(Rule::TokenChecksum) {
            return Err(malformed);
        }
        let mut reader = Reader::new(body);
        if reader.u8() != Ok(VERSION) {
            return Err(refuse("it is of another version of klstore"));
        }
        let flags = reader.u8().map_err(|_| malformed)?;
        let found: [u8; LIST_BYTES] = reader.array().map_err(|_| malformed)?;
        if !list.0.starts_with(&found) {
            return Err(refuse("it is of another list"));
        }
        let token = Self::read(flags, reader).map_err(|_| malformed)?;
        if token.order != order {
            return Err(refuse("it is of the other order"));
        }
        Ok(token)
    }

    /// Up to so many items further on in the same snapshot, where they are looked up in the index, and how many: no
    /// further than the snapshot's last item. `None` where there is nothing of the snapshot left.
    pub fn skip(&self, items: u64) -> Option<(Self, u64)> {
        let behind = match self.order {
            IterationOrder::Forwards => self.end.checked_sub(self.next)?.checked_sub(1)?,
            IterationOrder::Backwards => self.next.checked_sub(self.end)?,
        };
        let items = items.min(behind);
        let next = match self.order {
            IterationOrder::Forwards => self.next + items,
            IterationOrder::Backwards => self.next - items,
        };
        Some((Self { next, place: None, ..*self }, items))
    }

    fn read(flags: u8, mut reader: Reader<'_>) -> Result<Self, Malformed> {
        let order = if flags & BACKWARDS == 0 { IterationOrder::Forwards } else { IterationOrder::Backwards };
        let (next, end, page_bytes) = (reader.varint()?, reader.varint()?, reader.varint_u32()?);
        let newest = NewestCommit { seq: reader.varint()?, owner: BlockOwner(reader.array()?) };
        let index = match flags & HAS_INDEX {
            0 => None,
            _ => Some(read_index(&mut reader)?),
        };
        let place = match flags & !(BACKWARDS | HAS_INDEX) {
            0 => None,
            IN_SEGMENT => Some(Place::Segment { id: read_id(&mut reader)?, position: reader.varint()? }),
            IN_COMMIT => Some(Place::Commit {
                seq: reader.varint()?,
                owner: BlockOwner(reader.array()?),
                position: reader.varint()?,
            }),
            _ => return Err(Malformed::Corrupt("it has unknown flags")),
        };
        reader.finish()?;
        Ok(Self { order, next, end, newest, index, place, page_bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::super::arbitrary::{list, object_id};
    use super::*;
    use crate::limits::MAX_PAGE_BYTES;
    use proptest::prelude::*;

    fn token() -> impl Strategy<Value = Token> {
        let index = prop::option::of((object_id(), 1..=MAX_PAGE_BYTES))
            .prop_map(|index| index.map(|(id, length)| IndexReference { id, length }));
        let place = prop_oneof![
            Just(None),
            (object_id(), any::<u64>()).prop_map(|(id, position)| Some(Place::Segment { id, position })),
            any::<(u64, [u8; 8], u64)>().prop_map(|(seq, owner, position)| Some(Place::Commit {
                seq,
                owner: BlockOwner(owner),
                position
            })),
        ];
        let newest = any::<(u64, [u8; 8])>().prop_map(|(seq, owner)| NewestCommit { seq, owner: BlockOwner(owner) });
        (any::<(bool, u64, u64, u32)>(), newest, index, place).prop_map(
            |((backwards, next, end, page_bytes), newest, index, place)| {
                let order = if backwards { IterationOrder::Backwards } else { IterationOrder::Forwards };
                Token { order, next, end, newest, index, place, page_bytes }
            },
        )
    }

    proptest! {
        #[test]
        fn a_token_comes_back_to_its_list_and_order_alone(token in token()) {
            let text = token.encode(&list());
            prop_assert!(text.len() <= MAX_TOKEN_CHARACTERS);
            prop_assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'));
            prop_assert_eq!(Token::decode(&text, &list(), token.order), Ok(token));
            let other_order = match token.order {
                IterationOrder::Forwards => IterationOrder::Backwards,
                IterationOrder::Backwards => IterationOrder::Forwards,
            };
            let reason = |read: Result<Token, InvalidContinuation>| read.map_err(|error| error.reason);
            prop_assert_eq!(reason(Token::decode(&text, &list(), other_order)), Err("it is of the other order"));
            let other_list = ListHash::of("flights", "another");
            prop_assert_eq!(reason(Token::decode(&text, &other_list, token.order)), Err("it is of another list"));
        }

        #[test]
        fn what_is_skipped_leaves_the_last_item_of_the_snapshot(token in token(), asked in any::<u64>()) {
            let last = match token.order {
                IterationOrder::Forwards => token.end.checked_sub(1),
                IterationOrder::Backwards => Some(token.end),
            };
            let left = last.filter(|last| match token.order {
                IterationOrder::Forwards => token.next <= *last,
                IterationOrder::Backwards => token.next >= *last,
            });
            match (token.skip(asked), left) {
                (Some((skipped, items)), Some(last)) => {
                    prop_assert_eq!(items, asked.min(token.next.abs_diff(last)));
                    prop_assert_eq!((skipped.next.abs_diff(token.next), skipped.place), (items, None));
                    prop_assert_eq!(skipped.skip(u64::MAX).map(|(token, _)| token.next), Some(last));
                    prop_assert_eq!(Token { next: token.next, place: token.place, ..skipped }, token);
                }
                (skipped, left) => prop_assert_eq!((skipped, left), (None, None)),
            }
        }

        #[test]
        fn any_text_is_refused(text in ".{0,300}") {
            prop_assert!(Token::decode(&text, &list(), IterationOrder::Forwards).is_err());
        }

        #[test]
        fn a_changed_token_is_refused(token in token(), at in any::<prop::sample::Index>(), character in "[A-Za-z0-9_=-]") {
            let text = token.encode(&list());
            let at = at.index(text.len());
            let changed = format!("{}{character}{}", &text[..at], &text[at + 1..]);
            prop_assume!(changed != text);
            prop_assert!(Token::decode(&changed, &list(), token.order).is_err());
            prop_assert!(Token::decode(&text[..at], &list(), token.order).is_err());
        }
    }

    #[test]
    fn a_token_of_a_later_version_is_one_up_to_256_characters() {
        let reason = |bytes: usize| {
            let mut token = vec![VERSION + 1; bytes - CHECKSUM_BYTES];
            token.extend_from_slice(&crc32c(&[&token]).to_le_bytes());
            let text = Base64UrlUnpadded::encode_string(&token);
            let refused = Token::decode(&text, &list(), IterationOrder::Forwards).unwrap_err();
            (text.len(), refused.reason)
        };
        assert_eq!(reason(192), (256, "it is of another version of klstore"));
        assert_eq!(reason(193), (258, "it is not one of klstore's, or was changed on the way"));
    }
}
