//! Which second of a device's course each stored reading is of. Pure.
//!
//! The course is numbered, so a reading tells its second modulo [`NUMBERS`]. Readings go forward in the order in which they
//! were captured; one that would leap over seconds which must be stored, while those behind it would not, is of no second.

use crate::simulators::ledger::{Fate, Second};
use crate::simulators::patient::{NUMBERS, number_of};
use crate::stored::Reading;

/// How many readings behind a leap are asked whether it is one.
const ASKED: usize = 3;

/// Whether a second must be stored: it is whole, and so is the one before in the same opening. A protocol without a
/// checksum must prove itself after anything else, and that costs frames.
#[must_use]
pub fn must_be_stored(ledger: &[Second], place: usize) -> bool {
    let Some([before, second]) = place.checked_sub(1).and_then(|before| ledger.get(before..=place)) else {
        return false;
    };
    second.fate == Fate::Whole && before.fate == Fate::Whole && second.opening == before.opening
}

/// Readings with the places of their seconds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Aligned {
    /// In order; those of one tick may be paired otherwise than they came.
    pub readings: Vec<Reading>,
    /// For each reading the place of its second in the ledger; `None` for a reading that is of no second there.
    pub places: Vec<Option<usize>>,
}

/// Finds the second of each reading.
///
/// What one read of the port held has one tick, and of a moment that is partly for keep the rows are in different records:
/// so readings of one tick are paired and put in order by what they tell.
#[must_use]
pub fn align(ledger: &[Second], readings: &[Reading]) -> Aligned {
    let course = Course::of(ledger);
    let (mut at, mut readings) = (0, readings.to_vec());
    let mut places = Vec::with_capacity(readings.len());
    let mut tick = None;
    for number in 0..readings.len() {
        if tick.replace(readings[number].tick) != Some(readings[number].tick) {
            let count = readings[number..].iter().take_while(|reading| Some(reading.tick) == tick).count();
            course.pair(&mut readings[number..number + count], at);
        }
        let place = course.find(&readings[number], at).filter(|place| {
            let next = readings.iter().skip(number + 1).take(ASKED);
            let is_left_behind = || next.filter_map(|next| course.find(next, at)).any(|next| next < *place);
            course.skipped(at, *place) == 0 || !is_left_behind()
        });
        at = place.unwrap_or(at);
        places.push(place);
    }
    Aligned { readings, places }
}

/// A ledger, prepared for looking ahead.
struct Course<'a> {
    ledger: &'a [Second],
    /// How many seconds before each place must be stored.
    required: Vec<usize>,
}

impl<'a> Course<'a> {
    fn of(ledger: &'a [Second]) -> Self {
        let mut sum = 0;
        let required = (0..=ledger.len()).map(|place| {
            let before = sum;
            sum += usize::from(must_be_stored(ledger, place));
            before
        });
        Self { required: required.collect(), ledger }
    }

    /// The first place from `at` on whose second a reading tells, among those of which anything was on the line.
    fn find(&self, reading: &Reading, at: usize) -> Option<usize> {
        let value = |value: Option<i64>| value.and_then(|value| u64::try_from(value).ok());
        let number = number_of(value(reading.pulse)?, value(reading.spo2)?)?;
        let heard = |place: &usize| !matches!(self.ledger[*place].fate, Fate::Unheard | Fate::Silent);
        let ahead = (at..self.ledger.len()).filter(heard).take(usize::try_from(NUMBERS).ok()?);
        ahead.into_iter().find(|place| self.ledger[*place].number % NUMBERS == number)
    }

    /// Pairs pulses and saturations of one tick anew, nearest second first; what is of no second comes last.
    fn pair(&self, readings: &mut [Reading], mut at: usize) {
        if readings.len() < 2 {
            return;
        }
        let tick = readings[0].tick;
        let mut pulses: Vec<_> = readings.iter().map(|reading| reading.pulse).collect();
        let mut saturations: Vec<_> = readings.iter().map(|reading| reading.spo2).collect();
        for reading in readings {
            let pairs = (0..pulses.len()).flat_map(|pulse| (0..saturations.len()).map(move |spo2| (pulse, spo2)));
            let told = |(pulse, spo2): (usize, usize)| Reading { tick, pulse: pulses[pulse], spo2: saturations[spo2] };
            let found = pairs.filter_map(|pair| Some((self.find(&told(pair), at)?, pair)));
            let (place, (pulse, spo2)) = found.min().unwrap_or((at, (0, 0)));
            at = place;
            *reading = Reading { tick, pulse: pulses.remove(pulse), spo2: saturations.remove(spo2) };
        }
    }

    /// How many seconds that must be stored lie between two places.
    fn skipped(&self, at: usize, place: usize) -> usize {
        if place > at { self.required[place] - self.required[at + 1] } else { 0 }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::simulators::patient::numbered;

    /// Seconds of one opening, all whole.
    pub(in crate::day) fn whole(count: u64) -> Vec<Second> {
        let second = |number| Second { number, shown: numbered(number), fate: Fate::Whole, opening: 1, bytes: 4 };
        (0..count).map(second).collect()
    }

    /// The reading of a second, ten milliseconds apart.
    pub(in crate::day) fn reading(number: u64) -> Reading {
        let shown = numbered(number);
        let tick = i64::try_from(number).unwrap() * 10;
        Reading { tick, pulse: shown.pulse.map(i64::from), spo2: shown.spo2.map(i64::from) }
    }

    pub(in crate::day) fn all(ledger: &[Second]) -> Vec<Reading> {
        ledger.iter().map(|second| reading(second.number)).collect()
    }

    #[test]
    fn each_reading_is_of_its_second_however_often_the_numbers_come_round() {
        let ledger = whole(NUMBERS * 3 + 7);
        let places = align(&ledger, &all(&ledger)).places;
        assert!(places.iter().enumerate().all(|(number, place)| *place == Some(number)));
    }

    #[test]
    fn seconds_that_nobody_heard_are_leapt_over_however_many() {
        let mut ledger = whole(NUMBERS * 4);
        let gap = 20..usize::try_from(NUMBERS * 2).unwrap() + 35;
        ledger[gap.clone()].iter_mut().for_each(|second| second.fate = Fate::Unheard);
        let stored: Vec<Second> = [&ledger[..20], &ledger[gap.end..]].concat();
        let places = align(&ledger, &all(&stored)).places;
        assert_eq!((places[19], places[20]), (Some(19), Some(gap.end)));
        assert!(places.iter().all(Option::is_some));
    }

    #[test]
    fn a_row_that_is_missing_twice_or_made_up_moves_no_other() {
        let ledger = whole(50);
        let mut stored = all(&ledger);
        stored.remove(20);
        assert_eq!(align(&ledger, &stored).places[20], Some(21));
        stored.insert(20, stored[19]);
        assert_eq!(align(&ledger, &stored).places[19..22], [Some(19), Some(19), Some(21)]);
        for odd in [
            reading(400),
            reading(3),
            Reading { pulse: None, ..reading(20) },
            Reading { pulse: Some(300), ..reading(20) },
        ] {
            stored[20] = odd;
            assert_eq!(align(&ledger, &stored).places[19..22], [Some(19), None, Some(21)], "{odd:?}");
        }
    }

    #[test]
    fn what_one_read_of_the_port_held_is_put_in_order() {
        let ledger = whole(200);
        let mut stored = all(&ledger);
        // Both sides of a change of saturation, and a reading that noise made; rows in the order of their records.
        stored.insert(91, Reading { tick: 0, pulse: Some(60), spo2: Some(99) });
        stored[88..93].iter_mut().for_each(|reading| reading.tick = 880);
        let spo2 = stored[91].spo2;
        stored[91].spo2 = stored[88].spo2;
        stored[88].spo2 = spo2;
        stored[88..93].reverse();
        let aligned = align(&ledger, &stored);
        let expected = [Some(88), Some(89), Some(90), Some(91), None, Some(92)];
        assert_eq!(aligned.places[88..94], expected, "{:?}", &aligned.readings[88..94]);
    }

    #[test]
    fn the_first_seconds_of_an_opening_and_those_behind_noise_need_not_be_stored() {
        let mut ledger = whole(6);
        ledger[2].fate = Fate::Noisy;
        ledger[5].opening = 2;
        let required: Vec<usize> = (0..6).filter(|place| must_be_stored(&ledger, *place)).collect();
        assert_eq!(required, [1, 4]);
    }
}
