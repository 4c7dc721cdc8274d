//! Continuation tokens: whatever is taken is what it says, and of this list and order alone.
//!
//! The first byte chooses between a text, the bytes that a text stands for (their checksum mended), and fields.

use base64ct::{Base64UrlUnpadded, Encoding};
use klstore_format::IterationOrder::{Backwards, Forwards};
use klstore_format::limits::MAX_TOKEN_CHARACTERS;
use klstore_format::wire::commit::IndexReference;
use klstore_format::wire::identity::{BlockOwner, ListHash, ObjectId};
use klstore_format::wire::token::{NewestCommit, Place, Token};

use super::drawn;
use crate::list::LISTS;

/// The numbers and ids of a token that its holder has made up.
#[derive(Debug, Clone)]
pub struct Fields {
    next: u64,
    end: u64,
    newest: (u64, [u8; 8]),
    index: Option<(u64, u128, u64)>,
    place: PlaceFields,
    page_bytes: u32,
}

drawn!('a, Fields { next, end, newest, index, place, page_bytes });

#[derive(Debug, Clone)]
enum PlaceFields {
    None,
    Segment(u64, u128, u64),
    Commit(u64, [u8; 8], u64),
}

drawn!('a, PlaceFields: None {  }, Segment { 0, 1, 2 }, Commit { 0, 1, 2 });

impl Fields {
    /// The token.
    pub fn token(&self, backwards: bool) -> Token {
        let place = match self.place {
            PlaceFields::None => None,
            PlaceFields::Segment(x, id, position) => Some(Place::Segment { id: ObjectId { x, id }, position }),
            PlaceFields::Commit(seq, owner, position) => {
                Some(Place::Commit { seq, owner: BlockOwner(owner), position })
            }
        };
        Token {
            order: if backwards { Backwards } else { Forwards },
            next: self.next,
            end: self.end,
            newest: NewestCommit { seq: self.newest.0, owner: BlockOwner(self.newest.1) },
            index: self.index.map(|(x, id, length)| IndexReference { id: ObjectId { x, id }, length }),
            place,
            page_bytes: self.page_bytes,
        }
    }
}

/// The target.
pub fn run(data: &[u8]) {
    let Some((&how, rest)) = data.split_first() else { return };
    let list = LISTS.golden.hash();
    match how % 3 {
        0 => taken(&String::from_utf8_lossy(rest), &list),
        1 => {
            let mut bytes = rest.to_vec();
            if bytes.len() >= 10 && how & 128 == 0 {
                bytes[0] = 1;
                bytes[2..10].copy_from_slice(&list.0[..8]);
            }
            bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
            taken(&Base64UrlUnpadded::encode_string(&bytes), &list);
        }
        _ => {
            let Some(fields) = super::read::<Fields>(rest) else { return };
            let token = fields.token(how & 128 != 0);
            let text = token.encode(&list);
            assert!(text.len() <= MAX_TOKEN_CHARACTERS, "{} characters", text.len());
            match Token::decode(&text, &list, token.order) {
                Ok(read) => assert_eq!(read, token),
                Err(_) => assert!(token.index.is_some_and(|index| !(1..=64 << 20).contains(&index.length))),
            }
            taken(&text, &list);
        }
    }
}

fn taken(text: &str, list: &ListHash) {
    for (order, other) in [(Forwards, Backwards), (Backwards, Forwards)] {
        let Ok(token) = Token::decode(text, list, order) else { continue };
        assert!(text.len() <= MAX_TOKEN_CHARACTERS);
        assert_eq!(token.order, order);
        assert_eq!(token.encode(list), text, "two texts are one token");
        assert!(Token::decode(text, list, other).is_err(), "a token of the other order was taken");
        let another = ListHash::of("flights", "another");
        assert!(Token::decode(text, &another, order).is_err(), "a token of another list was taken");
    }
}
