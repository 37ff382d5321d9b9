//! Computed claims: derived from other claims, so that a verifier can request less.

use carnet_core::{Code, Problem};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::claim_error::{ClaimError, describe_value};

/// Computed claim as written in `type.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ComputedClaimToml {
    pub(crate) claim: String,
    always: Option<bool>,
    from: Option<String>,
    any_of: Option<Vec<String>>,
    copy_of: Option<String>,
}

/// Computed claim with its rule.
#[derive(Debug, Clone)]
pub(crate) struct ComputedClaim {
    pub(crate) claim: String,
    rule: Rule,
}

#[derive(Debug, Clone)]
enum Rule {
    /// Stated by the issuer: no other claim implies it.
    Stated,
    /// Same value in every credential of the type.
    Constant(bool),
    /// `true` if another claim has one of these values.
    AnyOf { from: String, values: Vec<String> },
    /// Copy of another claim.
    CopyOf(String),
}

impl ComputedClaim {
    /// Parses a computed claim. An error is a sentence about the rule.
    pub(crate) fn new(text: ComputedClaimToml) -> Result<Self, String> {
        let rule = match (text.always, text.from, text.any_of, text.copy_of) {
            (None, None, None, None) => Rule::Stated,
            (Some(value), None, None, None) => Rule::Constant(value),
            (None, Some(from), Some(values), None) => Rule::AnyOf { from, values },
            (None, None, None, Some(from)) => Rule::CopyOf(from),
            _ => {
                return Err(format!(
                    "the rule of \"{}\" is not one of: none, always, from with any_of, copy_of",
                    text.claim
                ));
            }
        };
        Ok(Self { claim: text.claim, rule })
    }

    /// Returns the claim from which the rule computes; `None` if it needs none.
    pub(crate) fn source(&self) -> Option<&str> {
        match &self.rule {
            Rule::AnyOf { from, .. } | Rule::CopyOf(from) => Some(from),
            Rule::Stated | Rule::Constant(_) => None,
        }
    }

    /// Computes the value from these claims; `None` if the issuer states it, or if the source claim is absent or has
    /// the wrong type.
    pub(crate) fn compute(&self, claims: &Map<String, Value>) -> Option<Value> {
        match &self.rule {
            Rule::Stated => None,
            Rule::Constant(value) => Some(Value::Bool(*value)),
            Rule::AnyOf { from, values } => {
                let text = claims.get(from)?.as_str()?;
                Some(Value::Bool(values.iter().any(|value| value == text)))
            }
            Rule::CopyOf(from) => claims.get(from).cloned(),
        }
    }

    /// Checks that the claim, if present, has the computed value. A claim that the issuer states is not checked.
    pub(crate) fn check(&self, claims: &Map<String, Value>) -> Result<(), Problem> {
        self.contradiction(claims).map_or(Ok(()), |_| {
            let detail = format!("the claim {} does not follow from the other claims", self.claim);
            Err(Problem::new(Code::SchemaViolation, detail))
        })
    }

    /// Returns the error of [`Self::check`] as a sentence for staff; `None` if there is none.
    pub(crate) fn claim_error(&self, claims: &Map<String, Value>) -> Option<ClaimError> {
        let stated = self.contradiction(claims)?;
        let wanted = match &self.rule {
            Rule::Stated => return None,
            Rule::Constant(value) => format!("{value}, as in every credential of this type"),
            Rule::AnyOf { from, .. } | Rule::CopyOf(from) if !claims.contains_key(from) => {
                format!("no value, since {from}, from which it follows, is not given")
            }
            Rule::AnyOf { from, values } => {
                format!("true where {from} is one of {}, and else false", values.join(", "))
            }
            Rule::CopyOf(from) => format!("the value of {from}"),
        };
        Some(ClaimError {
            path: self.claim.clone(),
            given_form: Some(describe_value(stated)),
            expected: format!("wanted is {wanted}; left out, it is filled in"),
            nearest: None,
        })
    }

    /// Returns the stated value, if it differs from the computed one.
    fn contradiction<'a>(&self, claims: &'a Map<String, Value>) -> Option<&'a Value> {
        let stated = claims.get(&self.claim).filter(|_| !matches!(self.rule, Rule::Stated))?;
        (self.compute(claims).as_ref() != Some(stated)).then_some(stated)
    }
}
