//! What was typed, and what is used. It alone knows the arguments and the environment.
