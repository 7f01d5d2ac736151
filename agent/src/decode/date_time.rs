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

/// The time a second later, for a device that tells the time of the first of a row. Of a time whose date is not wholly
/// known the unknown parts stay so.
#[must_use]
pub const fn a_second_after(time: DeviceTime) -> DeviceTime {
    let DeviceTime { year, month, day, hour, minute, second } = time;
    if second < 59 {
        return DeviceTime { second: second.saturating_add(1), ..time };
    }
    if minute < 59 {
        return DeviceTime { minute: minute.saturating_add(1), second: 0, ..time };
    }
    if hour < 23 {
        return DeviceTime { hour: hour.saturating_add(1), minute: 0, second: 0, ..time };
    }
    let midnight = DeviceTime { hour: 0, minute: 0, second: 0, ..time };
    match (year, month, day) {
        (_, _, 0) => midnight,
        (_, _, day) if day < days_of(year, month) => DeviceTime { day: day.saturating_add(1), ..midnight },
        (_, 0, _) => DeviceTime { day: 1, ..midnight },
        (_, month, _) if month < 12 => DeviceTime { month: month.saturating_add(1), day: 1, ..midnight },
        (0, ..) => DeviceTime { month: 1, day: 1, ..midnight },
        _ => DeviceTime { year: year.saturating_add(1), month: 1, day: 1, ..midnight },
    }
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

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn a_second_later_keeps_to_the_calendar() {
        let after = |octets| a_second_after(time(octets).unwrap());
        let [y24, y26] = [[0xE8, 0x07], [0xEA, 0x07]];
        let at = |[low, high]: [u8; 2], rest: [u8; 5]| {
            let [month, day, hour, minute, second] = rest;
            [low, high, month, day, hour, minute, second]
        };
        for (before, later) in [
            (at(y26, [7, 28, 14, 30, 15]), at(y26, [7, 28, 14, 30, 16])),
            (at(y26, [7, 28, 14, 30, 59]), at(y26, [7, 28, 14, 31, 0])),
            (at(y26, [7, 28, 14, 59, 59]), at(y26, [7, 28, 15, 0, 0])),
            (at(y24, [2, 28, 23, 59, 59]), at(y24, [2, 29, 0, 0, 0])),
            (at(y26, [2, 28, 23, 59, 59]), at(y26, [3, 1, 0, 0, 0])),
            (at(y26, [0, 0, 23, 59, 59]), at(y26, [0, 0, 0, 0, 0])),
            (at([0, 0], [12, 31, 23, 59, 59]), at([0, 0], [1, 1, 0, 0, 0])),
        ] {
            assert_eq!(Ok(after(before)), time(later));
        }
    }
}
