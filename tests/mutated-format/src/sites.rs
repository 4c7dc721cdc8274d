//! Where in a file its mutants are, and what stands there with each of them.

use std::collections::BTreeMap;
use std::ops::Range;

use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};

use crate::mutant::{Genre, Mutant, Outcome};

/// Mutants by their numbers, and what stands there with each.
pub type Replacements = Vec<(usize, String)>;

/// A place in a file with the mutants of it.
pub struct Site {
    /// In bytes; empty where something is only added.
    pub range: Range<usize>,
    pub kind: Kind,
    pub mutants: Replacements,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The beginning of a function's body, which may return at once.
    Body,
    /// A condition behind a pattern.
    Guard,
    /// The end of a pattern without a condition.
    Pattern,
    /// Anything with a value.
    Expression,
}

/// Those of a file that can have a switch, and what is to be said of the others.
pub fn find(
    source: &str,
    parsed: &syn::File,
    mutants: impl Iterator<Item = (usize, Range<usize>, Genre, String)>,
) -> (Vec<Site>, Vec<(usize, Outcome)>) {
    let mut wanted: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (number, range, genre, replacement) in mutants {
        wanted.entry((genre, range.start, range.end)).or_default().push((number, replacement));
    }
    let mut finder = Finder { source, wanted, sites: Vec::new(), others: Vec::new(), constant: false };
    finder.visit_file(parsed);
    let left = std::mem::take(&mut finder.wanted).into_values().flatten();
    finder.others.extend(left.map(|(number, _)| (number, Outcome::Alone)));
    // Outer before inner.
    finder
        .sites
        .sort_by_key(|site| (site.range.start, site.kind != Kind::Body, usize::MAX - site.range.end, site.kind));
    (finder.sites, finder.others)
}

struct Finder<'a> {
    source: &'a str,
    wanted: BTreeMap<(Genre, usize, usize), Replacements>,
    sites: Vec<Site>,
    others: Vec<(usize, Outcome)>,
    /// Within what is computed by the compiler, which knows no switches.
    constant: bool,
}

impl Finder<'_> {
    fn take(&mut self, genre: Genre, of: impl Fn(&Range<usize>) -> bool) -> Vec<(Range<usize>, Replacements)> {
        let found: Vec<_> =
            self.wanted.keys().filter(|(kind, start, end)| *kind == genre && of(&(*start..*end))).copied().collect();
        found.into_iter().filter_map(|key| Some((key.1..key.2, self.wanted.remove(&key)?))).collect()
    }

    fn add(&mut self, range: Range<usize>, kind: Kind, mutants: Replacements) {
        if self.constant {
            self.leave(mutants, Outcome::Alone);
        } else if !mutants.is_empty() {
            self.sites.push(Site { range, kind, mutants });
        }
    }

    fn leave(&mut self, mutants: Replacements, outcome: Outcome) {
        self.others.extend(mutants.into_iter().map(|(number, _)| (number, outcome)));
    }

    fn within_constant(&mut self, constant: bool, visit: impl FnOnce(&mut Self)) {
        let before = self.constant;
        self.constant |= constant;
        visit(self);
        self.constant = before;
    }

    fn body(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let (Some(first), Some(last)) = (block.stmts.first(), block.stmts.last()) else { return };
        let inner = first.span().byte_range().start..last.span().byte_range().end;
        let outer = block.span().byte_range();
        let found = self.take(Genre::FnValue, |range| {
            outer.start <= range.start && range.start <= inner.start && inner.end <= range.end && range.end <= outer.end
        });
        for (range, mutants) in found {
            // The type behind an `impl` is that of the first return.
            match &signature.output {
                syn::ReturnType::Type(_, output) if matches!(**output, syn::Type::ImplTrait(_)) => {
                    self.leave(mutants, Outcome::Alone);
                }
                _ => self.add(range.start..range.start, Kind::Body, mutants),
            }
        }
    }

    fn instead(&self, range: &Range<usize>, part: &Range<usize>, replacement: &str) -> String {
        [&self.source[range.start..part.start], replacement, &self.source[part.end..range.end]].concat()
    }

    /// What replaces a part of an expression.
    fn part_of_expression(&mut self, genre: Genre, range: Range<usize>, of: impl Fn(&Range<usize>) -> bool) {
        let mut all = Vec::new();
        for (part, mutants) in self.take(genre, of) {
            all.extend(mutants.into_iter().map(|(number, text)| (number, self.instead(&range, &part, &text))));
        }
        self.add(range, Kind::Expression, all);
    }
}

/// Whether it is a condition that binds names, which stands nowhere but in `if` and `while`.
fn binds(expr: &syn::Expr) -> bool {
    match expr {
        syn::Expr::Let(_) => true,
        syn::Expr::Binary(binary) => binds(&binary.left) || binds(&binary.right),
        _ => false,
    }
}

fn takes_everything(arm: &syn::Arm) -> bool {
    let any = match &arm.pat {
        syn::Pat::Wild(_) => true,
        syn::Pat::Ident(name) => name.subpat.is_none() && name.ident.to_string().starts_with(char::is_lowercase),
        _ => false,
    };
    any && arm.guard.is_none()
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.within_constant(item.sig.constness.is_some(), |finder| {
            finder.body(&item.sig, &item.block);
            visit::visit_item_fn(finder, item);
        });
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.within_constant(item.sig.constness.is_some(), |finder| {
            finder.body(&item.sig, &item.block);
            visit::visit_impl_item_fn(finder, item);
        });
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.body(&item.sig, block);
        }
        visit::visit_trait_item_fn(self, item);
    }

    fn visit_item_const(&mut self, item: &'ast syn::ItemConst) {
        self.within_constant(true, |finder| visit::visit_item_const(finder, item));
    }

    fn visit_item_static(&mut self, item: &'ast syn::ItemStatic) {
        self.within_constant(true, |finder| visit::visit_item_static(finder, item));
    }

    fn visit_impl_item_const(&mut self, item: &'ast syn::ImplItemConst) {
        self.within_constant(true, |finder| visit::visit_impl_item_const(finder, item));
    }

    fn visit_type_array(&mut self, array: &'ast syn::TypeArray) {
        self.within_constant(true, |finder| visit::visit_type_array(finder, array));
    }

    fn visit_expr_repeat(&mut self, expr: &'ast syn::ExprRepeat) {
        self.visit_expr(&expr.expr);
        self.within_constant(true, |finder| finder.visit_expr(&expr.len));
    }

    fn visit_expr_binary(&mut self, expr: &'ast syn::ExprBinary) {
        let operator = expr.op.span().byte_range();
        if binds(&expr.left) || binds(&expr.right) {
            let found = self.take(Genre::BinaryOperator, |range| *range == operator);
            found.into_iter().for_each(|(_, mutants)| self.leave(mutants, Outcome::NotViable));
        } else {
            let range = expr.span().byte_range();
            self.part_of_expression(Genre::BinaryOperator, range, |range| *range == operator);
        }
        visit::visit_expr_binary(self, expr);
    }

    fn visit_expr_unary(&mut self, expr: &'ast syn::ExprUnary) {
        let operator = expr.op.span().byte_range();
        self.part_of_expression(Genre::UnaryOperator, expr.span().byte_range(), |range| *range == operator);
        visit::visit_expr_unary(self, expr);
    }

    fn visit_expr_struct(&mut self, expr: &'ast syn::ExprStruct) {
        let fields: Vec<_> = expr.fields.iter().map(|field| field.span().byte_range()).collect();
        // With the comma behind it.
        self.part_of_expression(Genre::StructField, expr.span().byte_range(), |range| {
            fields.iter().any(|field| range.start == field.start && (field.end..field.end + 3).contains(&range.end))
        });
        visit::visit_expr_struct(self, expr);
    }

    fn visit_expr_match(&mut self, expr: &'ast syn::ExprMatch) {
        for (index, arm) in expr.arms.iter().enumerate() {
            let outer = arm.span().byte_range();
            let found = self.take(Genre::MatchArm, |range| {
                range.start == outer.start && (outer.end - 1..=outer.end + 1).contains(&range.end)
            });
            let mut deleted: Vec<_> = found.into_iter().flat_map(|(_, mutants)| mutants).collect();
            if !expr.arms[index + 1..].iter().any(takes_everything) {
                self.leave(std::mem::take(&mut deleted), Outcome::NotViable);
            }
            let deleted = deleted.into_iter().map(|(number, _)| (number, "false".to_owned()));
            match &arm.guard {
                Some((_, guard)) => {
                    let range = guard.span().byte_range();
                    let found = self.take(Genre::MatchArmGuard, |guard| *guard == range);
                    let mutants = found.into_iter().flat_map(|(_, mutants)| mutants).chain(deleted).collect();
                    if binds(guard) {
                        self.leave(mutants, Outcome::Alone);
                    } else {
                        self.add(range, Kind::Guard, mutants);
                    }
                }
                None => {
                    let end = arm.pat.span().byte_range().end;
                    self.add(end..end, Kind::Pattern, deleted.collect());
                }
            }
        }
        visit::visit_expr_match(self, expr);
    }
}

/// Where in the source a mutant is, in bytes.
pub fn bytes_of(source: &str, mutant: &Mutant) -> Range<usize> {
    let byte = |place: &crate::mutant::Place| {
        let line: usize = source.split_inclusive('\n').take(place.line - 1).map(str::len).sum();
        let within = source[line..].char_indices().nth(place.column - 1);
        within.map_or(source.len(), |(at, _)| line + at)
    };
    byte(&mutant.span.start)..byte(&mutant.span.end)
}
