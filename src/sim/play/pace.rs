//! When a record is due.
//!
//! Thread: any.  Invariants: no clock: times come in; the first record is due at once; at one speed the spans between
//! records keep their proportions.

use std::str::FromStr;

use crate::types::Time;

/// How fast a recording is played.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Speed {
    /// As fast as it can be read.
    Max,
    /// So many recorded seconds a second; 1 = as it was.
    Times(f64),
}

/// Not a speed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a number from 0.001 to 1000000, or `max`")]
pub struct SpeedError;

impl FromStr for Speed {
    type Err = SpeedError;

    fn from_str(text: &str) -> Result<Speed, SpeedError> {
        if text == "max" {
            return Ok(Speed::Max);
        }
        let times: f64 = text.parse().map_err(|_| SpeedError)?;
        if (0.001..=1e6).contains(&times) { Ok(Speed::Times(times)) } else { Err(SpeedError) }
    }
}

/// The recording's time against ours.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    speed: Speed,
    /// Receive time of the first record, and when it was played.
    began: Option<(Time, Time)>,
}

impl Pace {
    /// Before the first record.
    pub fn new(speed: Speed) -> Pace {
        Pace { speed, began: None }
    }

    /// When the record that came at `recv` is due.
    pub fn due(&mut self, recv: Time, now: Time) -> Time {
        let (first, began) = *self.began.get_or_insert((recv, now));
        match self.speed {
            Speed::Max => now,
            Speed::Times(times) => began.plus((recv.since(first) as f64 / times) as i64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_due_in_the_proportions_of_their_receive_times() {
        let mut pace = Pace::new(Speed::Times(2.0));
        let due: Vec<i64> = [1_000, 1_500, 3_000].iter().map(|recv| pace.due(Time(*recv), Time(70)).0).collect();
        assert_eq!(due, [70, 320, 1_070]);
        assert_eq!(Pace::new(Speed::Max).due(Time(1 << 60), Time(7)), Time(7));
    }

    #[test]
    fn a_speed_is_a_positive_number_or_max() {
        assert_eq!("max".parse(), Ok(Speed::Max));
        assert_eq!("0.5".parse(), Ok(Speed::Times(0.5)));
        for bad in ["", "0", "-1", "nan", "inf", "fast", "1e9"] {
            assert_eq!(bad.parse::<Speed>(), Err(SpeedError), "{bad}");
        }
    }
}
