//! Compiled contexts: the term definitions of a processed JSON-LD context, in the form that [`crate::expansion`] looks up.

use std::{
    collections::HashMap,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Waker},
};

use carnet_core::{Code, Problem};
use ssi_json_ld::{
    BlankIdBuf, Container, ContainerKind, Id, IriBuf, Loader, Process, Term, Type, ValidId,
    context::{BindingRef, NormalTermDefinition, TermDefinitionRef},
    context_processing::{Options, Processed, algorithm::Action},
    expansion,
    json_ld::rdf_types::vocabulary::no_vocabulary_mut,
    syntax::{Context as LocalContext, Keyword, TryFromJson, Value as SyntaxValue},
};

/// Result of processing the `@context` of a document.
pub(crate) type ProcessedContext = ssi_json_ld::Context<IriBuf, BlankIdBuf>;

/// Maximum number of scoped contexts that are kept for one context, of each of the three kinds. Further ones are not
/// compiled, and their documents are left to the general algorithm.
const MAX_SCOPED: usize = 64;

/// Definition of a term.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TermRule {
    /// Alias of `@id`.
    Id,
    /// Alias of `@type`.
    Type,
    /// Property or type.
    Iri(IriRule),
    /// Any other definition, such as an alias of another keyword, a list, a map or a reverse property.
    General,
}

/// Definition of a term that stands for an IRI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IriRule {
    pub(crate) iri: String,
    pub(crate) coercion: Coercion,
    /// `true` if each value is a graph of its own (`@container: @graph`).
    pub(crate) is_graph: bool,
    /// `true` if the term has a context of its own, for its values or, if it is a type, for its nodes.
    pub(crate) has_context: bool,
}

/// Type coercion of a term (JSON-LD 1.1 section 4.2.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Coercion {
    None,
    /// `@id`: a string is an IRI.
    Id,
    /// `@vocab`: a string is a term or an IRI.
    Vocab,
    /// IRI of the datatype of literals.
    Datatype(String),
}

/// Processed context with its definitions, and the contexts that are derived from it.
pub(crate) struct CompiledContext {
    processed: ProcessedContext,
    terms: HashMap<String, TermRule>,
    /// `true` if the context has neither a vocabulary nor a base, a default language or direction, or a definition of
    /// `@type`.
    has_only_terms: bool,
    /// Derived contexts of nodes, by the sorted types that have a context.
    by_types: Mutex<HashMap<Vec<String>, Arc<CompiledContext>>>,
    /// Derived contexts of nested nodes, by the property.
    by_property: Mutex<HashMap<String, Arc<CompiledContext>>>,
    /// Derived contexts of strings, numbers and truth values, by the property.
    by_scalar: Mutex<HashMap<String, Arc<CompiledContext>>>,
}

impl CompiledContext {
    /// Compiles a processed context.
    pub(crate) fn new(processed: ProcessedContext) -> Self {
        let mut has_only_terms = processed.vocabulary().is_none()
            && processed.base_iri().is_none()
            && processed.default_language().is_none()
            && processed.default_base_direction().is_none();
        let mut terms = HashMap::new();
        for binding in processed.definitions() {
            match binding {
                BindingRef::Normal(term, definition) => {
                    terms.insert(term.as_str().to_owned(), rule_of(definition));
                }
                BindingRef::Type(_) => has_only_terms = false,
            }
        }
        Self {
            processed,
            terms,
            has_only_terms,
            by_types: Mutex::default(),
            by_property: Mutex::default(),
            by_scalar: Mutex::default(),
        }
    }

    /// Returns the context from which this one was compiled.
    pub(crate) fn processed(&self) -> &ProcessedContext {
        &self.processed
    }

    /// Returns whether the context has nothing but definitions of terms.
    pub(crate) fn has_only_terms(&self) -> bool {
        self.has_only_terms
    }

    /// Returns whether the context has no definitions at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.has_only_terms && self.terms.is_empty()
    }

    /// Returns the definition of a term.
    pub(crate) fn term(&self, term: &str) -> Option<&TermRule> {
        self.terms.get(term)
    }

    /// Returns the context of nodes with these types, which have contexts and are sorted (JSON-LD 1.1 API section
    /// 5.1.2, step 11); `None` if it was not compiled yet, and cannot be or, without `contexts`, may not be.
    pub(crate) fn for_types(&self, types: &[&str], contexts: Option<&impl Loader>) -> Option<Arc<Self>> {
        let key: Vec<String> = types.iter().map(|name| (*name).to_owned()).collect();
        derived(&self.by_types, key, || {
            let contexts = contexts?;
            let mut active = self.processed.clone();
            for name in types {
                let definition = self.processed.get(*name)?;
                let options = Options::from(options()).without_propagation();
                active = process_scoped(&definition, &active, contexts, options)?;
            }
            Some(active)
        })
    }

    /// Returns the context of a nested node of a property that has a context (section 5.1.2, step 8); `None` as
    /// [`Self::for_types`]. `base` is the context without those of the outer node's types.
    pub(crate) fn for_property(&self, name: &str, base: &Self, contexts: Option<&impl Loader>) -> Option<Arc<Self>> {
        derived(&self.by_property, name.to_owned(), || {
            let options = Options::from(options()).with_override();
            process_scoped(&self.processed.get(name)?, &base.processed, contexts?, options)
        })
    }

    /// Returns the context of a scalar of a property that has a context (section 5.1.2, step 4.2); `None` as
    /// [`Self::for_types`].
    pub(crate) fn for_scalar(&self, name: &str, contexts: Option<&impl Loader>) -> Option<Arc<Self>> {
        derived(&self.by_scalar, name.to_owned(), || {
            process_scoped(&self.processed.get(name)?, &self.processed, contexts?, Options::from(options()))
        })
    }
}

/// Returns a derived context from those that are kept, or compiles what `process` returns and keeps it.
fn derived<K: Eq + std::hash::Hash>(
    kept: &Mutex<HashMap<K, Arc<CompiledContext>>>,
    key: K,
    process: impl FnOnce() -> Option<ProcessedContext>,
) -> Option<Arc<CompiledContext>> {
    let lock = || kept.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = lock().get(&key) {
        return Some(Arc::clone(known));
    }
    let compiled = Arc::new(CompiledContext::new(process()?));
    let mut all = lock();
    if all.len() < MAX_SCOPED {
        all.insert(key, Arc::clone(&compiled));
    }
    Some(compiled)
}

/// Processes the context of a term over the active context.
fn process_scoped(
    definition: &TermDefinitionRef<'_>,
    active: &ProcessedContext,
    contexts: &impl Loader,
    options: Options,
) -> Option<ProcessedContext> {
    let local: &LocalContext = definition.context()?;
    let base = definition.base_url().cloned();
    poll_once(local.process_full(no_vocabulary_mut(), active, contexts, base, options, ()))?
        .ok()
        .map(Processed::into_processed)
}

fn rule_of(definition: &NormalTermDefinition) -> TermRule {
    let iri = match &definition.value {
        Some(Term::Keyword(Keyword::Id)) => return TermRule::Id,
        Some(Term::Keyword(Keyword::Type)) => return TermRule::Type,
        Some(Term::Id(Id::Valid(ValidId::Iri(iri)))) => iri.as_str().to_owned(),
        _ => return TermRule::General,
    };
    let is_graph = match definition.container {
        Container::None => false,
        container => match container.as_slice() {
            [ContainerKind::Set] => false,
            [ContainerKind::Graph] => true,
            _ => return TermRule::General,
        },
    };
    let is_general = definition.reverse_property
        || definition.nest.is_some()
        || definition.index.is_some()
        || definition.language.is_some()
        || definition.direction.is_some();
    let coercion = match &definition.typ {
        _ if is_general => return TermRule::General,
        None | Some(Type::None) => Coercion::None,
        Some(Type::Id) => Coercion::Id,
        Some(Type::Vocab) => Coercion::Vocab,
        Some(Type::Iri(datatype)) => Coercion::Datatype(datatype.as_str().to_owned()),
        Some(Type::Json) => return TermRule::General,
    };
    TermRule::Iri(IriRule { iri, coercion, is_graph, has_context: definition.context.is_some() })
}

/// Returns the options of expansion: nothing undefined or invalid is dropped.
pub(crate) fn options() -> expansion::Options {
    expansion::Options {
        policy: expansion::Policy { invalid: Action::Reject, allow_undefined: false, ..expansion::Policy::default() },
        ..expansion::Options::default()
    }
}

/// Processes the value of `@context` as expansion does at the top of a document (JSON-LD 1.1 API section 4.1).
pub(crate) fn process(context: SyntaxValue, contexts: &impl Loader) -> Result<ProcessedContext, Problem> {
    let malformed =
        |code: String| Problem::new(Code::Transformation, format!("the contexts cannot be processed: {code}"));
    let local = LocalContext::try_from_json(context).map_err(|_| malformed("not a context".to_owned()))?;
    let initial = ProcessedContext::default();
    let processed = local.process_full(no_vocabulary_mut(), &initial, contexts, None, options().into(), ());
    let processed =
        poll_once(processed).ok_or_else(|| Problem::new(Code::Transformation, "context processing did not finish"))?;
    processed.map(Processed::into_processed).map_err(|error| malformed(format!("{:?}", error.code())))
}

/// Returns the value of a future that needs only one poll, since the contexts are in memory; `None` if it is pending.
pub(crate) fn poll_once<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}
