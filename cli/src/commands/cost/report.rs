//! From a load to lines with counts, prices and the formula. No I/O here.

use serde_json::{Value, json};

use super::List;
use super::requests::{PAGE_ELSEWHERE, Requests, Shape, polls};
use crate::output::{bytes_text, count_text};
use crate::prices::{Prices, Tier, tiered};

const DAYS_A_MONTH: f64 = 730.0 / 24.0;

/// What is done in a month, or once.
#[derive(Debug, Clone)]
pub struct Load {
    pub shape: Shape,
    pub appends: f64,
    pub pages: f64,
    pub seeks: f64,
    pub page_items: u64,
    pub followers: f64,
    /// Of one follower.
    pub polls: f64,
    /// Items of so many days are stored.
    pub days: f64,
    /// Whether the appends are a number, all to new lists, and not a rate.
    pub counted: bool,
    pub internet: bool,
    pub list: Option<List>,
}

impl Load {
    /// What a follower of one list sees.
    fn appends_a_key(&self) -> f64 {
        self.appends / self.shape.keys as f64
    }
}

/// One line of the bill.
#[derive(Debug, Clone)]
struct Line {
    what: &'static str,
    unit: &'static str,
    amount: f64,
    cost: f64,
    formula: String,
}

/// The bill.
#[derive(Debug, Clone)]
pub struct Report {
    load: Load,
    requests: Requests,
    lines: Vec<Line>,
    stored_bytes: f64,
}

impl Report {
    pub fn new(load: Load, prices: &Prices) -> Self {
        let mut report = Self { requests: Requests::default(), lines: Vec::new(), stored_bytes: 0.0, load };
        report.add_appends(prices);
        report.add_reads(prices);
        report.add_storage(prices);
        report
    }

    fn add_appends(&mut self, prices: &Prices) {
        let load = self.load.clone();
        if load.appends == 0.0 {
            return;
        }
        let (shape, cycle) = (&load.shape, load.shape.cycle());
        let keys = shape.keys as f64;
        let all = match load.counted {
            // The appends are spread over the keys as evenly as they can be.
            true => {
                let (each, rest) = ((load.appends / keys).floor(), load.appends % keys);
                shape.appended(each as u64).times(keys - rest) + shape.appended(each as u64 + 1).times(rest)
            }
            false => self.steady(load.appends),
        };
        let (segments, every) = (cycle.segments, cycle.appends);
        let appends = count_text(load.appends.round() as u64);
        self.add("append", "PUT", load.appends, prices.put_per_thousand, format!("{appends} appends x 1"));
        let compaction = format!(
            "one every {every} appends of a key: {} + 1 index page",
            if cycle.complete { "nothing is rewritten".to_owned() } else { format!("{segments} segment(s)") }
        );
        self.add("compaction", "PUT", all.put - load.appends, prices.put_per_thousand, compaction);
        let reads = match (cycle.reads, cycle.merge_every) {
            (0, 0) => "from the writer's memory".to_owned(),
            (0, merge) => format!("from memory, but every {merge} times {} partial segments", merge - 1),
            (reads, 0) => format!("{reads} commits each time"),
            (reads, merge) => format!("{reads} commits each time, every {merge} times {} segments", merge - 1),
        };
        self.add("compaction", "GET", all.get, prices.get_per_thousand, reads);
        self.add(
            "first append",
            "LIST",
            all.list,
            prices.list_per_thousand,
            format!("2 a key, {} keys", count_text(shape.keys)),
        );
        self.add("collection", "DELETE", all.delete, prices.delete_per_thousand, "one for each compaction".to_owned());
        self.requests = self.requests + all;
    }

    /// Appends that go on and on, so many a month: no key begins anew.
    fn steady(&self, appends: f64) -> Requests {
        let cycle = self.load.shape.cycle();
        let compactions = appends / cycle.appends as f64;
        let merges = if cycle.merge_every == 0 { 0.0 } else { compactions / cycle.merge_every as f64 };
        let entries = match (cycle.complete, cycle.merge_every) {
            (true, _) => appends,
            (false, 0) => compactions * cycle.segments as f64,
            (false, _) => merges,
        };
        let leaves = entries / klstore_format::limits::MAX_LEAF_ENTRIES as f64;
        Requests {
            put: appends + compactions * (cycle.segments + 1) as f64 + leaves,
            list: 0.0,
            get: compactions * cycle.reads as f64 + merges * cycle.merge_every.saturating_sub(1) as f64,
            delete: compactions,
        }
    }

    fn add_reads(&mut self, prices: &Prices) {
        let load = self.load.clone();
        let page = load.shape.newest_page(load.page_items);
        for (what, count, each) in [("newest page", load.pages, page), ("page elsewhere", load.seeks, PAGE_ELSEWHERE)] {
            if count == 0.0 {
                continue;
            }
            let all = each.times(count);
            let formula = |each: f64| format!("{} x {each}", count_text(count.round() as u64));
            self.add(what, "LIST", all.list, prices.list_per_thousand, formula(each.list));
            self.add(what, "GET", all.get, prices.get_per_thousand, formula(each.get));
            self.requests = self.requests + all;
        }
        if load.followers > 0.0 {
            let found = load.appends_a_key();
            let all = polls(load.polls, found).times(load.followers);
            let each = |count: f64| count_text(count.round() as u64);
            let formula = format!(
                "{} followers x {} polls, {} appends found",
                each(load.followers),
                each(load.polls),
                each(found)
            );
            self.add("poll", "LIST", all.list, prices.list_per_thousand, formula.clone());
            self.add("poll", "GET", all.get, prices.get_per_thousand, formula);
            self.requests = self.requests + all;
        }
    }

    fn add_storage(&mut self, prices: &Prices) {
        let load = self.load.clone();
        let a_month = load.appends * load.shape.append_bytes() as f64;
        let (bytes, formula) = match (&load.list, load.counted) {
            (Some(list), _) => {
                (list.stored_bytes as f64, format!("{} objects, as they are now", count_text(list.objects)))
            }
            (None, true) => (a_month, "all values, as if they did not compress".to_owned()),
            (None, false) => (
                a_month * load.days / DAYS_A_MONTH,
                format!("values of {} days, as if they did not compress", load.days),
            ),
        };
        self.stored_bytes = bytes;
        self.add_gigabytes("storage", "GB-month", bytes, &prices.storage_per_gb_month, formula);
        if load.internet {
            let page = (load.page_items * load.shape.item_bytes) as f64;
            let followed = load.followers * load.appends_a_key() * load.shape.append_bytes() as f64;
            let bytes = (load.pages + load.seeks) * page + followed;
            let formula = match followed > 0.0 {
                true => format!("pages of {}, and each append to its followers", bytes_text(page as u64)),
                false => format!("pages of {}", bytes_text(page as u64)),
            };
            self.add_gigabytes("traffic", "GB", bytes, &prices.traffic_per_gb, formula);
        }
    }

    fn add(&mut self, what: &'static str, unit: &'static str, amount: f64, per_thousand: f64, formula: String) {
        if amount > 0.0 {
            self.lines.push(Line { what, unit, amount, cost: amount / 1e3 * per_thousand, formula });
        }
    }

    fn add_gigabytes(&mut self, what: &'static str, unit: &'static str, bytes: f64, tiers: &[Tier], formula: String) {
        if bytes > 0.0 {
            self.lines.push(Line { what, unit, amount: bytes / 1e9, cost: tiered(tiers, bytes / 1e9), formula });
        }
    }

    fn total(&self) -> f64 {
        self.lines.iter().map(|line| line.cost).sum()
    }

    pub fn json(&self, prices: &Prices) -> Value {
        let line = |line: &Line| {
            json!({
                "what": line.what, "unit": line.unit, "amount": line.amount, "cost": line.cost, "formula": line.formula,
            })
        };
        let mut json = json!({
            "currency": prices.currency,
            "prices": { "name": prices.name, "date": prices.date, "source": prices.source },
            "requests": {
                "put": self.requests.put.round(), "list": self.requests.list.round(),
                "get": self.requests.get.round(), "delete": self.requests.delete.round(),
            },
            "stored_bytes": self.stored_bytes.round(),
            "lines": self.lines.iter().map(line).collect::<Vec<Value>>(),
            "total": self.total(),
        });
        if let Some(list) = &self.load.list {
            json["list"] = json!({
                "keyspace": list.keyspace, "key": list.key, "items": list.items, "value_bytes": list.value_bytes,
                "objects": list.objects, "stored_bytes": list.stored_bytes,
            });
        }
        json
    }

    pub fn text(&self, prices: &Prices) -> String {
        let shape = &self.load.shape;
        let mut text = format!("{} ({}), {}\n", prices.name, prices.date, prices.source);
        if self.load.appends > 0.0 {
            text += &format!(
                "appends of {} x {} B, {}, {} key(s)\n",
                count_text(shape.items_per_append),
                count_text(shape.item_bytes),
                if self.load.counted { "once" } else { "a month of 730 hours" },
                count_text(shape.keys),
            );
        }
        text += &format!("\n{:<15}{:<9}{:>16}{:>13}   how\n", "what", "unit", "amount", prices.currency);
        for line in &self.lines {
            let amount = match line.unit {
                "GB" | "GB-month" => format!("{:.3}", line.amount),
                _ => count_text(line.amount.round() as u64),
            };
            text += &format!("{:<15}{:<9}{amount:>16}{:>13.4}   {}\n", line.what, line.unit, line.cost, line.formula);
        }
        text + &format!("{:<15}{:<9}{:>16}{:>13.4}", "total", "", "", self.total())
    }
}
