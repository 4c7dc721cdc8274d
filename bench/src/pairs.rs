//! Interleaved pairs, and what is said of them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// One benchmark's result, as `--json` writes it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Row {
    pub name: String,
    /// Figures in `unit`: medians of the pairs.
    pub ours: f64,
    pub reference: f64,
    pub unit: String,
    /// Ours through the reference: median and 10th and 90th percentile of the pairs.
    pub ratio: f64,
    pub p10: f64,
    pub p90: f64,
    /// What the ratio is to be; nothing where none was set.
    pub goal: Option<f64>,
    /// Less is better: the ratio is to be at most the goal.
    #[serde(default)]
    pub at_most: bool,
    /// How many pairs it is of.
    #[serde(default)]
    pub pairs: usize,
}

/// What a ratio is to be.
#[derive(Debug, Clone, Copy)]
pub enum Goal {
    AtLeast(f64),
    AtMost(f64),
    Unset,
}

impl Row {
    /// From the times of pairs that moved `amount` units each: the ratio is that of the speeds.
    pub fn of_times(name: String, unit: &str, amount: f64, goal: Goal, times: &[(Duration, Duration)]) -> Self {
        let speed = |time: Duration| amount / time.as_secs_f64();
        let pairs: Vec<_> = times.iter().map(|&(ours, reference)| (speed(ours), speed(reference))).collect();
        Self::of(name, unit, goal, &pairs)
    }

    /// From pairs of figures.
    pub fn of(name: String, unit: &str, goal: Goal, pairs: &[(f64, f64)]) -> Self {
        let ratios: Vec<f64> = pairs.iter().map(|(ours, reference)| ours / reference).collect();
        let (goal, at_most) = match goal {
            Goal::AtLeast(goal) => (Some(goal), false),
            Goal::AtMost(goal) => (Some(goal), true),
            Goal::Unset => (None, false),
        };
        Self {
            name,
            unit: unit.to_owned(),
            ours: quantile(pairs.iter().map(|(ours, _)| *ours).collect(), 0.5),
            reference: quantile(pairs.iter().map(|(_, reference)| *reference).collect(), 0.5),
            ratio: quantile(ratios.clone(), 0.5),
            p10: quantile(ratios.clone(), 0.1),
            p90: quantile(ratios, 0.9),
            goal,
            at_most,
            pairs: pairs.len(),
        }
    }

    /// The cells of a table, up to the goal.
    fn cells(&self) -> [String; 6] {
        let [ours, reference] = [self.ours, self.reference].map(figure);
        let spread = format!("{:.2} to {:.2}", self.p10, self.p90);
        [self.name.clone(), ours, reference, self.unit.clone(), format!("{:.2}", self.ratio), spread]
    }

    /// The goal, and the mark of one that is missed.
    fn goal_text(&self, missed: &str) -> String {
        let Some(goal) = self.goal else { return "-".to_owned() };
        let (sign, met) = if self.at_most { ("<=", self.ratio <= goal) } else { (">=", self.ratio >= goal) };
        format!("{sign} {goal}{}", if met { "" } else { missed })
    }
}

pub fn quantile(mut numbers: Vec<f64>, at: f64) -> f64 {
    numbers.sort_by(f64::total_cmp);
    let index = (at * numbers.len().saturating_sub(1) as f64).round() as usize;
    numbers.get(index).copied().unwrap_or(f64::NAN)
}

/// The table that `script/bench` ends with.
pub fn print(rows: &[Row]) {
    let width = rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0).max(4);
    println!(
        "{:<width$} {:>12} {:>12} {:<11} {:>6} {:>15}  goal",
        "name", "ours", "reference", "unit", "ratio", "p10 to p90"
    );
    for row in rows {
        let ([name, ours, reference, unit, ratio, spread], goal) = (row.cells(), row.goal_text("  missed"));
        println!("{name:<width$} {ours:>12} {reference:>12} {unit:<11} {ratio:>6} {spread:>15}  {goal}");
    }
}

/// The same table for docs/BENCHMARKS.md.
pub fn print_markdown(rows: &[Row]) {
    println!("| | ours | reference | unit | ratio | p10 to p90 | goal |\n|---|---|---|---|---|---|---|");
    for row in rows {
        let ([name, ours, reference, unit, ratio, spread], goal) = (row.cells(), row.goal_text(" **missed**"));
        println!("| {name} | {ours} | {reference} | {unit} | **{ratio}** | {spread} | {goal} |");
    }
}

/// Three digits at least, whatever the size: dollars are few.
fn figure(number: f64) -> String {
    match number.abs() {
        size if size >= 100.0 => format!("{number:.0}"),
        size if size >= 1.0 => format!("{number:.2}"),
        size if size >= 0.01 => format!("{number:.4}"),
        _ => format!("{number:.7}"),
    }
}
