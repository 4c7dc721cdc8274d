//! What a store's answers mean: no I/O here.

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use serde_json::{Value, json};

use super::requests::{Seen, SeenList};

/// Beyond it S3 refuses signatures.
const MAX_SKEW_SECONDS: i64 = 900;
/// Beyond it timestamps that a writer adds are noticeably wrong.
const NOTABLE_SKEW_SECONDS: i64 = 60;
/// Things out of date that are told one by one.
const SHOWN: usize = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Pass,
    Warn,
    Info,
    Fail,
}

impl Verdict {
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Fail => "FAIL",
        }
    }
}

/// The outcome of one check.
#[derive(Debug, Clone)]
pub struct Finding {
    pub check: &'static str,
    pub verdict: Verdict,
    pub detail: String,
}

impl Finding {
    fn new(check: &'static str, verdict: Verdict, detail: impl Into<String>) -> Self {
        Self { check, verdict, detail: detail.into() }
    }

    pub fn json(&self) -> Value {
        json!({ "check": self.check, "verdict": self.verdict.word().to_lowercase(), "detail": self.detail })
    }
}

/// An object that a check needs could not be written.
pub fn not_written(check: &'static str, name: &str, put: &Seen) -> Finding {
    Finding::new(check, Verdict::Fail, format!("a plain PUT of `{name}` was answered {}", put.said()))
}

pub fn conditional_put(first: &Seen, second: &Seen, kept: &Seen) -> Finding {
    let finding = |verdict, detail: String| Finding::new("conditional_put", verdict, detail);
    if !first.succeeded() {
        return finding(Verdict::Fail, format!("creating a new name with If-None-Match was answered {}", first.said()));
    }
    match second.status {
        412 if kept.body == b"first" => {
            finding(Verdict::Pass, "the second PUT of a name is answered 412 and changes nothing".into())
        }
        412 => finding(Verdict::Fail, "the second PUT of a name was answered 412, and yet it took effect".into()),
        200..300 => finding(Verdict::Fail, "If-None-Match is ignored: the second PUT of a name was accepted".into()),
        _ => finding(Verdict::Fail, format!("the second PUT of a name was answered {} instead of 412", second.said())),
    }
}

/// One of those who PUT the same name at the same time, with all its attempts.
#[derive(Debug)]
pub struct Racer {
    pub number: u32,
    pub answers: Vec<Seen>,
}

/// One race, and the object after it.
#[derive(Debug)]
pub struct Round {
    pub racers: Vec<Racer>,
    pub content: Seen,
}

/// What a racer PUTs: it tells them apart.
pub fn racer_body(number: u32) -> String {
    format!("racer {number}")
}

/// Whether an answer to a conditional PUT settles it: 409, 5xx and silence do not.
pub fn is_definite(seen: &Seen) -> bool {
    !matches!(seen.status, 0 | 409 | 429 | 500..) && (seen.status >= 300 || seen.succeeded())
}

impl Racer {
    fn won(&self) -> bool {
        self.answers.last().is_some_and(Seen::succeeded)
    }

    /// Whether it may have won without having been told: an attempt was lost, and the next one refused.
    fn may_have_won(&self) -> bool {
        self.answers.iter().any(|seen| !is_definite(seen) && seen.status != 409)
    }

    fn refused(&self) -> bool {
        self.answers.last().is_some_and(|seen| seen.status == 412)
    }
}

pub fn racing_puts(rounds: &[Round]) -> Finding {
    let finding = |verdict, detail| Finding::new("racing_puts", verdict, detail);
    let mut conflicts = 0;
    for (number, round) in rounds.iter().enumerate() {
        conflicts += round.racers.iter().flat_map(|racer| &racer.answers).filter(|seen| seen.status == 409).count();
        if let Err(reason) = judge_round(round) {
            return finding(Verdict::Fail, format!("round {}: {reason}", number + 1));
        }
    }
    let racers = rounds.first().map_or(0, |round| round.racers.len());
    let conflicts = match conflicts {
        0 => String::new(),
        count => format!(" ({count} were answered 409 first, and asked again)"),
    };
    finding(
        Verdict::Pass,
        format!("{} rounds: one of {racers} racers won, all others got 412{conflicts}", rounds.len()),
    )
}

fn judge_round(round: &Round) -> Result<(), String> {
    let total = round.racers.len();
    let winners: Vec<&Racer> = round.racers.iter().filter(|racer| racer.won()).collect();
    if let Some(strange) = round.racers.iter().find(|racer| !racer.won() && !racer.refused()) {
        let said = strange.answers.last().map_or_else(|| "nothing".to_owned(), Seen::said);
        return Err(format!("a racer was answered {said} instead of 412"));
    }
    if winners.len() > 1 {
        return Err(format!("{} of {total} racers were told that they created the same name", winners.len()));
    }
    let content = String::from_utf8_lossy(&round.content.body);
    let holder = round.racers.iter().find(|racer| racer_body(racer.number) == content);
    match (winners.as_slice(), holder) {
        ([winner], Some(holder)) if winner.number == holder.number => Ok(()),
        ([_], _) => Err("the object is not the winner's".to_owned()),
        (_, Some(holder)) if holder.may_have_won() => Ok(()),
        (_, _) => Err(format!("none of {total} racers was told that it won")),
    }
}

/// What a GET and a LIST right after a PUT do not show.
pub fn out_of_date(body: &[u8], put: &Seen, got: &Seen, listed: &SeenList) -> Option<String> {
    if !put.succeeded() {
        return Some(format!("a PUT was answered {}", put.said()));
    }
    if !got.succeeded() || got.body != body {
        return Some(format!("a GET after a PUT was answered {} with {} bytes", got.said(), got.body.len()));
    }
    if !listed.seen.succeeded() || listed.sizes != [body.len() as i64] {
        return Some(format!("a LIST after a PUT was answered {} with sizes {:?}", listed.seen.said(), listed.sizes));
    }
    None
}

/// What a GET and a LIST right after a DELETE still show.
pub fn not_deleted(deleted: &Seen, got: &Seen, listed: &SeenList) -> Option<String> {
    if !deleted.succeeded() {
        return Some(format!("a DELETE was answered {}", deleted.said()));
    }
    if got.status != 404 {
        return Some(format!("a GET after a DELETE was answered {} instead of 404", got.said()));
    }
    (!listed.names.is_empty() || !listed.seen.succeeded()).then(|| "a LIST still shows a deleted object".to_owned())
}

pub fn consistency(rounds: usize, stale: Vec<String>) -> Finding {
    match stale.len() {
        0 => {
            let detail = format!("{rounds} objects: GET and LIST show every PUT, overwrite and DELETE at once");
            Finding::new("consistency", Verdict::Pass, detail)
        }
        count => {
            let some: Vec<&str> = stale.iter().take(SHOWN).map(String::as_str).collect();
            let more = if count > SHOWN { format!("; and {} more", count - SHOWN) } else { String::new() };
            Finding::new("consistency", Verdict::Fail, some.join("; ") + &more)
        }
    }
}

pub fn list_order(expected: &[String], all: &SeenList, newest: &SeenList, pages: &[SeenList]) -> Finding {
    let fail = |detail: String| Finding::new("list_order", Verdict::Fail, detail);
    if !all.seen.succeeded() {
        return fail(format!("LIST was answered {}", all.seen.said()));
    }
    if let Some(detail) = difference(expected, &all.names) {
        return fail(detail);
    }
    // A LIST may answer less than asked for, even nothing while more follow.
    if newest.names.first() != expected.first() || newest.names.len() > 1 {
        return fail(format!("max-keys=1 shows {:?} instead of the first name", newest.names));
    }
    let paged: Vec<String> = pages.iter().flat_map(|page| page.names.iter().cloned()).collect();
    if paged != expected {
        return fail(format!("page by page LIST shows {} names, not the same {}", paged.len(), expected.len()));
    }
    let detail = format!("{} names come in the order of their bytes, at once and page by page", expected.len());
    Finding::new("list_order", Verdict::Pass, detail)
}

/// How a listing differs from what it should be.
fn difference(expected: &[String], names: &[String]) -> Option<String> {
    if names == expected {
        return None;
    }
    let mut sorted = names.to_vec();
    sorted.sort_unstable();
    Some(match sorted == expected {
        true => {
            let first = names.iter().zip(expected).find(|(name, expected)| name != expected);
            let (name, expected) = first.map_or(("", ""), |(name, expected)| (name, expected));
            format!("names do not come in the order of their bytes: `{name}` stands where `{expected}` should")
        }
        false => format!("{} names are listed, not the {} that were written", names.len(), expected.len()),
    })
}

pub fn list_start_after(behind: (&[String], &SeenList), between: (&[String], &SeenList)) -> Finding {
    for (expected, listed) in [behind, between] {
        if let Some(detail) = difference(expected, &listed.names) {
            return Finding::new("list_start_after", Verdict::Fail, format!("behind a name: {detail}"));
        }
    }
    Finding::new("list_start_after", Verdict::Pass, "LIST goes on behind a name, whether it exists or not")
}

pub fn list_delimiter(expected: &[&str], listed: &SeenList) -> Finding {
    let finding = |verdict, detail: String| Finding::new("list_delimiter", verdict, detail);
    let expected: Vec<String> = expected.iter().map(|&name| name.to_owned()).collect();
    if !listed.names.is_empty() {
        return finding(Verdict::Fail, "names below the delimiter are listed one by one".into());
    }
    match difference(&expected, &listed.common_prefixes) {
        None => finding(Verdict::Pass, format!("{} common prefixes, in order", expected.len())),
        Some(detail) => finding(Verdict::Fail, format!("common prefixes: {detail}")),
    }
}

/// Foreign objects may have any name; klstore's never need it.
pub fn foreign_name_refused(put: &Seen) -> Finding {
    let detail = format!("a name with a space is refused ({}); klstore's have none", put.said());
    Finding::new("list_encoding", Verdict::Info, detail)
}

pub fn list_encoding(listed: &SeenList) -> Finding {
    let raw = listed.raw_names.first().map(String::as_str).unwrap_or_default();
    let written = match raw.rsplit_once("encoding/").or(raw.rsplit_once("encoding%2F")) {
        Some((_, "a%20b")) => "`%20`",
        Some((_, "a+b")) => "`+`",
        Some((_, "a b")) => "a space",
        _ => return Finding::new("list_encoding", Verdict::Warn, format!("`encoding/a b` is listed as `{raw}`")),
    };
    let detail = format!("with encoding-type=url a space is written as {written}; klstore's names have none");
    Finding::new("list_encoding", Verdict::Info, detail)
}

/// The tag of one content, as each kind of answer has it.
#[derive(Debug, Clone)]
pub struct Etags {
    put: Option<String>,
    got: Option<String>,
    listed: Option<String>,
}

impl Etags {
    pub fn of(put: &Seen, got: &Seen, listed: &SeenList) -> Self {
        let header = |seen: &Seen| seen.header("etag").filter(|tag| !tag.is_empty()).map(str::to_owned);
        let listed = listed.etags.first().filter(|tag| !tag.is_empty()).cloned();
        Self { put: header(put), got: header(got), listed }
    }
}

/// Without quotes and without the mark of a weak one, as reader and writer compare them.
fn bare(tag: &str) -> &str {
    tag.trim().trim_start_matches("W/").trim_matches('"')
}

pub fn etags(tags: &[Etags]) -> Finding {
    let finding = |verdict, detail: String| Finding::new("etags", verdict, detail);
    let mut seen: Vec<&str> = Vec::new();
    let mut notes = Vec::new();
    for tag in tags {
        let (Some(got), Some(listed)) = (tag.got.as_deref(), tag.listed.as_deref()) else {
            return finding(Verdict::Fail, "GET or LIST shows no ETag".into());
        };
        if bare(got) != bare(listed) {
            return finding(Verdict::Fail, format!("GET says {got}, LIST says {listed} of the same object"));
        }
        match tag.put.as_deref() {
            Some(put) if bare(put) != bare(got) => {
                return finding(Verdict::Fail, format!("PUT says {put}, GET says {got} of the same object"));
            }
            Some(_) => {}
            None => notes.push("PUT shows none"),
        }
        if seen.contains(&bare(got)) {
            return finding(Verdict::Fail, format!("another content has the same ETag {got}"));
        }
        seen.push(bare(got));
        for text in [got, listed] {
            if text.starts_with("W/") {
                notes.push("weak");
            } else if !text.starts_with('"') {
                notes.push("without quotes");
            }
        }
    }
    notes.sort_unstable();
    notes.dedup();
    let notes = if notes.is_empty() { String::new() } else { format!(" ({})", notes.join(", ")) };
    finding(Verdict::Pass, format!("the same in PUT, GET and LIST, another after an overwrite{notes}"))
}

/// What each range of first and last byte was answered.
pub fn ranges(body: &[u8], asked: &[((usize, usize), Seen)]) -> Finding {
    let finding = |verdict, detail: String| Finding::new("ranges", verdict, detail);
    for ((first, last), seen) in asked {
        let expected = body.get(*first..(last + 1).min(body.len())).unwrap_or_default();
        let right = match expected.is_empty() {
            true => seen.status == 416,
            false => seen.status == 206 && seen.trouble.is_none() && seen.body == expected,
        };
        if !right {
            let wanted =
                if expected.is_empty() { "416".to_owned() } else { format!("206 with {} bytes", expected.len()) };
            return finding(
                Verdict::Fail,
                format!(
                    "bytes={first}-{last} of {} bytes was answered {} with {} bytes instead of {wanted}",
                    body.len(),
                    seen.said(),
                    seen.body.len()
                ),
            );
        }
        let start = format!("bytes {first}-");
        if !expected.is_empty() && !seen.header("content-range").is_some_and(|header| header.starts_with(&start)) {
            return finding(
                Verdict::Fail,
                format!("bytes={first}-{last} was answered without a fitting Content-Range"),
            );
        }
    }
    finding(Verdict::Pass, "206 with the bytes asked for, cut at the end of the object, 416 beyond it".into())
}

pub fn stub(written: [&Seen; 2], got: &Seen, ranged: &Seen, listed: &SeenList, late: &Seen) -> Finding {
    let fail = |detail: String| Finding::new("stub", Verdict::Fail, detail);
    if let Some(refused) = written.into_iter().find(|seen| !seen.succeeded()) {
        return fail(format!("overwriting an object by an empty one was answered {}", refused.said()));
    }
    if !got.succeeded() || !got.body.is_empty() || listed.sizes != [0] {
        return fail(format!("an object emptied by a PUT has {} bytes, LIST says {:?}", got.body.len(), listed.sizes));
    }
    if late.status != 412 {
        return fail(format!("creating the name of an empty object was answered {} instead of 412", late.said()));
    }
    // Readers take all of these for an empty object.
    match (ranged.status, ranged.body.is_empty()) {
        (200 | 206 | 416, true) => {
            let detail = format!("an emptied object keeps its name taken; a range of it is answered {}", ranged.status);
            Finding::new("stub", Verdict::Pass, detail)
        }
        _ => fail(format!("a range of an empty object was answered {}", ranged.said())),
    }
}

pub fn delete_objects(deleted: &Seen, left: &SeenList) -> Finding {
    let finding = |verdict, detail: String| Finding::new("delete_objects", verdict, detail);
    if matches!(deleted.status, 405 | 501) {
        let detail = format!("DeleteObjects is answered {}: the writer deletes one by one", deleted.said());
        return finding(Verdict::Warn, detail);
    }
    if !deleted.succeeded() {
        return finding(Verdict::Fail, format!("DeleteObjects was answered {}", deleted.said()));
    }
    match left.names == ["delete/2"] {
        true => finding(Verdict::Pass, "deletes what is named, and takes a missing name for deleted".into()),
        false => finding(Verdict::Fail, format!("left of three objects after two were deleted: {:?}", left.names)),
    }
}

pub fn missing_object(seen: &Seen) -> Finding {
    let finding = |verdict, detail: String| Finding::new("missing_object", verdict, detail);
    match seen.status {
        404 => finding(Verdict::Pass, "404".into()),
        403 => finding(Verdict::Fail, "403 instead of 404: grant s3:ListBucket on the bucket".into()),
        _ => finding(Verdict::Fail, format!("{} instead of 404", seen.said())),
    }
}

/// `date` is the store's, as its header has it.
pub fn clock(date: Option<&str>, now: Timestamp) -> Finding {
    let finding = |verdict, detail: String| Finding::new("clock", verdict, detail);
    let Some(store) = date.and_then(|date| rfc2822::DateTimeParser::new().parse_timestamp(date).ok()) else {
        return finding(Verdict::Info, "the store does not tell its time".into());
    };
    let skew = now.as_second() - store.as_second();
    let detail = match skew {
        // The answer was on its way for a while.
        -5..=5 => "this machine's clock agrees with the store's".to_owned(),
        _ => format!(
            "this machine's clock is {} s {} the store's",
            skew.abs(),
            if skew > 0 { "ahead of" } else { "behind" }
        ),
    };
    match skew.abs() {
        0..=NOTABLE_SKEW_SECONDS => finding(Verdict::Pass, detail),
        61..=MAX_SKEW_SECONDS => finding(Verdict::Warn, detail),
        _ => finding(Verdict::Fail, detail),
    }
}

pub fn cors(origin: &str, seen: &Seen) -> Finding {
    let exposed = seen.header("access-control-expose-headers").unwrap_or_default().to_lowercase();
    let shows_etag = exposed.split(',').any(|name| matches!(name.trim(), "etag" | "*"));
    let detail = match seen.header("access-control-allow-origin") {
        None => format!("a page of {origin} may not read here; docs/S3.md has the rule to set for yours"),
        Some(_) if shows_etag => "any web page may read here, and sees ETags".to_owned(),
        Some(_) => "any web page may read here, but ETag is not exposed: klstore's reader needs it".to_owned(),
    };
    Finding::new("cors", Verdict::Info, detail)
}

/// How many objects the clean-up left, or why it failed.
pub fn cleaned(left: Result<usize, String>, prefix: &str) -> Finding {
    let finding = |verdict, detail: String| Finding::new("clean_up", verdict, detail);
    match left {
        Ok(0) => finding(Verdict::Pass, "nothing of the probe is left".into()),
        Ok(count) => finding(Verdict::Warn, format!("{count} objects are left below `{prefix}`: delete them")),
        Err(error) => finding(Verdict::Warn, format!("objects are left below `{prefix}`: {error}")),
    }
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
