//! How deep a document nests, and how many tables it has, seen before it is built.
//!
//! The parser bounds the parts of a key and the brackets in each other, 80 of each, so a document of a
//! few KiB can nest 6,400 tables, and anyone who knows the public keys can make a vault of it. Building,
//! writing and freeing that recurses until the stack ends. And what nests over 80 could be read, but
//! would be written as a table header that no parser accepts. A table takes a KiB of memory, and in 2 MiB of
//! dots there would be a million.

use toml_parser::Source;
use toml_parser::lexer::TokenKind;

/// How deep tables and arrays may nest: 32, and one more, as a float's point looks like a key's.
const DEEPEST: usize = 33;
/// How many dots and brackets there may be, each of which may be a table: more than twice as many as
/// the most credentials that fit into a vault have.
const MOST: usize = 65_536;

/// What is too much, and where that is, as an offset in the text. What is no TOML may count for more than it is,
/// never for less: the parser continues after an error.
pub(super) fn excess(text: &str) -> Option<(&'static str, usize)> {
    // Each level takes one of these bytes, wherever they are. A vault with a few keys has no more of them.
    if text.bytes().filter(|byte| b".[{".contains(byte)).count() <= DEEPEST {
        return None;
    }
    // The depth of the table that the last header opened, and of each bracket that is open.
    let mut table = 0;
    let mut open: Vec<(TokenKind, usize)> = Vec::new();
    let (mut depth, mut count) = (0, 0);
    let (mut line_begins, mut in_header) = (true, false);
    for token in Source::new(text).lex() {
        match token.kind() {
            TokenKind::Whitespace => continue,
            TokenKind::Newline => {
                if in_header {
                    table = depth;
                }
                in_header = false;
                line_begins = open.is_empty();
                depth = open.last().map_or(table, |(_, depth)| *depth);
                continue;
            }
            TokenKind::LeftSquareBracket if line_begins => {
                in_header = true;
                depth = 1;
            }
            TokenKind::LeftSquareBracket | TokenKind::LeftCurlyBracket => {
                depth += 1;
                if !in_header {
                    open.push((token.kind(), depth));
                }
            }
            TokenKind::RightSquareBracket if closes(&open, TokenKind::LeftSquareBracket) => {
                open.pop();
            }
            TokenKind::RightCurlyBracket if closes(&open, TokenKind::LeftCurlyBracket) => {
                open.pop();
            }
            TokenKind::Comma => depth = open.last().map_or(table, |(_, depth)| *depth),
            TokenKind::Dot => depth += 1,
            _ => {}
        }
        line_begins = false;
        count += usize::from(matches!(
            token.kind(),
            TokenKind::LeftSquareBracket | TokenKind::LeftCurlyBracket | TokenKind::Dot
        ));
        if depth > DEEPEST {
            return Some(("nests too deep", token.span().start()));
        }
        if count > MOST {
            return Some(("has too many tables", token.span().start()));
        }
    }
    None
}

fn closes(open: &[(TokenKind, usize)], kind: TokenKind) -> bool {
    open.last().is_some_and(|(last, _)| *last == kind)
}
