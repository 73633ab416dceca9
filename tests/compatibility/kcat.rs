//! kcat.
