//! Thresholds in a query: `carnet_at_least` and `carnet_at_most` beside a claim's path (spec/at-least.md section 5).
//!
//! They extend DCQL's claims query. A wallet that does not support them treats the claim as requested by value.

use serde_json::{Map, Value};

use crate::{
    Code, Problem,
    at_least::{Direction, OrderedValue},
    json,
    secure::sd_jwt::{ClaimPath, Step},
};

/// Condition that a claim is at least, or at most, a bound. It is requested in place of the claim's value.
#[derive(Debug, Clone, PartialEq)]
pub struct Threshold {
    direction: Direction,
    bound: Value,
    number: OrderedValue,
}

impl Threshold {
    /// Creates a threshold. `bound` is a date (`YYYY-MM-DD`), an integer or a CEFR level such as `B1`, like the claim.
    ///
    /// # Errors
    /// `threshold_invalid` or `date_malformed` for any other bound.
    pub fn new(direction: Direction, bound: Value) -> Result<Self, Problem> {
        let number = OrderedValue::from_threshold(&bound)?;
        // An integer is stored without a fraction: 6.0 as 6.
        let bound = json::as_integer(&bound).map_or(bound, Value::from);
        Ok(Self { direction, bound, number })
    }

    /// Parses the threshold from the members of a claims query; `None` if there is none.
    ///
    /// # Errors
    /// `query_malformed` for two thresholds or a malformed bound.
    pub(super) fn parse(members: &Map<String, Value>) -> Result<Option<Self>, Problem> {
        let bound = |direction: Direction| members.get(direction.query_member()).map(|bound| (direction, bound));
        let (direction, bound) = match (bound(Direction::AtLeast), bound(Direction::AtMost)) {
            (None, None) => return Ok(None),
            (Some(only), None) | (None, Some(only)) => only,
            (Some(_), Some(_)) => {
                return Err(Problem::new(Code::QueryMalformed, "a claim has two thresholds"));
            }
        };
        let malformed = |problem: Problem| {
            Problem::new(Code::QueryMalformed, format!("{}: {}", direction.query_member(), problem.detail))
        };
        Self::new(direction, bound.clone()).map(Some).map_err(malformed)
    }

    /// Returns the direction: the claim must be at least, or at most, the bound.
    #[must_use]
    pub fn direction(&self) -> Direction {
        self.direction
    }

    /// Returns the bound as JSON: a date, an integer or a CEFR level.
    #[must_use]
    pub fn bound(&self) -> &Value {
        &self.bound
    }

    /// Returns the bound as a number that can be compared with other bounds of the same form.
    #[must_use]
    pub fn comparable_bound(&self) -> OrderedValue {
        self.number
    }

    /// Returns whether the bound is a date.
    #[must_use]
    pub fn is_date(&self) -> bool {
        bound_form(&self.bound) == BoundForm::Day
    }

    /// Returns whether a value has the same form as the bound: both are dates or instants, both numbers, or both CEFR
    /// levels. The value itself is not checked.
    pub(crate) fn is_comparable_with(&self, value: &Value) -> bool {
        bound_form(value) == bound_form(&self.bound)
    }

    /// Returns whether a disclosed value reaches the bound; a value of another form does not.
    #[must_use]
    pub fn is_met_by(&self, value: &Value) -> bool {
        self.is_comparable_with(value)
            && OrderedValue::from_claim(self.direction, value).is_ok_and(|number| match self.direction {
                Direction::AtLeast => number >= self.number,
                Direction::AtMost => number <= self.number,
            })
    }
}

/// Returns the path of the array of commitments for thresholds of a claim in this direction, such as
/// `validUntilAtLeast` for `validUntil`. `None` if the path does not end in a member name.
#[must_use]
pub fn commitments_path(path: &[Step], direction: Direction) -> Option<ClaimPath> {
    let (Step::Name(name), around) = path.split_last()? else { return None };
    let beside = Step::Name(direction.commitments_claim(name));
    Some(around.iter().cloned().chain([beside]).collect())
}

#[derive(PartialEq, Eq)]
enum BoundForm {
    Number,
    Level,
    Day,
    None,
}

/// Classifies a value by its JSON type; a text with a hyphen counts as a date.
fn bound_form(value: &Value) -> BoundForm {
    match value {
        Value::Number(_) => BoundForm::Number,
        Value::String(text) if text.contains('-') => BoundForm::Day,
        Value::String(_) => BoundForm::Level,
        _ => BoundForm::None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_compared_in_their_own_order() {
        let cases = [
            (Direction::AtLeast, json!("2027-03-01"), json!("2027-03-01"), json!("2027-02-28")),
            (Direction::AtMost, json!("2008-11-22"), json!("1990-01-01"), json!("2008-11-23")),
            (Direction::AtLeast, json!(6), json!(7), json!(5)),
            (Direction::AtLeast, json!("B2"), json!("C1"), json!("B1")),
        ];
        for (direction, bound, reaches, misses) in cases {
            let threshold = Threshold::new(direction, bound.clone()).unwrap();
            assert!(threshold.is_met_by(&bound));
            assert!(threshold.is_met_by(&reaches), "{reaches} {bound}");
            assert!(!threshold.is_met_by(&misses), "{misses} {bound}");
        }
        let date = Threshold::new(Direction::AtLeast, json!("1900-01-02")).unwrap();
        for other in [json!(60_000), json!("C2"), json!(true), json!(null), json!("2027-3-1")] {
            assert!(!date.is_met_by(&other), "{other}");
        }
    }

    #[test]
    fn row_86_an_absurd_threshold_is_no_query() {
        let of = |bound: Value| Threshold::parse(json!({"carnet_at_least": bound}).as_object().unwrap());
        for bad in
            [json!(-1), json!(65_536), json!(1.5), json!("1899-12-31"), json!("2027-02-30"), json!("D1"), json!([])]
        {
            assert_eq!(of(bad.clone()).unwrap_err().code, Code::QueryMalformed, "{bad}");
        }
        for good in [json!(0), json!(65_535), json!("1900-01-01"), json!("2027-02-28"), json!("A1")] {
            assert!(of(good).unwrap().is_some());
        }
        let six = of(json!(6.0)).unwrap().unwrap();
        assert_eq!((&six, six.bound()), (&of(json!(6)).unwrap().unwrap(), &json!(6)));
        assert!(six.is_met_by(&json!(6.0)) && six.is_met_by(&json!(6)) && !six.is_met_by(&json!(5.0)));
        let both = json!({"carnet_at_least": 1, "carnet_at_most": 2});
        assert_eq!(Threshold::parse(both.as_object().unwrap()).unwrap_err().code, Code::QueryMalformed);
    }

    #[test]
    fn commitments_stand_beside_their_claim() {
        let path = [Step::Name("credentialSubject".to_owned()), Step::Name("validUntil".to_owned())];
        let beside = commitments_path(&path, Direction::AtMost).unwrap();
        assert_eq!(super::super::path_to_text(&beside), "credentialSubject.validUntilAtMost");
        assert!(commitments_path(&[Step::Index(0)], Direction::AtMost).is_none());
    }
}
