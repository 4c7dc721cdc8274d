//! What was measured: one number a line.

use std::path::Path;

use klstore_workloads::Failure;
use serde::{Deserialize, Serialize};

/// One number.
#[derive(Serialize, Deserialize)]
struct Row {
    series: String,
    size: u64,
    metric: String,
    value: f64,
    unit: String,
}

/// All numbers, in the order in which they were measured.
#[derive(Default)]
pub struct Results {
    rows: Vec<Row>,
}

/// The numbers of one size.
pub struct Measured<'r> {
    results: &'r mut Results,
    series: &'static str,
    size: u64,
}

impl Results {
    pub fn of(&mut self, series: &'static str, size: u64) -> Measured<'_> {
        Measured { results: self, series, size }
    }

    /// Writes them as JSON, one row a line, in the place of those that the file has of the same series.
    pub fn write(self, path: &Path) -> Result<(), Failure> {
        let mut rows: Vec<Row> =
            if path.exists() { serde_json::from_slice(&std::fs::read(path)?)? } else { Vec::new() };
        rows.retain(|row| self.rows.iter().all(|new| new.series != row.series));
        rows.extend(self.rows);
        let rows: Result<Vec<String>, _> = rows.iter().map(serde_json::to_string).collect();
        Ok(std::fs::write(path, format!("[\n{}\n]\n", rows?.join(",\n")))?)
    }
}

impl Measured<'_> {
    pub fn number(&mut self, metric: impl Into<String>, value: f64, unit: &'static str) {
        let (series, size, metric) = (self.series.to_owned(), self.size, metric.into());
        // As many digits as mean something.
        let value = if value.abs() < 1e4 { (value * 1e4).round() / 1e4 } else { value.round() };
        println!("{series:<10} {size:>13} {metric:<28} {value:>16} {unit}");
        self.results.rows.push(Row { series, size, metric, value, unit: unit.to_owned() });
    }

    /// The mean and the largest of several.
    pub fn spread(&mut self, metric: &str, values: &[f64], unit: &'static str) {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        self.number(format!("{metric}.mean"), mean, unit);
        self.number(format!("{metric}.max"), values.iter().copied().fold(f64::MIN, f64::max), unit);
    }
}

/// The number below which a share of them are.
pub fn quantile(numbers: &mut [f64], at: f64) -> f64 {
    numbers.sort_by(f64::total_cmp);
    let index = (at * numbers.len().saturating_sub(1) as f64).round() as usize;
    numbers.get(index).copied().unwrap_or(f64::NAN)
}
