//! Helpers for the tests of notebooks and commands.
