//! Text on a terminal: headings, and rows of a label with a paragraph beside it, in 80 columns.

/// Characters of a line.
const WIDTH: usize = 80;
/// Where paragraphs begin.
const INDENT: usize = 18;

/// A page that is being written.
#[derive(Debug, Default)]
pub(super) struct Page(String);

impl Page {
    /// The page so far.
    pub(super) fn text(&self) -> &str {
        &self.0
    }

    /// A paragraph over the whole width.
    pub(super) fn paragraph(&mut self, text: &str) {
        self.wrap("", 0, text);
    }

    /// A heading, behind an empty line.
    pub(super) fn heading(&mut self, text: &str) {
        self.0.push('\n');
        self.wrap("", 0, text);
    }

    /// A label and a paragraph beside it.
    pub(super) fn row(&mut self, label: &str, text: &str) {
        self.wrap(&format!("  {label:<width$}", width = INDENT - 2), INDENT, text);
    }

    /// A line of a table.
    pub(super) fn columns(&mut self, [first, second, third, last]: [&str; 4]) {
        let line = format!("  {first:<22}{second:<11}{third:<18}{last}");
        self.0.push_str(line.trim_end());
        self.0.push('\n');
    }

    /// Words in lines that keep to the width: the first line behind `label`, the others behind that
    /// many spaces.
    fn wrap(&mut self, label: &str, indent: usize, text: &str) {
        self.0.push_str(label);
        let (mut column, mut begins) = (label.chars().count(), true);
        for word in text.split_whitespace() {
            let length = word.chars().count();
            if !begins && column + 1 + length > WIDTH {
                self.0.push('\n');
                self.0.extend(std::iter::repeat_n(' ', indent));
                (column, begins) = (indent, true);
            }
            if !begins {
                self.0.push(' ');
                column += 1;
            }
            self.0.push_str(word);
            (column, begins) = (column + length, false);
        }
        self.0.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paragraph_keeps_to_the_width_and_to_its_column() {
        let mut page = Page::default();
        page.row("Label", &"word ".repeat(40));
        for (at, line) in page.text().lines().enumerate() {
            assert!(line.chars().count() <= WIDTH, "{line}");
            let label = if at == 0 { "  Label           word" } else { "                  word" };
            assert!(line.starts_with(label), "{line}");
        }
        let words: Vec<_> = page.text().split_whitespace().skip(1).collect();
        assert_eq!(words, ["word"; 40]);
    }

    #[test]
    fn a_word_that_is_wider_than_the_page_stands_alone() {
        let mut page = Page::default();
        let wide = "w".repeat(100);
        page.paragraph(&format!("a {wide} b"));
        assert_eq!(page.text(), format!("a\n{wide}\nb\n"));
    }
}
