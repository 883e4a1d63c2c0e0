//! Findings, and how they are shown.

use serde_json::{Value, json};

use crate::called;
use crate::error::{Error, Result, one_line};

/// The severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// As it should be.
    Ok,
    /// Information that needs no action.
    Note,
    /// A problem to fix.
    Problem,
}

impl Mark {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Problem => "problem",
        }
    }
}

/// The result of one check.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The check, such as `vault.file`: stable, for scripts. The area is before the dot.
    pub check: &'static str,
    pub mark: Mark,
    /// What was found. Never a secret.
    pub text: String,
    pub advice: Option<String>,
    /// The same as values, for scripts.
    pub facts: Value,
    /// True if people have read it in another finding already.
    repeats: bool,
}

/// All findings.
#[derive(Debug, Default)]
pub struct Report {
    findings: Vec<Finding>,
}

impl Report {
    /// Adds a finding that is as it should be.
    pub fn ok(&mut self, check: &'static str, text: impl Into<String>) -> &mut Finding {
        self.add(check, Mark::Ok, text.into())
    }

    /// Adds information.
    pub fn note(&mut self, check: &'static str, text: impl Into<String>) -> &mut Finding {
        self.add(check, Mark::Note, text.into())
    }

    /// Adds a problem.
    pub fn problem(&mut self, check: &'static str, text: impl Into<String>) -> &mut Finding {
        self.add(check, Mark::Problem, text.into())
    }

    /// Adds an error as a problem.
    pub fn error(&mut self, check: &'static str, error: &Error) -> &mut Finding {
        let finding = self.problem(check, error.what.clone());
        finding.advice.clone_from(&error.hint);
        finding
    }

    /// The same, but left out of the text for people if another finding quotes it.
    pub fn error_once(&mut self, check: &'static str, error: &Error) {
        let repeats = self.quotes(&error.what);
        self.error(check, error).repeats = repeats;
    }

    /// Returns the value, or adds the error as a problem.
    pub fn value_of<T>(&mut self, check: &'static str, value: Result<T>) -> Option<T> {
        match value {
            Ok(value) => Some(value),
            Err(error) => {
                self.error(check, &error);
                None
            }
        }
    }

    /// Adds a finding.
    pub fn add(&mut self, check: &'static str, mark: Mark, text: String) -> &mut Finding {
        self.findings.push_mut(Finding {
            check,
            mark,
            text,
            advice: None,
            facts: json!({}),
            repeats: false,
        })
    }

    /// True if a finding has this text, its advice included.
    pub fn has_text(&self, text: &str) -> bool {
        self.findings.iter().any(|finding| match &finding.advice {
            Some(advice) => finding.text == text || format!("{}; {advice}", finding.text) == text,
            None => finding.text == text,
        })
    }

    /// True if a finding quotes this.
    pub fn quotes(&self, text: &str) -> bool {
        self.findings.iter().any(|finding| finding.text.contains(text))
    }

    /// True if this is a finding's advice.
    pub fn advises(&self, advice: &str) -> bool {
        self.findings.iter().any(|finding| finding.advice.as_deref() == Some(advice))
    }

    /// True without a problem.
    pub fn is_well(&self) -> bool {
        self.findings.iter().all(|finding| finding.mark != Mark::Problem)
    }

    /// Problems, then notes, one line each: mark, area, text, and after a semicolon the advice. The rest is
    /// counted, or with `all` listed.
    pub fn to_text(&self, all: bool) -> String {
        let line = |finding: &Finding| {
            let place = finding.check.split('.').next().unwrap_or_default();
            let advice = finding.advice.as_ref().map(|advice| {
                let is_command = ["vault ", "chmod "].iter().any(|word| advice.starts_with(word))
                    && !advice.contains(", ");
                let run = if is_command { "run: " } else { "" };
                format!("; {run}{}", called::named(advice))
            });
            let text = format!("{}{}", finding.text, advice.unwrap_or_default());
            format!("{:8} {place:7} {}\n", finding.mark.as_str(), one_line(&text))
        };
        let of = |mark: Mark| {
            self.findings.iter().filter(move |finding| finding.mark == mark && !finding.repeats)
        };
        let wrong: String = of(Mark::Problem).chain(of(Mark::Note)).map(line).collect();
        let fine = of(Mark::Ok).count();
        wrong
            + &match all {
                true => of(Mark::Ok).map(line).collect(),
                false => format!(
                    "{:8} {fine} checks found nothing wrong (-v lists them)\n",
                    Mark::Ok.as_str()
                ),
            }
    }

    /// For scripts: `version`, `well`, and `findings` with `check`, `mark`, `text`, `advice`, `facts`.
    pub fn to_json(&self) -> Value {
        let findings: Vec<Value> = self
            .findings
            .iter()
            .map(|finding| {
                json!({
                    "check": finding.check,
                    "mark": finding.mark.as_str(),
                    "text": finding.text,
                    "advice": finding.advice.as_deref().map(called::named),
                    "facts": finding.facts,
                })
            })
            .collect();
        json!({ "version": 1, "well": self.is_well(), "findings": findings })
    }
}

impl Finding {
    pub fn advise(&mut self, advice: impl Into<String>) -> &mut Self {
        self.advice = Some(advice.into());
        self
    }

    pub fn with(&mut self, facts: Value) -> &mut Self {
        self.facts = facts;
        self
    }
}
