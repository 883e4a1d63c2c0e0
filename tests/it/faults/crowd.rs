//! Many writers at once.

use std::time::{Duration, Instant};

use super::CSV;
use crate::support::builder::Test;
use crate::vault_file::payload_of;

#[test]
#[ignore = "takes a minute or two"]
fn of_sixteen_hundred_changes_by_sixteen_writers_none_is_lost() {
    let test = Test::new().vault_with("demo");
    let done: Vec<(Duration, u32)> = std::thread::scope(|scope| {
        let writer = |writer: u32| {
            let test = test.clone();
            scope.spawn(move || {
                let (mut longest, mut again) = (Duration::ZERO, 0);
                for n in 0..100 {
                    let profile = format!("w{writer}-{n}");
                    let words = ["add", &profile, "--stdin", "--no-add-config"];
                    let add = test.command(words).stdin(CSV).expect_stderr("");
                    loop {
                        let started = Instant::now();
                        let status = add.clone().any_status().try_run().status;
                        longest = longest.max(started.elapsed());
                        match status {
                            0 => break,
                            // Busy for 45 s: a user would try again.
                            8 => again += 1,
                            status => panic!("{profile}: {status}"),
                        }
                    }
                }
                (longest, again)
            })
        };
        let writers: Vec<_> = (0..16).map(writer).collect();
        writers.into_iter().map(|writer| writer.join().expect("a writer")).collect()
    });
    let longest = done.iter().map(|(longest, _)| longest.as_secs_f32()).fold(0.0, f32::max);
    println!(
        "longest wait {longest:.1} s, busy {} times",
        done.iter().map(|(_, n)| n).sum::<u32>()
    );
    let payload = payload_of(test.vault_file());
    assert_eq!(payload.generation(), 2 + 1600);
    assert_eq!(payload.credential_names().count(), 1 + 1600);
}
