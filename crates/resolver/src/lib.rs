//! Tidelock's decisions: pure functions over values, without I/O, waiting, a clock or chance.
//!
//! A resource definition is made ready once ([`compile::compile`]), and a task's object set is resolved against it
//! ([`object_set::resolve`]). After that every object takes the same way:
//!
//! 1. [`fingerprint`]: has anything changed since it was last looked at?
//! 2. [`classify`]: which type is it of, and is it in the object set at all ([`object_set::PostFilter`])?
//! 3. [`exclusion`]: is it one that synchronization passes over?
//! 4. [`correlate`]: whose is it?
//! 5. [`situation`] and [`reaction`]: what is to be done?
//! 6. [`mapping`]: what does its owner look like then?
//!
//! Loading what these ask for, and doing what they say, is the business of activities.

// Tests within the crate share code with those outside, which name it so.
#[cfg(test)]
extern crate self as tidelock_resolver;

pub mod base_context;
pub mod cached;
pub mod channel;
pub mod classify;
pub mod compile;
pub mod correlate;
mod digest;
pub mod exclusion;
pub mod filter;
pub mod fingerprint;
pub mod focus_items;
pub mod mapping;
mod matrix;
pub mod object_set;
pub mod policy;
pub mod reaction;
pub mod situation;
