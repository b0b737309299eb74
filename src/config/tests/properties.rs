//! Nothing that can be written makes it panic, and a report always says something.

use proptest::prelude::{ProptestConfig, Strategy, any, prop_assert, prop_oneof, proptest};

use crate::config::{builtin, parse};

use super::GOOD;

fn env(name: &str) -> Option<String> {
    name.len().is_multiple_of(2).then(|| "x".repeat(name.len()))
}

fn is_told(text: &str) -> bool {
    match parse("f", text, &env) {
        Ok(_) => true,
        Err(report) => {
            let placed = |problem: &crate::config::problem::Problem| {
                problem.line <= text.lines().count() + 1 && !problem.what.is_empty()
            };
            !report.problems().is_empty() && report.problems().iter().all(placed)
        }
    }
}

/// Pieces that mean something to YAML, to expansion or to a reader.
fn piece() -> impl Strategy<Value = String> {
    let pieces = [
        "${",
        "}",
        "$${",
        "${A}",
        "${AB:-}",
        "${file:/x}",
        "&a ",
        "*a",
        "[",
        "]",
        "{",
        "}",
        ": ",
        "- ",
        "\n",
        "\n  ",
        "\t",
        "|\n",
        ">\n",
        "\"",
        "'",
        "#",
        "!!str ",
        "? ",
        "---\n",
        "...\n",
        "%YAML 1.2\n",
        "null",
        "true",
        "5s",
        "9999999999999999999999h",
        "1/s",
        "64KiB",
        "$.a[?(",
        "/{a}",
        "\u{feff}",
        "\u{0}",
        "\u{2028}",
        "ü",
        "none",
        "<<: *a\n",
        "customer_id",
    ];
    prop_oneof![(0..pieces.len()).prop_map(move |at| pieces[at].to_owned()), any::<String>(),]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        prop_assert!(is_told(&text));
    }

    #[test]
    fn any_pieces_of_yaml_are_read_or_refused(pieces in proptest::collection::vec(piece(), 0..60)) {
        prop_assert!(is_told(&pieces.concat()));
    }

    #[test]
    fn a_good_file_with_a_piece_put_anywhere_is_read_or_refused(
        at in 0..GOOD.len(), gone in 0..40_usize, piece in piece(),
    ) {
        // The file is ASCII, so every index is a boundary.
        let end = (at + gone).min(GOOD.len());
        let text = [&GOOD[..at], &piece, &GOOD[end..]].concat();
        prop_assert!(is_told(&text));
    }

    #[test]
    fn a_good_file_with_a_word_replaced_is_read_or_refused(at in 0..400_usize, word in any::<String>()) {
        let words: Vec<&str> = GOOD.split_inclusive([' ', '\n', ',', '{', '}']).collect();
        let at = at % words.len();
        let text = format!("{}{word:?}\n{}", words[..at].concat(), words[at + 1..].concat());
        prop_assert!(is_told(&text));
    }

    #[test]
    fn any_environment_is_taken_or_refused(value in any::<String>()) {
        if let Err(report) = builtin(&|_| Some(value.clone())) {
            prop_assert!(!report.problems().is_empty());
        }
    }
}
