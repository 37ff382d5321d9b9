//! As much of N-Quads as the RDFC-1.0 suite uses.

use carnet_jsonld::canonical::{Quad, Term};

pub(crate) fn parse(text: &str) -> Vec<Quad> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).map(statement).collect()
}

fn statement(line: &str) -> Quad {
    let mut rest = line;
    let subject = term(&mut rest);
    let predicate = match term(&mut rest) {
        Term::IriOrLiteral(iri) => iri.trim_start_matches('<').trim_end_matches('>').to_owned(),
        Term::Blank(_) => panic!("a blank predicate: {line}"),
    };
    let object = term(&mut rest);
    let graph = (!rest.trim_start().starts_with('.')).then(|| term(&mut rest));
    Quad { subject, predicate, object, graph }
}

fn term(rest: &mut &str) -> Term {
    let text = rest.trim_start();
    let (term, used) = if let Some(label) = text.strip_prefix("_:") {
        let end = label.find(char::is_whitespace).unwrap();
        (Term::Blank(label[..end].to_owned()), end + 2)
    } else if text.starts_with('<') {
        let end = text.find('>').unwrap();
        (Term::iri(&unescape(&text[1..end])), end + 1)
    } else {
        literal(text)
    };
    *rest = &text[used..];
    term
}

fn literal(text: &str) -> (Term, usize) {
    let mut escaped = false;
    let end = text
        .char_indices()
        .skip(1)
        .find(|(_, c)| {
            let closes = *c == '"' && !escaped;
            escaped = *c == '\\' && !escaped;
            closes
        })
        .unwrap()
        .0;
    let value = unescape(&text[1..end]);
    let after = &text[end + 1..];
    if let Some(datatype) = after.strip_prefix("^^<") {
        let length = datatype.find('>').unwrap();
        (Term::typed_literal(&value, &unescape(&datatype[..length])), end + 1 + 3 + length + 1)
    } else if let Some(tag) = after.strip_prefix('@') {
        let length = tag.find(char::is_whitespace).unwrap();
        (Term::language_string(&value, &tag[..length]), end + 1 + 1 + length)
    } else {
        (Term::typed_literal(&value, "http://www.w3.org/2001/XMLSchema#string"), end + 1)
    }
}

fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            out.push(character);
            continue;
        }
        let code = |digits: String| char::from_u32(u32::from_str_radix(&digits, 16).unwrap()).unwrap();
        out.push(match characters.next().unwrap() {
            't' => '\t',
            'b' => '\u{8}',
            'n' => '\n',
            'r' => '\r',
            'f' => '\u{c}',
            'u' => code(characters.by_ref().take(4).collect()),
            'U' => code(characters.by_ref().take(8).collect()),
            other => other,
        });
    }
    out
}
