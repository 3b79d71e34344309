//! The messages of queues: whatever is read as changes fits the schema.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tidelock_fuzz::messages::messages(bytes));
