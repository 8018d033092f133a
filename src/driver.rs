//! The IO shell around the engine: turn, append, start calls, wait.
