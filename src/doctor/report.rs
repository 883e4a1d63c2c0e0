//! Findings, and how they are shown.

use serde_json::{Value, json};

use crate::error::{Error, Result, one_line};

/// What a finding means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// As it should be.
    Ok,
    /// Worth knowing, and nothing to mend.
    Note,
    /// Something to mend.
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

/// One thing that was looked at.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Which check, `vault.file`: stable, for scripts. Before the dot is the place.
    pub check: &'static str,
    /// What it means.
    pub mark: Mark,
    /// What was found. Never a secret.
    pub text: String,
    /// What to do about it.
    pub advice: Option<String>,
    /// The same as values, for scripts.
    pub facts: Value,
}

/// All findings.
#[derive(Debug, Default)]
pub struct Report {
    findings: Vec<Finding>,
}

impl Report {
    /// As it should be.
    pub fn ok(&mut self, check: &'static str, text: impl Into<String>) -> &mut Finding {
        self.add(check, Mark::Ok, text.into(), None)
    }

    /// Worth knowing.
    pub fn note(&mut self, check: &'static str, text: impl Into<String>) -> &mut Finding {
        self.add(check, Mark::Note, text.into(), None)
    }

    /// To be mended.
    pub fn problem(&mut self, check: &'static str, text: impl Into<String>) -> &mut Finding {
        self.add(check, Mark::Problem, text.into(), None)
    }

    /// The problem that an error tells of.
    pub fn error(&mut self, check: &'static str, error: &Error) -> &mut Finding {
        self.add(check, Mark::Problem, error.what.clone(), error.hint.clone())
    }

    /// The value; or none, and the problem that the error tells of.
    pub fn unless<T>(&mut self, check: &'static str, value: Result<T>) -> Option<T> {
        match value {
            Ok(value) => Some(value),
            Err(error) => {
                self.error(check, &error);
                None
            }
        }
    }

    fn add(
        &mut self,
        check: &'static str,
        mark: Mark,
        text: String,
        advice: Option<String>,
    ) -> &mut Finding {
        let at = self.findings.len();
        self.findings.push(Finding { check, mark, text, advice, facts: json!({}) });
        &mut self.findings[at]
    }

    /// True if there is nothing to mend.
    pub fn is_well(&self) -> bool {
        self.findings.iter().all(|finding| finding.mark != Mark::Problem)
    }

    /// A line each: mark, place, what was found, and after a semicolon what to do.
    pub fn to_text(&self) -> String {
        let line = |finding: &Finding| {
            let place = finding.check.split('.').next().unwrap_or_default();
            let advice = finding.advice.as_ref().map(|advice| format!("; {advice}"));
            let text = format!("{}{}", finding.text, advice.unwrap_or_default());
            format!("{:8} {place:7} {}\n", finding.mark.as_str(), one_line(&text))
        };
        self.findings.iter().map(line).collect()
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
                    "advice": finding.advice,
                    "facts": finding.facts,
                })
            })
            .collect();
        json!({ "version": 1, "well": self.is_well(), "findings": findings })
    }
}

impl Finding {
    /// What to do about it.
    pub fn advise(&mut self, advice: impl Into<String>) -> &mut Self {
        self.advice = Some(advice.into());
        self
    }

    /// The same as values.
    pub fn with(&mut self, facts: Value) -> &mut Self {
        self.facts = facts;
        self
    }
}
