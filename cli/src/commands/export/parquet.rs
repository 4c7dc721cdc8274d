//! Items as Parquet: four columns, one row group after the other.

use std::io::{self, Write};
use std::sync::Arc;

use klstore_format::Item;
use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, DataType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;

/// Items and bytes of values of a row group, which is kept in memory until it is written.
const GROUP_ITEMS: usize = 1 << 17;
const GROUP_BYTES: usize = 64 << 20;

const SCHEMA: &str = "message items {
    REQUIRED INT64 offset (INTEGER(64,false));
    REQUIRED INT64 timestamp (TIMESTAMP(MILLIS,true));
    OPTIONAL BYTE_ARRAY nonce (STRING);
    REQUIRED BYTE_ARRAY value;
}";

/// Writes a Parquet file.
pub struct ParquetWriter<W: Write + Send> {
    file: SerializedFileWriter<W>,
    group: Vec<Item>,
    bytes: usize,
}

impl<W: Write + Send> ParquetWriter<W> {
    pub fn new(out: W) -> io::Result<Self> {
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let schema = Arc::new(parse_message_type(SCHEMA).map_err(into_io)?);
        let file = SerializedFileWriter::new(out, schema, Arc::new(properties)).map_err(into_io)?;
        Ok(Self { file, group: Vec::new(), bytes: 0 })
    }

    pub fn add(&mut self, items: Vec<Item>) -> io::Result<()> {
        for item in items {
            self.bytes += item.value.len();
            self.group.push(item);
            if self.group.len() >= GROUP_ITEMS || self.bytes >= GROUP_BYTES {
                self.write_group()?;
            }
        }
        Ok(())
    }

    pub fn finish(mut self) -> io::Result<W> {
        self.write_group()?;
        self.file.into_inner().map_err(into_io)
    }

    fn write_group(&mut self) -> io::Result<()> {
        let items = std::mem::take(&mut self.group);
        self.bytes = 0;
        if items.is_empty() {
            return Ok(());
        }
        write_columns(&mut self.file, &items).map_err(into_io)
    }
}

fn write_columns<W: Write + Send>(file: &mut SerializedFileWriter<W>, items: &[Item]) -> Result<(), ParquetError> {
    let mut group = file.next_row_group()?;
    // Unsigned, as the schema says: the bits are the same.
    let offsets: Vec<i64> = items.iter().map(|item| item.offset as i64).collect();
    write_column::<Int64Type, W>(&mut group, &offsets, None)?;
    let timestamps: Vec<i64> = items.iter().map(|item| item.timestamp).collect();
    write_column::<Int64Type, W>(&mut group, &timestamps, None)?;
    let nonces: Vec<ByteArray> =
        items.iter().filter_map(|item| Some(ByteArray::from(item.nonce?.to_string().into_bytes()))).collect();
    let present: Vec<i16> = items.iter().map(|item| i16::from(item.nonce.is_some())).collect();
    write_column::<ByteArrayType, W>(&mut group, &nonces, Some(&present))?;
    let values: Vec<ByteArray> = items.iter().map(|item| ByteArray::from(item.value.clone())).collect();
    write_column::<ByteArrayType, W>(&mut group, &values, None)?;
    group.close()?;
    Ok(())
}

fn write_column<T: DataType, W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    values: &[T::T],
    present: Option<&[i16]>,
) -> Result<(), ParquetError> {
    let Some(mut column) = group.next_column()? else { return Ok(()) };
    column.typed::<T>().write_batch(values, present, None)?;
    column.close()
}

fn into_io(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(cause) => match cause.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(cause) => io::Error::other(cause),
        },
        error => io::Error::other(error),
    }
}
