//! The text of an AWS file as sections and settings, read as Python's `configparser` reads it
//! (`RawConfigParser` with its defaults), which is what the AWS CLI and boto3 use.
//!
//! A key may be indented. A line that is indented deeper than its key continues the value, also after
//! blank lines and comments; the delimiter is the first `=` or `:`; text behind a header's last `]` is
//! ignored; a line whose first character is `#` or `;` is a comment at any indent, and no other comment
//! exists. `configparser` refuses a whole file for one line that it cannot read; here that line is a
//! [`Fault`] of its section.

use std::ops::Range;

/// What a text holds, in its order.
#[derive(Debug, Default)]
pub(super) struct Document {
    /// Each header with what follows it; two headers with one text are two of these.
    pub sections: Vec<Section>,
    /// Lines before the first header.
    pub outside: Vec<Fault>,
}

/// A header and what follows it.
#[derive(Debug)]
pub(super) struct Section {
    /// The text between the brackets, as it is.
    pub header: String,
    /// The line of the header, from 1.
    pub line: usize,
    /// The bytes of that line, its end included.
    pub range: Range<usize>,
    pub entries: Vec<Entry>,
    /// Lines that are no setting.
    pub faults: Vec<Fault>,
}

/// A setting.
#[derive(Debug)]
pub(super) struct Entry {
    /// Its key, in lower case.
    pub key: String,
    /// Its value: lines are joined by `\n`, each without the blanks at its ends.
    pub value: String,
    /// The line of the key, from 1.
    pub line: usize,
    /// The bytes from the start of the key's line to the end of the value's last line.
    pub range: Range<usize>,
    /// The bytes of the value in the key's line.
    pub value_range: Range<usize>,
    /// The lines below the key's that continue the value, from 1, without blank ones.
    pub below: Vec<usize>,
}

impl Entry {
    /// True if the value continues below the key's line.
    pub fn is_continued(&self) -> bool {
        !self.below.is_empty()
    }

    /// The lines that continue the value, each with its number.
    pub fn continuations(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.value.split('\n').skip(1).filter(|line| !line.is_empty());
        self.below.iter().copied().zip(lines)
    }
}

/// A line that is no header, setting, continuation or comment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// The line, from 1.
    pub line: usize,
    /// Its text, without the blanks at its ends. It may hold a secret.
    pub text: String,
}

/// What a deeper indented line continues.
enum Open {
    Nothing,
    Value,
    Fault,
}

/// Reads a text, which has no byte order mark.
pub(super) fn parse(text: &str) -> Document {
    let mut reader = Reader { document: Document::default(), open: Open::Nothing, indent: 0 };
    for (at, range) in lines(text).enumerate() {
        reader.read(text, at + 1, range);
    }
    let mut document = reader.document;
    for entry in document.sections.iter_mut().flat_map(|section| &mut section.entries) {
        entry.value.truncate(entry.value.trim_end_matches(is_blank).len());
    }
    document
}

/// The state of parsing.
struct Reader {
    document: Document,
    open: Open,
    /// The indent of the last header, setting or fault.
    indent: usize,
}

impl Reader {
    /// Reads one line.
    fn read(&mut self, text: &str, number: usize, range: Range<usize>) {
        let whole = text.get(range.clone()).unwrap_or_default();
        let line = trim(whole);
        if line.starts_with(['#', ';']) {
            return;
        }
        let depth = whole.chars().take_while(|c| is_blank(*c)).count();
        if line.is_empty() || depth > self.indent {
            match self.open {
                Open::Value => return self.go_on(line, number, range),
                Open::Fault => return,
                Open::Nothing if line.is_empty() => return,
                Open::Nothing => {}
            }
        }
        self.indent = depth;
        if let Some(header) = header(line) {
            self.section(header, number, range, None);
        } else if line.starts_with('[') && !line.contains(['=', ':', ']']) {
            // A header without its end: what follows is no part of the section above.
            self.section(line.trim_start_matches('['), number, range, Some(line));
        } else {
            self.setting(text, line, number, range);
        }
    }

    /// More of the last value. A blank line counts only if something follows.
    fn go_on(&mut self, line: &str, number: usize, range: Range<usize>) {
        let section = self.document.sections.last_mut();
        let Some(entry) = section.and_then(|section| section.entries.last_mut()) else { return };
        entry.value.push('\n');
        if !line.is_empty() {
            entry.value.push_str(line);
            entry.range.end = range.end;
            entry.below.push(number);
        }
    }

    fn section(&mut self, header: &str, line: usize, range: Range<usize>, fault: Option<&str>) {
        let fault = fault.map(|text| Fault { line, text: text.to_owned() });
        self.document.sections.push(Section {
            header: header.to_owned(),
            line,
            range,
            entries: Vec::new(),
            faults: fault.into_iter().collect(),
        });
        self.open = Open::Nothing;
    }

    fn setting(&mut self, text: &str, line: &str, number: usize, range: Range<usize>) {
        let fault = || Fault { line: number, text: line.to_owned() };
        let Some(section) = self.document.sections.last_mut() else {
            self.document.outside.push(fault());
            return;
        };
        self.open = match entry(text, line, number, range) {
            Some(entry) => {
                section.entries.push(entry);
                Open::Value
            }
            None => {
                section.faults.push(fault());
                Open::Fault
            }
        };
    }
}

/// The text between a header's brackets. A comment behind the header may hold a `]` of its own, which
/// `configparser` takes for the header's end.
fn header(line: &str) -> Option<&str> {
    let inside = line.strip_prefix('[')?;
    let inside = inside.get(..inside.rfind(']')?)?;
    let comment = inside.match_indices(']').find(|(at, _)| {
        let behind = inside.get(at + 1..).unwrap_or_default();
        behind.starts_with(is_blank) && behind.trim_start_matches(is_blank).starts_with(['#', ';'])
    });
    let inside = comment.and_then(|(at, _)| inside.get(..at)).unwrap_or(inside);
    (!inside.is_empty()).then_some(inside)
}

/// A setting, if the line has a delimiter and a key before it.
fn entry(text: &str, line: &str, number: usize, range: Range<usize>) -> Option<Entry> {
    let (key, value) = line.split_once(['=', ':'])?;
    let (key, value) = (trim(key), trim(value));
    if key.is_empty() {
        return None;
    }
    // Where the value begins: the line is a part of the text.
    let whole = text.get(range.clone())?;
    let delimiter = range.start + whole.find(['=', ':'])? + 1;
    let blanks = text.get(delimiter..range.end)?;
    let start = match value.is_empty() {
        true => delimiter,
        false => delimiter + (blanks.len() - blanks.trim_start_matches(is_blank).len()),
    };
    Some(Entry {
        key: key.to_lowercase(),
        value: value.to_owned(),
        line: number,
        value_range: start..start + value.len(),
        range,
        below: Vec::new(),
    })
}

/// The settings of a nested value, such as those of a service: lines below a key that has no value of
/// its own. None if the value is not nested; an error is the line that is no setting.
pub(super) fn nested(value: &str) -> Option<Result<Vec<(&str, &str)>, &str>> {
    let lines = value.strip_prefix('\n')?.split(is_line_end).map(trim);
    let settings = lines.filter(|line| !line.is_empty()).map(|line| {
        let (key, value) = line.split_once('=').ok_or(line)?;
        Ok((trim(key), trim(value)))
    });
    Some(settings.collect())
}

/// The bytes of each line, its end included. A line ends with `\n`, `\r\n` or `\r`.
fn lines(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = text.get(at..).filter(|rest| !rest.is_empty())?;
        let length = match rest.find(['\n', '\r']) {
            Some(end) if rest.get(end..).is_some_and(|end| end.starts_with("\r\n")) => end + 2,
            Some(end) => end + 1,
            None => rest.len(),
        };
        let start = at;
        at += length;
        Some(start..at)
    })
}

/// What Python's `str.isspace` is true for.
pub(super) fn is_blank(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// What Python's `str.splitlines` splits at.
fn is_line_end(c: char) -> bool {
    matches!(
        c,
        '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}'
    )
}

/// The text without the blanks at its ends.
pub(super) fn trim(text: &str) -> &str {
    text.trim_matches(is_blank)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `[header] key=value; …` for each section, and `!line` for each fault.
    fn shown(text: &str) -> String {
        let document = parse(text);
        let mut out: Vec<String> =
            document.outside.iter().map(|f| format!("!{}", f.line)).collect();
        for section in &document.sections {
            let entry = |e: &Entry| format!(" {}={:?}", e.key, e.value);
            let fault = |f: &Fault| format!(" !{}", f.line);
            let entries: String = section.entries.iter().map(entry).collect();
            let faults: String = section.faults.iter().map(fault).collect();
            out.push(format!("[{}]{entries}{faults}", section.header));
        }
        out.join("\n")
    }

    #[test]
    fn lines_are_read_as_configparser_reads_them() {
        for (text, expected) in [
            ("", ""),
            ("[a]\nk = v\n", "[a] k=\"v\""),
            ("[a]\n  k = v\n  l = w\n", "[a] k=\"v\" l=\"w\""),
            ("[a]\n  k = v\n    more\n  l = w\n", "[a] k=\"v\\nmore\" l=\"w\""),
            ("  [a]\n k: v = w\n", "[a] k=\"v = w\""),
            ("[a]\n  # note\n  k = v\n  ; note\n   more\n", "[a] k=\"v\\nmore\""),
            ("[a]\nk = 1\n\n 2\n\n\n", "[a] k=\"1\\n\\n2\""),
            (
                "[a]\ns3 =\n  x = 1\n  # note\n  y = 2\nk = v\n",
                "[a] s3=\"\\nx = 1\\ny = 2\" k=\"v\"",
            ),
            ("[a] text\nk = v # w\n", "[a] k=\"v # w\""),
            ("[a] [b] more\n", "[a] [b]"),
            ("[a] # see [b]\n[c]text\n", "[a]\n[c]"),
            ("[a]\nk = v\n [b]\n", "[a] k=\"v\\n[b]\""),
            ("[a]\n [b]\nk = v\n", "[a]\n[b] k=\"v\""),
            ("[a]\r\nKEY=v\rl=w", "[a] key=\"v\" l=\"w\""),
            ("[a]\nk\u{a0}=\u{a0}v\u{1f}\n", "[a] k=\"v\""),
            ("[a]\nk =\n", "[a] k=\"\""),
            ("k = v\n[a]\n", "!1\n[a]"),
            ("[a]\nno setting\n  more of it\nk = v\n= x\n[]\n", "[a] k=\"v\" !2 !5 !6"),
            ("[a]\nk = v\n[b\nk = w\n", "[a] k=\"v\"\n[b] k=\"w\" !3"),
        ] {
            assert_eq!(shown(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_line_of_a_mebibyte_is_read_in_a_line_of_time() {
        // Each `]` would look through the blanks at the end, if they were trimmed there.
        let header = format!("[{}{}]\n", "] ".repeat(256 * 1024), " ".repeat(512 * 1024));
        assert_eq!(parse(&header).sections.len(), 1);
        let value = format!("[a]\nk = {}\n", "= : ".repeat(256 * 1024));
        assert_eq!(parse(&value).sections[0].entries.len(), 1);
        let lines = format!("[a]\nk =\n{}", " x = y\n\n".repeat(128 * 1024));
        assert_eq!(parse(&lines).sections[0].entries.len(), 1);
    }

    #[test]
    fn a_setting_knows_its_bytes() {
        let text = "[a]\r\n  Key\t=  v w  \r\n    more\r\n\r\n; x\r\nl:\r\n";
        let document = parse(text);
        let [key, l] = document.sections[0].entries.as_slice() else { panic!("two settings") };
        assert_eq!(&text[key.range.clone()], "  Key\t=  v w  \r\n    more\r\n");
        assert_eq!(&text[key.value_range.clone()], "v w");
        assert!(key.is_continued() && !l.is_continued());
        assert_eq!(key.continuations().collect::<Vec<_>>(), [(3, "more")]);
        assert_eq!(&text[l.range.clone()], "l:\r\n");
        assert_eq!((l.line, &text[l.value_range.clone()]), (6, ""));
        assert_eq!(&text[document.sections[0].range.clone()], "[a]\r\n");
    }

    #[test]
    fn nested_settings_have_an_equals_sign() {
        assert_eq!(nested("x = 1"), None);
        assert_eq!(nested("\nx = 1\n\ny=a=b"), Some(Ok(vec![("x", "1"), ("y", "a=b")])));
        assert_eq!(nested("\nx = 1\ny: 2"), Some(Err("y: 2")));
    }
}
