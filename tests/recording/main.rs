//! Recordings: written, read back, damaged, played, through the rooms' front doors and the real binary.

mod damage;
mod desk;
mod files;
mod play;
mod play_kraken;
mod verbs;
