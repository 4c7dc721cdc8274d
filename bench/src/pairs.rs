//! Interleaved pairs, and what is said of them.

use std::time::Duration;

use serde_json::{Value, json};

/// One benchmark's result.
pub struct Row {
    pub name: String,
    /// Throughputs in `unit`.
    pub ours: f64,
    pub reference: f64,
    pub unit: &'static str,
    /// Ours through the reference: median and 10th and 90th percentile of the pairs.
    pub ratio: f64,
    pub low: f64,
    pub high: f64,
    pub goal: f64,
}

impl Row {
    /// From the times of pairs that moved `amount` units each.
    pub fn of(name: String, unit: &'static str, amount: f64, goal: f64, times: &[(Duration, Duration)]) -> Self {
        let ours = times.iter().map(|(ours, _)| amount / ours.as_secs_f64()).collect();
        let reference = times.iter().map(|(_, reference)| amount / reference.as_secs_f64()).collect();
        let ratios = times.iter().map(|(ours, reference)| reference.as_secs_f64() / ours.as_secs_f64());
        let ratios: Vec<f64> = ratios.collect();
        Self {
            name,
            unit,
            goal,
            ours: quantile(ours, 0.5),
            reference: quantile(reference, 0.5),
            ratio: quantile(ratios.clone(), 0.5),
            low: quantile(ratios.clone(), 0.1),
            high: quantile(ratios, 0.9),
        }
    }
}

fn quantile(mut numbers: Vec<f64>, at: f64) -> f64 {
    numbers.sort_by(f64::total_cmp);
    let index = (at * numbers.len().saturating_sub(1) as f64).round() as usize;
    numbers.get(index).copied().unwrap_or(f64::NAN)
}

/// The table that `script/bench` ends with.
pub fn print(rows: &[Row]) {
    println!(
        "{:<36} {:>12} {:>12} {:<9} {:>6} {:>15} {:>5}",
        "name", "ours", "reference", "", "ratio", "p10 to p90", "goal"
    );
    for row in rows {
        println!(
            "{:<36} {:>12.1} {:>12.1} {:<9} {:>6.2} {:>7.2} to {:<5.2} {:>5}",
            row.name, row.ours, row.reference, row.unit, row.ratio, row.low, row.high, row.goal
        );
    }
}

/// The rows for other programs.
pub fn json(rows: &[Row]) -> Value {
    let row = |row: &Row| {
        json!({"name": row.name, "ours": row.ours, "reference": row.reference, "unit": row.unit,
               "ratio": row.ratio, "p10": row.low, "p90": row.high, "goal": row.goal})
    };
    rows.iter().map(row).collect()
}
