//! A step's `where`: a CEL expression over one event, compiled once and evaluated on every row.
//!
//! What can be wrong is found when it is compiled, with its place: unknown functions, undeclared variables, patterns
//! that are no regular expressions. It is stricter than CEL where CEL would answer wrongly without a word: comparing a
//! text with a number is an error and not `false`. It refuses what could grow or loop without a bound: `map` and
//! `filter`, loops in loops over columns, very long or very deep expressions.

mod check;
mod row;
mod scan;

pub use check::Totals;
pub use row::{ColumnReader, Row};

use cel::common::ast::SourceInfo;
use cel::common::types::{CelBool, CelInt, CelList, CelNull, CelString, DYN_TYPE, Kind};
use cel::common::value::{CowVal, Val};
use cel::{Context, Env, ExecutionError, IdedExpr as Expression, Value};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, LazyLock};

/// How long an expression may be, in bytes: 200 SHA-256 written out in one list fit.
pub const SOURCE_BYTES_MAX: usize = 16 * 1024;
/// How long the reason of a row that could not be evaluated may be, in characters.
const REASON_CHARS_MAX: usize = 200;
/// The parser's own bound on nested expressions; [`scan`] keeps every expression below it.
const PARSER_DEPTH_MAX: u16 = 512;
/// The stack an expression is compiled on. The parser recurses, in a debug build by up to 100 KB for each bracket.
const COMPILE_STACK_BYTES: usize = 64 * 1024 * 1024;

/// Names that every event has; a column of the same name cannot be reached.
pub const BUILT_IN: [&str; 5] = ["agent_id", "event_id", "event_type", "pid", "unique_id"];

/// A compiled expression.
pub struct Filter {
    expression: Expression,
    columns: Vec<ColumnUse>,
    root: Context<'static, 'static>,
}

/// A column that an expression names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnUse {
    /// Its name, in snake case.
    pub name: Box<str>,
    /// Where it is first named, in bytes of the expression.
    pub range: Range<usize>,
}

/// Why an expression cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct FilterError {
    /// What is wrong.
    pub message: String,
    /// Which bytes of the expression are wrong; never empty, but it may reach one byte past the end.
    pub range: Range<usize>,
    /// What to do next.
    pub help: Option<String>,
}

impl Filter {
    /// Compiles `source`; `vars.NAME` stands for the text in `vars`.
    ///
    /// # Errors
    /// Everything that is wrong with it, in the order of the expression; at least one.
    pub fn compile(source: &str, vars: &BTreeMap<String, String>) -> Result<Self, Vec<FilterError>> {
        Self::compile_over(source, vars, None)
    }

    /// Compiles `source` as an expression over a whole plan: `plan.NAME` stands for its totals, and no columns are known.
    ///
    /// # Errors
    /// As [`Filter::compile`].
    pub fn over_plan(source: &str, vars: &BTreeMap<String, String>, totals: &Totals) -> Result<Self, Vec<FilterError>> {
        Self::compile_over(source, vars, Some(totals))
    }

    fn compile_over(
        source: &str,
        vars: &BTreeMap<String, String>,
        totals: Option<&Totals>,
    ) -> Result<Self, Vec<FilterError>> {
        scan::check(source).map_err(|error| vec![error])?;
        let compiled = on_large_stack(|| {
            let (mut expression, places) = parse(source)?;
            let checked = check::check(&mut expression, &places, vars, totals)?;
            Ok((expression, checked))
        });
        let (expression, checked) = compiled?;
        let mut root = Context::with_env(Arc::clone(&ENV));
        let patterns = checked.patterns;
        let searched = move |text: Arc<String>, pattern: i64| -> Result<bool, ExecutionError> {
            let pattern = usize::try_from(pattern).ok().and_then(|index| patterns.get(index));
            let pattern = pattern.ok_or_else(|| ExecutionError::function_error("matches", "no such pattern"))?;
            Ok(pattern.is_match(&text))
        };
        root.add_function(check::PATTERN, searched).map_err(|error| vec![whole(source, error.to_string())])?;
        Ok(Self { expression, columns: checked.columns, root })
    }

    /// The columns it names, each once, in order of first appearance.
    pub fn columns(&self) -> &[ColumnUse] {
        &self.columns
    }

    /// Whether it selects the row.
    ///
    /// # Errors
    /// Why it cannot be said, in one line, at most 200 characters.
    pub fn selects(&self, row: &Row<'_>) -> Result<bool, String> {
        let root: &Context<'_, '_> = &self.root;
        let mut context = root.new_inner_scope();
        context.set_variable_resolver(row);
        match self.evaluate(&context) {
            Ok(answer) => answer.map_err(|kind| format!("the filter gives {kind}, not true or false")),
            Err(why) => Err(why),
        }
    }

    /// What an expression over a whole plan says: true or false, or else what kind of value it gives.
    ///
    /// # Errors
    /// Why it cannot be said, as [`Filter::selects`].
    pub fn holds(&self) -> Result<Result<bool, &'static str>, String> {
        let root: &Context<'_, '_> = &self.root;
        self.evaluate(&root.new_inner_scope())
    }

    fn evaluate(&self, context: &Context<'_, '_>) -> Result<Result<bool, &'static str>, String> {
        match Value::resolve_val(&self.expression, context) {
            Ok(value) => match value.downcast_ref::<CelBool>() {
                Some(answer) => Ok(Ok(*answer.inner())),
                None => Ok(Err(kind_name(value.as_ref()))),
            },
            Err(error) => Err(explain(&error)),
        }
    }
}

impl std::fmt::Debug for Filter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Filter").field("columns", &self.columns).finish_non_exhaustive()
    }
}

/// What expressions may call: the standard library, ASCII case and trimming, and our comparisons.
static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut env = Env::stdlib().with_optional_support(false);
    let two = || vec![DYN_TYPE, DYN_TYPE];
    env.add_extension(cel::extensions::strings)
        .and_then(|()| env.add_overload(check::EQUAL, check::EQUAL, two(), equal))
        .and_then(|()| env.add_overload(check::UNEQUAL, check::UNEQUAL, two(), unequal))
        .and_then(|()| env.add_overload(check::AMONG, check::AMONG, two(), among))
        .expect("names that begin with @ and the extension's are free in the standard library");
    Arc::new(env)
});

fn parse(source: &str) -> Result<(Expression, SourceInfo), Vec<FilterError>> {
    ENV.parser().max_recursion_depth(PARSER_DEPTH_MAX).parse_with_source_info(source).map_err(|errors| {
        let mut found: Vec<FilterError> = errors.errors.iter().map(|error| scan::syntax_error(source, error)).collect();
        // After its first mistake a parser reports what follows from it.
        found.truncate(1);
        found
    })
}

/// Runs `compile` where deep recursion has room. The evaluation that follows is bounded by [`check`] and needs none.
fn on_large_stack<T: Send>(
    compile: impl FnOnce() -> Result<T, Vec<FilterError>> + Send,
) -> Result<T, Vec<FilterError>> {
    let failed = |why: String| Err(vec![FilterError { message: why, range: 0..1, help: None }]);
    std::thread::scope(|scope| {
        match std::thread::Builder::new().stack_size(COMPILE_STACK_BYTES).spawn_scoped(scope, compile) {
            Ok(thread) => thread.join().unwrap_or_else(|_| failed("this expression cannot be read".into())),
            Err(error) => failed(format!("cannot start a thread to read this expression: {error}")),
        }
    })
}

fn whole(source: &str, message: String) -> FilterError {
    FilterError { message, range: 0..source.len().max(1), help: None }
}

fn equal<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    compare("==", &args).map(|same| CowVal::owned(CelBool::from(same)))
}

fn unequal<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    compare("!=", &args).map(|same| CowVal::owned(CelBool::from(!same)))
}

fn compare(operator: &str, args: &[CowVal<'_, '_>]) -> Result<bool, ExecutionError> {
    let [left, right] = args else { return Err(ExecutionError::missing_argument_or_target()) };
    if comparable(left.as_ref(), right.as_ref()) { Ok(left == right) } else { Err(mixed(operator, left, right)) }
}

/// `in`: with a list, an element of another kind is an error unless an equal one is there.
fn among<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let [wanted, container] = args.as_slice() else { return Err(ExecutionError::missing_argument_or_target()) };
    let Some(has) = container.as_container() else { return Err(mixed("in", wanted, container)) };
    let found = has.contains(wanted.as_ref())?;
    let stranger = container
        .downcast_ref::<CelList>()
        .and_then(|list| list.inner().iter().find(|element| !comparable(wanted.as_ref(), element.as_ref())));
    if let (false, Some(stranger)) = (found, stranger) {
        return Err(mixed("in", wanted, &CowVal::Borrowed(stranger.as_ref())));
    }
    Ok(CowVal::owned(CelBool::from(found)))
}

fn comparable(left: &dyn Val, right: &dyn Val) -> bool {
    let number = |value: &dyn Val| matches!(value.get_type().kind(), Kind::Int | Kind::UInt | Kind::Double);
    let (one, other) = (left.get_type().kind(), right.get_type().kind());
    one == other || one == Kind::NullType || other == Kind::NullType || (number(left) && number(right))
}

fn mixed(operator: &str, left: &CowVal<'_, '_>, right: &CowVal<'_, '_>) -> ExecutionError {
    let (left, right) = (kind_name(left.as_ref()), kind_name(right.as_ref()));
    let help = match (left, right) {
        ("text", "a number") | ("a number", "text") => ": convert one with int(), double() or string()",
        _ => "",
    };
    ExecutionError::function_error(operator, format!("compares {left} with {right}{help}"))
}

fn kind_name(value: &dyn Val) -> &'static str {
    match value.get_type().kind() {
        Kind::String => "text",
        Kind::Int | Kind::UInt | Kind::Double => "a number",
        Kind::Boolean => "true or false",
        Kind::NullType => "null",
        Kind::List => "a list",
        Kind::Map => "an object",
        _ => "something else",
    }
}

fn explain(error: &ExecutionError) -> String {
    let text = match error {
        ExecutionError::FunctionError { function, message } if message.starts_with("string parse error") => {
            let given = match function.as_str() {
                _ if message.contains("empty") => "an empty text",
                "int" | "uint" => "a text that is no whole number",
                _ => "a text that is no number",
            };
            format!("{function}() is given {given}")
        }
        ExecutionError::FunctionError { function, message } => format!("{function}: {message}"),
        ExecutionError::NoSuchKey(key) => format!("there is no {key:?} in this row; has() tells whether there is one"),
        ExecutionError::NoSuchOverload(call) => {
            format!("{} cannot be applied to {}", call.function(), call.argument_types().join(" and "))
        }
        ExecutionError::ValuesNotComparable(..) => "the two values cannot be compared".into(),
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => "division by zero".into(),
        ExecutionError::Overflow(..) => "a number is too large".into(),
        ExecutionError::UnexpectedType { got, want } => format!("{want} is needed, {got} is given"),
        other => other.to_string(),
    };
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().take(REASON_CHARS_MAX).collect()
}

/// A JSON value as CEL sees it; names inside objects in snake case.
fn value_of(json: serde_json::Value) -> Result<Box<dyn Val>, String> {
    use serde_json::Value as Json;
    Ok(match json {
        Json::Null => Box::new(CelNull),
        Json::Bool(value) => Box::new(CelBool::from(value)),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(value), _) => Box::new(CelInt::from(value)),
            (None, Some(value)) => Box::new(cel::common::types::CelUInt::from(value)),
            (None, None) => Box::new(cel::common::types::CelDouble::from(number.as_f64().unwrap_or(f64::NAN))),
        },
        Json::String(text) => Box::new(CelString::from(text)),
        Json::Array(values) => {
            let values: Result<Vec<_>, _> = values.into_iter().map(value_of).collect();
            Box::new(CelList::from(values?))
        }
        Json::Object(fields) => {
            let mut map = std::collections::HashMap::with_capacity(fields.len());
            for (name, value) in fields {
                let name = crate::events::snake_case(&name);
                if map.insert(name.clone().into(), value_of(value)?).is_some() {
                    return Err(format!("two fields are called {name} in a filter"));
                }
            }
            Box::new(cel::common::types::CelMap::from(map))
        }
    })
}

#[cfg(test)]
mod tests;
