//! DID documents as JSON, for those who ask this program for a document that it knows.

use serde_json::{Value, json};

use super::{DidDocument, VerificationRelationship};

impl DidDocument {
    /// Returns the document as JSON, with what this library understands of it: the usable verification methods of the
    /// current version, as Multikeys, and their relationships.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let usable = || self.methods.iter().filter_map(|method| Some((method, method.key.as_ref().ok()?)));
        let methods: Vec<Value> = usable()
            .map(|(method, key)| {
                let controller = method.controller.as_deref().unwrap_or(self.did.as_str());
                let mut rendered = json!({
                    "id": method.id, "type": "Multikey", "controller": controller, "publicKeyMultibase": key.to_multikey(),
                });
                for (name, at) in [("expires", method.expires), ("revoked", method.revoked)] {
                    if let (Some(at), Some(members)) = (at, rendered.as_object_mut()) {
                        members.insert(name.to_owned(), at.to_string().into());
                    }
                }
                rendered
            })
            .collect();
        let listed = |purpose: VerificationRelationship| -> Vec<&str> {
            let listed = usable().filter(|(method, _)| method.relationships.contains(&purpose));
            listed.map(|(method, _)| method.id.as_str()).collect()
        };
        json!({
            "@context": ["https://www.w3.org/ns/did/v1", "https://w3id.org/security/multikey/v1"],
            "id": self.did.as_str(),
            "verificationMethod": methods,
            "authentication": listed(VerificationRelationship::Authentication),
            "assertionMethod": listed(VerificationRelationship::AssertionMethod),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::did::Did;

    #[test]
    fn a_rendered_document_reads_as_the_same_document() {
        let did = Did::parse("did:web:university.example").unwrap();
        let key = "z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK";
        let method = |id: &str| {
            json!({
                "id": format!("{did}#{id}"), "type": "Multikey", "controller": did.as_str(), "publicKeyMultibase": key,
                "revoked": "2026-01-01T00:00:00Z",
            })
        };
        let document = json!({
            "id": did.as_str(),
            "verificationMethod": [method("a"), {"id": format!("{did}#b"), "type": "Multikey"}],
            "assertionMethod": [format!("{did}#a")],
        });
        let read = DidDocument::parse(&did, &document).unwrap();
        let rendered = read.to_json();
        assert_eq!(rendered["verificationMethod"], json!([method("a")]));
        assert_eq!(
            (&rendered["assertionMethod"], &rendered["authentication"]),
            (&document["assertionMethod"], &json!([]))
        );
        let again = DidDocument::parse(&did, &rendered).unwrap();
        assert_eq!(again.to_json(), rendered);
    }
}
