//! The word that was probably meant.

/// `write ...` with the nearest of `known`, or with all of them where none is near.
pub(super) fn write_one_of<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    match (nearest(word, known.iter().copied()), &*known) {
        (_, []) => "remove it".to_owned(),
        (Some(near), _) => format!("write `{near}`"),
        (None, [only]) => format!("write `{only}`"),
        (None, many) => format!("write one of {}", listed(many)),
    }
}

/// `a`, `b`, `c`
pub(super) fn listed(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

/// The nearest of `known`, where one is near enough to be meant.
pub(super) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let (distance, near) = by_distance(word, known).into_iter().next()?;
    let short = word.chars().count().min(near.chars().count());
    let contained = short >= 3 && (word.starts_with(near) || near.starts_with(word));
    // Within two letters everything is near.
    let near_enough = if short < 3 { 0 } else { (short / 3).max(1) };
    (contained || distance <= near_enough).then_some(near)
}

/// Whether `word` is `known` but for capital letters or one slip of the pen.
pub(super) fn is_slip_of(word: &str, known: &str) -> bool {
    let lower = word.to_lowercase();
    let near = known.len() > 3 && strsim::damerau_levenshtein(&lower, known) == 1;
    word != known && (lower == known || near)
}

/// All of `known` with their distances from `word`, nearest first.
pub fn by_distance<'k>(
    word: &str,
    known: impl IntoIterator<Item = &'k str>,
) -> Vec<(usize, &'k str)> {
    // A key of a megabyte is nobody's slip of the pen.
    let word: String = word.chars().take(80).flat_map(char::to_lowercase).collect();
    let mut all: Vec<_> = known
        .into_iter()
        .map(|known| (strsim::damerau_levenshtein(&word, &known.to_lowercase()), known))
        .collect();
    all.sort_by_key(|(distance, _)| *distance);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_find_their_word_and_strangers_find_none() {
        let known = ["timeout", "limits", "cache", "max_body"];
        for (word, near) in [
            ("tiemout", Some("timeout")),
            ("Timeout", Some("timeout")),
            ("limit", Some("limits")),
            ("max_body_size", Some("max_body")),
            ("colour", None),
            ("x", None),
        ] {
            assert_eq!(nearest(word, known), near, "{word}");
        }
        assert_eq!(write_one_of("zzzzzz", ["a", "b"]), "write one of `a`, `b`");
        assert_eq!(write_one_of("tls", []), "remove it");
    }
}
