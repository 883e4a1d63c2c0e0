//! A fault at every system call by which `rotate` writes the vault. AWS and the vault change in turn, so
//! what counts is both: whatever happens, the vault has a key that AWS takes, and the next run ends with
//! one key there, the vault's.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::inject::{Call, try_inject};
use super::{KILL, faults, inject, verdict};
use crate::rotate::{assert_rotated, assert_works, place, world};
use crate::support::builder::{Output, Test};
use crate::support::standin::StandIn;

#[test]
#[ignore = "needs strace"]
fn a_fault_at_any_write_of_rotate_is_survived() {
    let started = std::time::Instant::now();
    let done: Vec<_> = std::thread::scope(|scope| {
        let some = |part| scope.spawn(move || some(part, 2));
        [some(0), some(1)].into_iter().map(|worker| worker.join().expect("a worker")).collect()
    });
    let count: usize = done.iter().map(|(count, _)| count).sum();
    let wrong: Vec<_> = done.into_iter().flat_map(|(_, wrong)| wrong).collect();
    println!("rotate: {count} faults in {:.0} s", started.elapsed().as_secs_f32());
    assert!(count > 400, "only {count} faults");
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
}

/// The share of one worker: how many faults, and what went wrong.
fn some(part: usize, parts: usize) -> (usize, Vec<String>) {
    let standin = StandIn::start(world());
    let test = place(&standin);
    let before = verdict::tree(test.home());
    let run = test.command(["rotate", "ci"]);
    let (output, calls) = inject::record(&run);
    let scene = verdict::Scene::new(&test, &run, before, output);
    // Those of the vault, and of what the machine remembers of it. Sockets are AWS's side, which has
    // tests of its own.
    let own = |call: &&Call| call.line.contains("/.local/");
    let from = calls.iter().position(|call| call.line.contains("vault.age.lock")).expect("a lock");
    let pairs = calls[from..]
        .iter()
        .filter(own)
        .flat_map(|call| faults(call).into_iter().map(move |fault| (call, fault)));
    let (mut count, mut wrong) = (0, Vec::new());
    for (call, fault) in pairs.skip(part).step_by(parts) {
        scene.reset();
        standin.change(|now| *now = world());
        let what = format!("{}:{fault}:when={}", call.name, call.nth);
        // Of calls that sockets make, too, there are not always so many.
        let Some(output) = try_inject(&run, &what) else { continue };
        let judged = catch_unwind(AssertUnwindSafe(|| judge(&test, &standin, fault, &output)));
        if let Err(panic) = judged {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            wrong.push(format!(
                "{what}: {}\n  {}\n  {} {:?} {:?}",
                text.unwrap_or_default(),
                call.line,
                output.status,
                output.stdout,
                output.stderr
            ));
        }
        count += 1;
    }
    (count, wrong)
}

fn judge(test: &Test, standin: &StandIn, fault: &str, output: &Output) {
    if fault != KILL {
        match output.status {
            0 => assert_rotated(test, standin),
            1 | 4..=8 | 10 => {
                let unwritten = output.stderr.contains("cannot write to stdout");
                assert!(output.stdout.is_empty() || unwritten, "a failure, and a result on stdout");
                assert!(output.stderr.contains("vault: error: "), "nothing was said");
            }
            status => panic!("a status of {status}"),
        }
    }
    assert_works(test, standin);
    test.command(["rotate", "--resume"]).expect_stderr("").run();
    // What was over before anything was begun is begun now.
    if standin.deleted_keys().is_empty() {
        test.command(["rotate", "ci"]).expect_stderr("").run();
    }
    assert_rotated(test, standin);
}
