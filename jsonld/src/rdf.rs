//! Conversion of JSON-LD to RDF, in which nothing may be dropped.

use std::{
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
};

use carnet_core::{Code, Problem};
use serde_json::{Map, Value};
use ssi_json_ld::{
    BlankIdBuf, Expand, ExpandedDocument, IriBuf, LdQuads, Process, RdfQuads, ValidId,
    context_processing::{Processed, algorithm::Action},
    expansion,
    json_ld::rdf_types::{LiteralType, generator},
    rdf::{RdfDirection, Value as RdfValue},
    syntax::{Context as LocalContext, Parse, Print, TryFromJson, Value as SyntaxValue},
};

use crate::{
    canonical::{Quad, Term},
    contexts::{Contexts, ProcessedContext},
    document::check_and_serialize,
};

/// Stack size of the expansion thread. JSON-LD expansion takes more than 100 KiB of stack for each level of nesting, so
/// that a document within the depth limit would overflow an ordinary thread of 2 MiB. This is eight times what the
/// deepest document needs.
const STACK_BYTES: usize = 32 << 20;

/// Returns the RDF dataset of a JSON-LD document.
///
/// # Errors
/// Those of [`check_and_serialize`]; `term_undefined`: a term is not defined by a context, or an IRI or language tag is
/// malformed; `transformation`: expansion failed.
pub(crate) fn to_quads(document: &Map<String, Value>, contexts: &Contexts) -> Result<Vec<Quad>, Problem> {
    let text = check_and_serialize(document, contexts)?;
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("jsonld-expansion".to_owned())
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, || quads_of_text(&text, contexts))
            .map_err(|_| {
                Problem::new(Code::Transformation, "no thread could be started for JSON-LD expansion; try again")
            })?;
        // A panic in the JSON-LD crates refuses this document, and does not end the program.
        thread.join().unwrap_or_else(|_| Err(Problem::new(Code::Transformation, "JSON-LD expansion failed")))
    })
}

fn quads_of_text(text: &str, contexts: &Contexts) -> Result<Vec<Quad>, Problem> {
    let (mut value, _) =
        SyntaxValue::parse_str(text).map_err(|_| Problem::new(Code::Transformation, "the document is not JSON"))?;
    // Processing the contexts takes most of the time, and documents of a kind have the same ones.
    let context = value.as_object_mut().and_then(|object| object.remove("@context").next());
    let context = context.ok_or(Code::ContextMissing)?.value;
    let context = contexts.processed(context.compact_print().to_string(), || process(context, contexts))?;
    let mut generator = generator::Blank::new();
    let mut expanded: ExpandedDocument = expand(&value, context, contexts)?;
    expanded.relabel_and_canonicalize(&mut generator);

    // RDF conversion skips a value that is not an absolute IRI or a well-formed language tag. Every statement of the
    // expanded document must be in the result (the cells of lists are additional).
    let statements = expanded.quads().count();
    let mut quads = Vec::with_capacity(statements);
    let mut list_cells = 0_usize;
    // Without it, a base direction would not be signed. The restricted syntax has none.
    let direction = Some(RdfDirection::I18nDatatype);
    for quad in expanded.rdf_quads(&mut generator, direction).cloned() {
        let predicate = match quad.1 {
            ValidId::Iri(iri) => iri.into_string(),
            ValidId::Blank(_) => return Err(statement_dropped()),
        };
        if predicate == RDF_FIRST || predicate == RDF_REST {
            list_cells = list_cells.saturating_add(1);
        }
        quads.push(Quad {
            subject: term_of_id(quad.0),
            predicate,
            object: term_of_value(quad.2),
            graph: quad.3.map(term_of_id),
        });
    }
    if quads.len() != statements.saturating_add(list_cells) {
        return Err(statement_dropped());
    }
    Ok(quads)
}

const RDF_FIRST: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#first";
const RDF_REST: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#rest";

fn statement_dropped() -> Problem {
    Problem::new(
        Code::TermUndefined,
        "a reference or language tag is relative or malformed, so the signature would not cover it",
    )
}

fn options() -> expansion::Options {
    expansion::Options {
        policy: expansion::Policy { invalid: Action::Reject, allow_undefined: false, ..expansion::Policy::default() },
        ..expansion::Options::default()
    }
}

/// Processes the value of `@context` as expansion does at the top of a document (JSON-LD 1.1 API section 4.1).
fn process(context: SyntaxValue, contexts: &Contexts) -> Result<ProcessedContext, Problem> {
    let malformed =
        |code: String| Problem::new(Code::Transformation, format!("the contexts cannot be processed: {code}"));
    let local = LocalContext::try_from_json(context).map_err(|_| malformed("not a context".to_owned()))?;
    let initial = ProcessedContext::default();
    let processed = local.process_full(
        ssi_json_ld::json_ld::rdf_types::vocabulary::no_vocabulary_mut(),
        &initial,
        contexts,
        None,
        options().into(),
        (),
    );
    let processed =
        poll_once(processed).ok_or_else(|| Problem::new(Code::Transformation, "context processing did not finish"))?;
    processed.map(Processed::into_processed).map_err(|error| malformed(format!("{:?}", error.code())))
}

fn expand(value: &SyntaxValue, context: ProcessedContext, contexts: &Contexts) -> Result<ExpandedDocument, Problem> {
    let expansion = value.expand_full(
        ssi_json_ld::json_ld::rdf_types::vocabulary::no_vocabulary_mut(),
        context,
        None,
        contexts,
        options(),
        (),
    );
    let expanded =
        poll_once(expansion).ok_or_else(|| Problem::new(Code::Transformation, "expansion did not finish"))?;
    expanded.map_err(|error| match error {
        expansion::Error::KeyExpansionFailed(name) => {
            Problem::new(Code::TermUndefined, format!("the term `{name}` is not defined by any context"))
        }
        expansion::Error::InvalidTypeValue => Problem::new(Code::TermUndefined, "a type is not defined by any context"),
        other => Problem::new(Code::Transformation, format!("the document cannot be expanded: {:?}", other.code())),
    })
}

/// Returns the value of a future that needs only one poll, since the contexts are in memory; `None` if it is pending.
fn poll_once<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

fn term_of_id(id: ValidId<IriBuf, BlankIdBuf>) -> Term {
    match id {
        ValidId::Iri(iri) => Term::iri(iri.as_str()),
        ValidId::Blank(label) => Term::Blank(label.suffix().to_owned()),
    }
}

fn term_of_value(value: RdfValue<IriBuf, BlankIdBuf, ssi_json_ld::json_ld::rdf_types::Literal>) -> Term {
    match value {
        RdfValue::Id(id) => term_of_id(id),
        RdfValue::Literal(literal) => match &literal.type_ {
            LiteralType::Any(datatype) => Term::typed_literal(&literal.value, datatype.as_str()),
            LiteralType::LangString(tag) => Term::language_string(&literal.value, tag.as_str()),
        },
    }
}
