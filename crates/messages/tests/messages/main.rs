//! Messages as text, configurations as text, and what they come to.

mod common;
mod configuration;
mod debezium;
mod mapping;
mod plain;
mod properties;
mod ucf;
