//! docs/LIMITS.md says what the code says.

use std::collections::BTreeMap;
use std::path::Path;

/// The value of what a constant is set to: sums, products and shifts of numbers and of other constants, or the seconds of
/// a `Duration`. `None` where it is anything else.
fn value(text: &str, known: &BTreeMap<String, u64>) -> Option<u64> {
    let text = text.trim();
    let inside = text.strip_prefix("Duration::from_secs(").or(text.strip_prefix('('));
    if let Some(inside) = inside.and_then(|rest| rest.strip_suffix(')')).filter(|inside| !inside.contains('(')) {
        return value(inside, known);
    }
    type Operator = fn(u64, u64) -> Option<u64>;
    let operators: [(&str, Operator); 3] =
        [(" + ", u64::checked_add), (" * ", u64::checked_mul), (" << ", |left, right| Some(left << right))];
    for (sign, apply) in operators {
        let is_outside = |at: &usize| text[..*at].matches('(').count() == text[..*at].matches(')').count();
        if let Some(at) = text.match_indices(sign).map(|(at, _)| at).find(is_outside) {
            return apply(value(&text[..at], known)?, value(&text[at + sign.len()..], known)?);
        }
    }
    let name = text.trim_end_matches(" as u64");
    name.replace('_', "").parse().ok().or(known.get(name).copied())
}

/// The constants that are numbers, of a source and of what it knows already.
fn constants(path: &str, known: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let source = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path));
    let mut found = known.clone();
    for line in source.unwrap_or_else(|error| panic!("{path}: {error}")).lines() {
        let Some((_, constant)) = line.split_once("const ") else { continue };
        let Some((name, rest)) = constant.split_once(": ") else { continue };
        let set_to = rest.split_once(" = ").and_then(|(_, set_to)| set_to.strip_suffix(';'));
        if let Some(number) = set_to.and_then(|set_to| value(set_to, &found)) {
            found.insert(name.to_owned(), number);
        }
    }
    found
}

#[test]
fn the_page_of_limits_is_true_and_whole() {
    let page = include_str!("../../../docs/LIMITS.md");
    let shared = constants("format/src/limits.rs", &BTreeMap::new());
    let mut documented = Vec::new();
    for row in page.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let names: Vec<&str> = cells[1].split('`').skip(1).step_by(2).collect();
        let own;
        let constants = match names.get(1) {
            Some(path) => {
                own = constants(path, &shared);
                &own
            }
            None => &shared,
        };
        let said: u64 = cells[2].trim_end_matches(" s").replace(',', "").parse().unwrap();
        assert_eq!(constants.get(names[0]), Some(&said), "{row}");
        documented.push(names[0]);
    }
    for name in shared.keys() {
        assert!(documented.contains(&&**name), "{name} has no row in docs/LIMITS.md");
    }
    assert!(documented.len() > shared.len() + 20, "{documented:?}");
}
