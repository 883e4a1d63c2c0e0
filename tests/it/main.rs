//! The integration tests: one binary, one module per feature.

mod house;
mod stage;
mod standin;
mod support;
