//! PromQL, made of series: no label can be asked for that is not left.

use std::collections::BTreeSet;

use super::series::Series;

/// An expression, and the labels of what it comes to.
#[derive(Debug, Clone)]
pub(crate) struct Query {
    text: String,
    labels: BTreeSet<&'static str>,
    /// How loosely it is bound by its outermost operator.
    binding: Binding,
}

/// Kinds of operators, loosest first: an operand that is bound more loosely than the operator needs
/// parentheses.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
enum Binding {
    Or,
    Unless,
    Comparison,
    Sum,
    Product,
    Whole,
}

impl Binding {
    fn of(operator: &str) -> Self {
        match operator {
            "or" => Self::Or,
            "unless" => Self::Unless,
            ">" | ">=" => Self::Comparison,
            "+" | "-" => Self::Sum,
            "*" | "/" => Self::Product,
            other => unreachable!("no query has the operator {other}"),
        }
    }
}

/// Below which value `share` of what a histogram counts lies, by `labels`; nothing where it counted
/// nothing.
pub(crate) fn quantile(share: f64, buckets: &Series, labels: &[&'static str]) -> Query {
    let by: Vec<&'static str> = ["le"].iter().chain(labels).copied().collect();
    let counted = buckets.rate().sum_by(&by);
    let text = format!("histogram_quantile({share}, {}) >= 0", counted.text);
    Query { text, labels: labels.iter().copied().collect(), binding: Binding::Comparison }
}

/// A number, or a variable that holds one.
pub(crate) fn constant(value: &str) -> Query {
    Query::new(format!("vector({value})"), &[])
}

impl Query {
    /// A whole expression that leaves these labels.
    pub(super) fn new(text: String, labels: &[&'static str]) -> Self {
        Self { text, labels: labels.iter().copied().collect(), binding: Binding::Whole }
    }

    /// The PromQL.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The labels of what it comes to.
    pub(crate) fn labels(&self) -> &BTreeSet<&'static str> {
        &self.labels
    }

    fn operand(&self, least: Binding) -> String {
        if self.binding < least { format!("({})", self.text) } else { self.text.clone() }
    }

    /// What stands to the right of an operator, which binds what is to its left first.
    fn right_operand(&self, operator: Binding) -> String {
        let alike = self.binding == operator && operator != Binding::Or;
        if alike { format!("({})", self.text) } else { self.operand(operator) }
    }

    fn aggregated(&self, how: &str, by: &[&'static str]) -> Self {
        for label in by {
            assert!(self.labels.contains(label), "{} has no label {label}", self.text);
        }
        let clause =
            if by.is_empty() { String::new() } else { format!(" by ({}) ", by.join(", ")) };
        let text = format!("{how}{clause}({})", self.text);
        Self::new(text, by)
    }

    /// All of them together.
    pub(crate) fn sum(&self) -> Self {
        self.aggregated("sum", &[])
    }

    /// Together, for each of these labels.
    pub(crate) fn sum_by(&self, by: &[&'static str]) -> Self {
        self.aggregated("sum", by)
    }

    /// The largest, for each of these labels.
    pub(crate) fn max_by(&self, by: &[&'static str]) -> Self {
        self.aggregated("max", by)
    }

    /// The smallest, for each of these labels.
    pub(crate) fn min_by(&self, by: &[&'static str]) -> Self {
        self.aggregated("min", by)
    }

    /// The mean, for each of these labels.
    pub(crate) fn avg_by(&self, by: &[&'static str]) -> Self {
        self.aggregated("avg", by)
    }

    /// How many series there are, for each of these labels.
    pub(crate) fn count_by(&self, by: &[&'static str]) -> Self {
        self.aggregated("count", by)
    }

    fn joined(&self, operator: &str, matching: &str, other: &Self) -> Self {
        let binding = Binding::of(operator);
        let (left, right) = (self.operand(binding), other.right_operand(binding));
        let labels = self.labels.union(&other.labels).copied().collect();
        Self { text: format!("{left} {operator} {matching}{right}"), labels, binding }
    }

    /// An operation between series of the same labels.
    pub(crate) fn with(&self, operator: &str, other: &Self) -> Self {
        assert_eq!(self.labels, other.labels, "{} {operator} {}", self.text, other.text);
        self.joined(operator, "", other)
    }

    /// The same, where one side has more labels: `matching` says how they find each other.
    pub(crate) fn matched(&self, operator: &str, matching: &str, other: &Self) -> Self {
        self.joined(operator, &format!("{matching} "), other)
    }

    /// All series of both sides.
    pub(crate) fn or(&self, other: &Self) -> Self {
        self.joined("or", "", other)
    }

    /// An operation with a number.
    pub(crate) fn and_number(&self, operator: &str, number: &str) -> Self {
        let binding = Binding::of(operator);
        let text = format!("{} {operator} {number}", self.operand(binding));
        Self { text, labels: self.labels.clone(), binding }
    }

    /// That many times.
    pub(crate) fn times(&self, number: &str) -> Self {
        self.and_number("*", number)
    }

    /// What is more than that; nothing where nothing is.
    pub(crate) fn above(&self, number: &str) -> Self {
        self.and_number(">", number)
    }

    /// What is left of a whole.
    pub(crate) fn rest_of_one(&self) -> Self {
        let text = format!("1 - {}", self.right_operand(Binding::Sum));
        Self { text, labels: self.labels.clone(), binding: Binding::Sum }
    }

    /// Its share of `total`; 0 where there was nothing at all.
    pub(crate) fn share_of(&self, total: &Self) -> Self {
        self.with("/", &total.called("clamp_min", "1e-9"))
    }

    /// Its share of `total`; nothing where there was nothing at all.
    pub(crate) fn ratio_of(&self, total: &Self) -> Self {
        self.with("/", &total.above("0"))
    }

    /// 0 for each series of `all` that it lacks.
    pub(crate) fn or_none_of(&self, all: &Self) -> Self {
        assert_eq!(self.labels, all.labels, "{} or {}", self.text, all.text);
        self.or(&all.times("0"))
    }

    /// Another function of it, with one argument behind.
    pub(crate) fn called(&self, function: &str, argument: &str) -> Self {
        let text = format!("{function}({}, {argument})", self.text);
        Self { text, labels: self.labels.clone(), binding: Binding::Whole }
    }

    /// The same over a time, looked at anew in each `step`. `function` is a name, and what stands
    /// before its range: `sum_over_time(`, `quantile_over_time(0.95, `.
    pub(crate) fn looked_at(&self, function: &str, window: &str, step: &str) -> Self {
        let text = format!("{function}{}[{window}:{step}])", self.operand(Binding::Whole));
        Self { text, labels: self.labels.clone(), binding: Binding::Whole }
    }

    /// The highest ones.
    pub(crate) fn top(&self, most: usize) -> Self {
        let text = format!("topk({most}, {})", self.text);
        Self { text, labels: self.labels.clone(), binding: Binding::Whole }
    }

    /// Seconds that have gone by since the instant it tells.
    pub(crate) fn ago_seconds(&self) -> Self {
        let text = format!("time() - {}", self.right_operand(Binding::Sum));
        Self { text, labels: self.labels.clone(), binding: Binding::Sum }
    }

    /// Seconds that are left until the instant it tells.
    pub(crate) fn left_seconds(&self) -> Self {
        self.and_number("-", "time()")
    }
}
