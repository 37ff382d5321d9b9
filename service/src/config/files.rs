//! Configuration files, with the location of each field: errors state file, line, field and value.

use std::{
    ops::Range,
    path::{Path, PathBuf},
};

use carnet_core::{spelling::nearest_name, text::quoted};
use serde::de::DeserializeOwned;
use toml::de::{DeTable, DeValue, Error};

use super::StartError;
use crate::disk;

/// Table whose values are not repeated in errors: somebody may have put a secret there by mistake.
const SECRET_TABLE: &str = "keys";
/// Maximum length of a value that is repeated in an error, in characters.
const MAX_VALUE_CHARS: usize = 80;

/// Beginning of the words for every kind of whole number.
pub(super) const WHOLE_NUMBER: &str = "a whole number";
/// Words for a socket address.
const ADDRESS: &str = "ADDRESS:PORT, such as 127.0.0.1:7401";

/// Path and text of a configuration file.
#[derive(Debug, Clone)]
pub(super) struct ConfigFile {
    path: PathBuf,
    text: String,
}

/// Configuration files, the one with precedence first.
#[derive(Debug, Clone, Default)]
pub struct ConfigFiles(pub(super) Vec<ConfigFile>);

/// Field found in a file.
struct LocatedField {
    /// Path of the field, such as `status.entries`.
    field: String,
    /// Byte range of its name or value.
    span: Range<usize>,
}

impl ConfigFiles {
    /// Adds file and line to an error of [`super::invalid_field`]; any other error is returned unchanged. If no file
    /// has the field, the line is that of the table that should contain it.
    #[must_use]
    pub fn add_location(&self, error: StartError) -> StartError {
        let Some(field) = &error.field else { return error };
        // The first file that has the field; otherwise the first that has the table around it.
        let found = || self.0.iter().filter_map(|file| Some((file, file.find(field)?)));
        let exact = found().find(|(_, found)| found.field == *field);
        let Some((file, found)) = exact.or_else(|| found().next()) else { return error };
        let place = format!("{}, line {}: ", file.path.display(), file.line_number(found.span.start));
        StartError {
            message: error.message.replacen(super::REFUSED_PREFIX, &format!("{}{place}", super::REFUSED_PREFIX), 1),
            ..error
        }
    }

    /// Returns the error for a merged configuration that is invalid, with the line of the fault; `None` if no single
    /// file has the fault.
    pub(super) fn locate_error<T: DeserializeOwned>(&self) -> Option<StartError> {
        self.0.iter().find_map(|file| {
            let error = toml::from_str::<T>(&file.text).err()?;
            // The field may be in the other file.
            (!error.message().starts_with("missing field")).then(|| file.located_error(&error))
        })
    }
}

impl ConfigFile {
    /// Reads a file.
    ///
    /// # Errors
    /// The file is unreadable or not UTF-8.
    pub(super) fn read(path: &Path) -> Result<Self, StartError> {
        let text = disk::read_user_text(path).map_err(|error| {
            StartError::new(
                format!("The configuration {} cannot be read: {error}.", path.display()),
                "Check the path and that this user may read the file.",
            )
            .nothing_changed()
            .unreadable()
        })?;
        Ok(Self { path: path.to_owned(), text: text.as_str().to_owned() })
    }

    /// Parses the file.
    ///
    /// # Errors
    /// It is not TOML, lacks a field, or has an unknown field or one of the wrong type.
    pub(super) fn parse<T: DeserializeOwned>(&self) -> Result<T, StartError> {
        toml::from_str(&self.text).map_err(|error| self.located_error(&error))
    }

    fn located_error(&self, error: &Error) -> StartError {
        let what = rewrite_message(error.message());
        let path = self.path.display();
        let found = error.span().and_then(|span| self.field_at(&span));
        let said = match error.span().filter(|_| !error.message().starts_with("missing field")) {
            None => format!("{path}: {what}"),
            Some(span) => {
                let line = self.line_number(span.start);
                match found.as_ref().and_then(|found| self.displayed_field(found)) {
                    Some(shown) => format!("{path}, line {line}: {shown}: {what}"),
                    None => format!("{path}, line {line}: {what}"),
                }
            }
        };
        let refused = StartError::new(
            format!("{}{said}.", super::REFUSED_PREFIX),
            "Correct the line; docs/configuration.md lists all fields.",
        );
        StartError { field: found.map(|found| found.field), ..refused.nothing_changed() }
    }

    fn line_number(&self, at: usize) -> usize {
        self.text.bytes().take(at).filter(|byte| *byte == b'\n').count().saturating_add(1)
    }

    /// Returns `field = value`, or only the field if its value may be a secret, is long, empty or a table, or spans
    /// several lines.
    fn displayed_field(&self, found: &LocatedField) -> Option<String> {
        let field = &found.field;
        let is_secret = field == SECRET_TABLE || field.starts_with("keys.");
        let value = self.text.get(found.span.clone()).map(str::trim).unwrap_or_default();
        let is_plain = value.chars().count() <= MAX_VALUE_CHARS && !value.is_empty() && !value.contains('\n');
        let name = field.rsplit('.').next().unwrap_or_default();
        // The span of an unknown field is its name.
        if is_secret || !is_plain || value.starts_with('[') || value == name {
            return Some(field.clone());
        }
        Some(format!("{field} = {value}"))
    }

    /// Returns the innermost field whose name or value contains the start of a byte range.
    fn field_at(&self, span: &Range<usize>) -> Option<LocatedField> {
        let document = DeTable::parse(&self.text).ok()?;
        let mut found = None;
        find_in_table(document.get_ref(), "", span, &mut found);
        found
    }

    /// Returns a field, or the innermost existing table of its path.
    fn find(&self, field: &str) -> Option<LocatedField> {
        let document = DeTable::parse(&self.text).ok()?;
        let mut table = Some(document.get_ref());
        let mut found: Option<LocatedField> = None;
        for name in field.split('.') {
            let Some((key, value)) = table?.iter().find(|(key, _)| key.get_ref() == name) else { break };
            let field = found.map_or_else(|| name.to_owned(), |found| format!("{}.{name}", found.field));
            found = Some(LocatedField { field, span: key.span() });
            table = match value.get_ref() {
                DeValue::Table(inner) => Some(inner),
                _ => None,
            };
            if table.is_none() {
                break;
            }
        }
        found
    }
}

fn find_in_table(table: &DeTable<'_>, parent: &str, span: &Range<usize>, found: &mut Option<LocatedField>) {
    for (key, value) in table {
        let name = key.get_ref();
        let field = if parent.is_empty() { name.to_string() } else { format!("{parent}.{name}") };
        if key.span().contains(&span.start) {
            *found = Some(LocatedField { field, span: key.span() });
            return;
        }
        find_in_value(value.get_ref(), value.span(), &field, span, found);
    }
}

fn find_in_value(
    value: &DeValue<'_>,
    own: Range<usize>,
    field: &str,
    span: &Range<usize>,
    found: &mut Option<LocatedField>,
) {
    match value {
        // The span of a table is that of its header.
        DeValue::Table(inner) => find_in_table(inner, field, span, found),
        DeValue::Array(items) => {
            for (number, item) in items.iter().enumerate() {
                find_in_value(item.get_ref(), item.span(), &format!("{field}[{number}]"), span, found);
            }
        }
        _ => {}
    }
    if found.is_none() && own.contains(&span.start) {
        *found = Some(LocatedField { field: field.to_owned(), span: own });
    }
}

/// Rewrites serde's message about a field in the words of the configuration; an unknown message is returned unchanged.
pub(super) fn rewrite_message(message: &str) -> String {
    let message = message.trim_end();
    if let Some(rest) = message.strip_prefix("unknown field ") {
        return unknown_field(rest);
    }
    if let Some(rest) = message.strip_prefix("unknown variant ") {
        let mut names = rest.split('`').skip(1).step_by(2);
        let given = names.next().unwrap_or_default();
        let known: Vec<&str> = names.collect();
        let meant = nearest_name(given, known.iter().copied()).map(|meant| format!("; the nearest is {meant}"));
        return format!("it must be one of {}{}", known.join(", "), meant.unwrap_or_default());
    }
    if message.contains("invalid socket address") {
        return format!("it must be {ADDRESS}");
    }
    if let Some(field) = message.strip_prefix("missing field ") {
        return format!("the field {} is missing", field.trim_matches('`'));
    }
    match message.split_once(", expected ") {
        Some((given, expected)) if given.starts_with("invalid ") => format!("it must be {}", expected_value(expected)),
        _ => message.to_owned(),
    }
}

/// Describes the value that serde expected, in the words of the configuration.
fn expected_value(expected: &str) -> String {
    let numbers = [("u8", u64::from(u8::MAX)), ("u16", u64::from(u16::MAX)), ("u32", u64::from(u32::MAX))];
    if let Some((_, most)) = numbers.iter().find(|(name, _)| *name == expected) {
        return format!("a whole number from 0 to {most}");
    }
    let words = match expected {
        "u64" | "usize" | "a nonzero u64" => "a whole number, 0 or more",
        "socket address" => ADDRESS,
        "i64" | "i32" | "isize" => "a whole number",
        "f64" | "f32" => "a number",
        "a boolean" => "true or false",
        "a string" | "string" | "str" => "a text in quotes",
        "path string" | "a path string" => "a path in quotes",
        "a sequence" => "a list in brackets",
        "a map" => "a table",
        structure if structure.starts_with("struct ") => "a table",
        other => other,
    };
    words.to_owned()
}

fn unknown_field(rest: &str) -> String {
    let mut names = rest.split('`').skip(1).step_by(2);
    let unknown = names.next().unwrap_or_default();
    let known: Vec<&str> = names.collect();
    let meant = match nearest_name(unknown, known.iter().copied()) {
        Some(meant) => format!("the nearest is {meant}"),
        None => format!("there are {}", known.join(", ")),
    };
    format!("there is no field {} in this section; {meant}", quoted(unknown))
}
