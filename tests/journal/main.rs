//! The journal: its bytes, its damage, its bounds.

mod bytes;
mod damage;
mod desk;
mod many;
mod room;
