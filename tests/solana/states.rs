//! What is told of a connection on a machine that may stand still.

use sol_volume_bot::types::event::StreamState;

/// The states without the silences of a connection that lives: each Stale after an Up, and the Up that ends it.
pub fn without_silence(states: &[StreamState]) -> Vec<StreamState> {
    let mut kept = Vec::new();
    let mut was_stale = false;
    for &state in states {
        let is_stale = state == StreamState::Stale;
        let ends_silence = was_stale && state == StreamState::Up && kept.last() == Some(&state);
        if !is_stale && !ends_silence {
            kept.push(state);
        }
        was_stale = is_stale;
    }
    kept
}
