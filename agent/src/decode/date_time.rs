//! Date Time: seven octets, the device's local time without a zone.
//!
//! Source: Bluetooth GATT Specification Supplement, Date Time (0x2A08); STANDARDS §1.2. A zero year, month or day is
//! unknown; a date that the calendar does not have is no date.

use shared::observation::DeviceTime;

use super::RefusedFrame;
use super::cursor::Cursor;

/// Days of a month; 29 for February of an unknown year.
const fn days_of(year: u16, month: u8) -> u8 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year == 0 || (year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Whether the fields are a time a clock can show, zero being unknown where the standard says so.
#[must_use]
pub const fn is_a_time(time: &DeviceTime) -> bool {
    let year_fits = time.year == 0 || (time.year >= 1582 && time.year <= 9999);
    let day_fits = time.day <= days_of(time.year, time.month);
    year_fits && time.month <= 12 && day_fits && time.hour <= 23 && time.minute <= 59 && time.second <= 59
}

/// A Date Time.
///
/// # Errors
/// [`RefusedFrame::Length`], or [`RefusedFrame::DeviceTime`] where the octets are no time.
pub fn read(cursor: &mut Cursor<'_>) -> Result<DeviceTime, RefusedFrame> {
    let time = fields(cursor)?;
    if is_a_time(&time) { Ok(time) } else { Err(RefusedFrame::DeviceTime) }
}

/// A Date Time beside a measurement: a time that is none is dropped, the measurement stays.
///
/// # Errors
/// [`RefusedFrame::Length`]
pub fn read_beside(cursor: &mut Cursor<'_>) -> Result<Option<DeviceTime>, RefusedFrame> {
    fields(cursor).map(|time| Some(time).filter(is_a_time))
}

fn fields(cursor: &mut Cursor<'_>) -> Result<DeviceTime, RefusedFrame> {
    let year = cursor.u16()?;
    let [month, day, hour, minute, second] = cursor.octets()?;
    Ok(DeviceTime { year, month, day, hour, minute, second })
}

/// The seven octets of a Date Time, for a device's clock.
#[must_use]
pub const fn encode(time: &DeviceTime) -> [u8; 7] {
    let [low, high] = time.year.to_le_bytes();
    [low, high, time.month, time.day, time.hour, time.minute, time.second]
}

/// The time this many seconds later, or earlier; `None` where the year, month or day is not known, or the result is not
/// between the years 1582 and 9999.
#[must_use]
pub fn shifted(time: &DeviceTime, seconds: i64) -> Option<DeviceTime> {
    let of_day = i64::from(time.hour).saturating_mul(3600).saturating_add(i64::from(time.minute).saturating_mul(60));
    let sum = of_day.saturating_add(i64::from(time.second)).saturating_add(seconds);
    let (day, second) = (day_number(time)?.saturating_add(sum.div_euclid(86_400)), sum.rem_euclid(86_400));
    let (year, month, day) = date_of(day)?;
    let part = |value: i64| u8::try_from(value).ok();
    let (hour, minute) = (part(second / 3600)?, part(second / 60 % 60)?);
    let shifted = DeviceTime { year, month, day, hour, minute, second: part(second % 60)? };
    is_a_time(&shifted).then_some(shifted)
}

/// The day of the week, 1 for Monday to 7 for Sunday, where the date is known.
#[must_use]
pub fn day_of_week(time: &DeviceTime) -> Option<u8> {
    // Day 0 is a Thursday.
    u8::try_from(day_number(time)?.saturating_add(3).rem_euclid(7).saturating_add(1)).ok()
}

/// Days in 400 years of the Gregorian calendar, and from 1 March 0000 to 1 January 1970.
const DAYS_OF_400_YEARS: i64 = 146_097;
const DAYS_BEFORE_1970: i64 = 719_468;

/// Days since 1 January 1970. Years begin in March here, so that the leap day is the last of its year.
fn day_number(time: &DeviceTime) -> Option<i64> {
    if time.year == 0 || time.month == 0 || time.day == 0 || !is_a_time(time) {
        return None;
    }
    let (month, day) = (i64::from(time.month), i64::from(time.day));
    let year = i64::from(time.year).saturating_sub(i64::from(month <= 2));
    let month = if month <= 2 { month.saturating_add(9) } else { month.saturating_sub(3) };
    let (era, year) = (year / 400, year % 400);
    let of_year = (month.saturating_mul(153).saturating_add(2) / 5).saturating_add(day).saturating_sub(1);
    let of_era = year.saturating_mul(365).saturating_add(year / 4).saturating_sub(year / 100).saturating_add(of_year);
    Some(era.saturating_mul(DAYS_OF_400_YEARS).saturating_add(of_era).saturating_sub(DAYS_BEFORE_1970))
}

/// The date of a day number: the other way round.
fn date_of(day: i64) -> Option<(u16, u8, u8)> {
    let day = day.saturating_add(DAYS_BEFORE_1970);
    let (era, of_era) = (day.div_euclid(DAYS_OF_400_YEARS), day.rem_euclid(DAYS_OF_400_YEARS));
    let leap_days = (of_era / 1460).saturating_sub(of_era / 36_524).saturating_add(of_era / 146_096);
    let year = of_era.saturating_sub(leap_days) / 365;
    let before = year.saturating_mul(365).saturating_add(year / 4).saturating_sub(year / 100);
    let of_year = of_era.saturating_sub(before);
    let month = of_year.saturating_mul(5).saturating_add(2) / 153;
    let day = of_year.saturating_sub(month.saturating_mul(153).saturating_add(2) / 5).saturating_add(1);
    let month = if month < 10 { month.saturating_add(3) } else { month.saturating_sub(9) };
    let year = era.saturating_mul(400).saturating_add(year).saturating_add(i64::from(month <= 2));
    Some((u16::try_from(year).ok()?, u8::try_from(month).ok()?, u8::try_from(day).ok()?))
}

/// Seconds from 1970 to 2000, the start of some devices' clocks.
pub const YEAR_2000: i64 = 946_684_800;

/// The time that a clock shows which counts seconds since the beginning of 1970, without leap seconds. `None` before 1582
/// and after 9999.
#[must_use]
pub fn of_seconds(since_1970: i64) -> Option<DeviceTime> {
    shifted(&DeviceTime { year: 1970, month: 1, day: 1, hour: 0, minute: 0, second: 0 }, since_1970)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24 * 3600;

    #[test]
    fn seconds_become_the_calendar() {
        let text = |seconds| {
            of_seconds(seconds).map(|t| {
                format!("{}-{:02}-{:02} {:02}:{:02}:{:02}", t.year, t.month, t.day, t.hour, t.minute, t.second)
            })
        };
        assert_eq!(text(0).unwrap(), "1970-01-01 00:00:00");
        assert_eq!(text(YEAR_2000).unwrap(), "2000-01-01 00:00:00");
        assert_eq!(text(YEAR_2000 + 59 * DAY + 86_399).unwrap(), "2000-02-29 23:59:59");
        assert_eq!(text(YEAR_2000 + 60 * DAY).unwrap(), "2000-03-01 00:00:00");
        assert_eq!(text(1_785_249_000).unwrap(), "2026-07-28 14:30:00");
        assert_eq!(text(4_107_542_400).unwrap(), "2100-03-01 00:00:00");
        assert_eq!(text(-1).unwrap(), "1969-12-31 23:59:59");
        assert_eq!(text(i64::from(u32::MAX) + YEAR_2000).unwrap(), "2136-02-07 06:28:15");
        assert_eq!((text(i64::MAX), text(i64::MIN), text(300_000_000_000)), (None, None, None));
    }

    #[test]
    fn every_day_of_two_hundred_years_follows_the_one_before() {
        let mut before = of_seconds(-DAY).unwrap();
        for day in 0..73_000 {
            let today = of_seconds(day * DAY).unwrap();
            let next = today.day == before.day + 1 && (today.year, today.month) == (before.year, before.month);
            let next_month = today.day == 1
                && before.day == days_of(before.year, before.month)
                && (today.month == before.month + 1 || (today.month, before.month) == (1, 12));
            assert!(next || next_month, "{before:?} {today:?}");
            before = today;
        }
    }

    fn time(octets: [u8; 7]) -> Result<DeviceTime, RefusedFrame> {
        read(&mut Cursor::new(&octets))
    }

    #[test]
    fn the_calendar_is_looked_at() {
        assert!(time([0xE8, 0x07, 2, 29, 0, 0, 0]).is_ok(), "2024 is a leap year");
        assert_eq!(time([0xEA, 0x07, 2, 29, 0, 0, 0]), Err(RefusedFrame::DeviceTime));
        assert_eq!(time([0xEA, 0x07, 4, 31, 0, 0, 0]), Err(RefusedFrame::DeviceTime));
        assert!(time([0, 0, 2, 29, 0, 0, 0]).is_ok(), "of an unknown year it may be");
        assert!(time([0xEA, 0x07, 0, 31, 23, 59, 59]).is_ok());
        for octets in [[0x2D, 6, 1, 1, 0, 0, 0], [0xEA, 7, 13, 1, 0, 0, 0], [0xEA, 7, 1, 1, 24, 0, 0]] {
            assert_eq!(time(octets), Err(RefusedFrame::DeviceTime));
        }
        assert_eq!(read(&mut Cursor::new(&[0xEA, 7, 1, 1, 0, 0])), Err(RefusedFrame::Length));
        assert_eq!(read_beside(&mut Cursor::new(&[0xEA, 7, 13, 1, 0, 0, 0])), Ok(None));
    }

    const fn at(year: u16, month: u8, day: u8, hour: u8, minute: u8, second: u8) -> DeviceTime {
        DeviceTime { year, month, day, hour, minute, second }
    }

    #[test]
    fn seconds_go_through_the_calendar() {
        // 946 684 800 s from 1970 to 2000 and 3 155 673 600 s from 1900 to 2000 are those of POSIX and of NTP.
        let millennium = at(2000, 1, 1, 0, 0, 0);
        assert_eq!(shifted(&at(1970, 1, 1, 0, 0, 0), 946_684_800), Some(millennium));
        assert_eq!(shifted(&at(1900, 1, 1, 0, 0, 0), 3_155_673_600), Some(millennium));
        assert_eq!(shifted(&millennium, -3_155_673_600), Some(at(1900, 1, 1, 0, 0, 0)));
        assert_eq!(shifted(&at(2024, 2, 28, 23, 59, 59), 1), Some(at(2024, 2, 29, 0, 0, 0)));
        assert_eq!(shifted(&at(2026, 2, 28, 23, 59, 30), 90), Some(at(2026, 3, 1, 0, 1, 0)));
        assert_eq!(shifted(&at(2026, 1, 1, 0, 0, 0), -60), Some(at(2025, 12, 31, 23, 59, 0)));
        assert_eq!(shifted(&at(9999, 12, 31, 23, 59, 59), 1), None);
        assert_eq!(shifted(&at(2026, 1, 1, 0, 0, 0), i64::MAX), None);
        assert_eq!(shifted(&at(2026, 0, 1, 0, 0, 0), 0), None, "not of an unknown month");
    }

    #[test]
    fn days_of_the_week() {
        assert_eq!(day_of_week(&at(2026, 7, 28, 0, 0, 0)), Some(2));
        assert_eq!(day_of_week(&at(2026, 10, 25, 1, 0, 0)), Some(7));
        assert_eq!(day_of_week(&at(1600, 2, 29, 0, 0, 0)), Some(2));
        assert_eq!(day_of_week(&at(0, 2, 29, 0, 0, 0)), None);
    }

    proptest::proptest! {
        #[test]
        fn written_and_read_there_and_back(
            date in (1582_u16..=9999, 1_u8..=12, 1_u8..=28), clock in (0_u8..24, 0_u8..60, 0_u8..60), seconds in -5_000_000_000_i64..5_000_000_000,
        ) {
            let start = at(date.0, date.1, date.2, clock.0, clock.1, clock.2);
            proptest::prop_assert_eq!(time(encode(&start)), Ok(start));
            if let Some(other) = shifted(&start, seconds) {
                proptest::prop_assert_eq!(shifted(&other, seconds.saturating_neg()), Some(start));
                proptest::prop_assert_eq!(seconds == 0, other == start);
            }
        }
    }
}
