//! Tests of what only a file can suffer.
