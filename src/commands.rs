//! One file for each subcommand; each wires the parts together.
