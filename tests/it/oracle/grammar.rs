//! AWS files by chance: what people write, what they mistype, and what the AWS CLI happens to take.

use std::fmt::Write as _;

/// Numbers by chance, the same for the same seed (SplitMix64).
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `end`.
    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).expect("small")
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    fn percent(&mut self, chance: u64) -> bool {
        self.next() % 100 < chance
    }
}

/// Two files.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    pub config: String,
    pub credentials: String,
}

impl Case {
    /// The case without the lines for which the AWS CLI refuses a file, but those that are repeated.
    pub fn mended(&self) -> Self {
        let mend = |text: &str| {
            let text = text.trim_start_matches('\u{feff}').replace(CUT, "");
            let lines = text.split_inclusive(['\n', '\r']);
            lines.filter(|line| !ODD.contains(&line.trim())).collect::<String>()
        };
        Self { config: mend(&self.config), credentials: mend(&self.credentials) }
    }
}

/// Lines that are no setting of a section.
const ODD: [&str; 2] = ["before = any", "no setting"];
/// A header without its end.
const CUT: &str = "[profile a\nregion = eu-north-1\n";

/// The names that a case may have, and one that none has.
pub const NAMES: [&str; 7] = ["default", "a", "b", "c", "My Mac", "e,f", "none"];

/// A section: the keys that it has, with a value each.
type Settings = Vec<(&'static str, String)>;

/// Two files by chance.
pub fn case(chance: &mut Chance) -> Case {
    let mut number = 0;
    let (mut config, mut credentials) = (String::new(), String::new());
    if chance.percent(12) {
        let lent = common(chance, &mut number);
        write(&mut config, chance, "[DEFAULT]", &lent);
    }
    if chance.percent(5) {
        let lent = common(chance, &mut number);
        write(&mut credentials, chance, "[DEFAULT]", &lent);
    }
    let count = 2 + chance.below(4);
    for _ in 0..count {
        let name = NAMES[chance.below(NAMES.len() - 1)];
        let settings = profile(chance, &mut number, name);
        let header = header(chance, name);
        write(&mut config, chance, &header, &settings);
        if chance.percent(40) {
            let mut settings = keys(chance, &mut number);
            if chance.percent(15) {
                settings.extend(source(chance, &mut number, name));
            }
            write(&mut credentials, chance, &format!("[{name}]"), &settings);
        }
    }
    for (name, key) in [("s", "sso-session"), ("'My Corp'", "sso-session"), ("x", "services")] {
        let settings = match key {
            "services" => vec![("sts", "\n  endpoint_url = http://[::1]:1".to_owned())],
            _ => sso_session(chance),
        };
        write(&mut config, chance, &format!("[{key} {name}]"), &settings);
    }
    odd(&mut config, chance);
    odd(&mut credentials, chance);
    Case { config, credentials }
}

/// What stands in one file in twenty: another end of lines, a line that is none, a section of another kind.
fn odd(text: &mut String, chance: &mut Chance) {
    match chance.below(60) {
        0 => *text = text.replace('\n', "\r\n"),
        1 => *text = text.replace('\n', "\r"),
        2 => text.insert(0, '\u{feff}'),
        3 => text.insert_str(0, &format!("{}\n", ODD[0])),
        4 => text.push_str(&format!("{}\n", ODD[1])),
        5 => text.push_str(CUT),
        6 => text.push_str("[preview]\ncloudfront = true\n[plugins]\n"),
        7 => text.push_str("[a b c]\nregion = eu-north-1\n"),
        _ => {}
    }
}

fn header(chance: &mut Chance, name: &str) -> String {
    let quoted = name.contains(' ');
    match chance.below(12) {
        _ if name == "default" && chance.percent(75) => "[default]".to_owned(),
        0..=2 => format!("[profile \"{name}\"]"),
        3..=4 => format!("[profile '{name}']"),
        5 => format!("[profile\t\"{name}\"] text"),
        6 if !quoted => format!("[profile   {name}] # a comment"),
        7 if !quoted && chance.percent(30) => format!("[ profile {name} ]"),
        8 if chance.percent(30) => format!("[{name}]"),
        9 if chance.percent(30) => format!("[Profile {name}]"),
        // Names with a blank and no quotes are no names.
        _ if quoted && chance.percent(90) => format!("[profile '{name}']"),
        _ => format!("[profile {name}]"),
    }
}

/// A section in one of its spellings.
fn write(text: &mut String, chance: &mut Chance, header: &str, settings: &Settings) {
    let indent = chance.one(&["", "", "", "  ", "\t", "    "]);
    let between = chance.one(&[" = ", "=", " =", ": ", " : "]);
    let _ = writeln!(text, "{}{header}", if chance.percent(5) { " " } else { "" });
    for (key, value) in settings {
        match chance.below(30) {
            0 => text.push_str("# a comment\n"),
            1 => text.push_str("      ; an indented one = here\n"),
            2 => text.push('\n'),
            3 if chance.percent(20) => text.push_str("      cli_pager = less\n"),
            _ => {}
        }
        let key = if chance.percent(5) { key.to_uppercase() } else { (*key).to_owned() };
        // A nested value has an equals sign of its own.
        let between = if value.starts_with('\n') { " =" } else { between };
        let value = value.replace('\n', &format!("\n{indent}"));
        let comment = match key.as_str() {
            "region" | "role_arn" | "external_id" | "role_session_name" | "aws_access_key_id"
            | "duration_seconds"
                if chance.percent(3) =>
            {
                chance.one(&[" # why", " ; was x", "\t#"])
            }
            _ => "",
        };
        let value = if chance.below(400) == 0 { "" } else { &value };
        let _ = writeln!(text, "{indent}{key}{between}{value}{comment}");
        if chance.below(400) == 0 {
            let _ = writeln!(text, "{indent}{key}{between}{value}");
        }
    }
    if chance.percent(50) {
        text.push('\n');
    }
}

/// Settings that are no source of credentials.
fn common(chance: &mut Chance, number: &mut usize) -> Settings {
    let mut settings = Settings::new();
    *number += 1;
    let mut maybe = |chance: &mut Chance, percent, key, value: String| {
        if chance.percent(percent) {
            settings.push((key, value));
        }
    };
    let region = chance.one(&["eu-west-1", "us-east-1", "cn-north-1", "us-gov-west-1"]);
    maybe(chance, 40, "region", region.to_owned());
    maybe(chance, 25, "output", "json".to_owned());
    maybe(chance, 15, "external_id", format!("external{number}"));
    maybe(chance, 15, "role_session_name", format!("session{number}"));
    maybe(chance, 15, "duration_seconds", format!("{}", 900 + *number));
    maybe(chance, 8, "mfa_serial", format!("arn:aws:iam::123456789012:mfa/m{number}"));
    maybe(chance, 8, "services", "x".to_owned());
    maybe(chance, 8, "s3", "\n  max_concurrent_requests = 20\n  # note\n  x = y".to_owned());
    settings
}

/// Everything of one profile, in an order by chance.
fn profile(chance: &mut Chance, number: &mut usize, name: &str) -> Settings {
    let mut settings = common(chance, number);
    let sources = [0, 1, 1, 1, 1, 2, 2, 3][chance.below(8)];
    for _ in 0..sources {
        for (key, value) in source(chance, number, name) {
            if settings.iter().all(|(known, _)| *known != key) {
                settings.push((key, value));
            }
        }
    }
    for at in (1..settings.len()).rev() {
        settings.swap(at, chance.below(at + 1));
    }
    settings
}

/// One source of credentials.
fn source(chance: &mut Chance, number: &mut usize, name: &str) -> Settings {
    *number += 1;
    let arn = match chance.below(50) {
        0 => "deploy".to_owned(),
        _ => format!("arn:aws:iam::123456789012:role/r{number}"),
    };
    let role = ("role_arn", arn);
    let other = match chance.below(8) {
        0 => name,
        _ => NAMES[chance.below(NAMES.len())],
    };
    let from = ("source_profile", other.to_owned());
    let by = chance.one(&["Environment", "EcsContainer", "Ec2InstanceMetadata", "Elsewhere"]);
    let by = ("credential_source", by.to_owned());
    let token = ("web_identity_token_file", format!("/token ; # {number}"));
    match chance.below(24) {
        0..=6 => vec![role, from],
        7..=8 => vec![role, by],
        9 => vec![role, from, by],
        10 => vec![role],
        11 => vec![from],
        12 => vec![by],
        13..=14 => vec![role, token],
        15 => vec![token],
        16 => vec![role, token, from],
        17..=18 => vec![("credential_process", format!("sh -c 'a ; b # {number}'"))],
        19 => sso(chance),
        20 => vec![("include_profile", other.to_owned())],
        _ => keys(chance, number),
    }
}

/// An access key, whole or not.
fn keys(chance: &mut Chance, number: &mut usize) -> Settings {
    *number += 1;
    let id = ("aws_access_key_id", format!("AKIA{number:016}"));
    let secret = ("aws_secret_access_key", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned());
    let token = ("aws_session_token", format!("token{number}"));
    let old = ("aws_security_token", format!("old{number}"));
    match chance.below(12) {
        0 => vec![id],
        1 => vec![secret],
        2 => vec![id, secret, token],
        3 => vec![id, secret, old],
        4 => vec![id, secret, token, old],
        5 => vec![],
        _ => vec![id, secret],
    }
}

fn sso_session(chance: &mut Chance) -> Settings {
    let region = chance.one(&["us-east-1", "eu-west-1"]).to_owned();
    vec![("sso_start_url", "https://corp.awsapps.com/start".to_owned()), ("sso_region", region)]
}

fn sso(chance: &mut Chance) -> Settings {
    let account = ("sso_account_id", "123456789012".to_owned());
    let role = ("sso_role_name", "Deploy".to_owned());
    let session = chance.one(&["s", "My Corp", "gone"]).to_owned();
    match chance.below(6) {
        0..=2 => vec![("sso_session", session), account, role],
        3 => [sso_session(chance), vec![account, role]].concat(),
        4 => vec![("sso_session", session), account],
        _ => vec![("sso_session", session)],
    }
}
