//! Interleaved pairs, and what is said of them.

use serde::Serialize;

/// One comparison's result.
#[derive(Serialize)]
pub struct Row {
    pub name: String,
    /// Medians in `unit`.
    pub ours: f64,
    pub reference: f64,
    pub unit: &'static str,
    /// Ours through the reference: median and 10th and 90th percentile of the pairs.
    pub ratio: f64,
    pub p10: f64,
    pub p90: f64,
    pub goal: f64,
    /// Whether the ratio is to be at most the goal, as of costs, rather than at least.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub at_most: bool,
    pub pairs: usize,
}

/// What of a side is compared, and how it is to be.
pub struct Measure {
    pub name: &'static str,
    pub unit: &'static str,
    pub goal: f64,
    pub at_most: bool,
}

impl Row {
    /// From what both sides of each pair came to.
    pub fn of(shape: &str, measure: &Measure, pairs: &[(f64, f64)]) -> Self {
        let ratios = || pairs.iter().map(|(ours, reference)| ours / reference).collect();
        Self {
            name: format!("{shape}: {}", measure.name),
            unit: measure.unit,
            goal: measure.goal,
            at_most: measure.at_most,
            ours: quantile(pairs.iter().map(|(ours, _)| *ours).collect(), 0.5),
            reference: quantile(pairs.iter().map(|(_, reference)| *reference).collect(), 0.5),
            ratio: quantile(ratios(), 0.5),
            p10: quantile(ratios(), 0.1),
            p90: quantile(ratios(), 0.9),
            pairs: pairs.len(),
        }
    }
}

fn quantile(mut numbers: Vec<f64>, at: f64) -> f64 {
    numbers.sort_by(f64::total_cmp);
    let index = (at * numbers.len().saturating_sub(1) as f64).round() as usize;
    numbers.get(index).copied().unwrap_or(f64::NAN)
}

/// Three digits behind the point, and more where there would be no figure.
fn figure(number: f64) -> String {
    if number.abs() < 0.1 { format!("{number:.6}") } else { format!("{number:.3}") }
}

/// The table at the end.
pub fn print(rows: &[Row]) {
    println!(
        "{:<34} {:>12} {:>12} {:<12} {:>7} {:>17} {:>8}",
        "name", "ours", "reference", "", "ratio", "p10 to p90", "goal"
    );
    for row in rows {
        let bound = if row.at_most { "<=" } else { ">=" };
        let missed = if row.at_most { row.ratio > row.goal } else { row.ratio < row.goal };
        println!(
            "{:<34} {:>12} {:>12} {:<12} {:>7.3} {:>8.3} to {:<6.3} {bound} {:<5}{}",
            row.name,
            figure(row.ours),
            figure(row.reference),
            row.unit,
            row.ratio,
            row.p10,
            row.p90,
            row.goal,
            if missed { " missed" } else { "" }
        );
    }
}
