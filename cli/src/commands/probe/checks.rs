//! What is asked of the store. What the answers mean is decided in [`verdict`].

use std::time::Duration;

use futures::future::join_all;

use super::requests::{List, Requests, Seen};
use super::verdict::{self, Finding, Racer, Round};

/// How often a racer that got no definite answer sends the same again, as the writer does.
const MAX_ATTEMPTS: usize = 8;
const PAUSE: Duration = Duration::from_millis(50);
/// Objects that are written, read, replaced, read, deleted and missed.
const CONSISTENCY_ROUNDS: usize = 16;
/// An origin that no bucket names.
const ORIGIN: &str = "https://klstore.invalid";

/// Names in the order of their bytes, with every character that klstore's names have.
pub const ORDERED: [&str; 13] = [
    "a-b",
    "a.b",
    "a/b",
    "a0",
    "aB",
    "a_",
    "aa",
    "a~2F",
    "fffffffffffffff0",
    "fffffffffffffffd",
    "ffffffffffffffff",
    "x.",
    "z",
];
/// Keys as they are escaped, in the order of their names with a slash behind.
const KEYS: [&str; 4] = ["lists/b-c/", "lists/b/", "lists/bc/", "lists/b~20c/"];

/// All checks of one store.
pub struct Checks<'a> {
    pub requests: &'a Requests,
    pub rounds: u32,
    pub racers: u32,
}

impl Checks<'_> {
    /// Runs one after the other. A check that fails stops none of those behind it.
    pub async fn run(&self) -> Vec<Finding> {
        vec![
            self.conditional_put().await,
            self.racing_puts().await,
            self.consistency().await,
            self.list_order().await,
            self.list_start_after().await,
            self.list_delimiter().await,
            self.list_encoding().await,
            self.etags().await,
            self.ranges().await,
            self.stub().await,
            self.delete_objects().await,
            self.missing_object().await,
            self.clock().await,
            self.cors().await,
        ]
    }

    async fn conditional_put(&self) -> Finding {
        let first = self.requests.put("conditional", b"first", true).await;
        let second = self.requests.put("conditional", b"second", true).await;
        let kept = self.requests.get("conditional", None).await;
        verdict::conditional_put(&first, &second, &kept)
    }

    async fn racing_puts(&self) -> Finding {
        let mut rounds = Vec::new();
        for number in 0..self.rounds {
            let name = format!("race/{number:04}");
            let racing = (0..self.racers).map(|racer| self.race(&name, racer));
            let racers = join_all(racing).await;
            let content = self.requests.get(&name, None).await;
            rounds.push(Round { racers, content });
        }
        verdict::racing_puts(&rounds)
    }

    /// One racer: the same PUT until it is answered definitely.
    async fn race(&self, name: &str, number: u32) -> Racer {
        let body = verdict::racer_body(number);
        let mut answers = Vec::new();
        while answers.len() < MAX_ATTEMPTS {
            let seen = self.requests.put(name, body.as_bytes(), true).await;
            let definite = verdict::is_definite(&seen);
            answers.push(seen);
            if definite {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        Racer { number, answers }
    }

    async fn consistency(&self) -> Finding {
        let rounds = join_all((0..CONSISTENCY_ROUNDS).map(|number| self.life_of_an_object(number))).await;
        verdict::consistency(CONSISTENCY_ROUNDS, rounds.into_iter().flatten().collect())
    }

    /// What was out of date on the way.
    async fn life_of_an_object(&self, number: usize) -> Vec<String> {
        let prefix = format!("consistency/{number:02}/");
        let name = format!("{prefix}object");
        let mut stale = Vec::new();
        for body in [&b"written"[..], b"replaced"] {
            let put = self.requests.put(&name, body, false).await;
            let got = self.requests.get(&name, None).await;
            let listed = self.requests.list(List { prefix: &prefix, ..List::default() }).await;
            stale.extend(verdict::out_of_date(body, &put, &got, &listed));
        }
        let deleted = self.requests.delete(&name).await;
        let got = self.requests.get(&name, None).await;
        let listed = self.requests.list(List { prefix: &prefix, ..List::default() }).await;
        stale.extend(verdict::not_deleted(&deleted, &got, &listed));
        stale
    }

    async fn list_order(&self) -> Finding {
        // Not in their order: a store that answers in the order of writing is found out.
        let (even, odd): (Vec<_>, Vec<_>) = ORDERED.iter().enumerate().partition(|(index, _)| index % 2 == 0);
        for (_, name) in odd.into_iter().rev().chain(even) {
            let put = self.requests.put(&format!("order/{name}"), name.as_bytes(), false).await;
            if !put.succeeded() {
                return verdict::not_written("list_order", name, &put);
            }
        }
        let all = self.requests.list(List { prefix: "order/", ..List::default() }).await;
        let newest = self.requests.list(List { prefix: "order/", max_keys: Some(1), ..List::default() }).await;
        let mut pages = Vec::new();
        let mut continuation = None;
        // Each page may be shorter than asked for.
        for _ in 0..=2 * ORDERED.len() {
            let page =
                self.requests.list(List { prefix: "order/", max_keys: Some(5), continuation, ..List::default() });
            let page = page.await;
            continuation = page.continuation.clone();
            pages.push(page);
            if continuation.is_none() {
                break;
            }
        }
        verdict::list_order(&ORDERED.map(|name| format!("order/{name}")), &all, &newest, &pages)
    }

    /// On the objects of [`Self::list_order`].
    async fn list_start_after(&self) -> Finding {
        let start = format!("order/{}", ORDERED[4]);
        let list = List { prefix: "order/", start_after: Some(&start), ..List::default() };
        let behind = self.requests.list(list).await;
        // A name that does not exist is a place, too.
        let between = List { prefix: "order/", start_after: Some("order/fffffffffffffff5"), ..List::default() };
        let between = self.requests.list(between).await;
        let expected = ORDERED.map(|name| format!("order/{name}"));
        verdict::list_start_after((&expected[5..], &behind), (&expected[9..], &between))
    }

    async fn list_delimiter(&self) -> Finding {
        for key in KEYS {
            for name in ["log/ffffffffffffffff", "seg/0"] {
                let name = format!("{key}{name}");
                let put = self.requests.put(&name, b"x", false).await;
                if !put.succeeded() {
                    return verdict::not_written("list_delimiter", &name, &put);
                }
            }
        }
        let list = List { prefix: "lists/", delimiter: true, ..List::default() };
        verdict::list_delimiter(&KEYS, &self.requests.list(list).await)
    }

    async fn list_encoding(&self) -> Finding {
        let name = "encoding/a b";
        let put = self.requests.put(name, b"x", false).await;
        if !put.succeeded() {
            return verdict::foreign_name_refused(&put);
        }
        let listed = self.requests.list(List { prefix: "encoding/", ..List::default() }).await;
        // Here, as the clean-up takes names from a LIST: klstore's own need no care with spaces.
        self.requests.delete(name).await;
        verdict::list_encoding(&listed)
    }

    async fn etags(&self) -> Finding {
        let mut tags = Vec::new();
        for body in [&b"one"[..], b"another"] {
            let put = self.requests.put("etag/object", body, false).await;
            let got = self.requests.get("etag/object", None).await;
            let listed = self.requests.list(List { prefix: "etag/", ..List::default() }).await;
            tags.push(verdict::Etags::of(&put, &got, &listed));
        }
        verdict::etags(&tags)
    }

    async fn ranges(&self) -> Finding {
        let body: Vec<u8> = (0..100).collect();
        let put = self.requests.put("range", &body, false).await;
        if !put.succeeded() {
            return verdict::not_written("ranges", "range", &put);
        }
        let mut asked = Vec::new();
        for (start, end) in [(0, 0), (10, 19), (90, 199), (100, 109)] {
            let seen = self.requests.get("range", Some(&format!("bytes={start}-{end}"))).await;
            asked.push(((start, end), seen));
        }
        verdict::ranges(&body, &asked)
    }

    async fn stub(&self) -> Finding {
        let created = self.requests.put("stub/commit", b"a commit", true).await;
        let emptied = self.requests.put("stub/commit", b"", false).await;
        let got = self.requests.get("stub/commit", None).await;
        let ranged = self.requests.get("stub/commit", Some("bytes=0-16383")).await;
        let listed = self.requests.list(List { prefix: "stub/", ..List::default() }).await;
        let late = self.requests.put("stub/commit", b"a late commit", true).await;
        verdict::stub([&created, &emptied], &got, &ranged, &listed, &late)
    }

    async fn delete_objects(&self) -> Finding {
        let names = ["delete/1", "delete/2", "delete/3"];
        for name in names {
            let put = self.requests.put(name, b"x", false).await;
            if !put.succeeded() {
                return verdict::not_written("delete_objects", name, &put);
            }
        }
        let deleted = self.requests.delete_many(&[names[0], names[2], "delete/none"]).await;
        let left = self.requests.list(List { prefix: "delete/", ..List::default() }).await;
        verdict::delete_objects(&deleted, &left)
    }

    async fn missing_object(&self) -> Finding {
        verdict::missing_object(&self.requests.get("none", None).await)
    }

    async fn clock(&self) -> Finding {
        let seen: Seen = self.requests.get("none", None).await;
        verdict::clock(seen.header("date"), jiff::Timestamp::now())
    }

    async fn cors(&self) -> Finding {
        verdict::cors(ORIGIN, &self.requests.get_from("conditional", None, Some(ORIGIN)).await)
    }
}
