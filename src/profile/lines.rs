//! Section headers, line by line: only to report what the parser passes over in silence, and to
//! find the place for an edit. What a profile holds is always the parser's word.

/// Blanks, as `aws-config`'s parser has them: no others count.
pub(super) const BLANK: [char; 2] = [' ', '\t'];

/// A line such as `[profile prod]`, read as `aws-config` reads it.
pub(super) struct Header<'a> {
    /// What stands between the brackets. Two headers with the same text are one section.
    pub inside: &'a str,
    /// `profile` in `[profile prod]`, nothing in `[default]`.
    pub prefix: Option<&'a str>,
    /// `prod` in `[profile prod]`, `default` in `[default]`.
    pub name: &'a str,
}

impl<'a> Header<'a> {
    /// Reads a line; `None` if it is no header (an indented `[` is none either).
    pub fn of(line: &'a str) -> Option<Self> {
        if !line.starts_with('[') {
            return None;
        }
        // In a header a comment needs no blank before it.
        let bare = line.split(['#', ';']).next().unwrap_or_default().trim_matches(BLANK);
        let inside = bare.strip_prefix('[')?.strip_suffix(']')?;
        let (prefix, name) = match inside.trim_matches(BLANK).split_once(BLANK) {
            Some((prefix, name)) => (Some(prefix.trim()), name.trim()),
            None => (None, inside.trim()),
        };
        Some(Self { inside, prefix, name })
    }

    /// The profile that this header opens in a credentials file, if it is one that the parser takes.
    pub fn credentials(&self) -> Option<&'a str> {
        (self.prefix.is_none() && is_identifier(self.name)).then_some(self.name)
    }

    /// The profile that this header opens in a config file, if it is one that the parser takes.
    pub fn profile(&self) -> Option<&'a str> {
        match self.prefix {
            Some("profile") if is_identifier(self.name) => Some(self.name),
            None if self.name == "default" => Some(self.name),
            _ => None,
        }
    }
}

/// True for what the parser takes as a profile's name: `[A-Za-z0-9_\-/.%@:+]+`.
pub(super) fn is_identifier(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-/.%@:+".contains(&b))
}

/// True for a line that the parser skips: blank, or a comment in the first column.
pub(super) fn is_skipped(line: &str) -> bool {
    line.starts_with(['#', ';']) || line.trim_matches(BLANK).is_empty()
}
