//! The process that asks botocore.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};
use vault::profile::Files;

use super::{Answer, Call, ENV, Planned, set};

/// A Python that runs `ask.py`; it ends with the test.
pub struct Botocore {
    process: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Botocore {
    /// Starts it with this directory as its home.
    #[allow(clippy::disallowed_methods)] // python3 is found in the test's own PATH
    pub fn start(home: &Path) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/oracle/ask.py");
        let mut command = Command::new("python3");
        command.arg(script).env_clear().env("PATH", std::env::var_os("PATH").expect("PATH"));
        command.env("HOME", home).env("PYTHONUTF8", "1");
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().expect("python3");
        let to = process.stdin.take().expect("stdin");
        let from = BufReader::new(process.stdout.take().expect("stdout"));
        Self { process, to, from }
    }

    /// Lets botocore ask this STS for the credentials of a profile; gives their access key's id.
    pub fn send(&mut self, files: &Files, profile: &str, endpoint: &str) -> Option<String> {
        let answer = self.question(files, profile, Some(endpoint));
        answer["base"].as_str().map(str::to_owned)
    }

    fn question(&mut self, files: &Files, profile: &str, endpoint: Option<&str>) -> Value {
        let sts = endpoint
            .map(|url| [("AWS_ENDPOINT_URL_STS", url), ("AWS_DEFAULT_REGION", "us-east-1")]);
        let env = ENV.into_iter().chain(sts.into_iter().flatten());
        let env: serde_json::Map<String, Value> =
            env.map(|(name, value)| (name.to_owned(), json!(value))).collect();
        let case = json!({
            "config": files.config, "credentials": files.credentials, "profile": profile, "env": env,
            "sent": endpoint.is_some(),
        });
        writeln!(self.to, "{case}").expect("a question");
        let mut line = String::new();
        self.from.read_line(&mut line).expect("an answer");
        serde_json::from_str(&line).expect("JSON")
    }

    /// What botocore makes of a profile.
    pub fn ask(&mut self, files: &Files, profile: &str) -> Answer {
        let answer = self.question(files, profile, None);
        let text = |value: &Value, key: &str| value[key].as_str().map(str::to_owned);
        if let Some(why) = text(&answer, "refused") {
            return Answer::Refused(why);
        }
        let call = |call: &Value| Call {
            action: text(call, "action").expect("an action"),
            role_arn: text(call, "RoleArn").unwrap_or_default(),
            session_name: text(call, "RoleSessionName").as_deref().and_then(set),
            external_id: text(call, "ExternalId"),
            duration: call["DurationSeconds"].as_u64(),
        };
        Answer::Plan(Planned {
            region: text(&answer, "region"),
            base: text(&answer, "base").expect("a base"),
            calls: answer["calls"].as_array().expect("calls").iter().map(call).collect(),
        })
    }
}

impl Drop for Botocore {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
