//! One Rust file as tidy sees it: lines, tokens, paths and functions.
//!
//! The lexer is proc-macro2, so that strings and comments are what they are and no rule is fooled
//! by a word inside one. Knows nothing of the rules.

use std::ops::Range;

use proc_macro2::{Delimiter, Spacing, Span, TokenStream, TokenTree};

/// A file that could be read.
pub struct Source {
    /// From the root of the repository, with `/`.
    pub path: String,
    /// As it is.
    pub text: String,
    /// In order; groups are flattened into their brackets and what is between them.
    pub tokens: Vec<Token>,
    /// Every path that is named, use trees taken apart.
    pub paths: Vec<Path>,
    /// Every function with a body: its name, and its lines from `fn` to the closing brace.
    pub functions: Vec<(String, Range<usize>)>,
}

/// A word, a sign, a literal or a bracket.
#[derive(Clone, Debug)]
pub struct Token {
    /// As written; `::` is one.
    pub text: String,
    /// Whether it is a literal, and so no rule's business but the width's.
    pub literal: bool,
    /// First and last line, from 1.
    pub lines: (usize, usize),
    /// Whether it only exists in tests.
    pub test: bool,
    /// How many `mod … { }` it is in, in this file.
    pub nested: usize,
}

/// `crate::a::b`, wherever it stands and however it was written.
#[derive(Debug)]
pub struct Path {
    /// `["crate", "a", "b"]`; a glob is `*`.
    pub segments: Vec<String>,
    /// Where it begins.
    pub line: usize,
    /// As of its first token.
    pub test: bool,
    /// As of its first token.
    pub nested: usize,
}

impl Source {
    /// # Errors
    /// When this is not Rust.
    pub fn new(path: &str, text: &str) -> Result<Self, String> {
        let stream: TokenStream = text.parse().map_err(|error| format!("{path}: {error}"))?;
        let test = path.starts_with("tests/");
        let mut tokens = Vec::new();
        let mut functions = Vec::new();
        flatten(stream, test, 0, &mut tokens, &mut functions);
        let paths = paths(&tokens);
        Ok(Self {
            path: path.to_owned(),
            text: text.to_owned(),
            tokens,
            paths,
            functions,
        })
    }

    /// The module below the root that this file belongs to: `src/chat/hub.rs` is in `chat`.
    pub fn module(&self) -> Option<&str> {
        self.module_path().first().copied()
    }

    /// `src/chat/hub.rs` is `["chat", "hub"]`; the root itself, and what is not in `src`, is empty.
    pub fn module_path(&self) -> Vec<&str> {
        let Some(path) = self.path.strip_prefix("src/") else {
            return Vec::new();
        };
        let path = path.trim_end_matches(".rs").trim_end_matches("/mod");
        path.split('/').filter(|part| *part != "lib").collect()
    }
}

/// Lays a stream out flat, and notes functions and what is for tests only.
fn flatten(
    stream: TokenStream,
    test: bool,
    nested: usize,
    tokens: &mut Vec<Token>,
    functions: &mut Vec<(String, Range<usize>)>,
) {
    let trees: Vec<_> = stream.into_iter().collect();
    let word = |at: usize| match trees.get(at) {
        Some(TokenTree::Ident(ident)) => ident.to_string(),
        _ => String::new(),
    };
    // An attribute holds for the item that follows, which ends with its braces or a semicolon.
    let mut item_test = test;
    let mut module = false;
    let mut function: Option<(String, usize)> = None;
    let mut at = 0;
    while at < trees.len() {
        match &trees[at] {
            TokenTree::Group(group) => {
                let (open, close) = brackets(group.delimiter());
                let inner = group.stream().to_string().replace(' ', "");
                if open == "[" && matches!(inner.as_str(), "cfg(test)" | "test") {
                    item_test = true;
                }
                tokens.push(token(open, group.span_open(), item_test, nested));
                let deeper = nested + usize::from(module && open == "{");
                flatten(group.stream(), item_test, deeper, tokens, functions);
                tokens.push(token(close, group.span_close(), item_test, nested));
                if open == "{" {
                    let end = group.span_close().end().line;
                    functions.extend(function.take().map(|(name, start)| (name, start..end + 1)));
                    (item_test, module) = (test, false);
                }
            }
            TokenTree::Ident(ident) => {
                let text = ident.to_string();
                module |= text == "mod" && !word(at + 1).is_empty();
                if text == "fn" && !word(at + 1).is_empty() {
                    function = Some((word(at + 1), ident.span().start().line));
                }
                tokens.push(token(&text, ident.span(), item_test, nested));
            }
            TokenTree::Punct(punct) => {
                let double = punct.as_char() == ':'
                    && punct.spacing() == Spacing::Joint
                    && matches!(trees.get(at + 1), Some(TokenTree::Punct(p)) if p.as_char() == ':');
                at += usize::from(double);
                let sign = punct.as_char().to_string();
                let text = if double { "::" } else { &sign };
                tokens.push(token(text, punct.span(), item_test, nested));
                if text == ";" {
                    (item_test, module, function) = (test, false, None);
                }
            }
            TokenTree::Literal(literal) => {
                let text = literal.to_string();
                let plain = token(&text, literal.span(), item_test, nested);
                tokens.push(Token {
                    literal: true,
                    ..plain
                });
            }
        }
        at += 1;
    }
}

fn token(text: &str, span: Span, test: bool, nested: usize) -> Token {
    Token {
        text: text.to_owned(),
        literal: false,
        lines: (span.start().line, span.end().line),
        test,
        nested,
    }
}

fn brackets(delimiter: Delimiter) -> (&'static str, &'static str) {
    match delimiter {
        Delimiter::Parenthesis => ("(", ")"),
        Delimiter::Brace => ("{", "}"),
        Delimiter::Bracket => ("[", "]"),
        Delimiter::None => ("", ""),
    }
}

fn paths(tokens: &[Token]) -> Vec<Path> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let continues = at > 0 && matches!(tokens[at - 1].text.as_str(), "::" | ".");
        let tree = tokens[at].text == "{" && at > 0 && tokens[at - 1].text == "use";
        if tree || (is_word(&tokens[at]) && !continues) {
            let mut all = Vec::new();
            let end = branch(tokens, at, &[], &mut all);
            found.extend(all.into_iter().map(|segments| Path {
                segments,
                line: tokens[at].lines.0,
                test: tokens[at].test,
                nested: tokens[at].nested,
            }));
            at = end.max(at + 1);
        } else {
            at += 1;
        }
    }
    found
}

/// Reads one path, or a tree of them, from `at`; returns the first token after it.
fn branch(tokens: &[Token], at: usize, stem: &[String], all: &mut Vec<Vec<String>>) -> usize {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    let mut segments = stem.to_vec();
    let mut at = at;
    loop {
        if text(at) == "{" {
            at += 1;
            while at < tokens.len() && text(at) != "}" {
                at = match text(at) {
                    "," => at + 1,
                    _ => branch(tokens, at, &segments, all).max(at + 1),
                };
            }
            return at + 1;
        }
        if text(at) == "*" {
            segments.push("*".to_owned());
            at += 1;
            break;
        }
        if !tokens.get(at).is_some_and(is_word) {
            break;
        }
        segments.push(text(at).to_owned());
        at += 1;
        // `as` gives a name that no rule asks for.
        if text(at) == "as" && !stem.is_empty() {
            at += 2;
            break;
        }
        let goes_on = matches!(text(at + 1), "{" | "*") || tokens.get(at + 1).is_some_and(is_word);
        if text(at) != "::" || !goes_on {
            break;
        }
        at += 1;
    }
    all.push(segments);
    at
}

fn is_word(token: &Token) -> bool {
    let first = token.text.chars().next();
    !token.literal && first.is_some_and(|c| c.is_alphabetic() || c == '_')
}
