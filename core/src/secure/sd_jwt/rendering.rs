//! Rendering of a received copy from its content, to check that it differs from other copies only in key, salts,
//! digests and signature.

use serde_json::{Map, Value};

use super::{
    SdJwt,
    issue::{BlindingSource, IssueOptions, Rendered, render},
    parse::{DigestText, Disclosure},
    resolution::{Decoy, PathStep},
};
use crate::{Code, Problem};

impl SdJwt {
    /// Returns the salt of each disclosure, in the order of the compact form.
    pub fn salts(&self) -> impl Iterator<Item = &str> {
        self.disclosures.iter().map(|disclosure| disclosure.salt.as_str())
    }

    /// Checks that the token equals, byte for byte except for its signature, the result of [`super::issue()`] for a
    /// payload with the token's own salts and decoys. The token must have all disclosures and no key binding. The
    /// signature is not verified.
    ///
    /// # Errors
    /// `copy_marked` if it differs; those of [`super::issue()`] and [`SdJwt::resolve_disclosures`].
    pub fn check_rendering(&self, payload: &Map<String, Value>, options: &IssueOptions<'_>) -> Result<(), Problem> {
        let (_, decoys) = self.resolve_with_decoys()?;
        let mut own = ReceivedBlinding { disclosures: self.disclosures.iter(), decoys };
        let Rendered { signing_input, disclosures } = render(payload, options, self.jws().algorithm(), &mut own)?;
        let signed = self.jws().as_str().rsplit_once('.').map_or("", |(signed, _)| signed);
        if signed != signing_input {
            let header = |text: &str| text.split('.').next().map(str::to_owned);
            let part = if header(signed) == header(&signing_input) { "payload" } else { "header" };
            return Err(marked(&format!("the copy's {part} differs from that of this type's copies")));
        }
        if self.key_binding.is_some() || self.text.strip_prefix(self.jws().as_str()) != Some(disclosures.as_str()) {
            return Err(marked("the copy's disclosures are encoded differently from those of this type"));
        }
        Ok(())
    }
}

fn marked(detail: &str) -> Problem {
    Problem::new(Code::CopyMarked, detail)
}

/// Salts and decoys of a received copy.
struct ReceivedBlinding<'a> {
    disclosures: std::slice::Iter<'a, Disclosure>,
    decoys: Vec<Decoy<'a>>,
}

impl BlindingSource for ReceivedBlinding<'_> {
    fn salt(&mut self) -> Result<String, Problem> {
        let next = self.disclosures.next().ok_or_else(|| marked("the copy has too few disclosures"))?;
        Ok(next.salt.clone())
    }

    fn decoy(&mut self, object: &[PathStep<'_>], array: Option<&str>) -> Result<DigestText, Problem> {
        let is_here = |(place, _): &Decoy<'_>| {
            let wanted = object.iter().copied().chain(array.map(PathStep::Name));
            place.len() == object.len().saturating_add(usize::from(array.is_some()))
                && place.iter().zip(wanted).all(|(step, wanted)| step.is_same_step(&wanted))
        };
        let found = self.decoys.iter().position(is_here).map(|at| self.decoys.swap_remove(at));
        let digest = found.and_then(|(_, digest)| digest.as_bytes().try_into().ok());
        digest.ok_or_else(|| marked("the copy has a different number of digests from this type's copies"))
    }
}
