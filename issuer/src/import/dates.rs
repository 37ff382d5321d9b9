//! Days in the one form that a mapping names.

use carnet_core::{day, text::quoted};

use super::table::Cell;

/// Form in which days are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DateForm {
    /// Cells that a spreadsheet marks as days.
    Spreadsheet,
    /// Text of these parts.
    Text(Vec<Part>),
}

/// Part of the form of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Four digits.
    Year,
    /// Two digits, or one or two.
    Month {
        padded: bool,
    },
    /// Two digits, or one or two.
    Day {
        padded: bool,
    },
    Literal(char),
}

impl DateForm {
    /// Parses a form: `spreadsheet`, or a text with YYYY, MM or M, and DD or D, once each, and characters between them
    /// that are neither letters nor digits.
    ///
    /// # Errors
    /// The form is malformed.
    pub(crate) fn parse(form: &str) -> Result<Self, String> {
        if form == "spreadsheet" {
            return Ok(Self::Spreadsheet);
        }
        let refused = || {
            format!(
                "{} is not a form of a day: write YYYY, MM and DD (or M and D without a leading zero) once each, such as \
                 \"DD.MM.YYYY\", or \"spreadsheet\" for cells that the spreadsheet marks as days",
                quoted(form)
            )
        };
        let mut parts = Vec::new();
        let mut rest = form;
        while let Some(first) = rest.chars().next() {
            const TOKENS: [(&str, Part); 5] = [
                ("YYYY", Part::Year),
                ("MM", Part::Month { padded: true }),
                ("M", Part::Month { padded: false }),
                ("DD", Part::Day { padded: true }),
                ("D", Part::Day { padded: false }),
            ];
            let token = TOKENS.into_iter().find_map(|(name, part)| Some((rest.strip_prefix(name)?, part)));
            let (after, part) = match token {
                Some(found) => found,
                None if !first.is_alphanumeric() && !first.is_control() => {
                    (rest.get(first.len_utf8()..).unwrap_or_default(), Part::Literal(first))
                }
                None => return Err(refused()),
            };
            parts.push(part);
            rest = after;
        }
        let count = |wanted: fn(&Part) -> bool| parts.iter().filter(|part| wanted(part)).count();
        let numbers = [
            count(|part| *part == Part::Year),
            count(|part| matches!(part, Part::Month { .. })),
            count(|part| matches!(part, Part::Day { .. })),
        ];
        // Digits of unknown number next to other digits would be ambiguous.
        let is_open = |part: &Part| matches!(part, Part::Month { padded: false } | Part::Day { padded: false });
        let is_number = |part: &Part| !matches!(part, Part::Literal(_));
        let mut pairs = parts.windows(2).filter_map(|pair| Some((pair.first()?, pair.last()?)));
        let ambiguous = pairs.any(|(a, b)| is_number(a) && is_number(b) && (is_open(a) || is_open(b)));
        if numbers != [1, 1, 1] || ambiguous { Err(refused()) } else { Ok(Self::Text(parts)) }
    }

    /// Reads the day of a cell, as `YYYY-MM-DD`.
    ///
    /// # Errors
    /// The cell has another form, or no such day exists; the text states the expected form.
    pub(crate) fn read(&self, cell: &Cell) -> Result<String, String> {
        match (self, cell) {
            (Self::Spreadsheet, Cell::Day { text, has_time: false }) => Ok(text.clone()),
            (Self::Spreadsheet, Cell::Day { .. }) => Err("it has a time of day; give a day alone".to_owned()),
            (Self::Spreadsheet, _) => {
                Err("the mapping expects a cell that the spreadsheet marks as a day; format the \
                                           column as a date, or name the form of the text in the mapping"
                    .to_owned())
            }
            (Self::Text(_), Cell::Day { .. }) => {
                Err("the spreadsheet marks the cell as a day, and the mapping expects \
                                                      text; write `date = \"spreadsheet\"` for this column"
                    .to_owned())
            }
            (Self::Text(parts), cell) => {
                let text = cell.shown();
                let expected = || format!("it must be a day written as {}, such as {}", self.name(), self.example());
                let Some((year, month, day)) = numbers(parts, &text) else {
                    let nearest = self.with_own_marks(&text).map(|text| format!("; the nearest is {text}"));
                    return Err(format!("{}{}", expected(), nearest.unwrap_or_default()));
                };
                let iso = format!("{year:04}-{month:02}-{day:02}");
                let exists = day::parse_start(&iso).is_ok();
                if exists { Ok(iso) } else { Err(format!("no such day exists; {}", expected())) }
            }
        }
    }

    fn parts(&self) -> &[Part] {
        match self {
            Self::Spreadsheet => &[],
            Self::Text(parts) => parts,
        }
    }

    fn name(&self) -> String {
        self.parts().iter().map(|part| part.name()).collect()
    }

    fn example(&self) -> String {
        self.written(1999, 12, 31)
    }

    fn written(&self, year: u16, month: u16, day: u16) -> String {
        let text = |part: &Part| match part {
            Part::Year => format!("{year:04}"),
            Part::Month { padded: true } => format!("{month:02}"),
            Part::Month { .. } => month.to_string(),
            Part::Day { padded: true } => format!("{day:02}"),
            Part::Day { .. } => day.to_string(),
            Part::Literal(c) => c.to_string(),
        };
        self.parts().iter().map(text).collect()
    }

    /// Returns a text with the same three numbers in this form; `None` if the order of day and month could be another.
    fn with_own_marks(&self, text: &str) -> Option<String> {
        let groups: Vec<&str> = text.split(|c: char| !c.is_ascii_digit()).filter(|group| !group.is_empty()).collect();
        let order: Vec<&Part> = self.parts().iter().filter(|part| !matches!(part, Part::Literal(_))).collect();
        if groups.len() != order.len() {
            return None;
        }
        let (mut year, mut month, mut day) = (None, None, None);
        for (group, part) in groups.iter().zip(order) {
            let number = group.parse::<u16>().ok()?;
            match part {
                Part::Year => year = (group.len() == 4).then_some(number),
                Part::Month { .. } => month = (group.len() <= 2).then_some(number),
                Part::Day { .. } => day = (group.len() <= 2).then_some(number),
                Part::Literal(_) => {}
            }
        }
        let (year, month, day) = (year?, month?, day?);
        let written = self.written(year, month, day);
        let exists = day::parse_start(&format!("{year:04}-{month:02}-{day:02}")).is_ok();
        (exists && written != text).then_some(written)
    }
}

impl Part {
    fn name(self) -> String {
        match self {
            Self::Year => "YYYY".to_owned(),
            Self::Month { padded: true } => "MM".to_owned(),
            Self::Month { .. } => "M".to_owned(),
            Self::Day { padded: true } => "DD".to_owned(),
            Self::Day { .. } => "D".to_owned(),
            Self::Literal(c) => c.to_string(),
        }
    }
}

/// Returns year, month and day of a text in exactly this form.
fn numbers(parts: &[Part], text: &str) -> Option<(u16, u16, u16)> {
    let mut rest = text;
    let (mut year, mut month, mut day) = (None, None, None);
    for part in parts {
        let (least, most) = match part {
            Part::Year => (4, 4),
            Part::Month { padded: true } | Part::Day { padded: true } => (2, 2),
            Part::Month { .. } | Part::Day { .. } => (1, 2),
            Part::Literal(c) => {
                rest = rest.strip_prefix(*c)?;
                continue;
            }
        };
        let length = rest.bytes().take(most).take_while(u8::is_ascii_digit).count();
        let (digits, after) = rest.split_at_checked(length).filter(|_| length >= least)?;
        // Without a leading zero, if the form has none.
        let number = Some(digits.parse::<u16>().ok()?).filter(|_| least > 1 || !digits.starts_with('0'));
        match part {
            Part::Year => year = number,
            Part::Month { .. } => month = number,
            _ => day = number,
        }
        rest = after;
    }
    if rest.is_empty() { Some((year?, month?, day?)) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(form: &str, text: &str) -> Result<String, String> {
        DateForm::parse(form).unwrap().read(&Cell::from_text(text.to_owned()))
    }

    #[test]
    fn a_day_is_read_in_the_form_of_the_mapping_alone() {
        for (form, text, day) in [
            ("DD.MM.YYYY", "17.04.1998", "1998-04-17"),
            ("D.M.YYYY", "7.4.1998", "1998-04-07"),
            ("MM/DD/YYYY", "04/17/1998", "1998-04-17"),
            ("YYYYMMDD", "19980417", "1998-04-17"),
            ("YYYY-MM-DD", "2024-02-29", "2024-02-29"),
        ] {
            assert_eq!(read(form, text).unwrap(), day);
        }
        for (form, text, told) in [
            ("DD.MM.YYYY", "17.4.1998", "the nearest is 17.04.1998"),
            ("DD.MM.YYYY", "17/04/1998", "the nearest is 17.04.1998"),
            ("DD.MM.YYYY", "1998-04-17", "written as DD.MM.YYYY, such as 31.12.1999"),
            ("DD.MM.YYYY", "17.04.98", "written as DD.MM.YYYY"),
            ("DD.MM.YYYY", "31.02.1999", "no such day exists"),
            ("DD.MM.YYYY", "17.04.1998 ", "the nearest is 17.04.1998"),
            ("MM/DD/YYYY", "17/04/1998", "no such day exists"),
            ("D.M.YYYY", "07.4.1998", "the nearest is 7.4.1998"),
            ("DD.MM.YYYY", "１７.04.1998", "written as DD.MM.YYYY"),
            ("DD.MM.YYYY", "36202", "written as DD.MM.YYYY"),
        ] {
            let refused = read(form, text).unwrap_err();
            assert!(refused.contains(told), "{text}: {refused}");
        }
        assert!(!read("DD.MM.YYYY", "1998-04-17").unwrap_err().contains("nearest"));
    }

    #[test]
    fn days_of_a_spreadsheet_and_texts_are_not_mixed() {
        let day = |has_time| Cell::Day { text: "1998-04-17".to_owned(), has_time };
        let spreadsheet = DateForm::parse("spreadsheet").unwrap();
        assert_eq!(spreadsheet.read(&day(false)).unwrap(), "1998-04-17");
        assert!(spreadsheet.read(&day(true)).unwrap_err().contains("time of day"));
        assert!(spreadsheet.read(&Cell::Number("36202".to_owned())).unwrap_err().contains("marks as a day"));
        let text = DateForm::parse("YYYY-MM-DD").unwrap();
        assert!(text.read(&day(false)).unwrap_err().contains("date = \"spreadsheet\""));
    }

    #[test]
    fn a_form_names_each_part_once() {
        for wrong in ["", "DD.MM", "DD.MM.YY", "DD.MM.YYYY YYYY", "DMYYYY", "YYYYMD", "DD of MM YYYY", "dd.mm.yyyy"] {
            assert!(DateForm::parse(wrong).unwrap_err().contains("such as \"DD.MM.YYYY\""), "{wrong}");
        }
    }
}
