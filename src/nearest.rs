//! The name that is meant by a misspelt one.

/// The nearest to what was typed of these names, if a slip or two lead there: a letter that is missing, too
/// many, another, or in the place of its neighbour. A name of under six letters has one slip, one of under
/// three none.
pub fn nearest<'a>(typed: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let most = (typed.chars().count() / 3).min(2);
    names
        .into_iter()
        .map(|name| (slips(&name.to_lowercase(), &typed.to_lowercase()), name))
        .filter(|(slips, _)| *slips <= most)
        .min()
        .map(|(_, name)| name)
}

/// Edits between two names (the optimal string alignment distance).
fn slips(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for i in 0..a.len() {
        let mut next = vec![i + 1];
        for j in 0..b.len() {
            let change = row[j] + usize::from(a[i] != b[j]);
            let mut least = change.min(row[j + 1] + 1).min(next[j] + 1);
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                least = least.min(before[j - 1] + 1);
            }
            next.push(least);
        }
        before = std::mem::replace(&mut row, next);
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_or_two_lead_to_a_name() {
        let names = ["exec", "export", "mfa_serial", "ls", "prod"];
        for (typed, meant) in [
            ("exce", Some("exec")),
            ("exe", Some("exec")),
            ("exexc", Some("exec")),
            ("Exec", Some("exec")),
            ("exprot", Some("export")),
            ("mfa_serail", Some("mfa_serial")),
            ("mfa-serail", Some("mfa_serial")),
            ("mfa-serails", None),
            ("prdo", Some("prod")),
            ("pdro", None),
            ("lx", None),
            ("", None),
        ] {
            assert_eq!(nearest(typed, names), meant, "{typed}");
        }
    }
}
