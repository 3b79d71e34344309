//! Definition files in YAML: whatever is read without an error survives being written in every format.
#![no_main]

use tidelock_model::document::Format;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tidelock_fuzz::definitions(bytes, Format::Yaml));
