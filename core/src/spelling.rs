//! The known name that a mistyped one comes closest to, for messages.

/// Names longer than this, in characters, are not compared: nobody mistypes them by hand.
const LONGEST: usize = 64;

/// Returns the known name that `given` is most probably meant to be; none where nothing is near.
///
/// Case and what is neither letter nor digit do not count: `date_of_birth` is `dateOfBirth`.
pub fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let given = plain(given)?;
    // A third of the letters may be wrong.
    let most = given.len().div_ceil(3).min(4);
    let distances = known.into_iter().filter_map(|name| Some((distance(&given, &plain(name)?), name)));
    distances.filter(|(distance, _)| *distance <= most).min_by_key(|(distance, _)| *distance).map(|(_, name)| name)
}

fn plain(name: &str) -> Option<Vec<char>> {
    let letters: Vec<char> = name
        .chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .take(LONGEST.saturating_add(1))
        .collect();
    ((1..=LONGEST).contains(&letters.len())).then_some(letters)
}

/// The number of letters to add, leave out or change.
fn distance(one: &[char], other: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (done, a) in one.iter().enumerate() {
        let mut diagonal = done;
        let mut left = done.saturating_add(1);
        let mut next = vec![left];
        for (above, b) in row.iter().skip(1).zip(other) {
            let changed = diagonal.saturating_add(usize::from(a != b));
            left = changed.min(above.saturating_add(1)).min(left.saturating_add(1));
            next.push(left);
            diagonal = *above;
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert_eq!(nearest(given, known), expected, "{given}");
        }
    }

    #[test]
    fn distances_are_those_of_levenshtein() {
        for (one, other, expected) in [("", "abc", 3), ("abc", "", 3), ("kitten", "sitting", 3), ("same", "same", 0)] {
            let letters = |text: &str| text.chars().collect::<Vec<_>>();
            assert_eq!(distance(&letters(one), &letters(other)), expected, "{one} {other}");
        }
    }
}
