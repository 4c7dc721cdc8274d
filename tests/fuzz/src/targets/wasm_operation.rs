//! The WebAssembly module's entry points, as JavaScript calls them: options, calls, and answers by number, in any order,
//! more than once, or to what nobody has asked.

use bytes::Bytes;
use klstore_reader::source::{GetObject, ListObjects};
use klstore_reader_wasm::{Errand, Operation, Outcome, Store, TailHandle, What};

use super::drawn;
use crate::list::LISTS;
use crate::oracle;
use crate::store;

#[derive(Debug)]
struct Input {
    on_bucket: bool,
    names: [Name; 4],
    flags: [bool; 2],
    bounds: Vec<f64>,
    quantum: f64,
    call: Call,
    answers: Vec<Answer>,
}

drawn!('a, Input { on_bucket, names, flags, bounds, quantum, call, answers });

#[derive(Debug)]
enum Name {
    Empty,
    Bucket,
    Keyspace,
    Golden,
    Trimmed,
    Endpoint,
    Other(String),
}

drawn!('a, Name: Empty {  }, Bucket {  }, Keyspace {  }, Golden {  }, Trimmed {  }, Endpoint {  }, Other { 0 });

#[derive(Debug)]
enum Call {
    Page {
        names: Vec<Name>,
        backwards: bool,
        max_items: f64,
        offset: Option<u64>,
        timestamp: Option<i64>,
        nonce: Option<u128>,
        continuation: Option<String>,
    },
    Stat {
        names: Vec<Name>,
    },
    Keyspaces {
        max: u32,
        continuation: Option<String>,
    },
    Keys {
        names: Vec<Name>,
        max: u32,
        continuation: Option<String>,
    },
    Timeline {
        names: Vec<Name>,
        from: Option<i64>,
        to: Option<i64>,
    },
    Tail {
        names: Vec<Name>,
        offset: Option<u64>,
        reload: bool,
    },
}

drawn!('a, Call: Page { names, backwards, max_items, offset, timestamp, nonce, continuation }, Stat { names }, Keyspaces { max, continuation }, Keys { names, max, continuation }, Timeline { names, from, to }, Tail { names, offset, reload });

/// What JavaScript does between two polls; `errand` counts through those that are open.
#[derive(Debug)]
enum Answer {
    /// As it should be.
    Right {
        errand: u8,
    },
    Respond {
        errand: u8,
        status: u16,
        values: Vec<String>,
    },
    Found {
        errand: u8,
        etag: Option<String>,
        size: Option<f64>,
    },
    Chunk {
        errand: u8,
        bytes: Vec<u8>,
    },
    /// So many bytes more than ever asked for.
    Flood {
        errand: u8,
    },
    Listed {
        errand: u8,
        name: String,
        etag: String,
        size: f64,
    },
    ListedPrefix {
        errand: u8,
        prefix: String,
    },
    Complete {
        errand: u8,
        flag: bool,
    },
    Keys {
        errand: u8,
        key: String,
        token: Option<String>,
    },
    Fail {
        errand: u8,
        interrupted: bool,
    },
    CrossOrigin {
        errand: u8,
    },
    Poll {
        now: f64,
    },
}

drawn!('a, Answer: Right { errand }, Respond { errand, status, values }, Found { errand, etag, size }, Chunk { errand, bytes }, Flood { errand }, Listed { errand, name, etag, size }, ListedPrefix { errand, prefix }, Complete { errand, flag }, Keys { errand, key, token }, Fail { errand, interrupted }, CrossOrigin { errand }, Poll { now });

/// Answers that are looked at.
const MAX_ANSWERS: usize = 200;
/// Polls until a call whose errands are answered as they should be is through.
const MAX_POLLS: usize = 20_000;
/// Polls until the errands that wait longest are answered first.
const PATIENCE: usize = 1_000;

/// The target.
pub fn run(data: &[u8]) {
    let Some(input) = super::read::<Input>(data) else { return };
    let Some(mut operation) = started(&input) else { return };
    let mut open: Vec<Errand> = Vec::new();
    let mut now = 1.4e12;
    if turn(&mut operation, now, &mut open) {
        return;
    }
    for answer in input.answers.iter().take(MAX_ANSWERS) {
        match answer {
            Answer::Poll { now: then } => now = *then,
            answer => give(answer, &operation, &mut open),
        }
        if turn(&mut operation, now, &mut open) {
            return;
        }
    }
    // Whatever came before: answered as it should be from now on, the call ends. The newest first, so that no time is out
    // before; where it is told to try for ever, its time is out at last.
    for polls in 0..MAX_POLLS {
        assert!(!open.is_empty(), "a call waits for nothing");
        let errand = open.remove(if polls < PATIENCE { open.len() - 1 } else { 0 });
        answer_right(&operation, &errand);
        if turn(&mut operation, now, &mut open) {
            return;
        }
    }
    panic!("a call does not end");
}

fn started(input: &Input) -> Option<Operation> {
    let texts = |names: &[Name]| names.iter().map(Name::text).collect::<Vec<_>>();
    let [path_style, signed] = input.flags;
    let store = match input.on_bucket {
        true => Store::on_bucket(texts(&input.names), path_style, signed, input.quantum, input.bounds.clone()),
        false => Store::on_source(input.names[0].text(), input.bounds.clone()),
    };
    // Most bounds are not five numbers.
    let store = store.or_else(|_| Store::on_source(String::new(), vec![1e6, 3.0, 1e4, 3e4, 1.0])).ok()?;
    Some(match &input.call {
        Call::Page { names, backwards, max_items, offset, timestamp, nonce, continuation } => {
            let names = texts(names);
            store.read_page(names, *backwards, *max_items, *offset, *timestamp, *nonce, continuation.clone())
        }
        Call::Stat { names } => store.stat(texts(names)),
        Call::Keyspaces { max, continuation } => store.keyspaces(*max, continuation.clone()),
        Call::Keys { names, max, continuation } => store.keys(texts(names), *max, continuation.clone()),
        Call::Timeline { names, from, to } => store.timeline(texts(names), *from, *to),
        Call::Tail { names, offset, reload } => {
            let tail: TailHandle = store.tail_of(texts(names), *offset).ok()?;
            if *reload {
                tail.reload();
            }
            tail.poll()
        }
    })
}

impl Name {
    fn text(&self) -> String {
        match self {
            Self::Empty => String::new(),
            Self::Bucket => "bucket".to_owned(),
            Self::Keyspace => "flights".to_owned(),
            Self::Golden => LISTS.golden.key().to_owned(),
            Self::Trimmed => LISTS.trimmed.key().to_owned(),
            Self::Endpoint => "http://127.0.0.1:9000/".to_owned(),
            Self::Other(text) => text.clone(),
        }
    }
}

/// Polls; `true` once the call is through.
fn turn(operation: &mut Operation, now: f64, open: &mut Vec<Errand>) -> bool {
    let (outcome, errands) = operation.turn(now);
    for errand in errands {
        if let What::Cancel = errand.what {
            open.retain(|other| other.id != errand.id);
        } else {
            open.push(errand);
        }
    }
    match outcome {
        None => return false,
        Some(Ok(Outcome::Page(page))) => {
            let rising = page.items.is_sorted_by(|one, next| one.offset < next.offset);
            assert!(rising || page.items.is_sorted_by(|one, next| one.offset > next.offset));
        }
        Some(Ok(Outcome::Timeline(Some(timeline)))) => oracle::timeline(&timeline),
        Some(Ok(_)) => {}
        Some(Err(error)) => {
            let words = error.to_string();
            assert!(!words.contains("do not belong together") || words.len() < 200);
        }
    }
    true
}

fn give(answer: &Answer, operation: &Operation, open: &mut Vec<Errand>) {
    // Also of errands that nobody has sent.
    let id = |errand: u8| match open.is_empty() {
        true => u32::from(errand),
        false => open[usize::from(errand) % open.len()].id,
    };
    match answer {
        Answer::Right { errand } => {
            if !open.is_empty() {
                let errand = open.remove(usize::from(*errand) % open.len());
                answer_right(operation, &errand);
            }
        }
        Answer::Respond { errand, status, values } => operation.respond(id(*errand), *status, values.clone()),
        Answer::Found { errand, etag, size } => operation.found(id(*errand), etag.clone(), *size),
        Answer::Chunk { errand, bytes } => {
            let _ = operation.chunk(id(*errand), bytes.clone());
        }
        Answer::Flood { errand } => {
            let _ = operation.chunk(id(*errand), vec![b'x'; 1 << 20]);
        }
        Answer::Listed { errand, name, etag, size } => {
            operation.listed(id(*errand), name.clone(), etag.clone(), *size);
        }
        Answer::ListedPrefix { errand, prefix } => operation.listed_prefix(id(*errand), prefix.clone()),
        Answer::Complete { errand, flag } => operation.complete(id(*errand), *flag),
        Answer::Keys { errand, key, token } => {
            operation.give_credentials(id(*errand), key.clone(), "secret".to_owned(), token.clone());
        }
        Answer::Fail { errand, interrupted } => operation.fail(id(*errand), *interrupted, "it broke".to_owned()),
        Answer::CrossOrigin { errand } => operation.fail_cross_origin(id(*errand), "http://page".to_owned()),
        Answer::Poll { .. } => {}
    }
}

/// What a host with the lists of this crate answers.
fn answer_right(operation: &Operation, Errand { id, what }: &Errand) {
    let id = *id;
    match what {
        What::List(ListObjects { prefix, start_after, max_keys, delimiter }) => {
            let after = start_after.as_deref();
            let listing = store::list(&LISTS.objects, prefix, after, *max_keys as usize, *delimiter);
            for object in listing.objects {
                operation.listed(id, object.name, object.etag, object.size as f64);
            }
            listing.common_prefixes.into_iter().for_each(|prefix| operation.listed_prefix(id, prefix));
            operation.complete(id, listing.truncated);
        }
        What::Get(GetObject { name, range, .. }) => match LISTS.objects.get(name) {
            None => operation.complete(id, true),
            Some(body) => {
                let size = body.len();
                let range = range.clone().map_or(0..size, |range| range.start as usize..(range.end as usize).min(size));
                if range.is_empty() {
                    return operation.complete(id, true);
                }
                operation.found(id, Some(store::etag(body)), Some(size as f64));
                let _ = operation.chunk(id, Bytes::slice(body, range).to_vec());
                operation.complete(id, false);
            }
        },
        What::Fetch(_) => {
            operation.respond(id, 404, Vec::new());
            operation.complete(id, false);
        }
        What::Credentials | What::Sleep(_) => operation.complete(id, false),
        What::Cancel => {}
    }
}
