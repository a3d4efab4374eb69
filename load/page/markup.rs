//! Markup that is well-formed and escaped because there is no other way to write it.
//!
//! The page is HTML that is also XML: every element is closed, every attribute quoted. Knows no
//! report.

/// A piece of markup.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Html(String);

/// Names and values.
pub type Attributes<'a> = [(&'a str, &'a str)];

impl Html {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// As text.
    pub fn finish(self) -> String {
        self.0
    }

    /// An element, and what is in it.
    pub fn within(
        &mut self,
        name: &str,
        attributes: &Attributes<'_>,
        fill: impl FnOnce(&mut Self),
    ) {
        self.open(name, attributes);
        self.0.push('>');
        fill(self);
        self.0.push_str("</");
        self.0.push_str(name);
        self.0.push('>');
        if !INLINE.contains(&name) {
            self.0.push('\n');
        }
    }

    /// An element with words.
    pub fn element(&mut self, name: &str, attributes: &Attributes<'_>, words: &str) {
        self.within(name, attributes, |html| html.text(words));
    }

    /// An element that holds nothing.
    pub fn empty(&mut self, name: &str, attributes: &Attributes<'_>) {
        self.open(name, attributes);
        self.0.push_str("/>");
    }

    /// Words.
    pub fn text(&mut self, words: &str) {
        for character in words.chars() {
            match character {
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '&' => self.0.push_str("&amp;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                // Not allowed in XML, whichever way it is written.
                c if c.is_control() && !matches!(c, '\t' | '\n') => self.0.push('\u{fffd}'),
                '\u{fffe}' | '\u{ffff}' => self.0.push('\u{fffd}'),
                c => self.0.push(c),
            }
        }
    }

    /// What is markup already, and the program's own.
    pub fn own(&mut self, markup: &'static str) {
        self.0.push_str(markup);
    }

    fn open(&mut self, name: &str, attributes: &Attributes<'_>) {
        self.0.push('<');
        self.0.push_str(name);
        for (name, value) in attributes {
            self.0.push(' ');
            self.0.push_str(name);
            self.0.push_str("=\"");
            self.text(value);
            self.0.push('"');
        }
    }
}

/// Behind these no line ends, where it would be seen as a space.
const INLINE: &[&str] = &["b", "span", "small", "code", "time", "strong"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stay_words_wherever_they_stand() {
        let mut html = Html::new();
        html.within("p", &[("title", "\"><script>")], |html| {
            html.text("</p>&amp;\u{1b}[m'\u{ffff}");
            html.empty("br", &[]);
        });
        assert_eq!(
            html.finish(),
            "<p title=\"&quot;&gt;&lt;script&gt;\">&lt;/p&gt;&amp;amp;\u{fffd}[m&#39;\u{fffd}<br/></p>\n"
        );
    }
}
