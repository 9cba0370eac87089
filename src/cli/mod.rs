//! Turns arguments into one command and runs it.
