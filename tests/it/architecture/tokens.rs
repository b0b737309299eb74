//! Takes a Rust source apart into words and marks; comments and literals are left out.

/// A word or a mark (`::` is one mark), and its line from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) text: &'a str,
    pub(super) line: usize,
}

impl Token<'_> {
    /// Whether it is an identifier or a keyword.
    pub(super) fn is_word(&self) -> bool {
        self.text.starts_with(|c: char| c.is_alphabetic() || c == '_')
    }
}

/// The words and marks of a source.
pub(super) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    let (mut rest, mut line) = (text, 1);
    while let Some(first) = rest.chars().next() {
        let (length, kept) = match skipped(rest) {
            Some(length) => (length, false),
            None => (token_length(rest, first), !first.is_whitespace()),
        };
        let (taken, after) = rest.split_at(length);
        if kept {
            found.push(Token { text: taken, line });
        }
        line += taken.matches('\n').count();
        rest = after;
    }
    found
}

fn token_length(rest: &str, first: char) -> usize {
    let in_word = |c: char| c.is_alphanumeric() || c == '_';
    let word = |text: &str| text.find(|c| !in_word(c)).unwrap_or(text.len());
    if let Some(raw) = rest.strip_prefix("r#") {
        2 + word(raw)
    } else if in_word(first) {
        word(rest)
    } else if rest.starts_with("::") {
        2
    } else {
        first.len_utf8()
    }
}

/// The length of the comment or literal that `rest` begins with, if it begins with one.
fn skipped(rest: &str) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return Some(block_comment(rest));
    }
    // The prefixes of strings: b, c, r, br, cr.
    let quoted = rest.trim_start_matches(['b', 'c']);
    let raw = quoted.strip_prefix('r').unwrap_or(quoted);
    let prefix = rest.len() - raw.len();
    let hashes = raw.len() - raw.trim_start_matches('#').len();
    if prefix <= 2 && quoted.len() != raw.len() && raw[hashes..].starts_with('"') {
        let body = prefix + hashes + 1;
        let end = format!("\"{}", "#".repeat(hashes));
        return Some(rest[body..].find(&end).map_or(rest.len(), |at| body + at + end.len()));
    }
    if prefix <= 1 && raw.starts_with('"') {
        return Some(prefix + escaped(raw, '"'));
    }
    if prefix <= 1 && raw.starts_with('\'') {
        // A lifetime has no closing quote behind its first character.
        let mut inside = raw[1..].chars();
        let first = inside.next()?;
        if first == '\\' || inside.next() == Some('\'') {
            return Some(prefix + escaped(raw, '\''));
        }
        let name = raw[1..].find(|c: char| !(c.is_alphanumeric() || c == '_'));
        return Some(prefix + 1 + name.unwrap_or(raw.len() - 1));
    }
    None
}

/// The length of a literal with backslash escapes, quotes included.
fn escaped(text: &str, quote: char) -> usize {
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        if c == '\\' {
            chars.next();
        } else if c == quote {
            return at + 1;
        }
    }
    text.len()
}

/// The length of a block comment; they nest.
fn block_comment(text: &str) -> usize {
    let (mut at, mut depth) = (0, 0_usize);
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// Where the bracket that opens at `open` is closed.
pub(super) fn closing(tokens: &[Token<'_>], open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.text {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    tokens.len()
}

#[test]
fn comments_and_literals_are_no_tokens() {
    let text = r###"
a // crate::x
/* b /* c */ "d */ 'e' "f \" g" b"h" r"i\" r#"j " k"# br##"l"#"## c"m" '\'' '\u{1F}' '"'
n<'o> 'p: loop r#type 1_000u8 q::r
"###;
    let tokens = tokens(text);
    let words: Vec<_> = tokens.iter().filter(|t| t.is_word()).map(|t| (t.text, t.line)).collect();
    let expected = [("a", 2), ("n", 4), ("loop", 4), ("r#type", 4), ("q", 4), ("r", 4)];
    assert_eq!(words, expected);
}
