//! Conversion of documents in the restricted syntax to RDF, with compiled contexts.
//!
//! It covers what credentials are made of: terms for properties and types, nodes, references, literals, and graphs. A
//! document with anything else is left to the general algorithm, which `ssi` implements: [`NotConverted::General`] is no
//! verdict. Tests compare both on each document that this module converts.

use std::sync::Arc;

use serde_json::{Map, Value};
use ssi_json_ld::Iri;

use crate::{
    canonical::{Quad, Term},
    compiled::{Coercion, CompiledContext, IriRule, TermRule},
    contexts::Contexts,
};

const RDF_TYPE: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type";
const XSD_STRING: &str = "http://www.w3.org/2001/XMLSchema#string";
const XSD_BOOLEAN: &str = "http://www.w3.org/2001/XMLSchema#boolean";
const XSD_INTEGER: &str = "http://www.w3.org/2001/XMLSchema#integer";
const XSD_DOUBLE: &str = "http://www.w3.org/2001/XMLSchema#double";

/// Reason for which a document was not converted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotConverted {
    /// It has something that only the general algorithm handles, or refuses.
    General,
    /// A context that it needs is not compiled yet.
    NotCompiled,
}

/// Converts a document that was checked (`document::check`) to RDF.
///
/// `may_compile`: whether contexts that were not needed before are compiled, which takes more stack than some threads
/// have.
///
/// # Errors
/// [`NotConverted`], if the general algorithm has to be used.
pub(crate) fn to_quads(
    document: &Map<String, Value>,
    contexts: &Contexts,
    may_compile: bool,
) -> Result<Vec<Quad>, NotConverted> {
    let mut converter = Converter { contexts, may_compile, quads: Vec::new(), blanks: 0 };
    let root = converter.context_of(document)?;
    let scope = Scope { active: root, previous: None };
    converter.node(document, scope, None)?;
    // The general algorithm drops a node without properties.
    if converter.quads.is_empty() { Err(NotConverted::General) } else { Ok(converter.quads) }
}

/// Active context of a node, and the one to which its nested nodes return (JSON-LD 1.1 section 4.1.9, propagation).
#[derive(Clone)]
struct Scope {
    active: Arc<CompiledContext>,
    previous: Option<Arc<CompiledContext>>,
}

struct Converter<'a> {
    contexts: &'a Contexts,
    may_compile: bool,
    quads: Vec<Quad>,
    blanks: usize,
}

impl Converter<'_> {
    /// Returns the compiled form of the document's own `@context`.
    fn context_of(&self, document: &Map<String, Value>) -> Result<Arc<CompiledContext>, NotConverted> {
        let context = document.get("@context").ok_or(NotConverted::General)?;
        self.contexts.compiled(&context.to_string()).ok_or(NotConverted::NotCompiled)
    }

    fn derived(&self, context: Option<Arc<CompiledContext>>) -> Result<Arc<CompiledContext>, NotConverted> {
        let missing = if self.may_compile { NotConverted::General } else { NotConverted::NotCompiled };
        context.ok_or(missing)
    }

    fn compiling(&self) -> Option<&Contexts> {
        self.may_compile.then_some(self.contexts)
    }

    fn new_blank(&mut self) -> Term {
        let label = format!("b{}", self.blanks);
        self.blanks = self.blanks.saturating_add(1);
        Term::Blank(label)
    }

    /// Converts a node in its scope, whose types were not considered yet, and returns its term.
    fn node(&mut self, node: &Map<String, Value>, scope: Scope, graph: Option<&Term>) -> Result<Term, NotConverted> {
        let outer = Arc::clone(&scope.active);
        let scope = self.scope_for_types(node, scope)?;
        if !scope.active.has_only_terms() {
            return Err(NotConverted::General);
        }
        let mut id = None;
        for (name, value) in node {
            if scope.active.term(name) == Some(&TermRule::Id) {
                let value = value.as_str().ok_or(NotConverted::General)?;
                if id.replace(absolute_iri(value, &scope.active)?).is_some() {
                    return Err(NotConverted::General);
                }
            }
        }
        let subject = match id {
            Some(iri) => iri,
            None => self.new_blank(),
        };
        let mut properties = 0_usize;
        for (name, value) in node {
            if name == "@context" {
                continue;
            }
            match scope.active.term(name).ok_or(NotConverted::General)? {
                TermRule::Id => continue,
                TermRule::Type => {
                    for value in as_array(value) {
                        let Some(TermRule::Iri(rule)) = value.as_str().and_then(|name| outer.term(name)) else {
                            return Err(NotConverted::General);
                        };
                        self.push(subject.clone(), RDF_TYPE, Term::iri(&rule.iri), graph);
                    }
                }
                TermRule::Iri(rule) => {
                    for value in as_array(value) {
                        self.property(&subject, (name, rule), value, &scope, graph)?;
                    }
                }
                TermRule::General => return Err(NotConverted::General),
            }
            properties = properties.saturating_add(1);
        }
        if properties == 0 { Err(NotConverted::General) } else { Ok(subject) }
    }

    /// Applies the contexts of the node's types (JSON-LD 1.1 API section 5.1.2, step 11).
    fn scope_for_types(&self, node: &Map<String, Value>, scope: Scope) -> Result<Scope, NotConverted> {
        let mut types: Vec<&str> = Vec::new();
        let mut aliases = 0_usize;
        for (name, value) in node {
            if scope.active.term(name) == Some(&TermRule::Type) {
                aliases = aliases.saturating_add(1);
                for value in as_array(value) {
                    let name = value.as_str().ok_or(NotConverted::General)?;
                    match scope.active.term(name) {
                        Some(TermRule::Iri(rule)) if rule.has_context => types.push(name),
                        Some(TermRule::Iri(_)) => {}
                        _ => return Err(NotConverted::General),
                    }
                }
            }
        }
        if types.is_empty() {
            return Ok(scope);
        }
        if aliases > 1 || scope.previous.is_some() {
            return Err(NotConverted::General);
        }
        types.sort_unstable();
        let active = self.derived(scope.active.for_types(&types, self.compiling()))?;
        let previous = active.processed().previous_context().is_some().then_some(scope.active);
        Ok(Scope { active, previous })
    }

    /// Converts one value of a property.
    fn property(
        &mut self,
        subject: &Term,
        (name, rule): (&str, &IriRule),
        value: &Value,
        scope: &Scope,
        graph: Option<&Term>,
    ) -> Result<(), NotConverted> {
        let object = match value {
            Value::Object(node) => {
                if node.contains_key("@value") {
                    return Err(NotConverted::General);
                }
                if let Some(reference) = reference(node, scope)? {
                    if rule.is_graph || rule.has_context {
                        return Err(NotConverted::General);
                    }
                    reference
                } else {
                    let inner = self.scope_of_value(name, rule, node, scope)?;
                    if rule.is_graph {
                        let own = self.new_blank();
                        self.node(node, inner, Some(&own))?;
                        own
                    } else {
                        self.node(node, inner, graph)?
                    }
                }
            }
            // In a graph of its own, a value that is no node would stand alone.
            _ if rule.is_graph => return Err(NotConverted::General),
            scalar if rule.has_context => {
                let active = self.derived(scope.active.for_scalar(name, self.compiling()))?;
                // The context of a property may define the property again, and with it the coercion.
                let Some(TermRule::Iri(rule)) = active.term(name) else { return Err(NotConverted::General) };
                literal_term(scalar, rule, &active)?
            }
            scalar => literal_term(scalar, rule, &scope.active)?,
        };
        self.push(subject.clone(), &rule.iri, object, graph);
        Ok(())
    }

    /// Returns the scope of a nested node: without the contexts of the outer node's types, with that of the property
    /// and with its own (section 5.1.2, steps 7 to 9).
    fn scope_of_value(
        &self,
        name: &str,
        rule: &IriRule,
        node: &Map<String, Value>,
        scope: &Scope,
    ) -> Result<Scope, NotConverted> {
        let base = scope.previous.as_ref().unwrap_or(&scope.active);
        let mut active = Arc::clone(base);
        if rule.has_context {
            active = self.derived(scope.active.for_property(name, base, self.compiling()))?;
            if active.processed().previous_context().is_some() {
                return Err(NotConverted::General);
            }
        }
        if node.contains_key("@context") {
            // Over another context, it would have to be processed.
            if !active.is_empty() {
                return Err(NotConverted::General);
            }
            active = self.context_of(node)?;
        }
        Ok(Scope { active, previous: None })
    }

    fn push(&mut self, subject: Term, predicate: &str, object: Term, graph: Option<&Term>) {
        self.quads.push(Quad { subject, predicate: predicate.to_owned(), object, graph: graph.cloned() });
    }
}

/// Returns the IRI of a node that consists of its id alone; `None` for any other node.
fn reference(node: &Map<String, Value>, scope: &Scope) -> Result<Option<Term>, NotConverted> {
    let mut members = node.iter();
    let (Some((name, value)), None) = (members.next(), members.next()) else { return Ok(None) };
    if scope.active.term(name) != Some(&TermRule::Id) {
        return Ok(None);
    }
    let value = value.as_str().ok_or(NotConverted::General)?;
    absolute_iri(value, &scope.active).map(Some)
}

/// Returns the term of a value that is no object (JSON-LD 1.1 API sections 5.3.2 and 8.2.2).
fn literal_term(value: &Value, rule: &IriRule, active: &CompiledContext) -> Result<Term, NotConverted> {
    if !active.has_only_terms() {
        return Err(NotConverted::General);
    }
    match (value, &rule.coercion) {
        (Value::String(text), Coercion::None) => Ok(Term::typed_literal(text, XSD_STRING)),
        (Value::String(text), Coercion::Datatype(datatype)) => Ok(Term::typed_literal(text, datatype)),
        (Value::String(text), Coercion::Id) => absolute_iri(text, active),
        (Value::String(text), Coercion::Vocab) => match active.term(text) {
            Some(TermRule::Iri(rule)) => Ok(Term::iri(&rule.iri)),
            Some(_) => Err(NotConverted::General),
            None => absolute_iri(text, active),
        },
        (Value::Bool(truth), Coercion::Datatype(datatype)) => Ok(Term::typed_literal(truth_text(*truth), datatype)),
        (Value::Bool(truth), _) => Ok(Term::typed_literal(truth_text(*truth), XSD_BOOLEAN)),
        (Value::Number(number), coercion) => {
            let integer = number.as_i64().ok_or(NotConverted::General)?.to_string();
            match coercion {
                Coercion::Datatype(datatype) if datatype == XSD_DOUBLE => Err(NotConverted::General),
                Coercion::Datatype(datatype) => Ok(Term::typed_literal(&integer, datatype)),
                _ => Ok(Term::typed_literal(&integer, XSD_INTEGER)),
            }
        }
        (Value::Null | Value::Array(_) | Value::Object(_), _) => Err(NotConverted::General),
    }
}

const fn truth_text(truth: bool) -> &'static str {
    if truth { "true" } else { "false" }
}

/// Returns an absolute IRI that no context changes: it is not a term, and its scheme is no prefix (section 5.2.2).
fn absolute_iri(text: &str, active: &CompiledContext) -> Result<Term, NotConverted> {
    let (scheme, _) = text.split_once(':').ok_or(NotConverted::General)?;
    let is_changed = scheme == "_" || active.term(scheme).is_some() || active.term(text).is_some();
    if is_changed || !active.has_only_terms() || Iri::new(text).is_err() {
        return Err(NotConverted::General);
    }
    Ok(Term::iri(text))
}

fn as_array(value: &Value) -> &[Value] {
    match value {
        Value::Array(items) => items,
        one => std::slice::from_ref(one),
    }
}

#[cfg(test)]
mod tests;
