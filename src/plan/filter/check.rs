//! Walks a parsed expression once: collects the columns it names, puts the variables' texts in, compiles its
//! patterns, makes its comparisons strict, and refuses what could cost more than the row is long.

mod totals;

pub use totals::Totals;

use super::{ColumnUse, FilterError};
use crate::problem::{listed, nearest};
use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue, SourceInfo, operators};
use cel::{IdedExpr as Expression, common::types::CelString};
use std::collections::BTreeMap;
use std::ops::Range;

/// The strict `==`. No source text can spell a name that begins with `@`.
pub(super) const EQUAL: &str = "@equal";
/// The strict `!=`.
pub(super) const UNEQUAL: &str = "@unequal";
/// The strict `in`.
pub(super) const AMONG: &str = "@among";
/// `matches`, with its pattern compiled.
pub(super) const PATTERN: &str = "@pattern";

/// How deep operations may stand inside one another. Evaluating one level takes about 45 KB of stack in a debug build.
const DEPTH_MAX: usize = 24;
/// How deep `exists` and `all` may stand inside one another.
const LOOPS_MAX: usize = 2;
/// How large a compiled pattern may be, in bytes.
const PATTERN_BYTES_MAX: usize = 1024 * 1024;

/// What may be called: name, with how many arguments as a function, with how many as a method.
const FUNCTIONS: [(&str, &[usize], &[usize]); 15] = [
    ("contains", &[], &[1]),
    ("startsWith", &[], &[1]),
    ("endsWith", &[], &[1]),
    ("matches", &[2], &[1]),
    ("size", &[1], &[0]),
    ("lowerAscii", &[], &[0]),
    ("upperAscii", &[], &[0]),
    ("trim", &[], &[0]),
    ("substring", &[], &[1, 2]),
    ("split", &[], &[1]),
    ("int", &[1], &[]),
    ("double", &[1], &[]),
    ("string", &[1], &[]),
    ("bool", &[1], &[]),
    ("uint", &[1], &[]),
];

const OPERATORS: [&str; 14] = [
    operators::CONDITIONAL,
    operators::LOGICAL_AND,
    operators::LOGICAL_OR,
    operators::LOGICAL_NOT,
    operators::SUBSTRACT,
    operators::ADD,
    operators::MULTIPLY,
    operators::DIVIDE,
    operators::MODULO,
    operators::GREATER_EQUALS,
    operators::LESS_EQUALS,
    operators::GREATER,
    operators::LESS,
    operators::NOT_STRICTLY_FALSE,
];

/// What the walk found.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) columns: Vec<ColumnUse>,
    pub(super) patterns: Vec<regex::Regex>,
}

/// Checks `expression` and rewrites it for evaluation.
pub(super) fn check(
    expression: &mut Expression,
    places: &SourceInfo,
    vars: &BTreeMap<String, String>,
    totals: Option<&Totals>,
) -> Result<Checked, Vec<FilterError>> {
    let mut walk = Walk {
        places,
        vars,
        totals,
        checked: Checked { columns: Vec::new(), patterns: Vec::new() },
        bound: Vec::new(),
        in_range: false,
        errors: Vec::new(),
    };
    walk.visit(expression, 0);
    if walk.errors.is_empty() {
        Ok(walk.checked)
    } else {
        walk.errors.sort_by_key(|error| error.range.start);
        Err(walk.errors)
    }
}

struct Walk<'a> {
    places: &'a SourceInfo,
    vars: &'a BTreeMap<String, String>,
    /// The totals of a plan, where the expression is over one and not over rows.
    totals: Option<&'a Totals>,
    checked: Checked,
    /// The loop variables in scope.
    bound: Vec<String>,
    /// Whether the walk is in what a loop goes through.
    in_range: bool,
    errors: Vec<FilterError>,
}

impl Walk<'_> {
    fn visit(&mut self, node: &mut Expression, depth: usize) {
        if depth > DEPTH_MAX {
            return self.wrong(node.id, format!("more than {DEPTH_MAX} operations stand inside one another"), None);
        }
        let id = node.id;
        match &mut node.expr {
            Expr::Literal(_) | Expr::Unspecified => {}
            Expr::Ident(name) => {
                let name = std::mem::take(name);
                self.name(id, &name);
                node.expr = Expr::Ident(name);
            }
            Expr::Select(select) => {
                if let Some(total) = self.total(id, select) {
                    node.expr = total;
                } else if matches!(&select.operand.expr, Expr::Ident(name) if name == "vars" && !self.is_bound("vars"))
                {
                    let (field, test) = (std::mem::take(&mut select.field), select.test);
                    node.expr = self.variable(id, &field, test);
                } else {
                    self.visit(&mut select.operand, depth + 1);
                }
            }
            Expr::List(list) => list.elements.iter_mut().for_each(|element| self.visit(element, depth + 1)),
            Expr::Call(call) => {
                if let Some(replaced) = self.total_of_action(call).or_else(|| self.call(id, call, depth)) {
                    node.expr = replaced;
                }
            }
            Expr::Comprehension(comprehension) => self.comprehension(id, comprehension, depth),
            Expr::Map(map) => {
                for entry in &mut map.entries {
                    if let EntryExpr::MapEntry(entry) = &mut entry.expr {
                        self.visit(&mut entry.key, depth + 1);
                        self.visit(&mut entry.value, depth + 1);
                    }
                }
            }
            Expr::Struct(_) => self.wrong(id, "filters know no message types".into(), None),
        }
    }

    fn is_bound(&self, name: &str) -> bool {
        self.bound.iter().any(|bound| bound == name)
    }

    fn name(&mut self, id: u64, name: &str) {
        if name.starts_with('@') || self.is_bound(name) {
            return;
        }
        if name == "vars" {
            return self.wrong(id, "vars alone has no value".into(), Some("write vars.NAME".into()));
        }
        if name.starts_with('.') {
            return self.wrong(id, "a column's name does not begin with a dot".into(), None);
        }
        if self.refuse_column(id, name) {
            return;
        }
        if self.checked.columns.iter().all(|column| *column.name != *name) {
            let range = self.range(id, name.len());
            self.checked.columns.push(ColumnUse { name: name.into(), range });
        }
    }

    fn variable(&mut self, id: u64, name: &str, test: bool) -> Expr {
        match self.vars.get(name) {
            Some(_) if test => Expr::Literal(LiteralValue::Boolean(true.into())),
            Some(text) => Expr::Literal(LiteralValue::String(CelString::from(text.clone()))),
            None => {
                let help = match nearest(name, self.vars.keys().map(String::as_str)) {
                    Some(near) => format!("did you mean `vars.{near}`?"),
                    None => "declare it under the playbook's `vars`".into(),
                };
                let range = self.range_around(id, "vars", name);
                self.errors.push(FilterError {
                    message: format!("there is no variable `{name}`"),
                    range,
                    help: Some(help),
                });
                Expr::Unspecified
            }
        }
    }

    fn call(&mut self, id: u64, call: &mut CallExpr, depth: usize) -> Option<Expr> {
        if let Some(target) = &mut call.target {
            self.visit(target, depth + 1);
        }
        call.args.iter_mut().for_each(|argument| self.visit(argument, depth + 1));
        match call.func_name.as_str() {
            operators::EQUALS => call.func_name = EQUAL.into(),
            operators::NOT_EQUALS => call.func_name = UNEQUAL.into(),
            operators::IN => call.func_name = AMONG.into(),
            operators::INDEX => {}
            operators::ADD if self.in_range => {
                let help = Some("loop over a column or a list that is written out".into());
                self.wrong(id, "a loop cannot go through a sum".into(), help);
            }
            operator if OPERATORS.contains(&operator) => {}
            _ => return self.function(id, call),
        }
        None
    }

    fn function(&mut self, id: u64, call: &mut CallExpr) -> Option<Expr> {
        let name = call.func_name.as_str();
        let Some((_, free, method)) = FUNCTIONS.iter().find(|(known, ..)| *known == name) else {
            let help = match nearest(name, FUNCTIONS.iter().map(|(known, ..)| *known)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => {
                    format!("filters know {}", listed(FUNCTIONS.iter().map(|(known, ..)| *known)))
                }
            };
            let range = self.range_around(id, name, "");
            self.errors.push(FilterError {
                message: format!("there is no function `{name}`"),
                range,
                help: Some(help),
            });
            return None;
        };
        let (arities, form) = if call.target.is_some() { (*method, "value.") } else { (*free, "") };
        if !arities.contains(&call.args.len()) {
            let message = format!("{form}{name}() does not take {} arguments", call.args.len());
            let other = if call.target.is_some() { (free, "") } else { (method, "value.") };
            let help = match arities.first() {
                Some(right) => format!("it takes {right}"),
                None => format!("write {}{name}({})", other.1, if other.0.first() == Some(&0) { "" } else { "…" }),
            };
            self.wrong(id, message, Some(help));
            return None;
        }
        if name == "matches" { self.pattern(id, call) } else { None }
    }

    /// A pattern is compiled here and once: on a million rows, compiling it each time would take minutes.
    fn pattern(&mut self, id: u64, call: &mut CallExpr) -> Option<Expr> {
        let last = call.args.pop()?;
        let subject = call.target.take().map(|target| *target).or_else(|| call.args.pop())?;
        let Expr::Literal(LiteralValue::String(text)) = &last.expr else {
            if last.expr != Expr::Unspecified {
                let help = Some("write the pattern out, or use vars.NAME".into());
                self.wrong(last.id, "the pattern is not the same for all rows".into(), help);
            }
            return None;
        };
        match regex::RegexBuilder::new(text.inner()).size_limit(PATTERN_BYTES_MAX).build() {
            Ok(pattern) => self.checked.patterns.push(pattern),
            Err(error) => {
                let text = error.to_string();
                let help = "a character that means something in a pattern, such as ( [ . * \\, needs a \\ before it"
                    .to_owned();
                let why = text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
                self.wrong(last.id, format!("this is no regular expression: {why}"), Some(help));
                return None;
            }
        }
        let index = i64::try_from(self.checked.patterns.len() - 1).unwrap_or(i64::MAX);
        let index = Expression { id, expr: Expr::Literal(LiteralValue::Int(index.into())) };
        Some(Expr::Call(CallExpr { func_name: PATTERN.into(), target: None, args: vec![subject, index] }))
    }

    /// A loop's cost is its range times its body. Ranges cannot grow, and a loop in a loop only goes through what the
    /// outer one found or what is written out: so a row costs at most its length times the expression's.
    fn comprehension(&mut self, id: u64, comprehension: &mut ComprehensionExpr, depth: usize) {
        if matches!(comprehension.accu_init.expr, Expr::List(_)) {
            let help = Some("use exists(x, …) or all(x, …)".into());
            return self.wrong(id, "map and filter are not available here".into(), help);
        }
        if self.bound.len() >= LOOPS_MAX {
            return self.wrong(id, format!("more than {LOOPS_MAX} loops stand inside one another"), None);
        }
        let outer = std::mem::replace(&mut self.in_range, true);
        self.visit(&mut comprehension.iter_range, depth + 1);
        self.in_range = outer;
        if !self.bound.is_empty() && mentions_column(&comprehension.iter_range, &self.bound) {
            let help = Some("loop over a field of the outer loop's variable, or a list that is written out".into());
            self.wrong(id, "a loop in a loop cannot go through a column".into(), help);
        }
        self.bound.push(comprehension.iter_var.clone());
        self.visit(&mut comprehension.loop_cond, depth + 1);
        self.visit(&mut comprehension.loop_step, depth + 1);
        self.visit(&mut comprehension.result, depth + 1);
        self.bound.pop();
    }

    fn wrong(&mut self, id: u64, message: String, help: Option<String>) {
        let range = self.range(id, 1);
        self.errors.push(FilterError { message, range, help });
    }

    /// The bytes of a node whose token stands between these two words, all three together.
    fn range_around(&self, id: u64, before: &str, after: &str) -> Range<usize> {
        let token = self.range(id, 1);
        let source = &self.places.source;
        let left = source.get(..token.start).map(str::trim_end).filter(|left| left.ends_with(before));
        let right = source.get(token.end..).map(|right| (right.len(), right.trim_start()));
        match (left, right) {
            (Some(left), _) if after.is_empty() => left.len() - before.len()..left.len(),
            (Some(left), Some((length, right))) if right.starts_with(after) => {
                left.len() - before.len()..token.end + (length - right.len()) + after.len()
            }
            _ => token,
        }
    }

    /// The bytes of a node: one token, for most nodes their operator.
    fn range(&self, id: u64, least: usize) -> Range<usize> {
        let (start, stop) = self.places.offset_for(id).unwrap_or((0, 0));
        let byte = |offset: u32| usize::try_from(offset).unwrap_or(usize::MAX);
        let start = byte(start);
        start..byte(stop).saturating_add(1).max(start + least)
    }
}

fn mentions_column(range: &Expression, bound: &[String]) -> bool {
    let references = range.references();
    references.variables().iter().any(|name| !bound.iter().any(|bound| bound == name))
}
