//! Resources and tasks: compiled, resolved and classified, whatever they say.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tidelock_fuzz::resolve(bytes));
