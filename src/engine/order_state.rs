//! The life of an order: what each word of the venue does to each state. One table, every pair answered.
//!
//! Thread: any.  Invariants: only the venue's word moves an order; nothing here books money (a fill is booked by its
//! trade number, whatever the state says); no pair panics, because the venue may say anything.

use crate::types::order::{ExecKind, ExecutionReport, Reason};
use crate::types::record::OrderStatus;
use crate::types::units::Qty;

/// A report, reduced to what moves a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// Accepted.
    New,
    /// A fill that leaves something open.
    FillPart,
    /// The fill that ends it.
    FillLast,
    /// Ended by a cancel.
    Canceled,
    /// Ended by time in force, partner or venue.
    Expired,
    /// Never accepted.
    Rejected,
    /// Refused because this very id lives: our first attempt arrived.
    Exists,
    /// A cancel of it was refused: perhaps it ended a moment ago.
    CancelRejected,
    /// A cancel of it was not even looked at (a rate limit, our clock): nothing is known that was not before.
    CancelUnheard,
    /// No answer.
    NoAnswer,
    /// Asked: not known there, but too early to believe it.
    NotFound,
    /// Asked, past the deadline, and never heard of before: it was not executed.
    NotFoundProven,
    /// Asked: live, nothing filled.
    Live,
    /// Asked: live, partly filled.
    LivePart,
    /// Asked: filled whole.
    DoneWhole,
    /// Asked: over, not whole.
    DoneShort,
}

impl Told {
    /// Reduces a report. `proven`: a "not found" now counts as "not executed".
    pub(super) fn of(report: &ExecutionReport, order_qty: Qty, proven: bool) -> Told {
        let open = report.leaves_qty.0 > 0;
        match report.kind {
            ExecKind::New => Told::New,
            ExecKind::Fill if open => Told::FillPart,
            ExecKind::Fill => Told::FillLast,
            ExecKind::Canceled => Told::Canceled,
            ExecKind::Expired => Told::Expired,
            ExecKind::Rejected if report.reason == Reason::Duplicate => Told::Exists,
            ExecKind::Rejected => Told::Rejected,
            ExecKind::CancelRejected if matches!(report.reason, Reason::RateLimit | Reason::Clock) => {
                Told::CancelUnheard
            }
            ExecKind::CancelRejected => Told::CancelRejected,
            ExecKind::Unknown => Told::NoAnswer,
            ExecKind::NotFound if proven => Told::NotFoundProven,
            ExecKind::NotFound => Told::NotFound,
            ExecKind::Status if open && report.cum_qty.0 > 0 => Told::LivePart,
            ExecKind::Status if open => Told::Live,
            ExecKind::Status if report.cum_qty >= order_qty => Told::DoneWhole,
            ExecKind::Status => Told::DoneShort,
        }
    }
}

/// What a report does to a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The order is now there.
    To(OrderStatus),
    /// Nothing new: a repeat, or older than what we know.
    Stay,
    /// Money moved after the end: it raced our cancel, or overtook its own end. Booked.
    LateFill,
    /// We held it for dead and it lives: taken back, and somebody must look.
    Revived(OrderStatus),
}

/// The whole table.
pub(super) fn on(state: OrderStatus, told: Told) -> Step {
    use {OrderStatus as S, Step::*, Told as T};
    match (state, told) {
        // A cancel that was not looked at says nothing of the order.
        (S::Pending | S::Working | S::Partly | S::Unknown, T::CancelUnheard) => Stay,
        (S::Filled | S::Canceled | S::Expired | S::Rejected, T::CancelUnheard) => Stay,
        // Live as far as we know: the venue's word takes force.
        (S::Pending | S::Unknown, T::New | T::Live) => To(S::Working),
        (S::Pending | S::Working | S::Unknown, T::LivePart) => To(S::Partly),
        (S::Pending | S::Working, T::FillPart) => To(S::Partly), // a fill may overtake the ack
        (S::Unknown, T::FillPart) => Stay,                       // it may be older than what made us doubt
        (S::Working | S::Partly, T::New | T::Live) => Stay,
        (S::Partly, T::FillPart | T::LivePart) => Stay,
        (S::Pending | S::Working | S::Partly | S::Unknown, T::FillLast | T::DoneWhole) => To(S::Filled),
        (S::Pending | S::Working | S::Partly | S::Unknown, T::Canceled | T::DoneShort) => To(S::Canceled),
        (S::Pending | S::Working | S::Partly | S::Unknown, T::Expired) => To(S::Expired),
        (S::Pending | S::Unknown, T::Rejected) => To(S::Rejected),
        (S::Unknown, T::NotFoundProven) => To(S::Rejected),
        // Doubt: what may or may not have happened is asked, never assumed.
        (S::Pending, T::Exists | T::CancelRejected | T::NoAnswer | T::NotFound | T::NotFoundProven) => To(S::Unknown),
        (S::Working | S::Partly, T::Rejected | T::Exists | T::CancelRejected | T::NoAnswer) => To(S::Unknown),
        (S::Working | S::Partly, T::NotFound | T::NotFoundProven) => To(S::Unknown),
        (S::Unknown, T::Exists | T::CancelRejected | T::NoAnswer | T::NotFound) => Stay,
        // Over: only money moves.
        (S::Filled | S::Canceled | S::Expired, T::FillPart | T::FillLast) => LateFill,
        (S::Filled | S::Canceled | S::Expired, T::New | T::Live | T::LivePart | T::DoneWhole | T::DoneShort) => Stay,
        (S::Filled | S::Canceled | S::Expired, T::Canceled | T::Expired | T::Rejected | T::Exists) => Stay,
        (S::Filled | S::Canceled | S::Expired, T::CancelRejected | T::NoAnswer) => Stay,
        (S::Filled | S::Canceled | S::Expired, T::NotFound | T::NotFoundProven) => Stay,
        // Held for never accepted, yet it speaks.
        (S::Rejected, T::New | T::Live) => Revived(S::Working),
        (S::Rejected, T::FillPart | T::LivePart) => Revived(S::Partly),
        (S::Rejected, T::FillLast | T::DoneWhole) => Revived(S::Filled),
        (S::Rejected, T::Canceled | T::Expired | T::DoneShort | T::Rejected) => Stay,
        (S::Rejected, T::Exists | T::CancelRejected | T::NoAnswer | T::NotFound | T::NotFoundProven) => Stay,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use {OrderStatus as S, Told as T};

    const STATES: [S; 8] =
        [S::Pending, S::Working, S::Partly, S::Filled, S::Canceled, S::Expired, S::Rejected, S::Unknown];

    const WORDS: [T; 16] = [
        T::New,
        T::FillPart,
        T::FillLast,
        T::Canceled,
        T::Expired,
        T::Rejected,
        T::Exists,
        T::CancelRejected,
        T::CancelUnheard,
        T::NoAnswer,
        T::NotFound,
        T::NotFoundProven,
        T::Live,
        T::LivePart,
        T::DoneWhole,
        T::DoneShort,
    ];

    /// What a word does to each of [`STATES`], a letter each: the state it moves to (small: revived as), `.` stays,
    /// `~` a late fill.
    fn expected(told: Told) -> &'static str {
        match told {
            T::New | T::Live => "W.....wW",
            T::FillPart => "PP.~~~p.",
            T::FillLast => "FFF~~~fF",
            T::Canceled => "CCC....C",
            T::Expired => "EEE....E",
            T::Rejected => "RUU....R",
            T::Exists | T::CancelRejected | T::NoAnswer | T::NotFound => "UUU.....",
            T::CancelUnheard => "........",
            T::NotFoundProven => "UUU....R",
            T::LivePart => "PP....pP",
            T::DoneWhole => "FFF...fF",
            T::DoneShort => "CCC....C",
        }
    }
    fn letter(state: OrderStatus) -> char {
        match state {
            S::Pending => '?',
            S::Working => 'W',
            S::Partly => 'P',
            S::Filled => 'F',
            S::Canceled => 'C',
            S::Expired => 'E',
            S::Rejected => 'R',
            S::Unknown => 'U',
        }
    }

    #[test]
    fn every_pair_of_state_and_word_has_the_answer_of_the_table() {
        assert_eq!(T::DoneShort as usize + 1, WORDS.len());
        for (at, told) in WORDS.into_iter().enumerate() {
            assert_eq!(told as usize, at, "each word once");
            let answers = STATES.into_iter().map(|state| match on(state, told) {
                Step::To(next) => letter(next),
                Step::Stay => '.',
                Step::LateFill => '~',
                Step::Revived(next) => letter(next).to_ascii_lowercase(),
            });
            assert_eq!(answers.collect::<String>(), expected(told), "{told:?} on {STATES:?}");
        }
    }

    #[test]
    fn an_ended_order_never_lives_again_unless_it_was_only_held_for_rejected() {
        for (ended, told) in [S::Filled, S::Canceled, S::Expired].into_iter().flat_map(|s| WORDS.map(|told| (s, told)))
        {
            let step = on(ended, told);
            assert!(matches!(step, Step::Stay | Step::LateFill), "{ended:?} {told:?} {step:?}");
        }
        assert_eq!(on(S::Rejected, T::Live), Step::Revived(S::Working));
    }
}
