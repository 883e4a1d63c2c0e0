mod hosts;
mod simulation;

use std::collections::BTreeSet;

use super::*;

/// 2026-01-31T12:00:00Z: the start of a window and of a step.
pub(super) const NOON: i64 = 1_769_860_800;

fn at(seconds: i64) -> Times {
    Times { corrected: NOON + seconds, local: NOON + seconds, steady: since_start(seconds) }
}

/// A host that was started a week before noon.
pub(super) fn since_start(seconds: i64) -> Steady {
    Steady { boot: 1, seconds: 7 * 86_400 + seconds }
}

/// Claims at a time after noon: the step as seen from noon's, and the wait.
fn claim(claims: &mut TotpClaims, seconds: i64) -> (i64, i64) {
    let claimed = claims.next(30, at(seconds), Selection::Nearest);
    claims.insert(claimed);
    (claimed.step - NOON / 30, claimed.at - NOON - seconds)
}

#[test]
fn the_present_step_comes_first_then_the_others_that_aws_takes_then_those_to_come() {
    let mut claims = TotpClaims::default();
    let claims: Vec<_> = (0..6).map(|_| claim(&mut claims, 10)).collect();
    assert_eq!(claims, [(0, 0), (-1, 0), (1, 0), (-2, 0), (2, 0), (3, 25)]);
}

#[test]
fn the_edges_of_what_aws_takes_are_left_alone() {
    // In the last seconds of a step the oldest one may be too old on arrival, in the first the newest
    // may come too early.
    let mut claims = TotpClaims::default();
    let claims: Vec<_> = (0..4).map(|_| claim(&mut claims, 57)).collect();
    assert_eq!(claims, [(1, 0), (0, 0), (2, 0), (3, 0)]);
    let mut claims = TotpClaims::default();
    let claims: Vec<_> = (0..5).map(|_| claim(&mut claims, 31)).collect();
    assert_eq!(claims, [(1, 0), (0, 0), (2, 0), (-1, 0), (3, 4)]);
}

#[test]
fn six_codes_are_sent_in_a_window_and_the_seventh_in_the_next() {
    let mut claims = TotpClaims::default();
    for _ in 0..6 {
        claim(&mut claims, 20);
    }
    // The claim of a step to come counts in the window in which it is sent.
    assert_eq!(claim(&mut claims, 21), (6, 180 - 21));
    assert_eq!(claim(&mut claims, 181), (5, 0));
}

#[test]
fn a_code_that_may_arrive_in_the_next_window_counts_there_too() {
    let mut claims = TotpClaims::default();
    for _ in 0..4 {
        assert_eq!(claim(&mut claims, 175).1, 0);
    }
    // Step 8 may be sent from 185 on, step 9 from 215 on; then six of this window are gone.
    assert_eq!(claim(&mut claims, 180), (8, 5));
    assert_eq!(claim(&mut claims, 181), (9, 34));
    assert_eq!(claim(&mut claims, 182).1, 360 - 182);
}

#[test]
fn a_random_step_is_free_and_taken_now() {
    let mut claims = TotpClaims::default();
    claim(&mut claims, 10);
    let steps: BTreeSet<i64> = (0..40)
        .map(|number| claims.next(30, at(11), Selection::Random(number)))
        .map(|claimed| (claimed.step - NOON / 30, claimed.at - NOON))
        .map(|(step, at)| if at == 11 { step } else { i64::MAX })
        .collect();
    assert_eq!(steps, BTreeSet::from([-2, -1, 1, 2]));
    for _ in 0..4 {
        claim(&mut claims, 11);
    }
    let last = claims.next(30, at(12), Selection::Random(u64::MAX));
    assert_eq!((last.step - NOON / 30, last.at - NOON), (3, 35));
}

/// After a refusal so many seconds after noon: the step as seen from noon's, and when it is sent.
fn after_refusal(claims: &TotpClaims, seconds: i64, last: bool, random: u64) -> (i64, i64) {
    let selection = Selection::AfterRefusal { last, reach: 45, random };
    let claimed = claims.next(30, at(seconds), selection);
    (claimed.step - NOON / 30, claimed.at - NOON)
}

#[test]
fn the_last_code_is_of_a_step_that_no_host_can_have_sent() {
    let steps = |claims: &TotpClaims, seconds| -> BTreeSet<_> {
        (0..60).map(|random| after_refusal(claims, seconds, true, random)).collect()
    };
    let mut claims = TotpClaims::default();
    assert_eq!(steps(&claims, 10), BTreeSet::from([(3, 35)]));
    assert_eq!(steps(&claims, 4), BTreeSet::from([(2, 5), (3, 35)]));
    assert_eq!(steps(&claims, 20), BTreeSet::from([(3, 35), (4, 65)]));
    let noon = since_start(0);
    claims.insert(Claimed { step: NOON / 30 + 3, at: NOON, local: NOON, steady: noon });
    assert_eq!(steps(&claims, 20), BTreeSet::from([(4, 65)]));
    // None can be waited for: any that AWS takes now, or any at all.
    claims.insert(Claimed { step: NOON / 30, at: NOON, local: NOON, steady: noon });
    let now = steps(&claims, 10);
    assert_eq!(now, BTreeSet::from([-2, -1, 1, 2].map(|step| (step, 10))));
    for _ in 0..4 {
        claim(&mut claims, 10);
    }
    assert!(steps(&claims, 10).iter().all(|(_, at)| *at == 180), "the window is full");
}

#[test]
fn a_code_that_another_may_follow_waits_only_where_two_steps_are_to_come() {
    let claims = TotpClaims::default();
    for random in 0..60 {
        assert_eq!(after_refusal(&claims, 10, false, random).1, 10);
        let (step, at) = after_refusal(&claims, 20, false, random);
        match random % 3 {
            0 => assert_eq!((at, step.abs() <= 2), (20, true)),
            _ => assert_eq!((step, at), (3, 35 + YIELD)),
        }
    }
}

#[test]
fn odd_periods_and_odd_times_end_too() {
    for period in [i64::MIN, 0, 1, 5, 60, 3600, i64::MAX] {
        for time in [i64::MIN, -1, 0, 1, NOON, i64::MAX] {
            for local in [i64::MIN, 0, i64::MAX] {
                let mut claims = TotpClaims::default();
                for n in 0..12 {
                    let selection = match n % 3 {
                        0 => Selection::Nearest,
                        1 => Selection::Random(n),
                        _ => Selection::AfterRefusal { last: n > 5, reach: i64::MAX, random: n },
                    };
                    let steady = Steady { boot: 1, seconds: local };
                    let now = Times { corrected: time, local, steady };
                    let claimed = claims.next(period, now, selection);
                    assert!(claimed.step >= 0 && claimed.at >= 0);
                    assert!(claims.claims.iter().all(|c| c.step != claimed.step));
                    claims.insert(claimed);
                }
            }
        }
    }
}

#[test]
fn claims_come_back_as_they_went_and_the_oldest_are_dropped() {
    let mut claims = TotpClaims::default();
    for number in 0..STORED as i64 + 3 {
        let steady = Steady { boot: number % 2, seconds: number };
        claims.insert(Claimed { step: number, at: number * 30, local: -number, steady });
    }
    assert_eq!(claims.claims.len(), STORED);
    assert_eq!(claims.claims[0].step, 3);
    let bytes = claims.encode();
    assert_eq!(TotpClaims::decode(&bytes), Some(claims));
    assert_eq!(TotpClaims::decode(&bytes[1..]), None);
    assert_eq!(TotpClaims::decode(&bytes[8..]), None);
    assert_eq!(TotpClaims::decode(&[0; 24 * 5]), None, "the form without a number");
    assert_eq!(TotpClaims::decode(&[]), None);
    let empty = TotpClaims::default().encode();
    assert_eq!(TotpClaims::decode(&empty), Some(TotpClaims::default()));
    assert_eq!(TotpClaims::decode(&[empty, vec![0; 40 * 65]].concat()), None);
}

#[test]
fn what_was_claimed_before_the_clock_was_set_still_counts() {
    for set in [-86_400, -250, -61, 61, 250, 86_400] {
        let mut claims = TotpClaims::default();
        let mut times = Vec::new();
        for second in 0..400 {
            let (steady, local) = (since_start(second), NOON + second + set * (second / 20));
            let now = Times { corrected: local, local, steady };
            let claimed = claims.next(30, now, Selection::Nearest);
            if claimed.at == local {
                claims.insert(claimed);
                times.push(second);
            }
        }
        for (at, ninth) in times.iter().zip(times.iter().skip(AT_AWS)) {
            assert!(ninth - at >= WINDOW + DELAY, "{set}: {times:?}");
        }
        assert!(times.len() >= AT_AWS, "{set}: {times:?}");
    }
}

#[test]
fn what_is_left_agrees_with_when_the_next_code_may_be_sent() {
    // Five codes at the end of a window, which may arrive in the next one, and one in that.
    let mut claims = TotpClaims::default();
    for seconds in [172, 172, 173, 173, 174, 186] {
        claim(&mut claims, seconds);
    }
    assert_eq!(claims.left(30, at(190)), (0, NOON + 360));
    assert_eq!(claims.left(30, at(365)), (6, NOON + 365));
    // At the end of a window with room for more, of which none is sent: they may arrive in the next one.
    let mut claims = TotpClaims::default();
    claim(&mut claims, 100);
    assert_eq!(claims.left(30, at(100)), (5, NOON + 100));
    for seconds in 0..500 {
        let (left, next) = claims.left(30, at(seconds));
        let is_later = next >= NOON + (seconds / 180 + 1) * 180;
        assert_eq!(left == 0, is_later, "{seconds}: {left}, {next}");
        claim(&mut claims, seconds);
    }
}

#[test]
fn a_claim_of_another_start_of_the_host_counts_by_the_wall_clock() {
    let mut claims = TotpClaims::default();
    for _ in 0..6 {
        claim(&mut claims, 20);
    }
    // After a start, and on another host, seconds are counted from elsewhere.
    for steady in [Steady { boot: 2, seconds: 5 }, Steady { boot: 2, seconds: 7 * 86_400 + 5000 }] {
        let now = |seconds| Times { steady, ..at(seconds) };
        assert_eq!(claims.left(30, now(30)).0, 0);
        assert_eq!(claims.next(30, now(30), Selection::Nearest).at, NOON + 180);
        assert_eq!(claims.next(30, now(300), Selection::Nearest).at, NOON + 300);
    }
    // A boot whose number is unknown, and that began later.
    let now = Times { steady: Steady { boot: 1, seconds: 3 }, ..at(30) };
    assert_eq!(claims.next(30, now, Selection::Nearest).at, NOON + 180);
}
