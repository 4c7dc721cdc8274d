//! A file with all its mutants in it, and in which lines each of them is.

use std::ops::Range;

use crate::sites::{Kind, Site};

/// A file that has its mutants behind switches.
pub struct Switched {
    pub text: String,
    pub places: Vec<Lines>,
}

/// Lines of a file, counted from 1, and whose they are: one mutant's own, or those of all at a site.
#[derive(Clone)]
pub struct Lines {
    pub first: usize,
    pub last: usize,
    pub mutants: Vec<usize>,
}

impl Switched {
    /// Of the sites that [`find`](crate::sites::find) has found.
    pub fn of(source: &str, sites: &[Site]) -> Self {
        let mut writer =
            Writer { source, sites, next: 0, line: 1, switched: Self { text: String::new(), places: Vec::new() } };
        writer.write(0..source.len());
        writer.switched
    }

    /// Whose the line is: the fewest mutants that it can be put down to.
    pub fn mutants_at(&self, line: usize) -> Option<&Lines> {
        let around = self.places.iter().filter(|lines| (lines.first..=lines.last).contains(&line));
        around.min_by_key(|lines| (lines.mutants.len(), lines.last - lines.first))
    }
}

struct Writer<'a> {
    source: &'a str,
    sites: &'a [Site],
    next: usize,
    line: usize,
    switched: Switched,
}

impl Writer<'_> {
    fn add(&mut self, text: &str) {
        self.line += text.matches('\n').count();
        self.switched.text.push_str(text);
    }

    /// A mutant, on lines of its own.
    fn add_mutant(&mut self, number: usize, text: &str) {
        self.add("\n");
        let first = self.line;
        self.add(text);
        self.switched.places.push(Lines { first, last: self.line, mutants: vec![number] });
        self.add("\n");
    }

    /// The source in this range, with the sites in it that are still to come.
    fn write(&mut self, range: Range<usize>) {
        let mut at = range.start;
        while let Some(site) =
            self.sites.get(self.next).filter(|site| at <= site.range.start && site.range.end <= range.end)
        {
            self.next += 1;
            self.add(&self.source[at..site.range.start]);
            let first = self.line;
            match site.kind {
                Kind::Body => {
                    for (number, text) in &site.mutants {
                        self.add_mutant(*number, &format!("if {} {{ return {text}; }}", on(*number)));
                    }
                }
                Kind::Pattern => {
                    let off: Vec<_> = site.mutants.iter().map(|(number, _)| format!("!{}", on(*number))).collect();
                    self.add(&format!(" if {}", off.join(" && ")));
                }
                Kind::Guard | Kind::Expression => {
                    self.add("(");
                    for (number, text) in &site.mutants {
                        self.add_mutant(*number, &format!("if {} {{ {text} }} else", on(*number)));
                    }
                    self.add("{ ");
                    self.write(site.range.clone());
                    self.add(" })");
                }
            }
            let mutants = site.mutants.iter().map(|(number, _)| *number).collect();
            self.switched.places.push(Lines { first, last: self.line, mutants });
            at = site.range.end;
        }
        self.add(&self.source[at..range.end]);
    }
}

fn on(number: usize) -> String {
    format!("crate::switches::on({number})")
}

/// The module that the crate gets: which mutant is on, from the environment.
pub const SWITCHES: &str = r#"#![allow(missing_docs)]
use std::sync::atomic::{AtomicU32, Ordering};
const UNKNOWN: u32 = u32::MAX - 1;
static ON: AtomicU32 = AtomicU32::new(UNKNOWN);
#[cold]
fn look() -> u32 {
    let on = std::env::var("MUTANT").ok().and_then(|text| text.parse().ok()).unwrap_or(u32::MAX);
    ON.store(on, Ordering::Relaxed);
    on
}
#[inline]
pub fn on(number: u32) -> bool {
    let mut on = ON.load(Ordering::Relaxed);
    if on == UNKNOWN {
        on = look();
    }
    on == number
}
"#;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutant::{Genre, Outcome};

    /// Mutants as (what is replaced, by what), the first such place in the source.
    fn check(source: &str, mutants: &[(Genre, &str, &str)], expected: &str, others: &[(usize, Outcome)]) {
        let parsed = syn::parse_file(source).unwrap();
        let mutants = mutants.iter().enumerate().map(|(number, (genre, what, by))| {
            let start = source.find(what).unwrap();
            (number, start..start + what.len(), *genre, (*by).to_owned())
        });
        let (sites, left) = crate::sites::find(source, &parsed, mutants);
        let switched = Switched::of(source, &sites);
        let in_words =
            switched.text.replace("crate::switches::on", "on").split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(in_words, expected);
        assert_eq!(left, others);
        for site in &sites {
            for (number, _) in site.mutants.iter().filter(|_| site.kind != Kind::Pattern) {
                let line = switched.text.lines().position(|line| line.contains(&format!("on({number})"))).unwrap() + 1;
                assert_eq!(switched.mutants_at(line).unwrap().mutants, [*number]);
            }
        }
    }

    #[test]
    fn operators_within_operators() {
        check(
            "fn f(a: u8) -> bool { !a + 1 < 2 }",
            &[
                (Genre::FnValue, "!a + 1 < 2", "true"),
                (Genre::BinaryOperator, "<", ">"),
                (Genre::UnaryOperator, "!", ""),
            ],
            "fn f(a: u8) -> bool { if on(0) { return true; } \
             ( if on(1) { !a + 1 > 2 } else { ( if on(2) { a } else { !a }) + 1 < 2 }) }",
            &[],
        );
    }

    #[test]
    fn arms_and_guards() {
        check(
            "fn f(a: u8) -> u8 { match a { 1 => 2, 3 if a < 4 => 5, _ => 6 } }",
            &[
                (Genre::MatchArm, "1 => 2,", ""),
                (Genre::MatchArmGuard, "a < 4", "true"),
                (Genre::BinaryOperator, "<", "=="),
                (Genre::MatchArm, "3 if a < 4 => 5,", ""),
            ],
            "fn f(a: u8) -> u8 { match a { 1 if !on(0) => 2, 3 if ( if on(1) { true } else if on(3) { false } else { ( \
             if on(2) { a == 4 } else { a < 4 }) }) => 5, _ => 6 } }",
            &[],
        );
    }

    #[test]
    fn what_cannot_have_a_switch() {
        check(
            "const A: u8 = 1 + 2; fn f(a: Option<u8>) -> impl Iterator { if let Some(a) = a && a > 1 { g() } }",
            &[
                (Genre::BinaryOperator, "+", "-"),
                (Genre::BinaryOperator, "&&", "||"),
                (Genre::FnValue, "if let Some(a) = a && a > 1 { g() }", "::std::iter::empty()"),
            ],
            "const A: u8 = 1 + 2; fn f(a: Option<u8>) -> impl Iterator { if let Some(a) = a && a > 1 { g() } }",
            &[(0, Outcome::Alone), (2, Outcome::Alone), (1, Outcome::NotViable)],
        );
    }

    #[test]
    fn fields_of_a_structure() {
        check(
            "fn f() -> S { S { a: 1, ..g() } }",
            &[(Genre::StructField, "a: 1,", "")],
            "fn f() -> S { ( if on(0) { S { ..g() } } else { S { a: 1, ..g() } }) }",
            &[],
        );
    }
}
