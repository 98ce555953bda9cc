//! Tests of the host's side, through a real link over an in-memory pipe where that is possible.
