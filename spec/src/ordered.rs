//! Ordered claims, for which thresholds can be proved (spec/at-least.md sections 1 and 3).

use carnet_core::{
    at_least::{COMMITMENT_ARRAY_LENGTH, Direction, OrderedValue},
    query::Threshold,
    secure::sd_jwt::{OrderedClaim, Step},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::claims::SchemaClaim;

/// Ordered claim as written in `type.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OrderedClaimToml {
    claim: String,
    #[serde(default)]
    at_least: bool,
    #[serde(default)]
    at_most: bool,
}

/// Ordered claim of credentialSubject, for one direction.
#[derive(Debug, Clone)]
pub(crate) struct ThresholdClaim {
    /// Name of the claim, which is also its path.
    pub(crate) claim: String,
    direction: Direction,
    form: ValueForm,
}

/// Form of the values of an ordered claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ValueForm {
    Number,
    Level,
    Day,
}

impl ThresholdClaim {
    /// Parses the ordered claims of a type and checks them against its schema. An error is a sentence about one of
    /// them.
    pub(crate) fn read_all(
        marks: &[OrderedClaimToml],
        disclosable: &[String],
        claims: &[SchemaClaim],
        schema: &Value,
    ) -> Result<Vec<Self>, String> {
        let mut orders: Vec<Self> = Vec::new();
        for OrderedClaimToml { claim, at_least, at_most } in marks {
            let wrong = |what: &str| Err(format!("[[ordered]] \"{claim}\" {what}"));
            if orders.iter().any(|order| order.claim == *claim) {
                return wrong("occurs twice");
            }
            if claim.contains(['.', '[']) {
                return wrong("is not a plain member of credentialSubject");
            }
            // The commitments are computed from the claim's salt, which only a disclosure has.
            if !disclosable.contains(claim) {
                return wrong("is not disclosable");
            }
            let Some(form) = value_form(schema, claim) else {
                return wrong("is neither a number, a date nor a CEFR level in the schema");
            };
            let directions = [(Direction::AtLeast, *at_least), (Direction::AtMost, *at_most)];
            if !directions.iter().any(|(_, marked)| *marked) {
                return wrong("has neither at_least nor at_most");
            }
            for (direction, _) in directions.into_iter().filter(|(_, marked)| *marked) {
                let beside = direction.commitments_claim(claim);
                if claims.iter().any(|known| known.path == beside) {
                    return wrong(&format!("needs the name {beside}, which another claim has"));
                }
                orders.push(Self { claim: claim.clone(), direction, form });
            }
        }
        Ok(orders)
    }

    /// Returns the name of the claim's array of commitments.
    pub(crate) fn commitments_name(&self) -> String {
        self.direction.commitments_claim(&self.claim)
    }

    /// Returns the claim's path from the root of the credential, with the direction, as `carnet_core` expects it.
    pub(crate) fn ordered_claim(&self) -> OrderedClaim {
        let steps = ["credentialSubject", &self.claim];
        OrderedClaim {
            path: steps.iter().map(|name| Step::Name((*name).to_owned())).collect(),
            direction: self.direction,
        }
    }

    /// Returns whether a threshold can be proved for the claim: same name, same direction, and a bound of the claim's
    /// form.
    pub(crate) fn can_prove(&self, claim: &str, threshold: &Threshold) -> bool {
        let form = match threshold.bound() {
            Value::Number(_) => ValueForm::Number,
            bound if is_level(bound) => ValueForm::Level,
            _ => ValueForm::Day,
        };
        self.claim == claim && self.direction == threshold.direction() && self.form == form
    }
}

/// Adds the arrays of commitments to a type's schema: up to four base64url texts of 32 bytes each, since undisclosed
/// elements are absent.
pub(crate) fn add_commitments_to_schema(schema: &mut Value, orders: &[ThresholdClaim]) {
    let properties = schema.pointer_mut("/properties/credentialSubject/properties").and_then(Value::as_object_mut);
    let array = json!({
        "description": "Commitments, which the issuer makes; see at-least.md.",
        "type": "array",
        "maxItems": COMMITMENT_ARRAY_LENGTH,
        "uniqueItems": true,
        "items": {"type": "string", "pattern": "^[-_A-Za-z0-9]{43}$"},
    });
    if let Some(properties) = properties {
        properties.extend(orders.iter().map(|order| (order.commitments_name(), array.clone())));
    }
}

/// Returns the form of a claim's values, from its schema; `None` if they have no order.
fn value_form(schema: &Value, claim: &str) -> Option<ValueForm> {
    let own = schema.pointer("/properties/credentialSubject/properties")?.get(claim)?.as_object()?;
    let meant = match own.get("$ref").and_then(Value::as_str) {
        Some(elsewhere) => schema.pointer(elsewhere.strip_prefix('#')?)?.as_object()?,
        None => own,
    };
    let text = |rules: &Map<String, Value>, name: &str| rules.get(name).and_then(Value::as_str).map(str::to_owned);
    match (text(meant, "type").as_deref(), text(meant, "format").as_deref()) {
        (Some("integer" | "number"), _) => Some(ValueForm::Number),
        (Some("string"), Some("date" | "date-time")) => Some(ValueForm::Day),
        _ => {
            let levels = meant.get("enum")?.as_array()?;
            (!levels.is_empty() && levels.iter().all(is_level)).then_some(ValueForm::Level)
        }
    }
}

/// Returns whether a value is a CEFR level: a text that can be a threshold and is no date.
fn is_level(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.contains('-')) && OrderedValue::from_threshold(value).is_ok()
}
