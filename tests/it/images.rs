//! The images, in a real engine: read-only roots, users that nobody has heard of, no terminal, the
//! engine's default seccomp profile, and the stand-in for AWS in a container beside them.

mod fleet;
mod server;
mod tls;

use crate::support::builder::Test;
use crate::support::docker::{
    Engine, Left, NOBODY, PIPELINE, VAULT, docker, serve_if_asked, until,
};
use crate::support::{ACCESS_KEY_ID, PASSPHRASE, SECRET_ACCESS_KEY};

/// As docker/Dockerfile is meant to be run: nothing to write, nobody in particular, nothing granted.
const BARE: [&str; 5] = [
    "--read-only",
    "--user=12345:12345",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
    "--pids-limit=32",
];

/// The test that the stand-in's container starts.
const STS: &str = "images::names_are_looked_up_and_a_role_is_assumed";

fn bare(engine: &Engine) -> Vec<String> {
    BARE.iter().map(|option| (*option).to_owned()).chain(engine.vault()).collect()
}

#[test]
#[ignore = "needs docker and the images of docker/images"]
fn names_are_looked_up_and_a_role_is_assumed() {
    serve_if_asked();
    let engine = Engine::new();
    let sts = engine.sts(STS);
    let left = engine.run(&bare(&engine), VAULT, &["exec", "--json", "role"]);
    assert_eq!((left.status, left.stderr.as_str()), (0, ""), "{}", left.stdout);
    assert!(left.stdout.starts_with("{\"AccessKeyId\":\"ASIA"), "{}", left.stdout);
    assert_eq!(sts.calls().len(), 1, "{:?}", sts.calls());
    // A name that is not there.
    let mut options = bare(&engine);
    options.push("-eAWS_ENDPOINT_URL_STS=http://nobody:8080".to_owned());
    let left = engine.run(&options, VAULT, &["exec", "--json", "role"]);
    assert_eq!((left.status, left.stdout.as_str()), (9, ""));
    assert!(left.stderr.contains("nobody"), "{}", left.stderr);
}

#[test]
#[ignore = "needs docker and the images of docker/images"]
fn the_image_is_vault_and_nothing_else() {
    let engine = Engine::new();
    let about = |format: &str| docker(["image", "inspect", "--format", format, VAULT]).stdout;
    let size: u64 = about("{{.Size}}").trim().parse().expect("a size");
    assert!(size <= 12_000_000, "{size} bytes");
    assert_eq!(about("{{.Config.User}}"), "65532:65532\n");
    assert_eq!(about("{{json .Config.Entrypoint}}"), "[\"/usr/local/bin/vault\"]\n");
    assert_eq!(about("{{index .Config.Labels \"org.opencontainers.image.title\"}}"), "vault\n");
    let made = docker(["create", "--label", engine.network(), VAULT]).stdout;
    let list = format!("docker export {} | tar -t", made.trim());
    let listed = std::process::Command::new("sh").args(["-c", &list]).output().expect("sh");
    // What the engine itself puts into every container is left out.
    let ours = |line: &&str| {
        !["dev/", "proc/", "sys/", ".dockerenv"].iter().any(|made| line.starts_with(made))
            && !["etc/hosts", "etc/hostname", "etc/mtab", "etc/resolv.conf"].contains(line)
    };
    let listed = String::from_utf8(listed.stdout).expect("text");
    let files: Vec<_> = listed.lines().filter(ours).filter(|line| !line.ends_with('/')).collect();
    assert_eq!(
        files,
        ["etc/ssl/certs/ca-certificates.crt", "usr/local/bin/aws-vault", "usr/local/bin/vault"]
    );
}

/// A whole key, and from the ordinary places: a secret that is mounted, and a vault in a volume.
#[test]
#[ignore = "needs docker and the images of docker/images"]
fn a_key_comes_out_of_a_container_from_scratch() {
    let engine = Engine::new();
    let json = format!(
        "{{\"AccessKeyId\":\"{ACCESS_KEY_ID}\",\
         \"SecretAccessKey\":\"{SECRET_ACCESS_KEY}\",\"Version\":1}}\n"
    );
    let wanted = Left { status: 0, stdout: json, stderr: String::new() };
    for init in ["--init=false", "--init=true"] {
        let mut options = bare(&engine);
        options.push(init.to_owned());
        options.push("--network=none".to_owned());
        let words = ["exec", "--no-session", "--json", "demo"];
        assert_eq!(engine.run(&options, VAULT, &words), wanted, "{init}");
        // By its other name, and as the image's own user.
        options.retain(|option| !option.starts_with("--user="));
        options.push("--entrypoint=aws-vault".to_owned());
        assert_eq!(engine.run(&options, VAULT, &words), wanted, "{init}");
    }
}

/// The second process in one container with a read-only root, no home and no volume.
#[test]
#[ignore = "needs docker and the images of docker/images"]
fn without_a_volume_the_second_process_needs_no_prompt() {
    let engine = Engine::new();
    let sts = engine.sts(STS);
    let words = ["exec", "role", "--", "/usr/local/bin/vault", "exec", "--json", "role"];
    let left = engine.run(&bare(&engine), VAULT, &words);
    assert_eq!((left.status, left.stderr.as_str()), (0, ""), "{}", left.stdout);
    assert!(left.stdout.starts_with("{\"AccessKeyId\":\"ASIA"), "{}", left.stdout);
    assert_eq!(sts.calls().len(), 1, "{:?}", sts.calls());
    // The same with a tmpfs that is named, in a container without /dev/shm to speak of.
    let mut options = bare(&engine);
    options.push("--tmpfs=/cache:uid=12345,mode=0700".to_owned());
    options.push("-eAWS_VAULT_CACHE_DIR=/cache".to_owned());
    let left = engine.run(&options, VAULT, &words);
    assert_eq!((left.status, left.stderr.as_str()), (0, ""), "{}", left.stdout);
    assert_eq!(sts.calls().len(), 2, "{:?}", sts.calls());
}

#[test]
#[ignore = "needs docker and the images of docker/images"]
fn exit_codes_come_through_the_engine() {
    let engine = Engine::new();
    let in_pipeline = |script: &str| -> Vec<String> {
        ["vault", "exec", "-n", "demo", "--", "sh", "-c", script].map(str::to_owned).into()
    };
    for init in ["--init=false", "--init=true"] {
        let mut options = bare(&engine);
        options.push(init.to_owned());
        for (words, status) in [
            (vec!["--version"], 0),
            (vec!["exec", "-n", "--json", "demo"], 0),
            (vec!["nonsense"], 2),
            (vec!["exec", "-n", "--json", "nobody"], 3),
            (vec!["exec", "-n", "nobody", "x"], 125),
            (vec!["exec", "-n", "demo", "/vault/config"], 126),
            (vec!["exec", "-n", "demo", "/none"], 127),
        ] {
            let left = engine.run(&options, VAULT, &words);
            assert_eq!(left.status, status, "{init} {words:?} {}", left.stderr);
        }
        for (script, status) in [("exit 7", 7), ("kill -9 $$; sleep 9", 137)] {
            // No signal that it does not handle ends process 1, not even its own.
            if init == "--init=false" && status > 128 {
                continue;
            }
            let words = in_pipeline(script);
            let words: Vec<_> = words.iter().map(String::as_str).collect();
            let left = engine.run(&options, PIPELINE, &words);
            assert_eq!(left.status, status, "{init} {script} {}", left.stderr);
        }
    }
}

/// The command is process 1 itself, so the engine's signal is the command's.
/// The kernel's keyring is the host's, shared by whoever has the same user id there; the engine's
/// default seccomp profile forbids it.
#[test]
#[ignore = "needs docker and the images of docker/images"]
fn the_engine_forbids_the_keyring_and_the_vault_opens_all_the_same() {
    let engine = Engine::new();
    let made = Test::new().vault_with_passphrase("demo");
    let vault = engine.file("vault/vault.age", made.read(made.vault_file()));
    let mut options: Vec<String> = BARE.iter().map(|option| (*option).to_owned()).collect();
    options.push(format!("-v{vault}:/vault.age:ro"));
    options.push("-eAWS_VAULT_FILE=/vault.age".to_owned());
    options.push(format!("-eAWS_VAULT_PASSPHRASE={PASSPHRASE}"));
    let error = "vault: error: the kernel's keyring is not available: operation not permitted\n\
                 vault: hint: seccomp profiles of containers forbid it; give the key or the passphrase \
                 to each run\n";
    for command in ["unlock", "lock"] {
        let left = engine.run(&options, VAULT, &[command]);
        assert_eq!((left.status, &*left.stdout, &*left.stderr), (6, "", error), "{command}");
    }
    let left = engine.run(&options, VAULT, &["list", "--credentials"]);
    assert_eq!((left.status, &*left.stdout, &*left.stderr), (0, "demo\n", ""));
}

#[test]
#[ignore = "needs docker and the images of docker/images"]
fn the_engine_stops_the_command_at_once() {
    let engine = Engine::new();
    for init in ["--init=false", "--init=true"] {
        let mut options = bare(&engine);
        options.push(init.to_owned());
        let script =
            "trap 'echo stopped; exit 5' TERM; echo $$ started; while :; do sleep 0.1; done";
        let words = ["vault", "exec", "-n", "demo", "--", "bash", "-c", script];
        let id = engine.start("job", &options, PIPELINE, &words);
        until("it starts", || docker(["logs", &id]).stdout.contains("started"));
        if init == "--init=false" {
            assert_eq!(docker(["logs", &id]).stdout, "1 started\n");
        }
        let before = std::time::Instant::now();
        docker(["stop", "--time=10", &id]);
        let took = before.elapsed();
        assert!(took < std::time::Duration::from_secs(2), "{init}: {took:?}");
        assert!(docker(["logs", &id]).stdout.ends_with("stopped\n"));
        let status = docker(["inspect", "--format", "{{.State.ExitCode}}", &id]).stdout;
        assert_eq!(status, "5\n", "{init}");
        docker(["rm", "-f", &id]);
    }
}

/// botocore splits a credential_process by itself, so an image without any shell will do.
#[test]
#[ignore = "needs docker and the images of docker/images"]
fn a_credential_process_needs_no_shell_where_the_sdk_needs_none() {
    let engine = Engine::new();
    let sts = engine.sts(STS);
    let mut options = bare(&engine);
    let config = "[profile demo]\n[profile role]\nsource_profile = demo\n\
                  role_arn = arn:aws:iam::123456789012:role/deploy\n[profile caller]\n\
                  credential_process = /usr/local/bin/vault exec --json role\n";
    let config = engine.file("caller/config", config);
    options.push(format!("-v{config}:/caller:ro"));
    options.push("-eAWS_CONFIG_FILE=/caller".to_owned());
    options.push("-eAWS_PROFILE=caller".to_owned());
    for shell in ["/usr/bin/dash", "/usr/bin/bash"] {
        options.push(format!("-v/dev/null:{shell}:ro"));
    }
    let aws = ["aws", "sts", "get-caller-identity", "--query", "Account", "--output=text"];
    let left = engine.run(&options, PIPELINE, &aws);
    let wanted = Left { status: 0, stdout: "123456789012\n".into(), stderr: String::new() };
    assert_eq!(left, wanted);
    assert_eq!(sts.calls().len(), 2, "{:?}", sts.calls());
    let left = engine.run(&options, PIPELINE, &["sh", "-c", "true"]);
    assert_eq!(left.status, 127, "a shell after all: {}", left.stdout);
}

#[test]
#[ignore = "needs docker and the images of docker/images"]
fn the_pipeline_image_has_what_jobs_use() {
    let engine = Engine::new();
    let script = "vault --version && aws-vault --version && aws --version && git --version && \
                  jq --version && bash --version && id -u && \
                  test -r /usr/local/share/man/man1/vault-exec.1";
    // As GitLab and Jenkins start it: a shell on stdin, as whoever they like.
    for user in ["--user=0", NOBODY] {
        let user = format!("--user={}", user.trim_start_matches("--user="));
        let left = engine.run(&[user.as_str()], PIPELINE, &["sh", "-ec", script]);
        assert_eq!((left.status, left.stderr.as_str()), (0, ""), "{}", left.stdout);
    }
    let about = |format: &str| docker(["image", "inspect", "--format", format, PIPELINE]).stdout;
    assert_eq!(about("{{json .Config.Entrypoint}} {{.Config.User}}"), "null 65532:65532\n");
    let words = ["sh", "-ec", "echo \"$(id -un) $HOME\"; touch ~/file"];
    let wanted = Left { status: 0, stdout: "vault /home/vault\n".into(), stderr: String::new() };
    assert_eq!(engine.run::<&str>(&[], PIPELINE, &words), wanted);
}
