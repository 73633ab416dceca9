//! Administration: what changes, and what is shown of it.

mod configs;
mod groups;
mod offsets;
mod topics;
mod transactions;
