//! The table of docs/from-aws-vault.md, row by row: what it says is played, under aws-vault's
//! name. A row that nobody plays, and a word in its first cell that was not played, are faults.

use std::time::Duration;

use crate::support::builder::{Output, Test};
use crate::support::documents;
use crate::support::standin::identity::Provider;
use crate::support::standin::{Role, StandIn, World};
use crate::support::{ACCESS_KEY_ID, AGE_KEY, MFA_SEED, MFA_SERIAL, PASSPHRASE, SECRET_ACCESS_KEY};

const PAGE: &str = include_str!("../../docs/from-aws-vault.md");
const SOON: Duration = Duration::from_secs(30);

/// The table's rows: both cells as they stand there.
fn rows() -> Vec<(&'static str, &'static str)> {
    let (_, rest) = PAGE.split_once("\n| aws-vault | here |\n").expect("the table");
    let rows = rest.lines().skip(1).take_while(|line| line.starts_with("| "));
    let cells = rows.map(|row| row.trim_start_matches("| ").trim_end_matches(" |"));
    cells.map(|row| row.split_once(" | ").expect("two cells")).collect()
}

/// What stands between backticks in a cell.
fn code(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// A home with the key of `prod`, a config, STS, and our program called aws-vault.
struct Scene {
    test: Test,
    standin: StandIn,
    played: Vec<String>,
}

impl Scene {
    fn new() -> Self {
        let standin = StandIn::start(World::demo().any_region());
        let config = format!(
            "[profile prod]\nregion = eu-west-1\n\n\
             [profile admin]\nsource_profile = prod\nmfa_serial = {MFA_SERIAL}\n"
        );
        let test = Test::new().config(&config).vault_with("prod").standin(&standin);
        let test = test.on_path("aws-vault").on_path("vault").env("SHELL", "/bin/sh");
        let test = test.env_remove("AWS_REGION").env_remove("AWS_VAULT_AGE_KEY");
        let test = test.file(".config/vault/identity.txt", format!("{AGE_KEY}\n"), 0o600);
        Self { test, standin, played: Vec::new() }
    }

    /// The command line, as a shell takes it.
    fn line(&mut self, line: &str) -> Test {
        self.played.push(line.to_owned());
        self.test.command(["-euc", line]).program("sh")
    }

    #[track_caller]
    fn plays(&mut self, line: &str) -> Output {
        self.line(line).run()
    }

    /// It ends with this status and says this.
    #[track_caller]
    fn refuses(&mut self, line: &str, status: i32, part: &str) {
        let output = self.line(line).expect_status(status).run();
        assert!(output.stderr.contains(part), "{line}: {}", output.stderr);
    }

    /// True if the word of a cell was played, or only stands for another.
    fn played(&self, word: &str) -> bool {
        ["PROFILE", "CMD", "CODE", "[PROFILE]", "aws-vault", "--"].contains(&word)
            || self.played.iter().any(|line| line.contains(word))
    }
}

/// A row's first cell, and how it is played.
type Play = (&'static str, fn(&mut Scene));

const PLAYS: [Play; 22] = [
    ("`~/.awsvault/keys`, `AWS_VAULT_FILE_DIR`, `--file-dir`; entries in `pass`", import),
    ("`aws-vault add PROFILE`, `--env`, `--no-add-config`", add),
    ("`aws-vault list`, `--profiles`, `--credentials`, `--sessions`", list),
    ("`aws-vault exec PROFILE -- CMD`", exec),
    ("`aws-vault exec PROFILE`", subshell),
    ("`aws-vault exec --json PROFILE`", json),
    ("`-n`, `-d 1h`, `-t CODE`, `--region`", making),
    ("`web_identity_token_file`, `web_identity_token_process`, `credential_source`", other_bases),
    ("`mfa_process`", mfa_process),
    ("`--lazy`, `--stdout`, `--prompt=terminal`", accepted),
    ("`aws-vault exec --server`, `--ecs-server`", server),
    ("`aws-vault exec --ec2-server`", ec2_server),
    ("`aws-vault export PROFILE`, `--format=env\\|export-env\\|json\\|ini`", export),
    ("`aws-vault remove PROFILE`", remove),
    ("`aws-vault clear [PROFILE]`", clear),
    ("`aws-vault rotate PROFILE`, `-n`", rotate),
    ("`aws-vault login PROFILE`, `--path`, `--region`, `-d`, `-t`, `-n`, `-s`", login),
    ("`aws-vault proxy`", proxy),
    ("`aws-vault --completion-script-bash`, `--completion-script-zsh`", completions),
    ("`AWS_VAULT_FILE_PASSPHRASE`", passphrase),
    (
        "`AWS_SESSION_TOKEN_TTL`, `AWS_CHAINED_SESSION_TOKEN_TTL`, `AWS_ASSUME_ROLE_TTL`, \
         `AWS_FEDERATION_TOKEN_TTL`, `AWS_MIN_TTL`, `AWS_MFA_SERIAL`",
        variables,
    ),
    ("`AWS_VAULT` in the subshell", in_the_subshell),
];

#[test]
fn every_row_of_the_table_is_played_word_by_word() {
    let rows = rows();
    assert!(rows.len() > 15, "{rows:?}");
    for (cell, _) in &rows {
        let Some((_, play)) = PLAYS.iter().find(|(known, _)| known == cell) else {
            panic!("nobody plays the row: {cell}");
        };
        let mut scene = Scene::new();
        play(&mut scene);
        for word in code(cell).flat_map(|code| code.split([' ', '|', '=', '\\'])) {
            let word = word.trim();
            assert!(word.is_empty() || scene.played(word), "{word} was not played, of: {cell}");
        }
    }
    for (known, _) in PLAYS {
        assert!(rows.iter().any(|(cell, _)| *cell == known), "no row: {known}");
    }
}

fn import(scene: &mut Scene) {
    let theirs = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/aws-vault/keys");
    let passphrase = "a demo passphrase that everybody knows";
    scene.test = scene.test.clone().env("AWS_VAULT_FILE_PASSPHRASE", passphrase);
    let table = "team/ci  AKIAI44QH8DHBEXAMPLE  new\n";
    for line in [
        format!("AWS_VAULT_FILE_DIR={theirs} vault import --dry-run --from aws-vault team/ci"),
        format!("vault import --dry-run --from aws-vault --file-dir {theirs} team/ci"),
        format!(
            "mkdir ~/.awsvault; cp -r {theirs} ~/.awsvault/keys; vault import --from aws-vault team/ci"
        ),
    ] {
        assert_eq!(scene.plays(&line).stdout, table);
    }
    scene.plays("aws-vault exec -n team/ci -- true");
    // tests/it/import/pass.rs has the rest.
    scene.refuses("vault import --from pass", 3, "no password store");
}

fn add(scene: &mut Scene) {
    scene.played.push("aws-vault add new".to_owned());
    let mut pty = scene.test.command(["add", "new"]).program("aws-vault").pty();
    pty.expect("Enter Access Key ID: ", SOON);
    pty.send(ACCESS_KEY_ID);
    pty.expect("Enter Secret Access Key: ", SOON);
    pty.send(SECRET_ACCESS_KEY);
    assert_eq!(pty.end(SOON).0, 0);
    scene.test = scene.test.clone().env("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID);
    scene.test = scene.test.clone().env("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY);
    scene.plays("aws-vault add --env --no-add-config other");
    let config = String::from_utf8(scene.test.read(".aws/config")).expect("text");
    assert!(config.ends_with("[profile new]\n"), "{config}");
    let known = scene.plays("aws-vault list --credentials").stdout;
    assert_eq!(known, "new\nother\nprod\n");
}

fn list(scene: &mut Scene) {
    scene.plays("aws-vault exec --json prod");
    assert!(scene.plays("aws-vault list").stdout.starts_with("Profile "));
    assert_eq!(scene.plays("aws-vault list --profiles").stdout, "admin\nprod\n");
    assert_eq!(scene.plays("aws-vault list --credentials").stdout, "prod\n");
    let sessions = scene.plays("aws-vault list --sessions").stdout;
    assert!(sessions.starts_with("prod session:"), "{sessions}");
    assert!(scene.plays("aws-vault list --json").stdout.starts_with('{'));
}

fn exec(scene: &mut Scene) {
    let seen = "sh -c 'echo $AWS_VAULT ${AWS_SESSION_TOKEN:+with a session} $*' - -n x";
    let output = scene.plays(&format!("aws-vault exec prod -- {seen}"));
    assert_eq!(output.stdout, "prod with a session -n x\n");
    assert_eq!(scene.standin.calls().len(), 1);
}

fn subshell(scene: &mut Scene) {
    let typed = "echo $AWS_VAULT; aws-vault exec -n prod true && aws-vault exec prod\n";
    let output = scene.line("aws-vault exec prod").stdin(typed).expect_status(125).run();
    assert_eq!(output.stdout, "prod\n");
    assert!(output.stderr.contains("running in an existing vault subshell"), "{}", output.stderr);
}

fn json(scene: &mut Scene) {
    let given = scene.plays("aws-vault exec --json prod").stdout;
    assert!(given.starts_with("{\"AccessKeyId\":\"ASIA"), "{given}");
}

fn making(scene: &mut Scene) {
    let key = scene.plays("aws-vault exec -n --json prod").stdout;
    assert!(key.contains(ACCESS_KEY_ID), "{key}");
    let code = scene.standin.totp_now(MFA_SEED);
    let line = format!("aws-vault exec -d 1h -t {code} --region us-west-2 admin env");
    let env = scene.plays(&line).stdout;
    assert!(env.contains("AWS_REGION=us-west-2\n"), "{env}");
    let issued = scene.standin.issued();
    let left = issued[0].expiration - scene.standin.now();
    assert!((3500..=3600).contains(&left), "{left}");
    scene.played.push("-t CODE".to_owned());
}

fn other_bases(scene: &mut Scene) {
    let subject = "repo:example/shop:ref:refs/heads/main";
    let role = Role::new("deploy").subject(subject);
    scene.standin =
        StandIn::start(World::demo().any_region().provider(Provider::github()).role(role));
    let token = Provider::github().token(subject, scene.standin.now() + 300);
    let test = Test::new().standin(&scene.standin).on_path("aws-vault").file("token", token, 0o600);
    let role = "role_arn = arn:aws:iam::123456789012:role/deploy";
    let home = test.home().display().to_string();
    let config = format!(
        "[profile file]\nweb_identity_token_file = {home}/token\n{role}\n\n\
         [profile process]\nweb_identity_token_process = cat {home}/token\n{role}\n\n\
         [profile here]\ncredential_source = Environment\n{role}\n"
    );
    let test = test.config(&config).env("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID);
    scene.test = test.env("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY);
    for (profile, setting) in [
        ("file", "web_identity_token_file"),
        ("process", "web_identity_token_process"),
        ("here", "credential_source"),
    ] {
        let line = format!("grep -q {setting} ~/.aws/config; aws-vault exec --json {profile}");
        let given = scene.plays(&line).stdout;
        assert!(given.starts_with("{\"AccessKeyId\":\"ASIA"), "{given}");
    }
}

fn mfa_process(scene: &mut Scene) {
    let code = scene.standin.totp_now(MFA_SEED);
    let config = format!(
        "[profile admin]\nsource_profile = prod\nmfa_serial = {MFA_SERIAL}\nmfa_process = echo {code}\n"
    );
    scene.test = scene.test.clone().config(&config);
    scene.plays("grep -q mfa_process ~/.aws/config; aws-vault exec admin -- true");
    assert!(
        scene.standin.calls().iter().any(|call| call.step.is_some()),
        "{}",
        scene.standin.log()
    );
}

fn accepted(scene: &mut Scene) {
    scene.plays("aws-vault --prompt=terminal exec --lazy --stdout prod -- true");
    scene.refuses("aws-vault --prompt=osascript exec prod -- true", 2, "mfa_process");
}

fn server(scene: &mut Scene) {
    for flag in ["--server", "--ecs-server"] {
        let line = format!(
            "aws-vault exec {flag} prod -- sh -c 'echo ${{AWS_CONTAINER_CREDENTIALS_FULL_URI##*/}}'"
        );
        assert_eq!(scene.plays(&line).stdout, "prod\n");
    }
}

fn ec2_server(scene: &mut Scene) {
    scene.refuses("aws-vault exec --ec2-server prod -- true", 2, "credential_process");
}

fn export(scene: &mut Scene) {
    for (format, start) in [
        ("", "AWS_ACCESS_KEY_ID=ASIA"),
        ("--format=env", "AWS_ACCESS_KEY_ID=ASIA"),
        ("--format=export-env", "export AWS_ACCESS_KEY_ID=ASIA"),
        ("--format=json", "{"),
        ("--format=ini", "[prod]\n"),
    ] {
        let given = scene.plays(&format!("aws-vault export {format} prod")).stdout;
        assert!(given.starts_with(start), "{given}");
    }
}

fn remove(scene: &mut Scene) {
    scene.refuses("aws-vault remove prod", 2, "-f");
    let mut pty = scene.test.command(["remove", "prod"]).program("aws-vault").pty();
    pty.expect("Delete credentials for profile \"prod\"? (y|N) ", SOON);
    pty.send("y");
    assert_eq!(pty.end(SOON).0, 0);
    assert_eq!(scene.plays("aws-vault list --credentials").stdout, "");
}

fn clear(scene: &mut Scene) {
    for line in ["aws-vault clear prod", "aws-vault clear"] {
        scene.plays("aws-vault exec prod -- true");
        assert_eq!(scene.plays(line).stdout, "Cleared 1 sessions.\n");
    }
}

fn rotate(scene: &mut Scene) {
    let endpoint = scene.standin.endpoint();
    scene.test = scene.test.clone().env("AWS_ENDPOINT_URL_IAM", endpoint);
    scene.plays("aws-vault rotate prod");
    let keys = scene.standin.keys();
    assert!(keys.len() == 1 && keys[0].id != ACCESS_KEY_ID, "{}", scene.standin.log());
    // Of a profile that sources another, the key at the end of the chain.
    scene.plays("aws-vault rotate -n admin");
    assert_ne!(scene.standin.keys()[0].id, keys[0].id);
}

fn login(scene: &mut Scene) {
    let admin = Role::new("admin").max_duration(43_200);
    scene.standin.change(|world| world.roles.push(admin));
    let role = "role_arn = arn:aws:iam::123456789012:role/admin\nregion = eu-west-1\n";
    let config = format!(
        "[profile prod]\nregion = eu-west-1\n\n[profile role]\nsource_profile = prod\n{role}\n\
         [profile mfa]\nsource_profile = prod\nmfa_serial = {MFA_SERIAL}\n{role}"
    );
    let endpoint = scene.standin.endpoint();
    scene.test = scene.test.clone().config(&config).env("AWS_ENDPOINT_URL_SIGNIN", endpoint);
    let code = scene.standin.totp_now(MFA_SEED);
    for (line, page) in [
        ("aws-vault login role", "home%3Fregion%3Deu-west-1"),
        ("aws-vault login --path s3/home --region us-west-2 role", "s3%2Fhome"),
        ("aws-vault login -d 2h -n -s role", "home%3Fregion%3Deu-west-1"),
        (&format!("aws-vault login -t {code} mfa"), "home%3Fregion%3Deu-west-1"),
    ] {
        let address = scene.plays(line).stdout;
        let is_one = address.contains("/federation?Action=login&") && address.contains(page);
        assert!(is_one, "{line}: {address}");
    }
}

fn proxy(scene: &mut Scene) {
    scene.refuses("aws-vault proxy", 2, "unknown command \"proxy\"");
}

fn completions(scene: &mut Scene) {
    for shell in ["bash", "zsh"] {
        scene.refuses(
            &format!("aws-vault --completion-script-{shell}"),
            2,
            "see vault completions",
        );
        assert!(scene.plays(&format!("vault completions {shell}")).stdout.contains("vault"));
    }
}

fn passphrase(scene: &mut Scene) {
    scene.test = Test::new().config("[profile prod]\n").on_path("aws-vault");
    scene.test =
        scene.test.clone().vault_with_passphrase("prod").env_remove("AWS_VAULT_PASSPHRASE");
    scene.refuses("aws-vault exec -n prod -- true", 125, "no key to open the vault with");
    scene
        .plays(&format!("AWS_VAULT_FILE_PASSPHRASE='{PASSPHRASE}' aws-vault exec -n prod -- true"));
}

fn variables(scene: &mut Scene) {
    scene.plays("AWS_SESSION_TOKEN_TTL=30m aws-vault exec prod -- true");
    let left = scene.standin.issued()[0].expiration - scene.standin.now();
    assert!((1700..=1800).contains(&left), "{left}");
    for name in [
        "AWS_SESSION_TOKEN_TTL",
        "AWS_CHAINED_SESSION_TOKEN_TTL",
        "AWS_ASSUME_ROLE_TTL",
        "AWS_MIN_TTL",
    ] {
        scene.refuses(
            &format!("{name}=soon aws-vault exec --json prod"),
            2,
            &format!("{name}: not a duration"),
        );
    }
    let name = "AWS_FEDERATION_TOKEN_TTL";
    let line = format!("{name}=soon aws-vault login prod");
    scene.refuses(&line, 2, &format!("{name}: not a duration"));
    let plan = scene.plays(&format!("AWS_MFA_SERIAL={MFA_SERIAL} vault explain prod")).stdout;
    assert!(plan.contains(MFA_SERIAL), "{plan}");
}

fn in_the_subshell(scene: &mut Scene) {
    let output = scene.line("aws-vault exec prod").stdin("echo $AWS_VAULT\n").run();
    assert_eq!(output.stdout, "prod\n");
    scene.played.push("AWS_VAULT".to_owned());
}

/// The block that brings somebody over, line by line as it stands there.
#[test]
fn moving_from_aws_vaults_files_takes_five_lines() {
    let standin = StandIn::start(World::demo().any_region());
    let test = Test::new().standin(&standin).env_remove("AWS_REGION").on_path("vault");
    let test = test.config("[profile prod]\nregion = eu-west-1\n");
    let test = crate::import::aws_vault::with_keys(test);
    let aws = "#!/bin/sh\necho \"$AWS_VAULT ${AWS_SESSION_TOKEN:+with a session} $*\"\n";
    let test = test.file("bin/aws", aws, 0o755);
    let block = documents::block("sh", "vault import --from aws-vault");
    let block = block.replace("sudo ln -s vault /usr/local/bin/", "ln -s vault bin/");
    assert_eq!(block.lines().count(), 5, "{block}");
    let named = test.on_path_already("aws-vault");
    for line in block.lines() {
        let line = line.split("   #").next().unwrap_or_default().trim_end();
        if named && line.starts_with("ln -s") {
            continue;
        }
        let run = test.command(["-euc", line]).program("sh");
        if !line.contains("import") {
            let output = run.run();
            let called = line.contains("get-caller-identity");
            assert!(
                !called || output.stdout == "prod with a session sts get-caller-identity\n",
                "{}",
                output.stdout
            );
            continue;
        }
        let mut pty = run.pty();
        pty.expect("Enter aws-vault's passphrase for ", SOON);
        pty.send(crate::import::aws_vault::THEIRS);
        pty.expect("nothing to leave it: ", SOON);
        pty.send("another passphrase that everybody knows");
        assert_eq!(pty.end(SOON).0, 0);
    }
}

#[test]
fn moving_from_plaintext_keys_takes_three_lines() {
    let standin = StandIn::demo();
    let key = format!(
        "[prod]\naws_access_key_id = {ACCESS_KEY_ID}\naws_secret_access_key = {SECRET_ACCESS_KEY}\n"
    );
    let test = Test::new().standin(&standin).on_path("vault").aws_credentials(&key);
    let aws = "#!/bin/sh\necho \"$AWS_VAULT ${AWS_SESSION_TOKEN:+with a session} $*\"\n";
    let test = test.file("bin/aws", aws, 0o755);
    let block = documents::block("sh", "vault import --from credentials");
    assert_eq!(block.lines().count(), 3, "{block}");
    for line in block.lines() {
        let line = line.split("   #").next().unwrap_or_default().trim_end();
        let output = test.command(["-euc", line]).program("sh").run();
        let called = line.contains("get-caller-identity");
        assert!(
            !called || output.stdout == "prod with a session sts get-caller-identity\n",
            "{}",
            output.stdout
        );
    }
    assert_eq!(test.read(".aws/credentials"), b"[prod]\n");
}
