//! Suggestion of a known name for a misspelt one.

/// Maximum length of a name that is compared, in letters and digits.
const LONGEST: usize = 64;
/// Minimum length of a part of a name that counts as a match, in letters and digits.
const SHORTEST_PART: usize = 4;

/// Returns the known name that is most similar to the given one: at most a third of the characters differ, or one
/// contains the other. Only letters and digits are compared, without case. `None` if no name is similar, or the given
/// name has no letter or digit or is longer than 64.
#[must_use]
pub fn nearest_name<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let given = folded(given);
    if given.is_empty() || given.len() > LONGEST {
        return None;
    }
    let ranked = known.into_iter().filter_map(|name| {
        let known = folded(name);
        let distance = distance(&given, &known);
        (distance.saturating_mul(3) <= given.len() || is_part(&given, &known)).then_some((distance, name))
    });
    ranked.min().map(|(_, name)| name)
}

/// Returns whether one contains the other, and the shorter one has at least [`SHORTEST_PART`] characters.
fn is_part(a: &[char], b: &[char]) -> bool {
    let (short, long) = if a.len() < b.len() { (a, b) } else { (b, a) };
    short.len() >= SHORTEST_PART && long.windows(short.len()).any(|part| part == short)
}

fn folded(name: &str) -> Vec<char> {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Returns the edit distance: the number of characters to insert, remove, replace or swap with the next one.
fn distance(a: &[char], b: &[char]) -> usize {
    // Three rows of the matrix: the current one and the two before it.
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    let mut previous = None;
    for (row, one) in a.iter().enumerate() {
        let mut next = vec![row.saturating_add(1)];
        let at = |cells: &[usize], place: usize| cells.get(place).copied().unwrap_or(usize::MAX);
        for (column, other) in b.iter().enumerate() {
            let replaced = at(&last, column).saturating_add(usize::from(one != other));
            let removed = at(&last, column.saturating_add(1)).saturating_add(1);
            let added = at(&next, column).saturating_add(1);
            let swapped = match column.checked_sub(1) {
                Some(left) if previous == Some(other) && b.get(left) == Some(one) => {
                    at(&before, left).saturating_add(1)
                }
                _ => usize::MAX,
            };
            next.push(replaced.min(removed).min(added).min(swapped));
        }
        previous = Some(one);
        before = std::mem::replace(&mut last, next);
    }
    last.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_meant_is_found_and_nothing_else() {
        let known = ["title", "familyName", "dateOfBirth", "grade"];
        for (given, meant) in [
            ("tittle", Some("title")),
            ("titel", Some("title")),
            ("family_name", Some("familyName")),
            ("birthDate", None),
            ("dateOfBrith", Some("dateOfBirth")),
            ("shoeSize", None),
            ("", None),
            ("grades", Some("grade")),
            ("birth", Some("dateOfBirth")),
            ("of", None),
        ] {
            assert_eq!(nearest_name(given, known), meant, "{given}");
        }
        assert_eq!(nearest_name(&"x".repeat(10_000), known), None);
        assert_eq!(nearest_name("x", []), None);
    }

    #[test]
    fn a_mistyped_name_is_known_and_another_is_not() {
        let known = ["title", "dateOfBirth", "familyName", "givenName", "credits"];
        for (given, expected) in [
            ("tittle", Some("title")),
            ("Titel", Some("title")),
            ("date_of_birth", Some("dateOfBirth")),
            ("familyname", Some("familyName")),
            ("FirstName", None),
            ("shoeSize", None),
            ("", None),
            ("???", None),
            (&"title".repeat(20), None),
        ] {
            assert_eq!(nearest_name(given, known), expected, "{given}");
        }
    }
}
