//! What S3 charges: a table with its date and source, or one from a file.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::failure::{Failure, Kind};

/// A table of prices is small.
const MAX_FILE_BYTES: u64 = 64 << 10;

/// Prices in one currency, without tax, free tiers and discounts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    /// Which store, class and region.
    pub name: String,
    /// When they were valid.
    pub date: String,
    pub source: String,
    pub currency: String,
    pub put_per_thousand: f64,
    pub list_per_thousand: f64,
    pub get_per_thousand: f64,
    pub delete_per_thousand: f64,
    /// Cheaper with the amount, the cheapest last.
    pub storage_per_gb_month: Vec<Tier>,
    /// Traffic to the internet; within the region there is none to pay.
    pub traffic_per_gb: Vec<Tier>,
}

/// A price up to an amount.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tier {
    /// In GB (10^9 bytes); without an end where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up_to_gb: Option<f64>,
    pub price: f64,
}

impl Prices {
    /// S3 Standard in us-east-1.
    pub fn us_east_1() -> Self {
        let tier = |up_to_gb, price| Tier { up_to_gb, price };
        Self {
            name: "Amazon S3 Standard, us-east-1".to_owned(),
            date: "2025".to_owned(),
            source: "https://aws.amazon.com/s3/pricing/".to_owned(),
            currency: "USD".to_owned(),
            put_per_thousand: 0.005,
            list_per_thousand: 0.005,
            get_per_thousand: 0.0004,
            delete_per_thousand: 0.0,
            storage_per_gb_month: vec![tier(Some(50_000.0), 0.023), tier(Some(500_000.0), 0.022), tier(None, 0.021)],
            traffic_per_gb: vec![
                tier(Some(10_000.0), 0.09),
                tier(Some(50_000.0), 0.085),
                tier(Some(150_000.0), 0.07),
                tier(None, 0.05),
            ],
        }
    }

    /// Those of the file of `--price-file`, or else of [`us_east_1`](Self::us_east_1).
    ///
    /// # Errors
    /// A file that cannot be read, or holds something else.
    pub fn of(file: Option<&Path>) -> Result<Self, Failure> {
        file.map_or_else(|| Ok(Self::us_east_1()), Self::load)
    }

    /// A table as `klstore cost --print-prices` writes it.
    fn load(path: &Path) -> Result<Self, Failure> {
        let shown = path.display();
        let mut text = String::new();
        let read = File::open(path).and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text));
        read.map_err(|error| Failure::io(&format!("cannot read {shown}"), error))?;
        let wrong = |reason: String| {
            Failure::new(Kind::Usage, format!("{shown} is no table of prices: {reason}"))
                .advice("begin with the output of `klstore cost --print-prices`")
        };
        if text.len() as u64 > MAX_FILE_BYTES {
            return Err(wrong(format!("it is longer than {MAX_FILE_BYTES} bytes")));
        }
        let prices: Self = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        prices.check().map_err(|reason| wrong(reason.to_owned()))?;
        Ok(prices)
    }

    /// What so many bytes cost a month.
    pub fn storage(&self, bytes: f64) -> f64 {
        tiered(&self.storage_per_gb_month, bytes / 1e9)
    }

    fn check(&self) -> Result<(), &'static str> {
        let tiers = || self.storage_per_gb_month.iter().chain(&self.traffic_per_gb);
        let requests = [self.put_per_thousand, self.list_per_thousand, self.get_per_thousand, self.delete_per_thousand];
        if !requests.into_iter().chain(tiers().map(|tier| tier.price)).all(|price| price.is_finite() && price >= 0.0) {
            return Err("a price is negative, or no number");
        }
        for tiers in [&self.storage_per_gb_month, &self.traffic_per_gb] {
            let ends: Vec<f64> = tiers.iter().filter_map(|tier| tier.up_to_gb).collect();
            if tiers.last().is_none_or(|last| last.up_to_gb.is_some()) || ends.len() + 1 != tiers.len() {
                return Err("the last tier, and only that one, has no up_to_gb");
            }
            if !ends.is_sorted_by(|left, right| left < right) {
                return Err("up_to_gb must grow from tier to tier");
            }
        }
        Ok(())
    }
}

/// What so many GB cost, each tier at its price.
pub fn tiered(tiers: &[Tier], gigabytes: f64) -> f64 {
    let (mut below, mut cost) = (0.0, 0.0);
    for tier in tiers {
        let end = tier.up_to_gb.unwrap_or(f64::INFINITY);
        cost += (gigabytes.min(end) - below).max(0.0) * tier.price;
        below = end;
    }
    cost
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tier_has_its_price() {
        let tiers = Prices::us_east_1().storage_per_gb_month;
        let close = |gigabytes: f64, cost: f64| (tiered(&tiers, gigabytes) - cost).abs() < 1e-6;
        assert!(close(0.0, 0.0) && close(100.0, 2.3) && close(50_000.0, 1_150.0));
        assert!(close(60_000.0, 1_150.0 + 220.0) && close(600_000.0, 1_150.0 + 9_900.0 + 2_100.0));
    }

    #[test]
    fn a_table_that_makes_no_sense_is_refused() {
        let table = Prices::us_east_1();
        assert_eq!(table.check(), Ok(()));
        assert!(Prices { get_per_thousand: -1.0, ..table.clone() }.check().is_err());
        assert!(Prices { put_per_thousand: f64::NAN, ..table.clone() }.check().is_err());
        assert!(Prices { traffic_per_gb: Vec::new(), ..table.clone() }.check().is_err());
        let mut falling = table.clone();
        falling.storage_per_gb_month[1].up_to_gb = Some(1.0);
        assert!(falling.check().is_err());
        let mut endless = table;
        endless.storage_per_gb_month[0].up_to_gb = None;
        assert!(endless.check().is_err());
    }
}
