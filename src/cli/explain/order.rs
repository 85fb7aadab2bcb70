//! The story of one order: the event that led to it, the step that made it, its way to the venue, what came of it.
//!
//! Thread: main.  Invariants: what is told is in the journal; notes of the wire are matched by name, because they may stand
//! before the command that they belong to.

use super::follow::{Dated, Moment};
use crate::cli::words;
use crate::types::command::Command;
use crate::types::event::{Event, EventKind};
use crate::types::note::WireNote;
use crate::types::order::ExecutionReport;
use crate::types::reconcile::RestingOrder;
use crate::types::record::{FillRow, OrderRow, Record};
use crate::types::{ClientOrderId, Time};

/// All that a journal holds of one order.
#[derive(Clone, Debug)]
pub struct OrderStory {
    /// The order asked about.
    pub id: ClientOrderId,
    /// Names that belong to it: its own, and both legs if it is a list.
    pub names: Vec<ClientOrderId>,
    /// Name under which it went to the venue: the list's for a leg, the cancelled order's for a cancel-and-place.
    pub sent_as: ClientOrderId,
    /// The engine at the step that made it; `None` = not met.
    pub moment: Option<Moment>,
    /// All commands of that step.
    pub commands: Vec<Command>,
    /// Later commands about it: cancels and questions.
    pub later: Vec<Dated<Command>>,
    /// Notes of the gateway under its names.
    wire: Vec<WireNote>,
    /// What the venue said.
    pub reports: Vec<Dated<(Time, ExecutionReport)>>,
    /// When a later run met it at the venue.
    pub met: Vec<Dated<RestingOrder>>,
    /// Its fills.
    pub fills: Vec<FillRow>,
    /// How it stands, by the newest row of each name.
    pub rows: Vec<OrderRow>,
    newest: Option<Event>,
    /// The step that made it is still being read.
    is_open: bool,
    /// Commands of the step being read, before it is known to have made the order.
    step: Vec<Command>,
}

impl OrderStory {
    /// Nothing is known yet.
    pub fn of(id: ClientOrderId) -> OrderStory {
        OrderStory {
            id,
            names: vec![id],
            sent_as: id,
            moment: None,
            commands: Vec::new(),
            later: Vec::new(),
            wire: Vec::new(),
            reports: Vec::new(),
            met: Vec::new(),
            fills: Vec::new(),
            rows: Vec::new(),
            newest: None,
            is_open: false,
            step: Vec::new(),
        }
    }

    pub(super) fn event(&mut self, event: &Event) {
        self.newest = Some(*event);
        self.is_open = false;
        self.step.clear();
        let (seq, at) = (event.seq, event.at);
        match event.kind {
            EventKind::Execution(report) if self.names.contains(&report.id) => {
                self.reports.push(Dated { seq, at, fact: (event.recv, report) });
            }
            EventKind::Resting(order) if self.names.contains(&order.id) => {
                self.met.push(Dated { seq, at, fact: order })
            }
            _ => {}
        }
    }

    /// Output: whether this is the command that made it.
    pub(super) fn command(&mut self, command: &Command) -> bool {
        let Some(Event { seq, at, .. }) = self.newest else { return false };
        let is_birth = self.moment.is_none() && words::places(command, self.id);
        if is_birth {
            self.named_by(command);
            self.commands = std::mem::take(&mut self.step);
            self.is_open = true;
        }
        if self.is_open {
            self.commands.push(*command);
        } else if self.moment.is_none() {
            self.step.push(*command);
        } else if self.is_about(command) {
            self.later.push(Dated { seq, at, fact: *command });
        }
        match command {
            Command::Record(Record::Fill(row)) if self.names.contains(&row.id) => self.fills.push(*row),
            Command::Record(Record::Order(row)) if self.names.contains(&row.id) => {
                self.rows.retain(|known| known.id != row.id);
                self.rows.push(*row);
            }
            _ => {}
        }
        is_birth
    }

    pub(super) fn began_at(&mut self, moment: Moment) {
        self.moment = Some(moment);
    }

    pub(super) fn wire(&mut self, note: &WireNote) {
        let (WireNote::Sent { id, .. } | WireNote::Answered { id, .. }) = note else { return };
        // Which names it goes by may come to light only later: everything of the same signal is kept until then.
        if (id.epoch, id.signal) == (self.id.epoch, self.id.signal) {
            self.wire.push(*note);
        }
    }

    /// Notes of the gateway about it, in their order.
    pub fn wire_notes(&self) -> impl Iterator<Item = &WireNote> {
        self.wire.iter().filter(|note| match note {
            WireNote::Sent { id, .. } | WireNote::Answered { id, .. } => *id == self.sent_as || self.names.contains(id),
            _ => false,
        })
    }

    fn named_by(&mut self, command: &Command) {
        match command {
            Command::PlaceOco(oco) => {
                self.sent_as = oco.list;
                if self.id == oco.list {
                    self.names = vec![oco.list, oco.take_profit, oco.stop];
                }
            }
            Command::CancelReplace(both) => self.sent_as = both.cancel.target,
            _ => {}
        }
    }

    fn is_about(&self, command: &Command) -> bool {
        let ours = |id: &ClientOrderId| self.names.contains(id);
        match command {
            Command::Cancel(cancel) => ours(&cancel.target),
            Command::CancelReplace(both) => ours(&both.cancel.target),
            Command::CancelList(list) => ours(&list.list) || ours(&list.take_profit) || ours(&list.stop),
            Command::Query(query) => ours(&query.target),
            Command::CancelAll => self.rows.iter().any(|row| !row.status.is_done()),
            _ => false,
        }
    }
}
