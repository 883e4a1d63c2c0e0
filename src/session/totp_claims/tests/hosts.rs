//! Hosts that start at once with one device, and share no claims: how many succeed.

use std::collections::BTreeMap;

use super::super::*;
use super::NOON;
use super::simulation::{Device, Random};

/// Codes that one process sends, and for how long it may wait for the time of one (seconds).
const CODES: u32 = 3;
const REACH: i64 = 45;

/// A host in milliseconds since noon.
struct Host {
    claims: TotpClaims,
    started: i64,
    sent: u32,
}

impl Host {
    /// Its next code: the step, and when it is sent.
    fn claims(&mut self, time: i64, random: &mut Random) -> Option<(i64, i64)> {
        let seconds = NOON + time.div_euclid(1000);
        let steady = Steady { boot: 1, seconds };
        let now = Times { corrected: seconds, local: seconds, steady };
        let random = random.next();
        let left = self.started / 1000 + REACH - time / 1000;
        self.sent += 1;
        let selection = match self.sent {
            1 => Selection::Random(random),
            sent => Selection::AfterRefusal { last: sent == CODES, reach: left, random },
        };
        let claimed = self.claims.next(30, now, selection);
        self.claims.insert(claimed);
        let wait = claimed.at - seconds;
        (wait == 0 || wait <= left).then_some((claimed.step, time + wait * 1000))
    }
}

/// So many hosts start within half a second; how many succeed, and how many codes AWS got.
fn at_once(count: usize, random: &mut Random) -> (usize, u32) {
    let begin = random.below(180_000);
    let mut device = Device::default();
    let mut hosts: Vec<Host> = (0..count)
        .map(|_| Host {
            claims: TotpClaims::default(),
            started: begin + random.below(500),
            sent: 0,
        })
        .collect();
    // What happens when: a host claims, or a code of its comes to AWS, after 50 to 400 ms.
    let mut events: BTreeMap<(i64, usize), Option<i64>> =
        hosts.iter().enumerate().map(|(n, host)| ((host.started, n), None)).collect();
    let mut through = 0;
    while let Some(((time, n), code)) = events.pop_first() {
        let host = &mut hosts[n];
        match code {
            None => {
                if let Some((step, at)) = host.claims(time, random) {
                    events.insert((at + 50 + random.below(350), n), Some(step));
                }
            }
            Some(step) => {
                if device.takes(step, NOON + time.div_euclid(1000)) {
                    through += 1;
                } else if host.sent < CODES && !device.is_locked(NOON + time.div_euclid(1000)) {
                    let pause = 50 + random.below(350) + 1000 + random.below(4000);
                    events.insert((time + pause, n), None);
                }
            }
        }
    }
    assert!(hosts.iter().all(|host| (1..=CODES).contains(&host.sent)));
    (through, hosts.iter().map(|host| host.sent).sum())
}

/// How often so many got through.
fn starts(count: usize, times: usize) -> BTreeMap<usize, usize> {
    let mut random = Random(7);
    let mut often = BTreeMap::new();
    for _ in 0..times {
        let (through, _) = at_once(count, &mut random);
        *often.entry(through).or_default() += 1;
    }
    often
}

#[test]
fn of_four_hosts_at_once_three_get_through_always_and_all_four_mostly() {
    let often = starts(4, 20_000);
    assert!(often.keys().all(|through| *through >= 3), "{often:?}");
    // 98.8 %; with the step to come for the last code alone it would be 98.2.
    assert!(often[&4] >= 19_700, "{often:?}");
}

#[test]
fn of_two_or_three_hosts_at_once_all_get_through() {
    assert_eq!(starts(2, 20_000), BTreeMap::from([(2, 20_000)]));
    let often = starts(3, 20_000);
    assert!(often[&3] >= 19_900, "{often:?}");
}

#[test]
fn of_ten_hosts_at_once_some_get_through() {
    let often = starts(10, 5_000);
    assert!(often.keys().all(|through| *through >= 2), "{often:?}");
}
