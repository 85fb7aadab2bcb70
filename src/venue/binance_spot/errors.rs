//! What an error of the venue means to us: the venue's table as code.
//!
//! Thread: any.  Invariants: what is not in the table is an unknown outcome, never a refusal; only a certain refusal
//! may free reserved exposure.  Source: the venue's API documents, "errors", as of 2026-07-21.

use crate::types::order::Reason;

/// What to do about an answer that is not a success.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reaction {
    /// The outcome is not known: it may have been executed. Ask before anything else.
    Unknown,
    /// Certainly not executed; may be tried anew once the stated cause is gone.
    Refused,
    /// Certainly not executed; wait first.
    BackOff,
    /// Certainly not executed; never again as it is: the fault or the state is ours.
    Never,
    /// Certainly not executed; stop trading and wake somebody.
    Halt,
}

/// Reaction and reason of one error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What to do.
    pub reaction: Reaction,
    /// What to tell the engine.
    pub reason: Reason,
}

const fn verdict(reaction: Reaction, reason: Reason) -> Verdict {
    Verdict { reaction, reason }
}

/// Judges an error answer by HTTP-like `status`, `code` and, where one code means many things, by the text `msg`.
pub fn judge(status: u16, code: i32, msg: &str) -> Verdict {
    use Reaction as R;
    if status >= 500 {
        return verdict(R::Unknown, Reason::Other);
    }
    match code {
        // Order matters: an unknown outcome is never read as a refusal.
        -1000 | -1001 | -1006 | -1007 => verdict(R::Unknown, Reason::Other),
        // Reads like a refusal, but one query must confirm it.
        -1008 => verdict(R::Unknown, Reason::RateLimit),
        -1003 | -1015 | -1034 => verdict(R::BackOff, Reason::RateLimit),
        -1002 | -1016 | -1022 | -2014 | -2015 => verdict(R::Halt, Reason::Halt),
        -1021 => verdict(R::Refused, Reason::Clock),
        -1013 | -1010 | -2010 | -2011 | -2038 => by_text(code, msg),
        -1111 => verdict(R::Never, Reason::Filter),
        -1112 | -1220 | -2016 | -2035 | -2036 | -2042 | -2043 => verdict(R::Refused, Reason::Other),
        // The query has the better word: right after a placement this is no proof.
        -2013 => verdict(R::Unknown, Reason::None),
        // Both halves are told apart in `data`.
        -2021 | -2022 => verdict(R::Refused, Reason::None),
        -1014
        | -1020
        | -1033
        | -1035
        | -1106..=-1100
        | -1108
        | -1122..=-1114
        | -1125
        | -1127
        | -1128
        | -1130
        | -1134
        | -1135
        | -1145
        | -1153..=-1151
        | -1155
        | -1161..=-1158
        | -1165
        | -1166
        | -1168
        | -1194
        | -1199..=-1196
        | -1210
        | -1211
        | -1225..=-1222
        | -2026
        | -2039 => verdict(R::Never, Reason::Other),
        _ => by_status(status),
    }
}

/// Codes outside the table: only the statuses that promise "not executed" count as a refusal.
fn by_status(status: u16) -> Verdict {
    match status {
        418 | 429 => verdict(Reaction::BackOff, Reason::RateLimit),
        401 | 403 => verdict(Reaction::Halt, Reason::Halt),
        _ => verdict(Reaction::Unknown, Reason::Other),
    }
}

/// The texts that tell the meanings of -1010, -1013, -2010, -2011 and -2038 apart; first match wins.
const TEXTS: [(&str, Verdict); 26] = {
    use Reaction::{Halt, Never, Refused, Unknown};
    [
        ("insufficient balance", verdict(Refused, Reason::Balance)),
        // Our first attempt arrived: that order lives, so its exposure stays.
        ("Duplicate order sent", verdict(Unknown, Reason::Duplicate)),
        ("Unknown order sent", verdict(Refused, Reason::None)),
        ("was not canceled due to cancel restrictions", verdict(Refused, Reason::None)),
        ("Cancel order is invalid", verdict(Never, Reason::Other)),
        ("immediately match and take", verdict(Refused, Reason::WouldTake)),
        ("trigger immediately", verdict(Refused, Reason::PriceMoved)),
        ("relationship of the prices", verdict(Refused, Reason::PriceMoved)),
        ("Market is closed", verdict(Refused, Reason::Other)),
        ("disabled on this account", verdict(Halt, Reason::Halt)),
        ("may not place or cancel orders", verdict(Halt, Reason::Halt)),
        ("symbol is not permitted", verdict(Halt, Reason::Halt)),
        ("is restricted for this account", verdict(Halt, Reason::Halt)),
        ("trading is not enabled", verdict(Halt, Reason::Halt)),
        ("not supported", verdict(Never, Reason::Other)),
        ("Unsupported order combination", verdict(Never, Reason::Other)),
        ("Price * QTY is zero or less", verdict(Never, Reason::Filter)),
        ("IcebergQty exceeds QTY", verdict(Never, Reason::Filter)),
        ("Order book liquidity is too low", verdict(Never, Reason::Other)),
        ("Order book liquidity is less than", verdict(Refused, Reason::Other)),
        ("pegged price", verdict(Never, Reason::Other)),
        ("price peg", verdict(Never, Reason::Other)),
        ("would change no state", verdict(Never, Reason::Other)),
        ("Filter failure: MAX_NUM", verdict(Refused, Reason::Filter)),
        ("Filter failure: EXCHANGE_MAX_NUM", verdict(Refused, Reason::Filter)),
        ("Filter failure", verdict(Never, Reason::Filter)),
    ]
};

fn by_text(code: i32, msg: &str) -> Verdict {
    if let Some((_, known)) = TEXTS.iter().find(|(text, _)| msg.contains(text)) {
        return *known;
    }
    match code {
        // -1010 is the matching engine's "anything": without a known text nothing is certain.
        -1010 => verdict(Reaction::Unknown, Reason::Other),
        -1013 => verdict(Reaction::Never, Reason::Filter),
        _ => verdict(Reaction::Never, Reason::Other),
    }
}

#[cfg(test)]
mod tests {
    use super::Reaction::{BackOff, Halt, Never, Refused, Unknown};
    use super::*;

    #[test]
    fn a_status_of_500_and_more_is_an_unknown_outcome_whatever_the_code_says() {
        for code in [0, -1003, -1013, -1021, -2010, -2015, -31_999] {
            for status in [500, 502, 503, 504, 599] {
                assert_eq!(judge(status, code, "Filter failure: LOT_SIZE").reaction, Unknown, "{status} {code}");
            }
        }
    }

    #[test]
    fn every_code_of_the_table_has_its_reaction() {
        let table: [(&[i32], Reaction, Reason); 10] = [
            (&[-1000, -1001, -1006, -1007], Unknown, Reason::Other),
            (&[-1008], Unknown, Reason::RateLimit),
            (&[-1003, -1015, -1034], BackOff, Reason::RateLimit),
            (&[-1002, -1016, -1022, -2014, -2015], Halt, Reason::Halt),
            (&[-1021], Refused, Reason::Clock),
            (&[-1111], Never, Reason::Filter),
            (&[-1112, -1220, -2016, -2035, -2036, -2042, -2043], Refused, Reason::Other),
            (&[-2013], Unknown, Reason::None),
            (&[-2021, -2022], Refused, Reason::None),
            (
                &[
                    -1014, -1020, -1033, -1035, -1100, -1101, -1102, -1103, -1104, -1105, -1106, -1108, -1114, -1115,
                    -1116, -1117, -1118, -1119, -1120, -1121, -1122, -1125, -1127, -1128, -1130, -1134, -1135, -1145,
                    -1151, -1152, -1153, -1155, -1158, -1159, -1160, -1161, -1165, -1166, -1168, -1194, -1196, -1197,
                    -1198, -1199, -1210, -1211, -1222, -1223, -1224, -1225, -2026, -2039,
                ],
                Never,
                Reason::Other,
            ),
        ];
        for (codes, reaction, reason) in table {
            for code in codes {
                assert_eq!(judge(400, *code, ""), Verdict { reaction, reason }, "{code}");
            }
        }
    }

    #[test]
    fn every_text_of_the_table_has_its_reaction() {
        let table = [
            (-2010, "Account has insufficient balance for requested action.", Refused, Reason::Balance),
            (-2010, "Duplicate order sent.", Unknown, Reason::Duplicate),
            (-2011, "Unknown order sent.", Refused, Reason::None),
            (-2011, "Order was not canceled due to cancel restrictions.", Refused, Reason::None),
            (-2011, "Cancel order is invalid. Check origClOrdId and orderId.", Never, Reason::Other),
            (-2010, "Order would immediately match and take.", Refused, Reason::WouldTake),
            (-2010, "Order would trigger immediately.", Refused, Reason::PriceMoved),
            (-2010, "The relationship of the prices for the orders is not correct.", Refused, Reason::PriceMoved),
            (-1013, "Market is closed.", Refused, Reason::Other),
            (-2010, "This action is disabled on this account.", Halt, Reason::Halt),
            (-1010, "This account may not place or cancel orders.", Halt, Reason::Halt),
            (-2010, "This symbol is not permitted for this account.", Halt, Reason::Halt),
            (-2010, "This symbol is restricted for this account.", Halt, Reason::Halt),
            (-2010, "OCO orders are not supported for this symbol", Never, Reason::Other),
            (-1013, "Stop loss limit orders are not supported for this symbol.", Never, Reason::Other),
            (-1013, "Unsupported order combination", Never, Reason::Other),
            (-1013, "Price * QTY is zero or less.", Never, Reason::Filter),
            (-1013, "IcebergQty exceeds QTY.", Never, Reason::Filter),
            (-1013, "WebSocket API trading is not enabled.", Halt, Reason::Halt),
            (-1013, "Rest API trading is not enabled.", Halt, Reason::Halt),
            (-2010, "Order book liquidity is less than `LOT_SIZE` filter minimum quantity.", Refused, Reason::Other),
            (-2010, "Order book liquidity is less than symbol minimum quantity.", Refused, Reason::Other),
            (-2010, "Order book liquidity is too low for this pegged order.", Never, Reason::Other),
            (-1013, "This order type may not use pegged price.", Never, Reason::Other),
            (-1013, "This price peg cannot be used with this order type.", Never, Reason::Other),
            (-2038, "Order amend (quantity increase) is not supported.", Never, Reason::Other),
            (-2038, "The requested action would change no state; rejecting.", Never, Reason::Other),
            (-2038, "Order amend (pending OPO order) is not supported.", Never, Reason::Other),
            (-1013, "Filter failure: PRICE_FILTER", Never, Reason::Filter),
            (-1013, "Filter failure: PERCENT_PRICE_BY_SIDE", Never, Reason::Filter),
            (-1013, "Filter failure: LOT_SIZE", Never, Reason::Filter),
            (-1013, "Filter failure: NOTIONAL", Never, Reason::Filter),
            (-1013, "Filter failure: MARKET_LOT_SIZE", Never, Reason::Filter),
            (-2010, "Filter failure: MAX_POSITION", Never, Reason::Filter),
            (-2010, "Filter failure: MAX_NUM_ALGO_ORDERS", Refused, Reason::Filter),
            (-2010, "Filter failure: MAX_NUM_ORDERS", Refused, Reason::Filter),
            (-2010, "Filter failure: EXCHANGE_MAX_NUM_ORDERS", Refused, Reason::Filter),
        ];
        for (code, text, reaction, reason) in table {
            assert_eq!(judge(400, code, text), Verdict { reaction, reason }, "{code} {text}");
        }
    }

    #[test]
    fn what_is_not_in_the_table_is_an_unknown_outcome() {
        assert_eq!(judge(400, -31_337, "brand new").reaction, Unknown);
        assert_eq!(judge(400, -1010, "brand new").reaction, Unknown);
        assert_eq!(judge(200, 0, "").reaction, Unknown);
        assert_eq!(judge(0, i32::MIN, "").reaction, Unknown);
    }

    #[test]
    fn the_status_speaks_where_the_code_is_new() {
        assert_eq!(judge(429, -9_999, "").reaction, BackOff);
        assert_eq!(judge(418, 0, "").reaction, BackOff);
        assert_eq!(judge(403, 0, "<html>").reaction, Halt);
        assert_eq!(judge(401, 0, "").reaction, Halt);
    }

    #[test]
    fn a_refusal_with_a_new_text_is_still_a_refusal() {
        assert_eq!(judge(400, -2010, "something new").reaction, Never);
        assert_eq!(judge(400, -1013, "something new"), Verdict { reaction: Never, reason: Reason::Filter });
    }
}
