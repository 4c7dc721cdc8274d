//! Real values: the rows of the flights of 2013 as CSV, about 100 bytes each.

use bytes::Bytes;

use crate::Failure;

const FLIGHTS: &[u8] = include_bytes!("../../data/flights.csv.zst");
const MAX_BYTES: usize = 128 << 20;

pub fn values() -> Result<Vec<Bytes>, Failure> {
    let text = Bytes::from(zstd::bulk::decompress(FLIGHTS, MAX_BYTES)?);
    let rows = text.split(|byte| *byte == b'\n').skip(1).filter(|row| !row.is_empty());
    Ok(rows.map(|row| text.slice_ref(row)).collect())
}
