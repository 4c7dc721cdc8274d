//! Real input: the flights out of New York in 2013 (see data/README.md), as records of a topic.

use std::fs::File;
use std::io::Read;

use crate::conformance::Failure;

/// One flight of a known aircraft.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flight {
    /// The aircraft's tail number, the record's key.
    pub aircraft: String,
    /// The scheduled departure, in milliseconds since 1970; also `/at` in the value.
    pub departure: i64,
    /// The record's value, JSON.
    pub record: String,
}

/// All 334,264 flights whose aircraft is known, in the file's order.
///
/// # Errors
/// The file is not there, or not what data/README.md says.
pub fn flights() -> Result<Vec<Flight>, Failure> {
    let file = File::open(concat!(env!("CARGO_MANIFEST_DIR"), "/../data/flights.csv.zst"))?;
    let mut text = String::new();
    ruzstd::decoding::StreamingDecoder::new(file)?.read_to_string(&mut text)?;
    let rows = text.lines().skip(1).map(|row| row.split(',').collect::<Vec<_>>());
    rows.filter(|cells| cells.get(11) != Some(&"")).map(|cells| flight(&cells)).collect()
}

fn flight(cells: &[&str]) -> Result<Flight, Failure> {
    let [_, _, _, _, _, _, _, _, _, carrier, number, aircraft, origin, destination, _, _, _, minute, hour] = cells
    else {
        return Err(format!("a row of {} cells", cells.len()).into());
    };
    let hour: jiff::Timestamp = hour.parse()?;
    let departure = hour.as_millisecond() + minute.parse::<i64>()? * 60_000;
    let record = serde_json::json!({
        "at": departure,
        "flight": format!("{carrier}{number}"),
        "aircraft": aircraft,
        "from": origin,
        "to": destination,
    });
    Ok(Flight { aircraft: (*aircraft).to_owned(), departure, record: record.to_string() })
}
