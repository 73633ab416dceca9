//! What the clients of a run do. Each ends when the run is calm and it has done all of it.

pub(crate) mod books;
pub(crate) mod brief;
pub(crate) mod consumer;
pub(crate) mod member;
pub(crate) mod producer;
pub(crate) mod pump;
pub(crate) mod reader;
pub(crate) mod trim;
