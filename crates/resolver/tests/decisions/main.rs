//! The decisions, tested as text in, text out.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod cached;
mod classification;
mod compilation;
mod correlation;
mod fingerprints;
mod hostile;
mod mappings;
mod matrix;
mod object_set_findings;
mod object_sets;
mod oracle;
mod reactions;
mod support;
