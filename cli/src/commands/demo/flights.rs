//! The flights out of New York in 2013, from the file that comes with the command (see data/README.md).

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader};
use std::sync::Arc;

use klstore_format::Insertion;
use serde_json::value::RawValue;

use crate::failure::{Failure, Kind};

const COMPRESSED_CSV: &[u8] = include_bytes!("../../../flights.csv.zst");
/// Rows in the file.
pub const ROWS: usize = 336_776;
/// The key of flights whose aircraft is not known.
pub const UNKNOWN_AIRCRAFT: &str = "unknown";
/// Columns whose cells are text also where they look like numbers.
const TEXT_COLUMNS: [&str; 5] = ["carrier", "tailnum", "origin", "dest", "time_hour"];

/// The flights in the file's order, and which of them each aircraft flew.
pub struct Flights {
    pub flights: Vec<Flight>,
    /// Positions in `flights`, ascending, by aircraft.
    pub lists: BTreeMap<Arc<str>, Vec<usize>>,
}

pub struct Flight {
    /// The aircraft's tail number.
    pub key: Arc<str>,
    /// Value: the row as a JSON object. Nonce: the row's number. Timestamp: the scheduled departure.
    pub insertion: Insertion,
}

impl Flights {
    /// The first `rows` flights.
    ///
    /// # Errors
    /// Where the file is not what data/README.md says.
    pub fn load(rows: usize) -> Result<Self, Failure> {
        let damaged = |error: io::Error| Failure::io("the flights that come with klstore are damaged", error);
        let plain = zstd::Decoder::new(COMPRESSED_CSV).map_err(damaged)?;
        let mut lines = BufReader::new(plain).lines();
        let header = lines.next().transpose().map_err(damaged)?.unwrap_or_default();
        let columns = Columns::new(&header)?;
        let mut flights = Self { flights: Vec::with_capacity(rows), lists: BTreeMap::new() };
        for (number, line) in lines.take(rows).enumerate() {
            flights.add(&columns, number, &line.map_err(damaged)?)?;
        }
        Ok(flights)
    }

    fn add(&mut self, columns: &Columns<'_>, number: usize, line: &str) -> Result<(), Failure> {
        let row = columns.row(line).ok_or_else(|| bad_row(number))?;
        let timestamp = row.scheduled_departure().ok_or_else(|| bad_row(number))?;
        let name = match row.cell("tailnum") {
            "" => UNKNOWN_AIRCRAFT,
            name => name,
        };
        let key = match self.lists.get_key_value(name) {
            Some((key, _)) => key.clone(),
            None => Arc::from(name),
        };
        let value = row.json().map_err(|_| bad_row(number))?;
        let insertion = Insertion::new(value).with_nonce(number as u128).with_timestamp(timestamp);
        self.lists.entry(key.clone()).or_default().push(self.flights.len());
        self.flights.push(Flight { key, insertion });
        Ok(())
    }

    /// The flights of one aircraft, in order.
    pub fn list(&self, key: &str) -> Vec<&Insertion> {
        let rows = self.lists.get(key).map_or(&[][..], Vec::as_slice);
        rows.iter().filter_map(|row| self.flights.get(*row)).map(|flight| &flight.insertion).collect()
    }

    /// The aircraft with the most flights.
    pub fn busiest(&self) -> Option<Arc<str>> {
        let known = self.lists.iter().filter(|(key, _)| &***key != UNKNOWN_AIRCRAFT);
        known.max_by_key(|(_, rows)| rows.len()).map(|(key, _)| key.clone())
    }

    /// Bytes of all values.
    pub fn value_bytes(&self) -> u64 {
        self.flights.iter().map(|flight| flight.insertion.value.len() as u64).sum()
    }
}

fn bad_row(number: usize) -> Failure {
    Failure::new(Kind::Failed, format!("row {number} of the flights that come with klstore is not as documented"))
}

struct Columns<'a> {
    names: Vec<&'a str>,
}

impl<'a> Columns<'a> {
    fn new(header: &'a str) -> Result<Self, Failure> {
        let names: Vec<&str> = header.split(',').collect();
        match ["tailnum", "minute", "time_hour"].iter().all(|needed| names.contains(needed)) {
            true => Ok(Self { names }),
            false => Err(Failure::new(Kind::Failed, "the flights that come with klstore lack a column")),
        }
    }

    /// The cells of a line, which has no quotes.
    fn row<'b>(&'b self, line: &'b str) -> Option<Row<'b>> {
        let cells: Vec<&str> = line.split(',').collect();
        (cells.len() == self.names.len()).then_some(Row { names: &self.names, cells })
    }
}

struct Row<'a> {
    names: &'a [&'a str],
    cells: Vec<&'a str>,
}

impl Row<'_> {
    fn cell(&self, name: &str) -> &str {
        let found = self.names.iter().position(|known| *known == name);
        found.and_then(|at| self.cells.get(at)).copied().unwrap_or_default()
    }

    /// In milliseconds since 1970: `time_hour` is UTC.
    fn scheduled_departure(&self) -> Option<i64> {
        let hour: jiff::Timestamp = self.cell("time_hour").parse().ok()?;
        let minute: i64 = self.cell("minute").parse().ok()?;
        Some(hour.as_millisecond() + minute * 60_000)
    }

    /// One JSON object, in the order of the columns; a missing value is null.
    fn json(&self) -> serde_json::Result<String> {
        let mut json = String::with_capacity(384);
        let mut before = '{';
        for (name, cell) in self.names.iter().zip(&self.cells) {
            json.push(before);
            before = ',';
            json.push_str(&serde_json::to_string(name)?);
            json.push(':');
            match *cell {
                "" => json.push_str("null"),
                cell if TEXT_COLUMNS.contains(name) => json.push_str(&serde_json::to_string(cell)?),
                cell => json.push_str(serde_json::from_str::<&RawValue>(cell)?.get()),
            }
        }
        json.push('}');
        Ok(json)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_flight_is_the_one_in_the_file() {
        let flights = Flights::load(3).expect("the file is good");
        let first = &flights.flights[0];
        assert_eq!(&*first.key, "N14228");
        assert_eq!((first.insertion.nonce, first.insertion.timestamp), (Some(0), Some(1_357_035_300_000)));
        assert_eq!(
            first.insertion.value,
            concat!(
                r#"{"year":2013,"month":1,"day":1,"dep_time":517,"sched_dep_time":515,"dep_delay":2,"arr_time":830,"#,
                r#""sched_arr_time":819,"arr_delay":11,"carrier":"UA","flight":1545,"tailnum":"N14228","#,
                r#""origin":"EWR","dest":"IAH","air_time":227,"distance":1400,"hour":5,"minute":15,"#,
                r#""time_hour":"2013-01-01T10:00:00Z"}"#,
            )
        );
    }

    #[test]
    fn the_file_is_what_its_readme_says() {
        let flights = Flights::load(ROWS + 1).expect("the file is good");
        assert_eq!(flights.flights.len(), ROWS);
        assert_eq!(flights.lists.len(), 4_043 + 1);
        assert_eq!(flights.list(UNKNOWN_AIRCRAFT).len(), 2_512);
        assert_eq!(flights.busiest().as_deref(), Some("N725MQ"));
        let times = || flights.flights.iter().filter_map(|flight| flight.insertion.timestamp);
        assert_eq!((times().min(), times().max()), (Some(1_357_035_300_000), Some(1_388_552_340_000)));
    }
}
