//! `serve` and `exec --server` as a container's program: ready, stopped at once, and a process 1 that
//! leaves no zombies.

use std::time::{Duration, Instant};

use super::bare;
use crate::support::docker::{Engine, PIPELINE, VAULT, docker, until};

const INITS: [&str; 2] = ["--init=false", "--init=true"];

/// Stops the container, and gives its exit code.
#[track_caller]
fn stopped(id: &str) -> String {
    let before = Instant::now();
    docker(["kill", "--signal=TERM", id]);
    docker(["wait", id]);
    let took = before.elapsed();
    // The engine's own share is in it, on a machine that may be busy.
    assert!(took < Duration::from_secs(1), "{took:?}\n{}", docker(["logs", id]).stderr);
    docker(["inspect", "--format", "{{.State.ExitCode}}", id]).stdout
}

#[test]
#[ignore = "needs docker and the images of docker/images"]
fn serve_is_ready_and_stops_at_once() {
    let engine = Engine::new();
    let sts = engine.sts(super::STS);
    for init in INITS {
        let mut options = bare(&engine);
        options.extend(["--tmpfs=/run/vault:uid=12345,mode=0700".to_owned(), init.to_owned()]);
        let token = ["--token-file", "/run/vault/token"];
        let words = [&["serve", "--profile", "role"], &token[..]].concat();
        let id = engine.start("vault", &options, VAULT, &words);
        let check = ["exec", &id, "/usr/local/bin/vault", "serve", "--check"];
        until("it is ready", || docker(check).status == 0);
        assert_eq!(stopped(&id), "0\n", "{init}");
        let log = docker(["logs", &id]);
        assert_eq!(log.stdout, "", "{init}");
        assert!(log.stderr.contains("serving role at http://127.0.0.1:9911/"), "{}", log.stderr);
    }
    assert_eq!(sts.calls().len(), 2, "{:?}", sts.calls());
}

#[test]
#[ignore = "needs docker and the images of docker/images"]
fn exec_with_a_server_is_a_good_process_1() {
    let engine = Engine::new();
    let sts = engine.sts(super::STS);
    for init in INITS {
        let mut options = bare(&engine);
        options.push(init.to_owned());
        let run = |script: &str| {
            let words = ["vault", "exec", "--server", "role", "--", "bash", "-c", script];
            engine.run(&options, PIPELINE, &words)
        };
        // The AWS CLI inside, and the command's own status.
        let left = run("aws sts get-caller-identity --query Account --output text; exit 7");
        assert_eq!((left.status, left.stdout.as_str()), (7, "123456789012\n"), "{}", left.stderr);
        assert_eq!(run("kill -9 $$").status, 137, "{init}");
        // Orphans come to process 1 and are reaped.
        let left = run("for i in 1 2 3; do (sleep 0.$i &); done; sleep 1; \
                        grep -l 'State:.Z' /proc/[0-9]*/status; echo done");
        assert_eq!((left.status, left.stdout.as_str()), (0, "done\n"), "{init} {}", left.stderr);
        let words = ["vault", "exec", "--server", "role", "--", "sleep", "100"];
        let id = engine.start("job", &options, PIPELINE, &words);
        let runs = || docker(["top", &id, "-eo", "pid,args"]).stdout;
        let is_sleep = |line: &str| line.split_whitespace().nth(1) == Some("sleep");
        until("it runs", || runs().lines().any(is_sleep));
        assert_eq!(stopped(&id), "143\n", "{init}");
    }
    assert!(sts.calls().len() >= 6, "{:?}", sts.calls());
}

/// Before the command is there, process 1 is vault itself, perhaps waiting for AWS.
#[test]
#[ignore = "needs docker and the images of docker/images"]
fn a_process_1_that_waits_for_aws_is_stopped_at_once() {
    let engine = Engine::new();
    let silent = "import socket, time\ns = socket.create_server(('0.0.0.0', 8080))\n\
                  print('ready', flush=True)\ns.accept()\nprint('asked', flush=True)\ntime.sleep(100)";
    for words in [&["exec", "--json", "role"][..], &["exec", "role", "true"]] {
        let sts = engine.start("sts", &[""; 0], PIPELINE, &["python3", "-c", silent]);
        until("it listens", || docker(["logs", &sts]).stdout.contains("ready"));
        let id = engine.start("vault", &bare(&engine), VAULT, words);
        until("AWS is asked", || docker(["logs", &sts]).stdout.contains("asked"));
        assert_eq!(stopped(&id), "143\n", "{words:?}");
        docker(["rm", "-f", &sts]);
    }
}
