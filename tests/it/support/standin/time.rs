//! Points in time, in seconds since 1970 UTC, as AWS writes and reads them. Independent of the
//! program's own clock, because it is a witness against it.

/// Days since 1970-01-01 of a civil date (Howard Hinnant, "chrono-compatible low-level date
/// algorithms").
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Year, month, day, hour, minute, second.
fn civil(unix: i64) -> [i64; 6] {
    let (day, second) = (unix.div_euclid(86_400), unix.rem_euclid(86_400));
    let z = day + 719_468;
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = (mp + 2) % 12 + 1;
    let year = yoe + z.div_euclid(146_097) * 400 + i64::from(month <= 2);
    let day = doy - (153 * mp + 2) / 5 + 1;
    [year, month, day, second / 3600, second / 60 % 60, second % 60]
}

/// `2026-01-31T12:00:00Z`
pub fn rfc3339(unix: i64) -> String {
    let [y, mo, d, h, mi, s] = civil(unix);
    format!("{y:04}-{mo:02}-{d:02}T{h:02}:{mi:02}:{s:02}Z")
}

/// `20260131T120000Z`, of `X-Amz-Date`.
pub fn amz(unix: i64) -> String {
    rfc3339(unix).replace(['-', ':'], "")
}

/// `Sat, 31 Jan 2026 12:00:00 GMT`, of `Date`.
pub fn http(unix: i64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let [y, mo, d, h, mi, s] = civil(unix);
    let weekday = DAYS[unix.div_euclid(86_400).rem_euclid(7) as usize];
    format!("{weekday}, {d:02} {} {y:04} {h:02}:{mi:02}:{s:02} GMT", MONTHS[mo as usize - 1])
}

/// Reads what [`amz`] writes, and nothing else.
pub fn parse_amz(text: &str) -> Option<i64> {
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<i64>().ok();
    let unix = days(number(0..4)?, number(4..6)?, number(6..8)?) * 86_400
        + number(9..11)? * 3600
        + number(11..13)? * 60
        + number(13..15)?;
    (amz(unix) == text).then_some(unix)
}

#[test]
fn dates_are_written_as_aws_writes_them() {
    let at = 1_440_938_160;
    assert_eq!(rfc3339(at), "2015-08-30T12:36:00Z");
    assert_eq!(amz(at), "20150830T123600Z");
    assert_eq!(http(at), "Sun, 30 Aug 2015 12:36:00 GMT");
    assert_eq!(http(0), "Thu, 01 Jan 1970 00:00:00 GMT");
    assert_eq!(rfc3339(951_782_400), "2000-02-29T00:00:00Z");
    assert_eq!(parse_amz("20150830T123600Z"), Some(at));
    assert_eq!(parse_amz("20150230T123600Z"), None);
    assert_eq!(parse_amz("2015-08-30"), None);
}
