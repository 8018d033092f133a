//! What an expression over a whole plan may name: `plan.hosts` and its like. The totals are known when the expression is
//! compiled, so each is put in as a number there, as variables are.
//!
//! It refuses every other name, so that a misspelt total is a mistake wherever it stands, and not only where evaluation
//! happens to come by.

use super::Walk;
use crate::plan::filter::FilterError;
use crate::problem::{listed, nearest};
use cel::common::ast::{CallExpr, Expr, LiteralValue, SelectExpr, operators};
use std::collections::BTreeMap;

/// What the totals are called together.
const PLAN: &str = "plan";
/// The total that is one for each action.
const ACTIONS: &str = "actions";

/// How much a plan would do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// Items to act on.
    pub items: u64,
    /// Agents that items are on.
    pub hosts: u64,
    /// Items of actions that nothing undoes.
    pub irreversible: u64,
    /// Rows read, refused ones included.
    pub rows: u64,
    /// Items of each action that could be asked for; those without an item are there with 0. `None` where nobody knows
    /// which actions there are: then every name is taken.
    pub actions: Option<BTreeMap<String, u64>>,
}

impl Totals {
    fn known(&self) -> [(&'static str, u64); 4] {
        [("items", self.items), ("hosts", self.hosts), ("irreversible", self.irreversible), ("rows", self.rows)]
    }
}

impl Walk<'_> {
    /// What stands for `plan.NAME`; `None` where the expression is over rows, or this is something else.
    pub(super) fn total(&mut self, id: u64, select: &SelectExpr) -> Option<Expr> {
        let totals = self.totals?;
        if !self.is_plan(&select.operand.expr) {
            return None;
        }
        let name = select.field.as_str();
        if let Some((_, total)) = totals.known().into_iter().find(|(known, _)| *known == name) {
            return Some(if select.test { Expr::Literal(LiteralValue::Boolean(true.into())) } else { number(total) });
        }
        let (message, help) = if name == ACTIONS {
            ("`plan.actions` alone has no value".to_owned(), "write plan.actions[\"NAME\"]".to_owned())
        } else {
            let names = totals.known().map(|(known, _)| known);
            let help = match nearest(name, names.into_iter().chain([ACTIONS])) {
                Some(near) => format!("did you mean `plan.{near}`?"),
                None => help_of_all(),
            };
            (format!("a plan has no total `{name}`"), help)
        };
        let range = self.range_around(id, PLAN, name);
        self.errors.push(FilterError { message, range, help: Some(help) });
        Some(Expr::Unspecified)
    }

    /// What stands for `plan.actions["NAME"]`; `None` for everything else.
    pub(super) fn total_of_action(&mut self, call: &CallExpr) -> Option<Expr> {
        let totals = self.totals?;
        let [of, index] = call.args.as_slice() else { return None };
        let Expr::Select(select) = &of.expr else { return None };
        if call.func_name != operators::INDEX || select.field != ACTIONS || select.test {
            return None;
        }
        if !self.is_plan(&select.operand.expr) {
            return None;
        }
        let Expr::Literal(LiteralValue::String(name)) = &index.expr else {
            self.wrong(
                index.id,
                "the action's name is not written out".into(),
                Some("write plan.actions[\"NAME\"]".into()),
            );
            return Some(Expr::Unspecified);
        };
        let Some(actions) = &totals.actions else { return Some(number(0)) };
        if let Some(total) = actions.get(name.inner()) {
            return Some(number(*total));
        }
        let help = match nearest(name.inner(), actions.keys().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("the tenant has {}", listed(actions.keys().map(String::as_str))),
        };
        self.wrong(index.id, format!("the tenant has no action `{}`", name.inner()), Some(help));
        Some(Expr::Unspecified)
    }

    /// Reports a name that is no total, where the expression is over a plan; whether it did.
    pub(super) fn refuse_column(&mut self, id: u64, name: &str) -> bool {
        let Some(totals) = self.totals else { return false };
        let help = match totals.known().into_iter().find(|(known, _)| *known == name) {
            Some((known, _)) => format!("did you mean `plan.{known}`?"),
            None => help_of_all(),
        };
        let message =
            if name == PLAN { "`plan` alone has no value".to_owned() } else { format!("there is no `{name}` here") };
        let range = self.range(id, name.len());
        self.errors.push(FilterError { message, range, help: Some(help) });
        true
    }

    fn is_plan(&self, expression: &Expr) -> bool {
        matches!(expression, Expr::Ident(name) if name == PLAN && !self.is_bound(PLAN))
    }
}

fn help_of_all() -> String {
    format!(
        "{} are known",
        listed(["plan.items", "plan.hosts", "plan.irreversible", "plan.rows", "plan.actions[\"NAME\"]"])
    )
}

fn number(total: u64) -> Expr {
    Expr::Literal(LiteralValue::Int(i64::try_from(total).unwrap_or(i64::MAX).into()))
}
