//! Mapping of a file's columns to claims, from a TOML file.

use std::collections::BTreeMap;

use carnet_core::{day, spelling::nearest_name, text::quoted, time::Timestamp};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{dates::DateForm, values::ValueKind};

/// Languages of the letters, by their tags.
pub(crate) const LANGUAGES: [&str; 10] = ["ar", "de", "en", "es", "fa", "fr", "so", "ti", "tr", "uk"];

/// Mapping file as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MappingFile {
    reference: Option<toml::Value>,
    language: Option<String>,
    default_language: Option<String>,
    valid_from: Option<toml::Value>,
    valid_until: Option<toml::Value>,
    #[serde(default)]
    ignore: Vec<String>,
    #[serde(default)]
    trim: bool,
    #[serde(default)]
    constants: toml::Table,
    #[serde(default)]
    columns: toml::Table,
    letters: Option<LettersTable>,
}

/// Table about the letters.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LettersTable {
    /// Name of the sender.
    pub(crate) sender: String,
    /// Columns of each line of the address.
    pub(crate) addressee: Vec<Vec<String>>,
}

/// Table of a column.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ColumnTable {
    claim: String,
    #[serde(rename = "as")]
    kind: Option<String>,
    date: Option<String>,
    digits: Option<usize>,
    decimal: Option<char>,
    yes: Option<String>,
    no: Option<String>,
    split: Option<String>,
}

/// Table of a reference or of a day outside the claims.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TermTable {
    column: String,
    date: Option<String>,
    digits: Option<usize>,
}

/// Step of the path to a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PathStep {
    pub(crate) name: String,
    /// `true` for an array: the next step, or the value, is that of each element.
    pub(crate) each: bool,
}

/// Conversion of one column to a claim.
#[derive(Debug)]
pub(crate) struct ColumnRule {
    pub(crate) column: String,
    pub(crate) path: Vec<PathStep>,
    pub(crate) kind: ValueKind,
    /// Text that separates the elements of an array.
    pub(crate) split: Option<String>,
}

/// Source of a day outside the claims.
#[derive(Debug)]
pub(crate) enum DaySource {
    Fixed(Timestamp),
    Column { column: String, form: DateForm },
}

/// Source of the reference.
#[derive(Debug)]
pub(crate) struct ReferenceSource {
    pub(crate) column: String,
    pub(crate) kind: ValueKind,
}

/// Mapping of columns to claims.
#[derive(Debug)]
pub(crate) struct Mapping {
    pub(crate) rules: Vec<ColumnRule>,
    pub(crate) constants: Map<String, Value>,
    pub(crate) reference: Option<ReferenceSource>,
    pub(crate) language: Option<String>,
    pub(crate) default_language: String,
    pub(crate) valid_from: Option<DaySource>,
    pub(crate) valid_until: Option<DaySource>,
    /// `true`: white space around texts is removed.
    pub(crate) trim: bool,
    /// Sender and address of the letters.
    pub(crate) letters: Option<LettersTable>,
    ignored: Vec<String>,
}

impl Mapping {
    /// Parses a mapping file.
    ///
    /// # Errors
    /// The text is not TOML, has an unknown member, or contradicts itself.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let file: MappingFile = toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())?;
        let rules = file.columns.into_iter().map(|(column, rule)| column_rule(column, rule));
        let rules: Vec<ColumnRule> = rules.collect::<Result<_, _>>()?;
        let constants = file.constants.into_iter().map(|(name, value)| Ok((name, constant(value)?)));
        let constants: Map<String, Value> = constants.collect::<Result<_, String>>()?;
        if rules.is_empty() {
            return Err(
                "it maps no column; write [columns], and below it lines such as \"Family name\" = \"familyName\""
                    .to_owned(),
            );
        }
        check_paths(&rules, &constants)?;
        let default_language = file.default_language.unwrap_or_else(|| "en".to_owned());
        check_language(&default_language).map_err(|wanted| format!("default_language: {wanted}"))?;
        Ok(Self {
            rules,
            constants,
            reference: file.reference.map(reference_source).transpose()?,
            language: file.language,
            default_language,
            valid_from: file.valid_from.map(|value| day_source("valid_from", value)).transpose()?,
            valid_until: file.valid_until.map(|value| day_source("valid_until", value)).transpose()?,
            trim: file.trim,
            letters: file.letters,
            ignored: file.ignore,
        })
    }

    /// Returns the names of all columns that the mapping names.
    pub(crate) fn columns(&self) -> Vec<String> {
        let days = [&self.valid_from, &self.valid_until].into_iter().flatten().filter_map(|day| match day {
            DaySource::Column { column, .. } => Some(column),
            DaySource::Fixed(_) => None,
        });
        let rules = self.rules.iter().map(|rule| &rule.column);
        let reference = self.reference.iter().map(|reference| &reference.column);
        let all = rules.chain(reference).chain(&self.language).chain(days).chain(&self.ignored);
        let all = all.chain(self.letters.iter().flat_map(|letters| letters.addressee.iter().flatten()));
        let mut names: Vec<String> = all.cloned().collect();
        names.sort();
        names.dedup();
        names
    }

    /// Compares the columns of a file with those of the mapping.
    ///
    /// # Errors
    /// A column of either is missing in the other; the text names all of them.
    pub(crate) fn check_columns(&self, found: &[String]) -> Result<(), String> {
        let named = self.columns();
        let near = |name: &str, others: &[String]| {
            let near = nearest_name(name, others.iter().map(String::as_str));
            near.map_or(String::new(), |near| format!("; the nearest is {}", quoted(near)))
        };
        let is_used = |name: &&String| !self.ignored.contains(name);
        let missing = named.iter().filter(|name| !found.contains(name)).filter(is_used);
        let missing = missing.map(|name| format!("the file has no column {}{}", quoted(name), near(name, found)));
        let unknown = found.iter().filter(|name| !named.contains(name));
        let unknown = unknown.map(|name| {
            format!("the mapping does not name the column {}{}; map it, or list it under `ignore`", quoted(name), {
                near(name, &named)
            })
        });
        let faults: Vec<String> = missing.chain(unknown).collect();
        if faults.is_empty() { Ok(()) } else { Err(faults.join("\n")) }
    }

    /// Returns the column of a claim, by its path in an error of the issuer, such as `learningOutcomes[2].title`.
    pub(crate) fn column_of(&self, path: &str) -> Option<&str> {
        let plain: String = path.split(['[', ']']).step_by(2).collect();
        let names: Vec<&str> = plain.split('.').collect();
        let shared = |rule: &ColumnRule| {
            let own = rule.path.iter().map(|step| step.name.as_str());
            let shared = own.zip(&names).take_while(|(own, name)| own == *name).count();
            // One is within the other.
            (shared == rule.path.len() || shared == names.len()).then_some(shared)
        };
        let ranked = self.rules.iter().filter_map(|rule| Some((shared(rule)?, rule)));
        ranked.max_by_key(|(shared, _)| *shared).map(|(_, rule)| rule.column.as_str())
    }
}

/// Checks the tag of a language.
///
/// # Errors
/// There are no letters in it; the text names the languages, and the nearest.
pub(crate) fn check_language(tag: &str) -> Result<(), String> {
    if LANGUAGES.contains(&tag) {
        return Ok(());
    }
    let near = nearest_name(tag, LANGUAGES).map_or(String::new(), |near| format!("; the nearest is {near}"));
    Err(format!("it must be one of {}{near}", LANGUAGES.join(", ")))
}

fn column_rule(column: String, rule: toml::Value) -> Result<ColumnRule, String> {
    let of = |what: &str| format!("columns.{}: {what}", quoted(&column));
    let table = match rule {
        toml::Value::String(claim) => {
            ColumnTable { claim, kind: None, date: None, digits: None, decimal: None, yes: None, no: None, split: None }
        }
        table @ toml::Value::Table(_) => {
            table.try_into::<ColumnTable>().map_err(|error| of(error.to_string().trim_end()))?
        }
        _ => return Err(of("must be the path of a claim, or a table with `claim`")),
    };
    let path =
        parse_path(&table.claim).ok_or_else(|| of("`claim` must be a path such as title or outcomes[].title"))?;
    if table.split.as_deref() == Some("") || (table.split.is_some() && !path.iter().any(|step| step.each)) {
        return Err(of("`split` needs a separator, and a path with [] such as outcomes[].title"));
    }
    let kind = value_kind(&table).map_err(|what| of(&what))?;
    Ok(ColumnRule { column, path, kind, split: table.split })
}

fn value_kind(table: &ColumnTable) -> Result<ValueKind, String> {
    const KINDS: [&str; 5] = ["text", "integer", "number", "boolean", "json"];
    let kind = match (&table.date, table.kind.as_deref()) {
        (Some(form), None) => ValueKind::Date(DateForm::parse(form)?),
        (Some(_), Some(_)) => return Err("`date` says it all; leave out `as`".to_owned()),
        (None, None | Some("text")) => ValueKind::Text { digits: table.digits.filter(|digits| *digits <= 64) },
        (None, Some("integer")) => ValueKind::Integer,
        (None, Some("number")) => ValueKind::Number { decimal: table.decimal.unwrap_or('.') },
        (None, Some("boolean")) => ValueKind::Boolean {
            yes: table.yes.clone().unwrap_or_else(|| "true".to_owned()),
            no: table.no.clone().unwrap_or_else(|| "false".to_owned()),
        },
        (None, Some("json")) => ValueKind::Json,
        (None, Some(other)) => {
            let near = nearest_name(other, KINDS).map_or(String::new(), |near| format!("; the nearest is {near}"));
            return Err(format!("`as` must be one of {}{near}", KINDS.join(", ")));
        }
    };
    let fits = [
        (
            table.digits.is_some(),
            matches!(kind, ValueKind::Text { digits: Some(_) }),
            "`digits` (at most 64) is for text",
        ),
        (
            table.decimal.is_some(),
            matches!(kind, ValueKind::Number { decimal: '.' | ',' }),
            "`decimal` must be \".\" or \",\", for `as = \"number\"`",
        ),
        (
            table.yes.is_some() || table.no.is_some(),
            matches!(kind, ValueKind::Boolean { .. }),
            "`yes` and `no` are for `as = \"boolean\"`",
        ),
    ];
    match fits.into_iter().find(|(given, fits, _)| *given && !fits) {
        Some((_, _, what)) => Err(what.to_owned()),
        None => Ok(kind),
    }
}

/// Parses a path of names with dots between them, one of which may end with `[]`.
fn parse_path(text: &str) -> Option<Vec<PathStep>> {
    let step = |part: &str| {
        let (name, each) = part.strip_suffix("[]").map_or((part, false), |name| (name, true));
        let is_name = !name.is_empty() && !name.contains(['[', ']', ' ', '"']);
        is_name.then(|| PathStep { name: name.to_owned(), each })
    };
    let steps: Vec<PathStep> = text.split('.').map(step).collect::<Option<_>>()?;
    (steps.iter().filter(|step| step.each).count() <= 1 && steps.len() <= 8).then_some(steps)
}

/// Refuses two sources of one claim.
fn check_paths(rules: &[ColumnRule], constants: &Map<String, Value>) -> Result<(), String> {
    let within = |a: &[PathStep], b: &[PathStep]| a.iter().zip(b).all(|(a, b)| a == b);
    for (at, rule) in rules.iter().enumerate() {
        let name = &quoted(&rule.column);
        if let Some(other) = rules.iter().take(at).find(|other| within(&rule.path, &other.path)) {
            return Err(format!("columns: {name} and {} are mapped to the same claim", quoted(&other.column)));
        }
        if rule.path.first().is_some_and(|step| constants.contains_key(&step.name)) {
            return Err(format!("constants: the column {name} is mapped to the same claim"));
        }
    }
    Ok(())
}

fn constant(value: toml::Value) -> Result<Value, String> {
    Ok(match value {
        toml::Value::String(text) => Value::String(text),
        toml::Value::Integer(number) => Value::from(number),
        toml::Value::Float(number) => Value::from(number),
        toml::Value::Boolean(value) => Value::Bool(value),
        toml::Value::Datetime(_) => return Err("constants: write a day as a text, in quotation marks".to_owned()),
        toml::Value::Array(items) => Value::Array(items.into_iter().map(constant).collect::<Result<_, _>>()?),
        toml::Value::Table(table) => {
            let members = table.into_iter().map(|(name, value)| Ok((name, constant(value)?)));
            Value::Object(members.collect::<Result<_, String>>()?)
        }
    })
}

fn reference_source(value: toml::Value) -> Result<ReferenceSource, String> {
    let (column, digits) = match value {
        toml::Value::String(column) => (column, None),
        value => {
            let table: TermTable = value.try_into().map_err(|error: toml::de::Error| format!("reference: {error}"))?;
            if table.date.is_some() || table.digits.is_some_and(|digits| digits > 64) {
                return Err("reference: it has a `column`, and may have `digits` up to 64".to_owned());
            }
            (table.column, table.digits)
        }
    };
    Ok(ReferenceSource { column, kind: ValueKind::Text { digits } })
}

/// Parses the source of a day: a day such as `2030-12-31`, or a table with `column` and `date`.
fn day_source(name: &'static str, value: toml::Value) -> Result<DaySource, String> {
    let fixed = |text: &str| {
        let at = if name == "valid_from" { day::parse_start(text) } else { day::parse_end(text) };
        let at = at.ok().filter(|at| *at == at.start_of_day());
        at.map(DaySource::Fixed).ok_or_else(|| format!("{name}: it must be a day such as 2030-12-31, or a table"))
    };
    match value {
        toml::Value::String(text) => fixed(&text),
        toml::Value::Datetime(day) => fixed(&day.to_string()),
        value => {
            let table: TermTable = value.try_into().map_err(|error: toml::de::Error| format!("{name}: {error}"))?;
            let form = table.date.filter(|_| table.digits.is_none());
            let form = form.ok_or_else(|| format!("{name}: it has a `column`, and `date` with the form of the day"))?;
            let form = DateForm::parse(&form).map_err(|what| format!("{name}: {what}"))?;
            Ok(DaySource::Column { column: table.column, form })
        }
    }
}

/// Sets of columns by name, for the cells of a row.
pub(crate) fn places(columns: &[String]) -> BTreeMap<String, usize> {
    columns.iter().enumerate().map(|(at, name)| (name.clone(), at)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPPING: &str = "reference = \"No\"\nlanguage = \"Lang\"\nignore = [\"Note\"]\n\
        valid_until = { column = \"Until\", date = \"DD.MM.YYYY\" }\nvalid_from = 2026-12-01\n\
        [constants]\nawardingBody = \"University\"\neqfLevel = 6\n\
        [columns]\n\"Name\" = \"familyName\"\n\"Born\" = { claim = \"dateOfBirth\", date = \"DD.MM.YYYY\" }\n\
        \"Skills\" = { claim = \"learningOutcomes[].title\", split = \";\" }\n";

    #[test]
    fn columns_of_file_and_mapping_are_compared() {
        let mapping = Mapping::parse(MAPPING).unwrap();
        let all = ["No", "Lang", "Note", "Until", "Name", "Born", "Skills"].map(str::to_owned);
        mapping.check_columns(&all).unwrap();
        let without_ignored = all.clone().into_iter().filter(|name| name != "Note").collect::<Vec<_>>();
        mapping.check_columns(&without_ignored).unwrap();
        let mut other = all.to_vec();
        other[5] = "Borne".to_owned();
        let refused = mapping.check_columns(&other).unwrap_err();
        assert!(refused.contains("no column \"Born\"; the nearest is \"Borne\""), "{refused}");
        assert!(refused.contains("does not name the column \"Borne\"; the nearest is \"Born\""), "{refused}");
    }

    #[test]
    fn an_error_of_the_issuer_is_told_by_its_column() {
        let mapping = Mapping::parse(MAPPING).unwrap();
        for (path, column) in [
            ("dateOfBirth", Some("Born")),
            ("learningOutcomes[0].title", Some("Skills")),
            ("learningOutcomes", Some("Skills")),
            ("title", None),
        ] {
            assert_eq!(mapping.column_of(path), column, "{path}");
        }
    }

    #[test]
    fn a_mapping_that_contradicts_itself_is_refused() {
        let with = |line: &str| Mapping::parse(&format!("{MAPPING}{line}\n")).unwrap_err();
        for (line, told) in [
            ("\"Born \" = \"dateOfBirth\"", "mapped to the same claim"),
            ("\"Level\" = \"eqfLevel\"", "constants: the column \"Level\""),
            ("\"X\" = { claim = \"x\", as = \"interger\" }", "the nearest is integer"),
            ("\"X\" = { claim = \"x\", dates = \"DD.MM.YYYY\" }", "unknown field"),
            ("\"X\" = { claim = \"x\", date = \"DD.MM.YY\" }", "form of a day"),
            ("\"X\" = { claim = \"x\", split = \";\" }", "`split` needs"),
            ("\"X\" = { claim = \"x[].y[]\" }", "must be a path"),
            ("\"X\" = { claim = \"x\", decimal = \",\" }", "`decimal`"),
            ("\"Name\" = \"x\"", "duplicate key"),
        ] {
            let refused = with(line);
            assert!(refused.contains(told), "{line}: {refused}");
        }
        assert!(Mapping::parse("colums = 1").unwrap_err().contains("unknown field"));
        assert!(Mapping::parse("[columns]").unwrap_err().contains("no column"));
        let language = Mapping::parse("default_language = \"pt\"\n[columns]\n\"a\" = \"b\"").unwrap_err();
        assert!(language.contains("one of ar, de"), "{language}");
    }
}
