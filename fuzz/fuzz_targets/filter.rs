//! The query language: whatever is read can be printed, and reads back the same, as text and as XML.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| tidelock_fuzz::filter(text));
