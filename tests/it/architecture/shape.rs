//! A file says first what it is for, and stays short enough to be read at once.

use super::{Violation, source::Source};

/// Lines of a file, its test module left out.
const MOST_LINES: usize = 400;

/// Reports a file without a head, a file that is too long, and a test file that is always compiled.
pub(super) fn check(source: &Source<'_>, found: &mut Vec<Violation>) {
    let mut report = |line: usize, what: String, mend: &str| {
        let (path, mend) = (source.path.into(), mend.into());
        found.push(Violation { rule: "shape", path, line, what, mend });
    };

    let first = source.text.lines().next().unwrap_or_default();
    if first.strip_prefix("//!").is_none_or(|head| head.trim().is_empty()) {
        let mend = "say in one plain sentence what the file is for";
        report(1, "the first line is no `//!` with a sentence".into(), mend);
    }

    // A test module that stands in a file of its own is as free as one at the foot of a file.
    let in_tests = source.path.starts_with("src/") && source.module().is_none();
    let tests = source.test_lines();
    let counted = |line: &usize| !tests.iter().any(|(from, to)| (from..=to).contains(&line));
    let mut lines = (1..=source.text.lines().count()).filter(counted);
    if let Some(line) = lines.nth(MOST_LINES).filter(|_| !in_tests) {
        let what = format!("line {} of at most {MOST_LINES}, tests left out", MOST_LINES + 1);
        report(line, what, "split it by idea, not by kind");
    }

    if source.module().is_some() {
        let code = source.code();
        let always = code.windows(2).find(|w| w[0].text == "mod" && w[1].text == "tests");
        if let Some([keyword, _]) = always {
            let what = "`mod tests` is compiled into the service".into();
            report(keyword.line, what, "put `#[cfg(test)]` before it");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::expect_found;

    /// A file of that many lines and that many lines of tests behind them.
    fn file(lines: usize, tests: usize) -> String {
        let body = "const _: () = ();\n".repeat(lines - 1);
        let inner = "    const _: () = ();\n".repeat(tests.saturating_sub(3));
        let module = format!("#[cfg(test)]\nmod tests {{\n{inner}}}\n");
        format!("//! Planted.\n{body}{}", if tests > 0 { &module } else { "" })
    }

    #[test]
    fn the_401st_line_is_reported() {
        for path in ["src/time.rs", "src/pipeline/cache/entry.rs", "tests/it/shutdown.rs"] {
            expect_found(path, &file(400, 0), &[]);
            expect_found(path, &file(400, 300), &[]);
            expect_found(path, &file(401, 0), &["shape:401"]);
            expect_found(path, &file(450, 300), &["shape:401"]);
        }
        expect_found("src/pipeline/cache/tests.rs", &file(401, 0), &[]);
    }

    #[test]
    fn a_test_module_at_the_top_hides_nothing() {
        let body = "const _: () = ();\n".repeat(398);
        let text = format!("//! Planted.\n#[cfg(test)]\nmod tests;\n{body}");
        expect_found("src/time.rs", &text, &[]);
        let text = format!("{text}const _: () = ();\n\n");
        expect_found("src/time.rs", &text, &["shape:403"]);
    }

    #[test]
    fn a_file_without_a_head_is_reported() {
        for text in ["", "\n//! Late.\n", "use std::fmt;\n", "// No.\n", "/// No.\n", "//!\n"] {
            expect_found("src/time.rs", text, &["shape:1"]);
            expect_found("tests/it/shutdown.rs", text, &["shape:1"]);
        }
    }

    #[test]
    fn a_test_file_that_is_always_compiled_is_reported() {
        let text = "//! Planted.\n\nmod tests;\n";
        expect_found("src/pipeline/cache/mod.rs", text, &["shape:3"]);
        expect_found("tests/it/main.rs", text, &[]);
    }
}
