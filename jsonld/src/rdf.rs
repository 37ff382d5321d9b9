//! Conversion of JSON-LD to RDF, in which nothing may be dropped.

use carnet_core::{Code, Problem};
use serde_json::{Map, Value};
use ssi_json_ld::{
    BlankIdBuf, Expand, ExpandedDocument, IriBuf, LdQuads, RdfQuads, ValidId, expansion,
    json_ld::rdf_types::{LiteralType, generator, vocabulary::no_vocabulary_mut},
    rdf::{RdfDirection, Value as RdfValue},
    syntax::{Parse, Print, Value as SyntaxValue},
};

use crate::{
    canonical::{Quad, Term},
    compiled::{ProcessedContext, options, poll_once, process},
    contexts::{Contexts, Syntax},
    document::check_and_serialize,
    expansion::{self as compiled_expansion, NotConverted},
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
    let (document, text) = check_and_serialize(document, contexts)?;
    let is_restricted = contexts.syntax() == Syntax::Restricted;
    if is_restricted {
        match compiled_expansion::to_quads(&document, contexts, false) {
            Ok(quads) => return Ok(quads),
            Err(NotConverted::General) => return to_quads_generally(&text, contexts),
            Err(NotConverted::NotCompiled) => {}
        }
    }
    on_expansion_thread(|| {
        if is_restricted {
            compile_context(&document, contexts)?;
            if let Ok(quads) = compiled_expansion::to_quads(&document, contexts, true) {
                return Ok(quads);
            }
        }
        quads_of_text(&text, contexts)
    })
}

/// Returns the RDF dataset of a JSON text by the general algorithm.
pub(crate) fn to_quads_generally(text: &str, contexts: &Contexts) -> Result<Vec<Quad>, Problem> {
    on_expansion_thread(|| quads_of_text(text, contexts))
}

/// Runs a conversion on a thread with enough stack.
fn on_expansion_thread(convert: impl FnOnce() -> Result<Vec<Quad>, Problem> + Send) -> Result<Vec<Quad>, Problem> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("jsonld-expansion".to_owned())
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, convert)
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
    let context = contexts.compiled_by(context.compact_print().to_string(), || process(context, contexts))?;
    let mut generator = generator::Blank::new();
    let mut expanded: ExpandedDocument = expand(&value, context.processed().clone(), contexts)?;
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

/// Compiles the `@context` of a document and of the credentials in it.
///
/// # Errors
/// `transformation`: a context cannot be processed.
pub(crate) fn compile_context(document: &Map<String, Value>, contexts: &Contexts) -> Result<(), Problem> {
    for (name, value) in document {
        match (name.as_str(), value) {
            ("@context", context) => {
                let text = context.to_string();
                let malformed = || Problem::new(Code::Transformation, "the context is not JSON");
                let parsed = SyntaxValue::parse_str(&text).map_err(|_| malformed())?.0;
                contexts.compiled_by(text, || process(parsed, contexts))?;
            }
            ("verifiableCredential", Value::Object(credential)) => compile_context(credential, contexts)?,
            ("verifiableCredential", Value::Array(credentials)) => {
                for credential in credentials.iter().filter_map(Value::as_object) {
                    compile_context(credential, contexts)?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn expand(value: &SyntaxValue, context: ProcessedContext, contexts: &Contexts) -> Result<ExpandedDocument, Problem> {
    let expansion = value.expand_full(no_vocabulary_mut(), context, None, contexts, options(), ());
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
