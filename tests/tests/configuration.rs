//! Reference of all configuration fields, `docs/configuration.md`, made from the source of the services, where kind,
//! default, range and meaning are beside each field. `UPDATE_DOCS=1` writes the file again.

// Where something does not hold, a test ends.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::{collections::BTreeMap, fmt::Write as _, path::PathBuf};

use syn::{
    Attribute, Expr, Fields, GenericArgument, ImplItem, Item, ItemStruct, Lit, Meta, PathArguments, Stmt, Type,
    visit::{self, Visit},
};

/// The services: name, the struct of the whole file, and the sources that define its fields.
const SERVICES: [(&str, &str, &[&str]); 2] = [
    (
        "carnet-issuer",
        "IssuerConfig",
        &[
            "issuer/src/config.rs",
            "issuer/src/policy/cohorts.rs",
            "issuer/src/policy/renewal.rs",
            "service/src/config.rs",
            "service/src/keys/mod.rs",
        ],
    ),
    (
        "carnet-verifier",
        "VerifierConfig",
        &[
            "verifier/src/config.rs",
            "verifier/src/foreign.rs",
            "verifier/src/openid/config.rs",
            "verifier/src/redemption/desks.rs",
            "verifier/src/status.rs",
            "verifier/src/trust.rs",
            "service/src/config.rs",
            "service/src/keys/mod.rs",
        ],
    ),
];

const HEAD: &str = "# Configuration

Every field of `DIR/config.toml`, which `init` writes, and of a file that `serve --config` lays over it: its fields win, table by table. An unknown field is refused, and so is a
value outside its range; the error names the file, the line, the field and the value. `[serve]` in the file is `serve.` here, `[[issuers]]` is `issuers[].`, and TYPE is the name of a
credential type of the catalogue.

This page is made from the source (`UPDATE_DOCS=1 cargo test -p carnet-tests --test configuration`).
";

fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Fields as the sources of a service say them.
#[derive(Default)]
struct Sources {
    structs: BTreeMap<String, &'static ItemStruct>,
    /// Bodies of functions without arguments, and constants.
    values: BTreeMap<String, &'static Expr>,
    /// Fields of the values that `Default` gives, by struct and field.
    defaults: BTreeMap<(String, String), &'static Expr>,
    /// Least and most of a field.
    ranges: BTreeMap<String, String>,
}

impl Sources {
    fn read(files: &[&str]) -> Self {
        let mut sources = Self::default();
        for file in files {
            let text = std::fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
            // The parsed source stays until the test ends.
            let file: &'static syn::File = Box::leak(Box::new(syn::parse_file(&text).unwrap()));
            file.items.iter().for_each(|item| sources.take(item));
        }
        sources
    }

    fn take(&mut self, item: &'static Item) {
        match item {
            Item::Struct(found) => drop(self.structs.insert(found.ident.to_string(), found)),
            Item::Const(found) => drop(self.values.insert(found.ident.to_string(), &found.expr)),
            Item::Fn(found) => {
                if let [Stmt::Expr(value, None)] = found.block.stmts.as_slice() {
                    self.values.insert(found.sig.ident.to_string(), value);
                }
            }
            Item::Impl(found) => {
                self.visit_item_impl(found);
                let is_default = found.trait_.as_ref().is_some_and(|(_, path, _)| path.is_ident("Default"));
                let Type::Path(of) = &*found.self_ty else { return };
                let of = of.path.segments.last().unwrap().ident.to_string();
                for inner in found.items.iter().filter(|_| is_default) {
                    let ImplItem::Fn(function) = inner else { continue };
                    let Some(Stmt::Expr(Expr::Struct(value), None)) = function.block.stmts.last() else { continue };
                    for field in &value.fields {
                        let syn::Member::Named(name) = &field.member else { continue };
                        self.defaults.insert((of.clone(), name.to_string()), &field.expr);
                    }
                }
            }
            _ => {}
        }
    }

    /// A value as text.
    fn text(&self, value: &Expr) -> Option<String> {
        match value {
            Expr::Lit(literal) => match &literal.lit {
                Lit::Int(number) => number.base10_parse::<u64>().ok().map(|number| number.to_string()),
                Lit::Str(text) => Some(format!("`{:?}`", text.value())),
                Lit::Bool(truth) => Some(truth.value.to_string()),
                _ => None,
            },
            Expr::Path(path) => {
                let name = path.path.segments.last()?.ident.to_string();
                match self.values.get(&name) {
                    _ if name == "None" => Some("none".to_owned()),
                    Some(value) => self.text(value),
                    // A variant of an enumeration.
                    None if path.path.segments.len() == 2 => Some(format!("`{}`", name.to_lowercase())),
                    None => None,
                }
            }
            Expr::Binary(shift) => {
                let (left, right) = (self.text(&shift.left)?, self.text(&shift.right)?);
                let (left, right): (u64, u32) = (left.parse().ok()?, right.parse().ok()?);
                left.checked_shl(right).map(|value| value.to_string())
            }
            Expr::Call(_) => Some("empty".to_owned()),
            Expr::Array(items) => {
                items.elems.iter().map(|item| self.text(item)).collect::<Option<Vec<_>>>().map(|all| all.join(", "))
            }
            // The items of `["a", "b"].map(...).to_vec()`.
            Expr::MethodCall(call) => self.text(&call.receiver),
            _ => None,
        }
    }

    fn table(&self, of: &str, prefix: &str, rows: &mut Vec<[String; 4]>) {
        let found = self.structs.get(of).unwrap_or_else(|| panic!("there is no struct {of} in the sources"));
        let Fields::Named(fields) = &found.fields else { panic!("{of} has no named fields") };
        for field in &fields.named {
            let name = field.ident.as_ref().unwrap().to_string();
            let serde = serde_of(&field.attrs);
            if serde.contains(&"skip".to_owned()) {
                continue;
            }
            let path = format!("{prefix}{name}");
            let meaning = doc(&field.attrs);
            assert!(!meaning.is_empty(), "{of}.{name} has no documentation");
            let (kind, inner) = self.kind(&field.ty);
            if let Some((inner, step)) = inner {
                rows.push([format!("`{path}`"), kind, String::new(), meaning]);
                self.table(&inner, &format!("{path}{step}"), rows);
                continue;
            }
            let range = self.ranges.get(&path).or_else(|| self.ranges.get(&name).filter(|_| prefix.contains("TYPE")));
            let kind = range.map_or(kind.clone(), |range| format!("{kind}, {range}"));
            rows.push([format!("`{path}`"), kind, self.default_of(of, &name, &field.ty, &serde), meaning]);
        }
    }

    fn default_of(&self, of: &str, name: &str, ty: &Type, serde: &[String]) -> String {
        if let Some(value) = self.defaults.get(&(of.to_owned(), name.to_owned())) {
            return self.text(value).unwrap_or_else(|| panic!("the default of {of}.{name} is not understood"));
        }
        let function = serde.iter().find_map(|attribute| attribute.strip_prefix("default = "));
        if let Some(function) = function {
            let value = self.values.get(function.trim_matches('"'));
            return value.and_then(|value| self.text(value)).unwrap_or_else(|| panic!("{function} is not understood"));
        }
        let has = serde.iter().any(|attribute| attribute == "default");
        match last(ty).as_str() {
            "Option" => "none".to_owned(),
            _ if !has => "needed".to_owned(),
            "bool" => "false".to_owned(),
            "Vec" | "BTreeMap" => "empty".to_owned(),
            other => panic!("the default of {of}.{name}, a {other}, is not understood"),
        }
    }

    /// Words for a type; and the struct of a table, with how its fields are reached.
    fn kind(&self, ty: &Type) -> (String, Option<(String, &'static str)>) {
        let inner = |place: usize| arguments(ty).into_iter().nth(place).unwrap();
        let plain = |words: &str| (words.to_owned(), None);
        match last(ty).as_str() {
            "Option" => self.kind(inner(0)),
            "Vec" => match self.kind(inner(0)) {
                (_, Some((of, _))) => ("tables".to_owned(), Some((of, "[]."))),
                (words, None) => (format!("list of {words}"), None),
            },
            "BTreeMap" => match self.kind(inner(1)) {
                (_, Some((of, _))) => ("table by TYPE".to_owned(), Some((of, ".TYPE."))),
                (words, None) => (format!("table of {words}"), None),
            },
            "String" => plain("text"),
            "usize" | "u32" | "u64" => plain("whole number"),
            "bool" => plain("true or false"),
            "PathBuf" => plain("path"),
            "Epoch" => plain("`day`, `week`, `month` or `quarter`"),
            "RequestForm" => plain("`reference`, `value` or `unsigned`"),
            "SocketAddr" => plain("address and port"),
            "SecretSource" => plain("`file:PATH`, `env:NAME` or `fd:NUMBER`"),
            "Kek" => plain("`file:PATH`, `env:NAME`, `fd:NUMBER` or `pkcs11:LABEL`"),
            of if self.structs.contains_key(of) => ("table".to_owned(), Some((of.to_owned(), "."))),
            other => panic!("the kind of a field, {other}, has no words"),
        }
    }
}

/// Ranges are in the checks as `("field", value, least..=most)`, or as `("field", value, most)`.
impl<'ast> Visit<'ast> for Sources {
    fn visit_expr_tuple(&mut self, tuple: &'ast syn::ExprTuple) {
        let parts: Vec<&Expr> = tuple.elems.iter().collect();
        if let [Expr::Lit(name), _, bounds] = parts.as_slice()
            && let Lit::Str(name) = &name.lit
        {
            let range = match bounds {
                Expr::Range(range) => {
                    let bound = |bound: &Option<Box<Expr>>| bound.as_ref().and_then(|value| self.text(value));
                    bound(&range.start).zip(bound(&range.end))
                }
                most => self.text(most).map(|most| ("1".to_owned(), most)),
            };
            if let Some((least, most)) = range {
                self.ranges.insert(name.value(), format!("{least} to {most}"));
            }
        }
        visit::visit_expr_tuple(self, tuple);
    }
}

fn last(ty: &Type) -> String {
    let Type::Path(path) = ty else { panic!("the type of a field is no path") };
    path.path.segments.last().unwrap().ident.to_string()
}

fn arguments(ty: &Type) -> Vec<&Type> {
    let Type::Path(path) = ty else { return Vec::new() };
    let PathArguments::AngleBracketed(found) = &path.path.segments.last().unwrap().arguments else { return Vec::new() };
    let types = found.args.iter().filter_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    });
    types.collect()
}

fn doc(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            Expr::Lit(literal) => match &literal.lit {
                Lit::Str(text) => Some(text.value().trim().to_owned()),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    });
    lines.collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

/// The parts of `#[serde(...)]` as text.
fn serde_of(attributes: &[Attribute]) -> Vec<String> {
    let mut parts = Vec::new();
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("serde")) {
        attribute
            .parse_nested_meta(|meta| {
                let name = meta.path.get_ident().map(ToString::to_string).unwrap_or_default();
                match meta.value() {
                    Ok(value) => {
                        let value: syn::LitStr = value.parse()?;
                        parts.push(format!("{name} = {:?}", value.value()));
                    }
                    Err(_) => parts.push(name),
                }
                Ok(())
            })
            .unwrap();
    }
    parts
}

fn page() -> String {
    let mut page = HEAD.to_owned();
    for (program, of, files) in SERVICES {
        let mut rows = Vec::new();
        Sources::read(files).table(of, "", &mut rows);
        assert!(rows.len() > 20, "{program} has {} fields only", rows.len());
        write!(page, "\n## {program}\n| field | kind | default | meaning |\n|---|---|---|---|\n").unwrap();
        for [field, kind, default, meaning] in rows {
            writeln!(page, "| {field} | {kind} | {default} | {meaning} |").unwrap();
        }
    }
    page
}

#[test]
fn the_reference_of_the_configuration_is_that_of_the_source() -> carnet_tests::Result<()> {
    carnet_tests::page::check(&carnet_tests::page::docs("configuration.md"), &page())
}

#[test]
fn every_field_is_in_it_with_its_default_and_range() {
    let page = page();
    for row in [
        "| `max_batch_size` | whole number, 1 to 100 | 10 | ",
        "| `status.entries` | whole number, 131072 to 67108864 | 1048576 | ",
        "| `cohorts.epoch` | `day`, `week`, `month` or `quarter` | `month` | ",
        "| `renewal.TYPE.days` | whole number, 1 to 3660 | needed | ",
        "| `issuers[].did` | text | needed | ",
        "| `keys.passphrase` | `file:PATH`, `env:NAME` or `fd:NUMBER` | none | ",
        "| `serve.listen` | address and port | none | ",
        "| `serve.tls.cert` | path | needed | ",
        "| `trust.quorum` | whole number | needed | ",
    ] {
        assert!(page.contains(row), "{row} is not in it:\n{page}");
    }
    assert!(!page.contains("`files`"), "a member that is no field is in it");
}
